/**
 * The only door to time. Monotonic time drives every timer; wall time is for people and for the stamps
 * of data sets.
 *
 * @module
 */

/** A source of time that tests and the simulation can replace. */
export interface Clock {
  /** Monotonic milliseconds since an arbitrary origin; never goes back. */
  nowMs(): number;
  /** Wall clock, milliseconds since 1970 (UTC). Never used to decide when something is due. */
  wallMs(): number;
  /**
   * Waits `ms` milliseconds (0 or more).
   *
   * @throws {DOMException} `AbortError` when `signal` aborts first
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The machine's clocks: `performance.now()` (CLOCK_MONOTONIC) and `Date.now()`. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = (): void => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      }, Math.max(0, ms));
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  },
};
