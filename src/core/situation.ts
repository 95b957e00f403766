/**
 * What the rules look at: facts derived from one observation and the memory, computed once per step, so
 * that a guard is a short sentence.
 *
 * @module
 */

import { daemonSilentMs, judgePeer, latest, SUSPECT_INTERVALS } from "./detector.ts";
import { type Right, rightOf } from "./right.ts";
import { isFencing, type NodeState } from "./state.ts";
import type {
  CoreConfig,
  LinkEvidence,
  Observation,
  PeerReport,
  StateName,
  Verdict,
  VipEvidence,
} from "./types.ts";

/** Probes of a VIP that must stay unanswered before it counts as held by nobody. */
export const PROBES_FOR_SILENCE = 3;

/** A report of the peer is believed for `deadAfterMs`, but at least this long (HTTP is paced at 1 s). */
export const REPORT_FRESH_MIN_MS = 2500;

/** A foreign answer for a VIP that I hold is news for this long. */
const SECOND_HOLDER_MS = 2000;

/** The derived facts. */
export interface Situation extends Right {
  readonly verdict: Verdict;
  readonly silentMs: number;
  /** The peer was heard since the evidence began. */
  readonly everHeard: boolean;
  /** The peer's host answers echoes, its relais does not answer, for `deadAfterMs`. */
  readonly daemonLost: boolean;
  /** The peer's last word about itself, if fresh and newer than the evidence. */
  readonly peer: PeerReport | null;
  /** I am active, and the peer's epoch is newer than mine: it has served meanwhile, unseen by me. */
  readonly peerServedMeanwhile: boolean;
  /** At least one interface of ours has carrier. */
  readonly networkUp: boolean;
  /** I am the one that is cut off. */
  readonly isolated: boolean;
  /** Why, in words; empty when not isolated. */
  readonly isolatedWhy: string;
  /** A witness answered within `isolatedAfterMs`. */
  readonly hearsWitness: boolean;
  /** Nobody but me answers for any VIP that I can reach. True without VIPs. */
  readonly vipsSilent: boolean;
  /** VIPs that the peer's MAC / another MAC answered for within the proof time. */
  readonly vipsHeldByPeer: readonly VipEvidence[];
  readonly vipsHeldByStranger: readonly VipEvidence[];
  /** I hold at least one VIP. */
  readonly holdsVip: boolean;
  readonly hasVips: boolean;
  /** VIP networks that are dead from here, in words. */
  readonly networkFaults: readonly string[];
  /** What else keeps this node from serving, in words. */
  readonly serviceFaults: readonly string[];
  /** Both together: why this node cannot (go on to) serve; empty when fit. */
  readonly unfitReasons: readonly string[];
  /** Null when the peer can be handed the service; else why not, in words. */
  readonly peerCannotTake: string | null;
  /** As {@linkcode Situation.peerCannotTake}, for moves that could wait: the configurations must agree. */
  readonly peerCannotTakePlanned: string | null;
}

/** States in which a node runs, or is about to run, the services. */
export const SERVING_STATES: readonly StateName[] = ["taking-over", "active", "handing-back"];

/** Derives the facts; pure. */
export function assess(
  state: NodeState,
  observation: Observation,
  now: number,
  config: CoreConfig,
): Situation {
  const { links, vips } = observation;
  const since = state.evidenceSince;
  const judged = judgePeer(links, since, now, config);
  const silentHttpMs = daemonSilentMs(links, since, now);
  const fresh = Math.max(config.deadAfterMs, REPORT_FRESH_MIN_MS);
  const peer = observation.peer !== null && observation.peer.receivedAt >= since &&
      now - observation.peer.receivedAt < fresh && judged.verdict !== "dead"
    ? observation.peer
    : null;
  const witnessAt = latest(links.map((link) => link.lastWitnessAt), since);
  const hearsWitness = witnessAt !== null && now - witnessAt < config.isolatedAfterMs;
  const isolatedWhy = whyIsolated(state, links, judged.silentMs, hearsWitness, now, config);
  const reachable = vips.filter((vip) => hasCarrier(links, vip.network));
  const answered = reachable.filter((vip) => isAnswered(vip, state, now));
  const networkFaults = findNetworkFaults(links, since, now, config);
  const serviceFaults = findServiceFaults(state, observation);
  const peerCannotTake = whyPeerCannotTake(judged.verdict, peer, observation.hasKey);
  return {
    ...rightOf(state, observation, now, config),
    verdict: judged.verdict,
    silentMs: judged.silentMs,
    everHeard: judged.everHeard,
    daemonLost: judged.verdict === "alive" && silentHttpMs >= fresh,
    peer,
    peerServedMeanwhile: state.name === "active" && peer !== null && peer.epoch > state.epoch,
    networkUp: links.some((link) => link.carrier),
    isolated: isolatedWhy !== "",
    isolatedWhy,
    hearsWitness,
    vipsSilent: vips.length === 0 ||
      (reachable.length > 0 && answered.length === 0 &&
        reachable.every((vip) => vip.heldByMe || vip.unansweredProbes >= PROBES_FOR_SILENCE)),
    vipsHeldByPeer: answered.filter((vip) => vip.lastAnswerBy === "peer"),
    vipsHeldByStranger: answered.filter((vip) => vip.lastAnswerBy === "stranger"),
    holdsVip: vips.some((vip) => vip.heldByMe),
    hasVips: vips.length > 0,
    networkFaults,
    serviceFaults,
    unfitReasons: [...networkFaults, ...serviceFaults],
    peerCannotTake,
    peerCannotTakePlanned: peerCannotTake ?? observation.peerMismatch ??
      observation.returnBlocked ?? whyRightCannotMove(observation, config),
  };
}

