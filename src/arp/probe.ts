/**
 * Counts the probes of one VIP that nobody answered. A probe counts only after it had time to be
 * answered; an answer takes all of them back.
 *
 * @module
 */

/** How long an answer may take, ms: a host on the same network answers within a few. */
const ANSWER_TIME_MS = 25;
/** Probes younger than {@linkcode ANSWER_TIME_MS} that are kept in mind. */
const MAX_PENDING = 64;

/** The count for one VIP. */
export class ProbeCount {
  #pending: number[] = [];
  #unanswered = 0;

  /** A probe left. With very many at once the oldest is not counted: fewer, never more. */
  sent(atMs: number): void {
    this.#settle(atMs);
    if (this.#pending.length >= MAX_PENDING) this.#pending.shift();
    this.#pending.push(atMs);
  }

  /** Somebody answered, or what was seen is void: counts from 0 again. */
  reset(): void {
    this.#pending = [];
    this.#unanswered = 0;
  }

  /** Probes that had time to be answered and were not, since the last answer. */
  unanswered(nowMs: number): number {
    this.#settle(nowMs);
    return this.#unanswered;
  }

  #settle(nowMs: number): void {
    const young = this.#pending.filter((atMs) => nowMs - atMs < ANSWER_TIME_MS);
    this.#unanswered += this.#pending.length - young.length;
    this.#pending = young;
  }
}
