/**
 * Watches the links: echoes to the peer and to the witnesses, `GET /health` of the peer, and who answers
 * for the VIPs. Everything is paced from the loop's turns, so that nothing goes out that the loop has not
 * first looked at (a host that wakes from a freeze must not speak before it has noticed).
 *
 * @module
 */

import type { VipLink } from "../arp/vip_link.ts";
import { contains, parseCidr, parseIp } from "../config/address.ts";
import type { LocalConfig, NetworkConfig } from "../config/types.ts";
import { SUSPECT_INTERVALS } from "../core/detector.ts";
import type { StepResult } from "../core/step.ts";
import { PROBES_FOR_SILENCE } from "../core/situation.ts";
import type { LinkEvidence, PeerReport, VipEvidence } from "../core/types.ts";
import { type HealthBody, peerReport } from "../health/types.ts";
import type { HealthTrust, HttpProbe } from "../heartbeat/http_probe.ts";
import type { IcmpPinger } from "../heartbeat/icmp.ts";
import type { Clock } from "../os/clock.ts";
import type { InterfaceInfo } from "../vip/iproute.ts";
import { type NodePorts, SYSTEM_PORTS } from "./ports.ts";

/** Pace of VIP probes while their answer matters now. */
const VIP_PROBE_HURRY_MS = 40;
/** Pace of VIP probes in peace, for the status only: each one wakes the other host too. */
const VIP_PROBE_CALM_MS = 5000;
/** Pace of VIP probes that only keep a proof true. */
const VIP_PROBE_PROVEN_MS = 1000;
/** Pace of asking for the peer's own address until its MAC is known. */
const PEER_MAC_UNKNOWN_MS = 1000;
/** Pace of ARP requests for the peer's own address. */
const PEER_MAC_EVERY_MS = 10_000;

/** Links take turns in asking the peer's health when one asks no more often than this. */
const TURNS_FROM_MS = 1000;

/** How long an answer without proof is shown. */
const UNPROVED_SHOWN_MS = 10_000;

/** What one link shows of itself. */
export interface LinkView {
  readonly network: NetworkConfig;
  readonly peerAddress: string;
  interface: InterfaceInfo | null;
  vipLink: VipLink | null;
  lastIcmpAt: number | null;
  icmpRttMs: number | null;
  icmpSent: number;
  icmpReceived: number;
  lastHttpAt: number | null;
  httpRttMs: number | null;
  httpError: string | null;
  /** Last answer of each witness. */
  readonly witnessAt: Map<string, number>;
  nextPingAt: number;
  nextWitnessAt: number;
  nextHttpAt: number;
  lastVipProbeAt: number;
  nextPeerMacAt: number;
}

/** A report of the peer, with the moments of its arrival and of the question. */
interface Report {
  readonly body: HealthBody;
  readonly at: number;
  readonly askedAt: number;
}

/** What {@linkcode Links} needs. */
export interface LinksOptions {
  readonly config: LocalConfig;
  readonly clock: Clock;
  /** Witnesses that answered in an earlier run. */
  readonly knownWitnesses: readonly string[];
  /** Something was heard that the core may be waiting for. */
  readonly onNews: () => void;
  /** Default: the real sockets. */
  readonly ports?: Pick<NodePorts, "pinger" | "http">;
  /** What answers of the peer must prove; default: nothing. */
  readonly trust?: HealthTrust | undefined;
  /** Something answered in the peer's place without proof. */
  readonly onUnproved?: (network: string, detail: string) => void;
}

/** All links. */
export class Links {
  readonly views: readonly LinkView[];
  readonly pinger: IcmpPinger;
  readonly #http: HttpProbe;
  readonly #config: LocalConfig;
  readonly #onNews: () => void;
  readonly #knownWitnesses: Set<string>;
  readonly #clock: Clock;
  #unproved = 0;
  #unprovedAt = -Infinity;
  #report: Report | null = null;
  readonly #reported = Promise.withResolvers<void>();

