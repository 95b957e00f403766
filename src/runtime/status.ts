/**
 * Makes the status document from what the parts show of themselves; pure.
 *
 * @module
 */

import type { Config, LocalConfig } from "../config/types.ts";
import type { StepResult } from "../core/step.ts";
import { PROBES_FOR_SILENCE, SERVING_STATES } from "../core/situation.ts";
import type { Observation, VipEvidence } from "../core/types.ts";
import type { HealthBody, HistoryEntry, StatusDocument } from "../health/types.ts";
import type { ProbeCounters } from "../heartbeat/http_probe.ts";
import type { GateState } from "../services/gate.ts";
import type { ShieldUp } from "../services/shield.ts";
import type { GoalInProgress } from "./goal_runner.ts";
import type { LinkView } from "./links.ts";

/** Who this process is. */
export interface Identity {
  readonly instanceId: string;
  readonly bootId: string;
  readonly version: string;
  readonly denort: StatusDocument["node"]["denort"];
  readonly pid: number;
  /** Monotonic ms. */
  readonly startedAt: number;
}

/** Everything that the status is made of. */
export interface StatusInput {
  readonly config: LocalConfig;
  /** Wall time in milliseconds. */
  readonly configLoadedAt: number;
  readonly identity: Identity;
  readonly result: StepResult;
  readonly observation: Observation;
  readonly views: readonly LinkView[];
  readonly httpCounters: (network: string) => Readonly<ProbeCounters>;
  readonly report: { readonly body: HealthBody; readonly at: number } | null;
  readonly serviceNames: readonly string[];
  readonly gate: GateState;
  readonly shield: ShieldUp | null;
  readonly dataSets: StatusDocument["dataSets"];
  readonly stream: StatusDocument["stream"];
  readonly verification: StatusDocument["verification"];
  readonly fencing: StatusDocument["fencing"];
  readonly arbiter: StatusDocument["arbiter"];
  readonly goal: GoalInProgress | null;
  readonly history: readonly HistoryEntry[];
  readonly alerts: readonly string[];
  readonly counters: StatusDocument["counters"];
  readonly refusals: Readonly<StatusDocument["refusals"]>;
  /** Names of the cluster keys. */
  readonly keys: readonly string[];
  readonly loop: StatusDocument["loop"];
  readonly now: number;
  readonly wallNow: number;
}

/** The node runs the services or holds the VIPs. */
export function isServing({ state }: Pick<StepResult, "state">): boolean {
  return SERVING_STATES.includes(state.name) ||
    (state.name === "maintenance" && state.servedBeforeMaintenance);
}

/** The node stands by and can be handed the service. */
export function isReady({ state }: Pick<StepResult, "state">): boolean {
  return state.name === "standby" && !state.stopAsked;
}

/** The body of `GET /health`. */
export function makeHealth(
  input:
    & Pick<StatusInput, "config" | "identity" | "result" | "dataSets" | "stream" | "keys">
    & { readonly addressee: string; readonly right?: HealthBody["arbiter"] },
  seq: number,
): HealthBody {
  const { config, identity, result, dataSets, stream, keys, addressee } = input;
  const age = (set: string): number | null =>
    dataSets.find((entry) => entry.set === set && entry.direction === "received")?.ageMs ?? null;
  return {
    role: config.role,
    state: result.state.name,
    serving: isServing(result),
    epoch: result.state.epoch,
    fit: result.situation.unfitReasons.length === 0,
    unfitReasons: result.situation.unfitReasons.slice(0, 20),
    ready: isReady(result),
    hears: result.situation.verdict,
    instanceId: identity.instanceId,
    version: identity.version,
    fingerprint: config.fingerprint,
    seq,
    bootId: identity.bootId,
    dataAges: { astdb: age("astdb"), database: age("database"), files: age("files") },
    // Only the node that serves knows how far the other one is.
    stream: stream === null || !isServing(result)
      ? null
      : { state: stream.state, lagMs: stream.lagMs, lagBytes: stream.lagBytes },
    addressee,
    keys: [...keys],
    arbiter: input.right ?? null,
  };
}

