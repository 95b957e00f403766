/**
 * Keeps a log readable when one thing goes wrong again and again: the first repeats pass, the rest are
 * counted and summed up. Pure but for its own memory, which is bounded.
 *
 * @module
 */

/** Repeats of one record that pass within one window. */
const BURST = 10;
/** Length of a window, milliseconds. */
const WINDOW_MS = 60_000;
/** Different records remembered at most; beyond it the one with the oldest window is forgotten. */
const MAX_KEYS = 256;

interface Window<T> {
  readonly since: number;
  passed: number;
  suppressed: number;
  last: T;
}

/** What {@linkcode RepeatLimiter.admit} says. */
export interface Admission<T> {
  /** The record may be written. */
  readonly pass: boolean;
  /** Windows that ended with suppressed records: each to be written as one summary. */
  readonly summaries: readonly { readonly last: T; readonly count: number }[];
}

/** Counts repeats by key. `T` is what is kept of the last record of a key for its summary. */
export class RepeatLimiter<T> {
  /** In the order in which windows began, as keys are added anew at each window. */
  readonly #windows = new Map<string, Window<T>>();

  /** @param nowMs monotonic milliseconds */
  admit(key: string, record: T, nowMs: number): Admission<T> {
    const summaries = this.#expire(nowMs);
    const window = this.#windows.get(key);
    if (window === undefined) {
      if (this.#windows.size >= MAX_KEYS) summaries.push(...this.#forgetOldest());
      this.#windows.set(key, { since: nowMs, passed: 1, suppressed: 0, last: record });
      return { pass: true, summaries };
    }
    window.last = record;
    if (window.passed < BURST) {
      window.passed++;
      return { pass: true, summaries };
    }
    window.suppressed++;
    return { pass: false, summaries };
  }

  /** Summaries of all that was suppressed so far, for the end of the program; forgets everything. */
  drain(): { readonly last: T; readonly count: number }[] {
    return this.#expire(Infinity);
  }

  #expire(nowMs: number): { last: T; count: number }[] {
    const summaries: { last: T; count: number }[] = [];
    for (const [key, window] of this.#windows) {
      if (nowMs - window.since < WINDOW_MS) break;
      this.#windows.delete(key);
      if (window.suppressed > 0) summaries.push({ last: window.last, count: window.suppressed });
    }
    return summaries;
  }

  #forgetOldest(): { last: T; count: number }[] {
    for (const [key, { last, suppressed }] of this.#windows) {
      this.#windows.delete(key);
      return suppressed > 0 ? [{ last, count: suppressed }] : [];
    }
    return [];
  }
}