  constructor(options: LinksOptions) {
    const ports = options.ports ?? SYSTEM_PORTS;
    this.#config = options.config;
    this.#clock = options.clock;
    this.#onNews = options.onNews;
    this.#knownWitnesses = new Set(options.knownWitnesses);
    const now = options.clock.nowMs();
    const { role, heartbeat } = options.config;
    this.views = options.config.networks.map((network): LinkView => ({
      network,
      peerAddress: role === "master" ? network.slave : network.master,
      interface: null,
      vipLink: null,
      lastIcmpAt: null,
      icmpRttMs: null,
      icmpSent: 0,
      icmpReceived: 0,
      lastHttpAt: null,
      httpRttMs: null,
      httpError: null,
      witnessAt: new Map(),
      nextPingAt: now,
      nextWitnessAt: now,
      nextHttpAt: now,
      lastVipProbeAt: -Infinity,
      nextPeerMacAt: now,
    }));
    this.pinger = ports.pinger({ clock: options.clock });
    this.pinger.onReply((address, rttMs, atMs) => this.#onEcho(address, rttMs, atMs));
    this.#http = ports.http({
      clock: options.clock,
      port: heartbeat.httpPort,
      deadlineMs: Math.min(2000, Math.max(200, heartbeat.deadAfterMs / 2)),
      onReport: (network, body, rttMs, atMs) => this.#onReport(network, body, rttMs, atMs),
      onFailure: (network, kind, detail) => {
        const view = this.#view(network);
        if (view !== undefined) view.httpError = `${kind}: ${detail}`;
        if (kind !== "unproved") return;
        this.#unproved++;
        this.#unprovedAt = options.clock.nowMs();
        options.onUnproved?.(network, detail);
      },
      ...(options.trust === undefined ? {} : { trust: options.trust }),
    });
  }

  /**
   * Goes on with what the links of another configuration of this process have heard: networks that both
   * know keep their evidence. The next echoes and questions are due at once, at the new pace.
   */
  inherit(former: Links): void {
    this.#report = former.#report;
    this.#unproved = former.#unproved;
    this.#unprovedAt = Math.max(this.#unprovedAt, former.#unprovedAt);
    for (const witness of former.#knownWitnesses) this.#knownWitnesses.add(witness);
    this.pinger.drain();
    // Not what came in here for the other pinger, too.
    this.pinger.counters.ignored = former.pinger.counters.ignored;
    for (const view of this.views) {
      const before = former.#view(view.network.name);
      if (before === undefined || before.peerAddress !== view.peerAddress) continue;
      const { icmpRttMs, icmpSent, icmpReceived, httpRttMs, httpError } = before;
      Object.assign(view, { icmpRttMs, icmpSent, icmpReceived, httpRttMs, httpError });
      view.lastIcmpAt = later(view.lastIcmpAt, before.lastIcmpAt);
      view.lastHttpAt = later(view.lastHttpAt, before.lastHttpAt);
      Object.assign(this.#http.counters(view.network.name), former.httpCounters(view.network.name));
      for (const [witness, at] of before.witnessAt) {
        const known = view.witnessAt.get(witness) ?? -Infinity;
        if (view.network.witnesses.includes(witness) && at > known) view.witnessAt.set(witness, at);
      }
    }
  }

  /** Asks everybody once out of turn: a network that is new must not be judged before it was asked. */
  greet(): void {
    const { role } = this.#config;
    for (const { network, peerAddress } of this.views) {
      const source = network[role];
      this.pinger.ping(peerAddress, { onLink: true, source });
      for (const witness of network.witnesses) {
        this.pinger.ping(witness, { onLink: isOnLink(network, witness), source });
      }
      this.#http.probe(network.name, peerAddress);
    }
  }

  /** The peer's last words, with the moment of their arrival. */
  get report(): Report | null {
    return this.#report;
  }

  /** Resolves with the peer's first report. */
  get firstReport(): Promise<void> {
    return this.#reported.promise;
  }

  /** For the core. */
  get peer(): PeerReport | null {
    if (this.#report === null) return null;
    const { body, askedAt, at } = this.#report;
    return peerReport(body, askedAt, at);
  }

  /** The peer's addresses, the ones that answered most recently first. */
  peerAddresses(): string[] {
    const last = (view: LinkView): number =>
      Math.max(view.lastHttpAt ?? -Infinity, view.lastIcmpAt ?? -Infinity);
    return [...this.views].sort((a, b) => last(b) - last(a)).map((view) => view.peerAddress);
  }

  /** Answers in the peer's place that did not prove to be the peer's, since the daemon started. */
  get unproved(): number {
    return this.#unproved;
  }

  /** Such an answer came lately. */
  get isUnproved(): boolean {
    return this.#clock.nowMs() - this.#unprovedAt < UNPROVED_SHOWN_MS;
  }

  /** Counters of the HTTP probe of one network. */
  httpCounters(network: string): ReturnType<HttpProbe["counters"]> {
    return this.#http.counters(network);
  }

  /**
   * Witnesses that have answered at least once, ever. One that never did (a gateway that does not answer
   * pings) is no witness: its silence would make a node believe that it is cut off whenever its peer dies.
   */
  get knownWitnesses(): readonly string[] {
    return [...this.#knownWitnesses];
  }

  /** For the core. */
  linkEvidence(): LinkEvidence[] {
    return this.views.map((view) => ({
      network: view.network.name,
      carrier: view.interface?.carrier === true && view.interface.up,
      hasVip: view.network.vips.length > 0,
      lastIcmpAt: view.lastIcmpAt,
      lastHttpAt: view.lastHttpAt,
      hasWitness: view.network.witnesses.some((witness) => this.#knownWitnesses.has(witness)),
      lastWitnessAt: view.witnessAt.size === 0 ? null : Math.max(...view.witnessAt.values()),
    }));
  }

  /** For the core. */
  vipEvidence(held: ReadonlySet<string>): VipEvidence[] {
    return this.views.flatMap((view) => {
      const heard = view.vipLink?.evidence() ?? [];
      return view.network.vips.map((vip): VipEvidence => {
        const found = heard.find((entry) => entry.vip === vip);
        return {
          vip,
          network: view.network.name,
          heldByMe: held.has(vip),
          lastAnswerBy: found?.lastAnswerBy ?? null,
          lastAnswerMac: found?.lastAnswerMac ?? null,
          lastAnswerAt: found?.lastAnswerAt ?? null,
          unansweredProbes: found?.unansweredProbes ?? 0,
        };
      });
    });
  }

  /** Sends what is due; called after each turn of the loop. */
  pace(result: StepResult, now: number): void {
    const hurry = isProofNeeded(result);
    for (const view of this.views) {
      this.#paceSignals(view, now);
      this.#paceVipProbes(view, hurry, now);
    }
  }

  /** Reads what waits in the sockets, so that it does not look like silence. */
  drain(): void {
    this.pinger.drain();
  }

  /** Forgets what was heard before now, also what still waits in the sockets: its age is unknown. */
  discard(): void {
    this.pinger.discard();
    for (const view of this.views) {
      view.lastIcmpAt = null;
      view.lastHttpAt = null;
      view.witnessAt.clear();
    }
    for (const view of this.views) view.vipLink?.discard();
    this.#http.reconnect();
  }

  /** Asks the peer for its health on every link now, for a decision that must not rest on old news. */
  askNow(): void {
    for (const view of this.views) this.#http.probe(view.network.name, view.peerAddress);
  }

  /** Ends everything that sends. */
  close(): void {
    this.#http.close();
    for (const view of this.views) view.vipLink?.close();
    this.pinger.close();
  }

  #paceSignals(view: LinkView, now: number): void {
    const { heartbeat, role } = this.#config;
    const source = role === "master" ? view.network.master : view.network.slave;
    if (now >= view.nextPingAt) {
      view.nextPingAt = nextDue(view.nextPingAt, heartbeat.intervalMs, now);
      view.icmpSent++;
      this.pinger.ping(view.peerAddress, { onLink: true, source });
      this.#pingWitnesses(view, now, source);
    }
    if (now >= view.nextHttpAt) {
      view.nextHttpAt = this.#nextHttpAt(view, now);
      this.#http.probe(view.network.name, view.peerAddress);
    }
  }

  /**
   * At the slow pace of a calm preset two links that both answer take turns: the peer is heard as often as
   * over one link, for half of the dearest work that this daemon does at rest.
   */
  #nextHttpAt(view: LinkView, now: number): number {
    const every = this.#config.heartbeat.httpIntervalMs;
    const steady = nextDue(view.nextHttpAt, every, now);
    const takeTurns = this.views.length > 1 && every >= TURNS_FROM_MS &&
      this.views.every(({ lastHttpAt }) => lastHttpAt !== null && now - lastHttpAt < 3 * every);
    if (!takeTurns) return steady;
    // Slots of one interval belong to the even and the odd links in turn.
    const parity = this.views.indexOf(view) % 2;
    const slot = Math.ceil(steady / every);
    return (slot % 2 === parity ? slot : slot + 1) * every;
  }

  /** Together with the echo to the peer: the replies then come together and wake the poller once. */
  #pingWitnesses(view: LinkView, now: number, source: string): void {
    const { intervalMs, witnessIntervalMs } = this.#config.heartbeat;
    if (now + intervalMs / 2 < view.nextWitnessAt) return;
    view.nextWitnessAt = nextDue(view.nextWitnessAt, witnessIntervalMs, now);
    for (const witness of view.network.witnesses) {
      this.pinger.ping(witness, { onLink: isOnLink(view.network, witness), source });
    }
  }

  #paceVipProbes(view: LinkView, hurry: boolean, now: number): void {
    const { vipLink } = view;
    if (vipLink === null) return;
    if (now >= view.nextPeerMacAt) {
      view.nextPeerMacAt = now +
        (vipLink.peerMac === null ? PEER_MAC_UNKNOWN_MS : PEER_MAC_EVERY_MS);
      vipLink.probePeer();
    }
    const pause = !hurry
      ? VIP_PROBE_CALM_MS
      : isProven(vipLink)
      ? VIP_PROBE_PROVEN_MS
      : VIP_PROBE_HURRY_MS;
    if (now - view.lastVipProbeAt >= pause) {
      view.lastVipProbeAt = now;
      vipLink.probe();
    }
  }

  #onEcho(address: string, rttMs: number, atMs: number): void {
    for (const view of this.views) {
      if (view.peerAddress === address) {
        const wasSilent = view.lastIcmpAt === null;
        const { intervalMs } = this.#config.heartbeat;
        // The path was broken: VIP probes that went into it are no proof that nobody holds the VIPs.
        const wasBroken = atMs - (view.lastIcmpAt ?? -Infinity) > SUSPECT_INTERVALS * intervalMs;
        if (wasBroken) view.vipLink?.discard();
        view.lastIcmpAt = atMs;
        view.icmpRttMs = rttMs;
        view.icmpReceived++;
        if (wasSilent) this.#onNews();
      } else if (view.network.witnesses.includes(address)) {
        view.witnessAt.set(address, atMs);
        this.#knownWitnesses.add(address);
      }
    }
  }

  #onReport(network: string, body: HealthBody, rttMs: number, atMs: number): void {
    const view = this.#view(network);
    if (view === undefined) return;
    view.lastHttpAt = atMs;
    view.httpRttMs = rttMs;
    view.httpError = null;
    const before = this.#report?.body;
    // Two links answer out of step: an older word of the same process never replaces a newer one.
    if (before?.instanceId === body.instanceId && before.seq > body.seq) return;
    this.#report = { body, at: atMs, askedAt: atMs - rttMs };
    this.#reported.resolve();
    if (before?.state !== body.state || before.instanceId !== body.instanceId) this.#onNews();
  }

  #view(network: string): LinkView | undefined {
    return this.views.find((view) => view.network.name === network);
  }
}

/** Reads the socket: only for when it matters. */
function isProven(vipLink: VipLink): boolean {
  return vipLink.evidence().every((vip) => vip.unansweredProbes >= PROBES_FOR_SILENCE);
}

/** Whether VIPs are answered may decide something right now. */
function isProofNeeded({ situation, state }: StepResult): boolean {
  return situation.verdict !== "alive" || situation.daemonLost || state.peerLeftAt !== null ||
    state.name === "isolated" || state.name === "rejoining" ||
    (situation.peer !== null && !situation.peer.serving);
}

function later(a: number | null, b: number | null): number | null {
  return a === null || b === null ? a ?? b : Math.max(a, b);
}

/** The next moment of a steady beat; beats that were missed are not made up for. */
function nextDue(due: number, everyMs: number, now: number): number {
  return due + everyMs > now ? due + everyMs : now + everyMs;
}

function isOnLink(network: NetworkConfig, address: string): boolean {
  const subnet = parseCidr(`${network.master}/${network.prefix}`);
  const parsed = parseIp(address);
  return subnet !== null && parsed !== null && contains(subnet, parsed);
}