/** The whole status. */
export function makeStatus(input: StatusInput): StatusDocument {
  const { config, identity, result, now } = input;
  const { state, situation } = result;
  const ago = (at: number | null): number | null => at === null ? null : Math.max(0, now - at);
  return {
    node: {
      role: config.role,
      state: state.name,
      since: new Date(input.wallNow - (now - state.since)).toISOString(),
      stateForMs: Math.round(now - state.since),
      epoch: state.epoch,
      rule: state.rule,
      why: state.detail === "" ? state.why : `${state.why} (${state.detail})`.slice(0, 2000),
      instanceId: identity.instanceId,
      bootId: identity.bootId,
      version: identity.version,
      denort: identity.denort,
      configFingerprint: config.fingerprint,
      configLoadedAt: new Date(input.configLoadedAt).toISOString(),
      clusterName: config.cluster.name,
      keys: [...input.keys],
      pid: identity.pid,
      uptimeMs: Math.round(now - identity.startedAt),
    },
    peer: makePeer(input),
    links: input.views.map((view) => makeLink(view, input)),
    vips: input.observation.vips.map(makeVip),
    services: {
      driver: config.services.driver,
      names: [...input.serviceNames],
      running: input.observation.services.running,
      healthy: input.observation.services.healthy,
    },
    gate: makeGate(input.gate),
    shield: makeShield(input),
    dataSets: input.dataSets,
    stream: input.stream,
    verification: input.verification,
    fencing: input.fencing,
    arbiter: input.arbiter,
    goal: input.goal === null ? null : {
      name: input.goal.goal,
      step: input.goal.step,
      sinceMs: Math.round(ago(input.goal.since) ?? 0),
    },
    maintenance: state.name === "maintenance",
    isolated: situation.isolated,
    fit: situation.unfitReasons.length === 0,
    unfitReasons: situation.unfitReasons.slice(0, 50),
    ready: isReady(result),
    alerts: input.alerts.slice(-100),
    history: input.history.slice(-200),
    counters: input.counters,
    refusals: { ...input.refusals },
    loop: input.loop,
  };
}

function makeGate({ installed, missing, open, flag }: GateState): StatusDocument["gate"] {
  const units = [...installed];
  return { installed: missing.length === 0, open, flag, units, missing: [...missing] };
}

function makeShield({ shield, config, now, wallNow }: StatusInput): StatusDocument["shield"] {
  const ports = config.services.shield.map(({ protocol, port }) => `${protocol}:${port}`);
  if (shield === null) return { up: false, since: null, endsInMs: null, ports };
  const since = new Date(wallNow - (now - shield.since)).toISOString();
  return { up: true, since, endsInMs: Math.max(0, Math.round(shield.until - now)), ports };
}

function makePeer(
  { config, result, report, views, now, identity }: StatusInput,
): StatusDocument["peer"] {
  const heard = views.flatMap((view) => [view.lastIcmpAt, view.lastHttpAt])
    .filter((at) => at !== null);
  return {
    verdict: result.situation.verdict,
    addresses: views.map((view) => ({ network: view.network.name, address: view.peerAddress })),
    report: report?.body ?? null,
    reportAgeMs: report === null ? null : Math.max(0, now - report.at),
    silentForMs: heard.length === 0 ? null : Math.max(0, now - Math.max(...heard)),
    configMatches: report === null ? null : report.body.fingerprint === config.fingerprint,
    versionMatches: report === null ? null : report.body.version === identity.version,
  };
}

function makeLink(
  view: LinkView,
  { httpCounters, now }: StatusInput,
): StatusDocument["links"][number] {
  const ago = (at: number | null | undefined): number | null =>
    at === null || at === undefined ? null : Math.max(0, now - at);
  const http = httpCounters(view.network.name);
  return {
    network: view.network.name,
    interface: view.interface?.name ?? null,
    carrier: view.interface?.carrier === true && view.interface.up,
    icmp: {
      lastReplyAgoMs: ago(view.lastIcmpAt),
      rttMs: view.icmpRttMs,
      sent: view.icmpSent,
      received: view.icmpReceived,
      ignored: 0,
    },
    http: {
      lastReplyAgoMs: ago(view.lastHttpAt),
      rttMs: view.httpRttMs,
      sent: http.sent,
      received: http.received,
      ignored: http.ignored,
      lastError: view.httpError,
    },
    witnesses: view.network.witnesses.map((address) => ({
      address,
      lastReplyAgoMs: ago(view.witnessAt.get(address)),
    })),
  };
}

function makeVip(vip: VipEvidence): StatusDocument["vips"][number] {
  const silent = vip.unansweredProbes >= PROBES_FOR_SILENCE;
  const holder = vip.heldByMe ? "me" : silent ? "nobody" : vip.lastAnswerBy ?? "unknown";
  return {
    vip: vip.vip,
    network: vip.network,
    heldByMe: vip.heldByMe,
    holder,
    holderMac: vip.heldByMe || silent ? null : vip.lastAnswerMac,
    unansweredProbes: vip.unansweredProbes,
  };
}

/** Which units something else than relais could start; null: none. */
export function gateAlert({ missing }: Pick<GateState, "missing">): string | null {
  if (missing.length === 0) return null;
  const units = missing.join(", ").slice(0, 1500);
  return `The gate is missing on ${units}: something else than relais can start them. The log says ` +
    "why; restart relais to try again";
}

/** Why the peer's configuration or version calls for an operator; null when all is well or unknown. */
export function peerMismatch(
  config: Pick<Config, "fingerprint">,
  report: HealthBody | null,
): string | null {
  return report === null || report.fingerprint === config.fingerprint
    ? null
    : "the peer runs another configuration: make /etc/relais/relais.toml equal on both hosts, then run: relais reload";
}
