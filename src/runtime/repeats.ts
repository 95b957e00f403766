/**
 * Lets a sentence that comes again and again into the history once, then at most once an hour with how
 * often it came. Pure but for the clock that it is given; bounded.
 *
 * @module
 */

import type { Clock } from "../os/clock.ts";

/** How long the same sentence is only counted, in milliseconds. */
const QUIET_MS = 3_600_000;
const KEPT_MAX = 64;

/** See the module. */
export class Repeats {
  readonly #clock: Clock;
  readonly #known = new Map<string, { saidMs: number; again: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * What to write; null: it was written lately. Numbers in the sentence do not make it another one.
   *
   * @param topic what it is about (a data set): {@linkcode over} forgets its sentences
   */
  next(topic: string, sentence: string): string | null {
    const key = `${topic} ${sentence.replaceAll(/[0-9]+/g, "#")}`;
    const nowMs = this.#clock.nowMs();
    const known = this.#known.get(key);
    if (known !== undefined && nowMs - known.saidMs < QUIET_MS) {
      known.again += 1;
      return null;
    }
    this.#known.delete(key); // The newest stand last.
    this.#known.set(key, { saidMs: nowMs, again: 0 });
    const [oldest] = this.#known.keys();
    if (this.#known.size > KEPT_MAX && oldest !== undefined) this.#known.delete(oldest);
    return known === undefined || known.again === 0
      ? sentence
      : `${sentence} (and ${known.again} more times since this was last written here)`;
  }

  /** It went well: the same trouble would be news again. */
  over(topic: string): void {
    for (const key of [...this.#known.keys()]) {
      if (key.startsWith(`${topic} `)) this.#known.delete(key);
    }
  }
}
