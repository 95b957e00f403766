/**
 * The arithmetic of the arbiter (docs/design/arbiter.md): what follows from the lease's time to live. Pure.
 *
 * @module
 */

/** A node asks etcd this often, ms; the one that serves renews its lease with that question. */
export const ARBITER_POLL_MS = 1000;

/** The kernel keeps a VIP that nobody renews this long, ms (`VIP_LIFETIME_S`; a test compares them). */
export const KERNEL_KEEPS_MS = 3000;

/** The least age at which a report of the peer is still believed, ms; see `REPORT_FRESH_MIN_MS`. */
const REPORT_FRESH_MIN_MS = 2500;

/** Between the end of a consent and the end of the VIPs that were held on it: turns, `ip`, drift; ms. */
const PROMISE_SLACK_MS = 500;

/**
 * What a question to one endpoint may take, ms: a sixth of the lease, and a second for all endpoints. A host
 * that is starved of its processor for half a second shall still find the answer in time.
 */
export function arbiterTryMs(ttlMs: number, endpoints: number): number {
  return Math.round(Math.min(1000, Math.max(250, Math.min(ttlMs / 6, 1000 / endpoints))));
}

/**
 * How much earlier than etcd a node counts its lease as over, ms: one turn of the loop and one run of `ip`
 * (250 ms), and clocks that differ by one in a hundred.
 */
export function arbiterMarginMs(ttlMs: number): number {
  return 250 + ttlMs / 100;
}

/** How long a node serves on the peer's last consent, counted from the question, ms (`policy = "hold"`). */
export function consentMs(deadAfterMs: number): number {
  return Math.max(deadAfterMs, REPORT_FRESH_MIN_MS);
}

/**
 * How long a node that gave its consent does not take the service, counted from its answer, ms: until the
 * other one has let go even if its relais died and the kernel holds its VIPs.
 */
export function promiseMs(deadAfterMs: number): number {
  return consentMs(deadAfterMs) + KERNEL_KEEPS_MS + PROMISE_SLACK_MS;
}

/**
 * The shortest lease with which `hold` holds, ms. etcd falls silent just before a renewal: the renewal is a
 * poll old. The peer notices within a poll and a round of tries, its word arrives with the next question.
 * By then the last extension of the VIPs, which ends `KERNEL_KEEPS_MS` before the lease does, must not have
 * run out in the kernel (2.5 s at least, and half a second to spare).
 */
export function leastHoldTtlMs(endpoints: number, ttlMs: number, httpIntervalMs: number): number {
  const round = endpoints * arbiterTryMs(ttlMs, endpoints);
  return 2 * ARBITER_POLL_MS + round + httpIntervalMs + arbiterMarginMs(ttlMs) + 1000;
}

/**
 * From the silent death of the one that serves to the other one's right, at most, ms: the lease was renewed
 * at the moment of the death, etcd looks twice a second, and the survivor asks four times a second.
 */
export function arbiterTakeoverMs(ttlMs: number): number {
  return ttlMs + 500 + ARBITER_HURRY_MS;
}

/** The pace of questions while the right may fall free, ms. */
export const ARBITER_HURRY_MS = 250;
