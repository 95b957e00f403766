/**
 * The failure detector: sans-I/O, a judgement over evidence. Silence is believed slowly.
 *
 * Intuition: an echo comes back each `intervalMs`; one or two lost ones are weather. After two and a half
 * intervals without any sign on any link the peer is `suspect`, which costs nothing (probing of the VIPs
 * goes faster, so that the proof is ready when it is needed). Only when *all* links are silent on *both*
 * signals (ICMP and HTTP) for `deadAfterMs` is it `dead` (DESIGN section 3).
 *
 * @module
 */

import type { CoreConfig, LinkEvidence, Verdict } from "./types.ts";

/** How many intervals without a sign make the peer suspect; 2.5 tolerates one lost echo plus jitter. */
export const SUSPECT_INTERVALS = 2.5;

/** What the detector says, and since how long the peer is silent. */
export interface Judgement {
  readonly verdict: Verdict;
  /** Milliseconds since the last sign on any link, or since the evidence began. */
  readonly silentMs: number;
  /** Something was heard since the evidence began. */
  readonly everHeard: boolean;
}

/**
 * Judges the peer.
 *
 * @param links what each link has told
 * @param evidenceSince monotonic ms; older signs are void (start of the daemon, or end of a stall)
 */
export function judgePeer(
  links: readonly LinkEvidence[],
  evidenceSince: number,
  now: number,
  config: Pick<CoreConfig, "intervalMs" | "deadAfterMs">,
): Judgement {
  const heardAt = latest(
    links.flatMap((link) => [link.lastIcmpAt, link.lastHttpAt]),
    evidenceSince,
  );
  const silentMs = now - (heardAt ?? evidenceSince);
  const verdict = silentMs >= config.deadAfterMs
    ? "dead"
    : heardAt === null
    ? "unknown"
    : silentMs >= config.intervalMs * SUSPECT_INTERVALS
    ? "suspect"
    : "alive";
  return { verdict, silentMs, everHeard: heardAt !== null };
}

/** Milliseconds since the peer's daemon last answered over HTTP on any link. */
export function daemonSilentMs(
  links: readonly LinkEvidence[],
  evidenceSince: number,
  now: number,
): number {
  return now - (latest(links.map((link) => link.lastHttpAt), evidenceSince) ?? evidenceSince);
}

/** The latest of `times` that is not older than `since`; null if there is none. */
export function latest(times: readonly (number | null)[], since: number): number | null {
  let found: number | null = null;
  for (const time of times) {
    if (time !== null && time >= since && (found === null || time > found)) found = time;
  }
  return found;
}
