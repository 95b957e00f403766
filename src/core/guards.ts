/**
 * Guards that several rows share, each one question with a yes or no.
 *
 * @module
 */

import { latest } from "./detector.ts";
import type { Context } from "./rule.ts";
import { HAND_OVER_RETRY_MS } from "./state.ts";
import type { StateName } from "./types.ts";

/** Nobody serves though the peer lives: after this many `deadAfterMs` the slave takes what nobody takes. */
export const VACANT_DEAD_TIMES = 5;

/** Stopping the services of a large system takes this long at most; two sets of them must not run. */
const JOIN_PATIENCE_MS = 120_000;

/** Two takeovers closer together than this make the next failback wait longer. */
export const FLAPPING_WINDOW_MS = 600_000;

/** The goal in progress ended well. */
export function goalDone({ state }: Context): boolean {
  return state.goal?.outcome === "done";
}

/** The goal in progress failed. */
export function goalFailed({ state }: Context): boolean {
  return state.goal?.outcome === "failed";
}

/** The peer is gone for certain and I am not the one that is cut off. */
export function peerIsGone(c: Context): boolean {
  const { s, state } = c;
  return s.verdict === "dead" && !s.isolated && !state.wasCutOff && witnessOutlivedPeer(c);
}

/**
 * Who may switch the peer off needs more than not to seem cut off: a witness that answered when the peer had
 * been silent for `isolatedAfterMs`. One cut silences both at once; a busy host that hears late replies of a
 * witness would shoot the one that serves. Without fencing the veto of the VIP and the yielding do that.
 */
function witnessOutlivedPeer({ s, seen, state, now, config }: Context): boolean {
  if ((config.fencing ?? null) === null || state.peerOffSaidAt !== null) return true;
  if (!seen.links.some((link) => link.hasWitness)) return true;
  const heardAt = latest(seen.links.map((link) => link.lastWitnessAt), state.evidenceSince);
  return heardAt !== null && heardAt - (now - s.silentMs) >= config.isolatedAfterMs;
}

/** Nobody answers for the VIPs, and I am not the one that is cut off. */
function vipsAreSilent({ s, state }: Context): boolean {
  return s.vipsSilent && !s.isolated && !state.wasCutOff && s.networkUp;
}

/** Nobody answers for the VIPs, and I could serve them: the arbiter, if there is one, has nothing against it. */
export function vipsAreFree(c: Context): boolean {
  return vipsAreSilent(c) && c.s.mayTake;
}

/** Nobody serves for so long that, without an arbiter, this node would; and the right is not to be had. */
export function rightIsMissed(c: Context): boolean {
  const { s, state, now, config } = c;
  const arbiter = config.arbiter ?? null;
  if (arbiter === null || s.mayTake) return false;
  const gone = (peerIsGone(c) && s.silentMs >= config.deadAfterMs + arbiter.ttlMs + 2000) ||
    (peerIsIdleTooLong(c) && s.peer !== null);
  return gone && vipsAreSilent(c) && now - state.since >= arbiter.ttlMs;
}

/** The host is up long enough, or the peer was heard: its silence is not just our own boot. */
export function bootIsOver({ s, seen, config }: Context): boolean {
  return s.everHeard || seen.hostUptimeMs >= config.bootGraceMs;
}

/**
 * A peer whose host answers and whose relais does not: its relais was heard before, or this host is up long
 * enough. After a power cut the kernel of the other host answers echoes long before its relais runs.
 */
export function daemonHadTimeToStart({ seen, config }: Context): boolean {
  return seen.peer !== null || seen.hostUptimeMs >= config.bootGraceMs;
}

/** The peer lives, does not serve and is in one of `states`, by its word since we are in ours. */
export function peerRestsIn({ s, state }: Context, states: readonly StateName[]): boolean {
  return s.peer !== null && s.verdict !== "dead" && s.peer.receivedAt > state.since &&
    !s.peer.serving && states.includes(s.peer.state);
}

/** Neither of us has been serving for so long that whatever the peer waits for will not come. */
export function peerIsIdleTooLong({ state, now, config }: Context): boolean {
  return state.peerIdleSince !== null &&
    now - Math.max(state.peerIdleSince, state.since) >= config.deadAfterMs * VACANT_DEAD_TIMES;
}

/**
 * A peer that has just become ready is about to serve: the patience of the one may end in the very moment in
 * which the other one is ready, and both would set out. It goes first; after `deadAfterMs` it had its turn.
 */
export function readyPeerHadItsTurn({ state, now, config }: Context): boolean {
  return state.peerReadySince === null || now - state.peerReadySince >= config.deadAfterMs;
}

/** As {@linkcode peerIsIdleTooLong}, for a peer that may be busy stopping its services. */
export function peerIsStuck({ state, now }: Context): boolean {
  return state.peerIdleSince !== null &&
    now - Math.max(state.peerIdleSince, state.since) >= JOIN_PATIENCE_MS;
}

/**
 * The peer's word "yours" waits to be acted upon. It may have waited up to ten seconds (a join was in
 * progress): by now this node may be the one that is cut off.
 */
export function wasGivenTheService({ state, s }: Context): boolean {
  return state.notice?.kind === "yours" && !s.isolated;
}

/**
 * This node is unfit: a dead VIP network for `deadAfterMs` (carrier and witnesses leave little doubt), or
 * ill services for `unfitAfterMs` (systemd may be restarting them).
 */
export function unfitForLong({ state, now, config }: Context): boolean {
  return (state.networkUnfitSince !== null &&
    now - state.networkUnfitSince >= config.deadAfterMs) ||
    (state.servicesUnfitSince !== null && now - state.servicesUnfitSince >= config.unfitAfterMs);
}

/** This node can serve, or nobody else could: then half a service is better than none. */
export function fitOrAlone(c: Context): boolean {
  return c.s.unfitReasons.length === 0 || peerIsGone(c);
}

/** No hand-over has failed lately. */
export function handOverMayBeTried({ state, now }: Context): boolean {
  return state.handOverFailedAt === null || now - state.handOverFailedAt >= HAND_OVER_RETRY_MS;
}

/**
 * The stability that the failback demands: `stable_s`, doubled for each takeover of the last ten minutes
 * beyond the first, at most sixteenfold, so that a flapping master does not play ping-pong with the calls.
 */
export function stableNeededMs({ state, now, config }: Context): number {
  const recent = state.takeovers.filter((at) => now - at < FLAPPING_WINDOW_MS).length;
  return config.failback.stableMs * 2 ** Math.min(4, Math.max(0, recent - 1));
}

/** The failback policy says go (DESIGN S-BACK). An operator's word overrides policy and stability. */
export function failbackIsDue(c: Context): boolean {
  const { state, seen, now, config } = c;
  if (state.peerReadySince === null) return false;
  if (state.failbackAskedAt !== null) return true;
  if (config.failback.mode === "manual" || state.failbackHeld || !seen.failbackWindowOpen) {
    return false;
  }
  if (!handOverMayBeTried(c)) return false;
  const stableFor = now - state.peerReadySince;
  if (stableFor < stableNeededMs(c)) return false;
  const deadline = config.failback.idleDeadlineMs;
  return deadline === null || seen.idle === true || stableFor >= stableNeededMs(c) + deadline;
}

/** A second node speaks for what I hold, or says, after I began, that it serves. */
export function peerServesToo({ s, state }: Context): boolean {
  return s.vipsHeldByPeer.some((vip) => vip.heldByMe) ||
    (s.peer !== null && s.peer.receivedAt > state.since && s.peer.serving &&
      (s.peer.state === "active" || s.peer.state === "maintenance"));
}
