/**
 * May this daemon go on with what the previous daemon of this boot held (an upgrade, a crash)? Pure.
 *
 * @module
 */

import type { ServicesEvidence } from "../core/types.ts";
import type { Previous } from "./memory.ts";

/** With VIPs, what a dead daemon held is adoptable as long as the kernel still holds the addresses. */
export const ADOPT_WITH_VIPS_MS = 10_000;

/** What is still there of the previous daemon. */
export interface Found {
  /** VIPs are configured. */
  readonly hasVips: boolean;
  /** Every one of them is mounted. */
  readonly allMounted: boolean;
  readonly running: ServicesEvidence["running"];
  /** `heartbeat.dead_after_ms`: without VIPs, later than that the peer may serve. */
  readonly deadAfterMs: number;
}

/** The previous daemon of this boot served, and was not about to begin or to end it. */
export function hasServed(previous: Previous | null): previous is Previous {
  return previous !== null && previous.serving &&
    (previous.state === "active" || previous.state === "maintenance");
}

/** Whether what is there was held by a daemon that served, a moment ago. */
export function isAdoptable(previous: Previous | null, found: Found): boolean {
  if (!hasServed(previous)) return false;
  return found.hasVips
    ? found.allMounted && previous.agoMs < ADOPT_WITH_VIPS_MS
    : previous.agoMs < found.deadAfterMs && found.running !== "none";
}
