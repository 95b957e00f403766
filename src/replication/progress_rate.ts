/**
 * How fast a copy goes and how long it may still take, from the progress that it tells.
 *
 * @module
 */

import type { SetProgress } from "./set_header.ts";

/** The rate is that of about the last so many milliseconds. */
const WINDOW_MS = 10_000;
/** A shorter time than this says nothing. */
const LEAST_MS = 1000;
/** Moments that are remembered at most. */
const MAX_MOMENTS = 64;

/** Adds rate and remaining time to the progress of one copy. */
export class ProgressRate {
  readonly #expectedBytes: number | null;
  #phase = "";
  /** Moments of this phase, the oldest first. */
  #moments: { readonly ms: number; readonly bytes: number }[] = [];

  /** `expectedBytes`: size of the last good copy, for phases that do not know how much there is. */
  constructor(expectedBytes: number | null) {
    this.#expectedBytes = expectedBytes;
  }

  /**
   * The same progress with `bytesPerSecond`, and with `remainingMs`: an estimate of the rest of this phase,
   * null when nothing is known to reckon with, or when the last copy's size is passed already.
   */
  add(progress: SetProgress, nowMs: number): SetProgress {
    if (progress.phase !== this.#phase) {
      this.#phase = progress.phase;
      this.#moments = [];
    }
    const last = this.#moments.at(-1);
    if (last === undefined || nowMs - last.ms >= WINDOW_MS / MAX_MOMENTS) {
      this.#moments.push({ ms: nowMs, bytes: progress.bytes });
    }
    // One older than the window stays, so that a copy that stands still is seen to stand still.
    while (this.#moments.length > 2 && nowMs - this.#moments[1]!.ms >= WINDOW_MS) {
      this.#moments.shift();
    }
    const first = this.#moments[0]!;
    const forMs = nowMs - first.ms;
    if (forMs < LEAST_MS || progress.bytes === 0) {
      return { ...progress, bytesPerSecond: null, remainingMs: null };
    }
    const bytesPerSecond = Math.max(0, Math.round((progress.bytes - first.bytes) / forMs * 1000));
    const left = (progress.totalBytes ?? this.#expectedBytes ?? 0) - progress.bytes;
    const remainingMs = bytesPerSecond > 0 && left > 0
      ? Math.round(left / bytesPerSecond * 1000)
      : null;
    return { ...progress, bytesPerSecond, remainingMs };
  }
}
