/**
 * When the peer is switched off before a takeover, and when not (docs/design/fencing.md). Pure.
 *
 * @module
 */

import { bootIsOver, daemonHadTimeToStart } from "./guards.ts";
import type { Context, PlannedAction } from "./rule.ts";
import type { Situation } from "./situation.ts";
import { isFencing, type NodeState } from "./state.ts";
import type { CoreConfig, FencingMode } from "./types.ts";

/** An operator's word that the peer is off stands for so long: then somebody may have switched it on. */
export const CONFIRM_VALID_MS = 300_000;

/** How long a failed node waits before it serves because nobody else is left. */
const LAST_RESORT_AFTER_MS = 5000;

/** The same where the peer could not be fenced: devices take few logins, and the history has an end. */
export const FENCE_AGAIN_MS = 15_000;

/** How long a failed node rests before it takes over all the same; an operator's word ends it at once. */
export function lastResortAfterMs({ rule, peerOffSaidAt }: NodeState): number {
  if (rule !== "N-FENCE-FAILED") return LAST_RESORT_AFTER_MS;
  return peerOffSaidAt === null ? FENCE_AGAIN_MS : 0;
}

/**
 * Nobody agreed to the takeover: the peer does not speak, and has not said that it leaves. Its own fresh word
 * that it does not serve is consent.
 */
export function didNotConsent({ s, state }: Pick<Context, "s" | "state">): boolean {
  return s.peer === null && state.peerLeftAt === null;
}

/** What becomes of a planned goal's wish to switch the peer off. */
export function fenceMode(
  { fence }: Pick<Extract<PlannedAction, { type: "start-goal" }>, "fence">,
  { peerOffSaidAt }: Pick<NodeState, "peerOffSaidAt">,
  { fencing }: Pick<CoreConfig, "fencing">,
): FencingMode | null {
  return fence && peerOffSaidAt === null ? fencing ?? null : null;
}

/** The operator's word while it stands: it is forgotten when the peer is heard, or it is too old. */
export function stillSaidOff(
  { peerOffSaidAt }: Pick<NodeState, "peerOffSaidAt">,
  { everHeard, silentMs }: Pick<Situation, "everHeard" | "silentMs">,
  now: number,
): number | null {
  if (peerOffSaidAt === null || now - peerOffSaidAt >= CONFIRM_VALID_MS) return null;
  return everHeard && now - silentMs > peerOffSaidAt ? null : peerOffSaidAt;
}

/**
 * After a power cut of both the master may be up long before the slave: without fencing it serves at once,
 * with fencing it waits, or it would cut the power of a host that is booting.
 */
export function peerHadTimeToBoot(c: Context): boolean {
  if ((c.config.fencing ?? null) === null || !didNotConsent(c)) return true;
  return c.state.peerOffSaidAt !== null || (bootIsOver(c) && daemonHadTimeToStart(c));
}

/**
 * The reason to switch the peer off is gone while it is being done: its relais speaks again, or somebody
 * answers for a VIP.
 */
export function peerIsBack({ s, state }: Context): boolean {
  return isFencing(state) &&
    ((s.peer !== null && s.peer.receivedAt > state.since) || state.peerLeftAt !== null ||
      [...s.vipsHeldByPeer, ...s.vipsHeldByStranger].some((vip) => !vip.heldByMe));
}
