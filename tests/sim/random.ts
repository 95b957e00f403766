/**
 * The dice of the simulation: one seed, one sequence (mulberry32, public domain).
 *
 * @module
 */

/** See the module. */
export class Random {
  #state: number;

  /** @param seed any integer; the same seed throws the same dice */
  constructor(seed: number) {
    this.#state = (seed ^ 0x9e3779b9) >>> 0;
    for (let i = 0; i < 4; i++) this.unit();
  }

  /** From 0, below 1. */
  unit(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  /** From `from`, below `to`. */
  between(from: number, to: number): number {
    return from + this.unit() * (to - from);
  }

  /** An integer from 0, below `count`. */
  below(count: number): number {
    return Math.floor(this.unit() * count);
  }

  /** True in that share of the throws. */
  chance(share: number): boolean {
    return this.unit() < share;
  }

  /** One of them. @throws {RangeError} when there is none */
  pick<T>(from: readonly T[]): T {
    const found = from[this.below(from.length)];
    if (found === undefined) throw new RangeError("Cannot pick from nothing");
    return found;
  }
}
