/**
 * Waits that end in turns of the loop. The daemon is awake at each turn anyway: what it does about once a
 * second, on timers of their own, would wake it as often again (each empty wake-up of the runtime was
 * measured at 0.15 to 0.3 ms of processor time, an eighth of what the daemon costs at rest in all).
 *
 * @module
 */

import type { Clock } from "../os/clock.ts";

/** Shorter waits are not for a pace, and keep their own timer. */
export const BEAT_FROM_MS = 500;

/** A wait ends with the turn that comes up to this much before its end: a second stays five turns. */
const EARLY_MS = 20;

interface Sleeper {
  readonly dueAt: number;
  readonly wake: () => void;
}

/**
 * A clock whose longer sleeps end in the first turn at or after their end, so up to one pause of the loop
 * later. Before the first turn and after {@linkcode BeatClock.release} it is the clock below.
 */
export class BeatClock implements Clock {
  readonly #clock: Clock;
  readonly #sleepers = new Set<Sleeper>();
  #beats = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  wallMs(): number {
    return this.#clock.wallMs();
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (!this.#beats || ms < BEAT_FROM_MS) return this.#clock.sleep(ms, signal);
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = (): void => {
        this.#sleepers.delete(sleeper);
        reject(signal?.reason);
      };
      const wake = (): void => {
        this.#sleepers.delete(sleeper);
        signal?.removeEventListener("abort", onAbort);
        resolve();
      };
      const sleeper: Sleeper = { dueAt: this.nowMs() + ms, wake };
      this.#sleepers.add(sleeper);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** A turn of the loop: wakes whom it is time for. */
  turn(now: number): void {
    this.#beats = true;
    for (const { dueAt, wake } of this.#sleepers) if (dueAt - EARLY_MS <= now) wake();
  }

  /** No turn will come any more: every sleep has its own timer from now on, also those under way. */
  release(): void {
    this.#beats = false;
    for (const { dueAt, wake } of this.#sleepers) {
      this.#clock.sleep(Math.max(0, dueAt - this.nowMs())).then(wake);
    }
  }
}
