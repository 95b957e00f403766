/**
 * The right to serve, where an arbiter gives it (docs/design/arbiter.md). Pure.
 *
 * @module
 */

import type { NodeState } from "./state.ts";
import type { CoreConfig, Observation } from "./types.ts";

/** What a node may do. Without an arbiter: everything. */
export interface Right {
  /** It may hold VIPs and run services now. */
  readonly mayServe: boolean;
  /** It may, but only as its peer consents. */
  readonly byConsent: boolean;
  /** It may set out to serve: the right is its own, or free and no promise stands against it. */
  readonly mayTake: boolean;
}

/** Derives it, from one picture of the world. `state` must have been given the observation's consent ({@linkcode learntConsent}). */
export function rightOf(
  { consentUntil }: Pick<NodeState, "consentUntil">,
  { arbiter }: Observation,
  now: number,
  config: CoreConfig,
): Right {
  if ((config.arbiter ?? null) === null) {
    return { mayServe: true, byConsent: false, mayTake: true };
  }
  const right = arbiter?.right ?? "unknown";
  const validUntil = arbiter?.validUntil ?? null;
  const isMine = right === "mine" && validUntil !== null && now < validUntil;
  // Also while the arbiter says that the peer has it: that may be the right of before a planned move that it
  // did not see, and whoever consented keeps its promise, with the right or without.
  const byConsent = !isMine && consentUntil !== null && now < consentUntil;
  return {
    mayServe: isMine || byConsent,
    byConsent,
    mayTake: (isMine || right === "free") && now >= (arbiter?.promisedUntil ?? -Infinity),
  };
}

/**
 * Until when the peer consents, with its last report; it counts from the question, as the answer may have
 * been under way. A report without consent leaves the one before it its time: the peer keeps a promise for
 * longer than that. One that says that it serves ends it.
 */
export function learntConsent(
  { consentUntil }: Pick<NodeState, "consentUntil">,
  { peer }: Observation,
  { arbiter }: CoreConfig,
): number | null {
  if ((arbiter ?? null)?.policy !== "hold") return null;
  if (peer === null) return consentUntil;
  if (peer.serving) return null;
  if (peer.arbiter?.consents !== true || peer.askedAt === undefined) return consentUntil;
  return Math.max(consentUntil ?? -Infinity, peer.askedAt + arbiter!.consentMs);
}