/**
 * I am isolated when no interface has carrier; when a VIP network has none and the peer is silent; or when
 * the peer and every witness fell silent together. If the peer died first, while a witness still answered,
 * a later silence of the witness alone does not isolate the node that serves: telephones on the switch
 * still reach it, and nobody else serves them.
 */
function whyIsolated(
  state: NodeState,
  links: readonly LinkEvidence[],
  silentMs: number,
  hearsWitness: boolean,
  now: number,
  config: CoreConfig,
): string {
  if (links.length > 0 && links.every((link) => !link.carrier)) return "no interface has carrier";
  // Silence goes on through stalls of the loop; but each time an answer must have had time to come.
  const quietMs = state.quietSince === null
    ? Math.min(silentMs, now - state.evidenceSince)
    : now - state.quietSince;
  const heardSinceStall = silentMs < now - state.evidenceSince;
  const hadTime = now - state.evidenceSince >= config.intervalMs * SUSPECT_INTERVALS;
  if ((heardSinceStall && silentMs < config.isolatedAfterMs) || !hadTime) return "";
  if (quietMs < config.isolatedAfterMs) return "";
  const cut = links.filter((link) => link.hasVip && !link.carrier).map((link) => link.network);
  if (cut.length > 0) return `no carrier on ${cut.join(", ")} and the peer is silent`;
  if (!links.some((link) => link.hasWitness)) return "";
  if (hearsWitness) return "";
  // Who is about to switch the peer off does not serve yet: in doubt it is the one that is cut off.
  const holdsOn = state.name === "active" ||
    (state.name === "taking-over" && !isFencing(state));
  if (state.peerDiedFirst && holdsOn) return "";
  return "neither the peer nor any witness answers on any network";
}

function findNetworkFaults(
  links: readonly LinkEvidence[],
  since: number,
  now: number,
  config: CoreConfig,
): string[] {
  const reasons: string[] = [];
  for (const link of links) {
    if (!link.hasVip) continue;
    if (!link.carrier) reasons.push(`network ${link.network}: no carrier`);
    else if (networkIsSilent(link, links, since, now, config)) {
      reasons.push(`network ${link.network}: neither its witness nor the peer answers there`);
    }
  }
  return reasons;
}

function findServiceFaults(
  state: NodeState,
  { services, localFaults }: Observation,
): string[] {
  const reasons = [...localFaults];
  if (state.name === "active") {
    if (services.running === "none") reasons.push("services: stopped");
    if (services.running === "some") reasons.push("services: not all running");
    if (services.running === "all" && services.healthy === false) {
      reasons.push("services: running, but the telephony check fails");
    }
  }
  if (state.name === "failed") reasons.push(state.detail === "" ? state.why : state.detail);
  return reasons;
}

/** This network alone is dead from here: its witness and the peer are silent on it, others speak. */
function networkIsSilent(
  link: LinkEvidence,
  links: readonly LinkEvidence[],
  since: number,
  now: number,
  config: CoreConfig,
): boolean {
  if (!link.hasWitness || now - since < config.deadAfterMs) return false;
  const recent = (times: readonly (number | null)[]): boolean => {
    const at = latest(times, since);
    return at !== null && now - at < config.deadAfterMs;
  };
  if (recent([link.lastIcmpAt, link.lastHttpAt, link.lastWitnessAt])) return false;
  return links.some((other) =>
    other !== link && recent([other.lastIcmpAt, other.lastHttpAt, other.lastWitnessAt])
  );
}

/** Under `hold` the peer may take the service without the arbiter, by our consent; else it must reach it. */
function whyRightCannotMove(
  { arbiter, peer }: Observation,
  config: CoreConfig,
): string | null {
  if ((config.arbiter ?? null)?.policy !== "release") return null;
  if (arbiter?.reaches !== true) return "the arbiter does not answer this node";
  return peer?.arbiter?.reaches === true ? null : "the arbiter does not answer the peer";
}

function whyPeerCannotTake(
  verdict: Verdict,
  peer: PeerReport | null,
  hasKey: boolean,
): string | null {
  if (verdict === "dead") return "the peer is dead";
  if (peer === null) return "the peer's relais does not answer";
  if (!hasKey) return "there is no cluster key on this host: run: relais keygen";
  if (peer.state !== "standby") return `the peer is in state ${peer.state}`;
  if (!peer.fit) return `the peer is unfit: ${peer.unfitReasons.join("; ")}`;
  if (!peer.ready) return "the peer is not ready";
  return null;
}

/**
 * Somebody else answers for the VIP. While I hold it I do not probe: then only what was heard since this
 * state began counts, and only for a moment, so that an answer from before the move is no second holder.
 */
function isAnswered(vip: VipEvidence, state: NodeState, now: number): boolean {
  if (vip.lastAnswerBy === null || vip.lastAnswerAt === null) return false;
  if (!vip.heldByMe) return vip.unansweredProbes < PROBES_FOR_SILENCE;
  return vip.lastAnswerAt >= state.since && now - vip.lastAnswerAt < SECOND_HOLDER_MS;
}

function hasCarrier(links: readonly LinkEvidence[], network: string): boolean {
  return links.some((link) => link.network === network && link.carrier);
}
