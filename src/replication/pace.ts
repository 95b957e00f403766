/**
 * Keeps everything that goes over one line at or below a rate.
 *
 * @module
 */

import type { Clock } from "../os/clock.ts";

/** How much of a pause may be caught up on, in milliseconds. */
const MAX_BURST_MS = 50;

/** A limit that several streams share: each waits for its turn. */
export class Pace {
  readonly bytesPerSecond: number;
  readonly #clock: Clock;
  /** When the bytes taken so far may have passed. */
  #dueMs: number;

  constructor(options: { readonly bytesPerSecond: number; readonly clock: Clock }) {
    this.bytesPerSecond = options.bytesPerSecond;
    this.#clock = options.clock;
    this.#dueMs = options.clock.nowMs();
  }

  /** What is handed on at once, in bytes: a tenth of a second, so that nobody takes the pauses for silence. */
  get partBytes(): number {
    return Math.max(4096, Math.floor(this.bytesPerSecond / 10));
  }

  /**
   * Waits until `bytes` more may have passed.
   *
   * @throws the abort of `signal`
   */
  async take(bytes: number, signal?: AbortSignal): Promise<void> {
    const nowMs = this.#clock.nowMs();
    const sinceMs = Math.max(this.#dueMs, nowMs - MAX_BURST_MS);
    this.#dueMs = sinceMs + bytes / this.bytesPerSecond * 1000;
    if (this.#dueMs - nowMs >= 1) await this.#clock.sleep(this.#dueMs - nowMs, signal);
  }
}
