/**
 * What an observer notes of one target: each request with its number, when it was sent and whether and by
 * whom it was answered in time; and the outages in it. Pure bookkeeping, no I/O.
 *
 * @module
 */

/** More requests than this end the measurement: 1.5 hours at one each 5 ms. */
export const MAX_REQUESTS = 1 << 20;

/** A stretch without answers, as a client lives through it. */
export interface Outage {
  /** When the last request that was answered before it was sent (observer's clock). */
  readonly fromMs: number;
  /** When the first request that was answered after it was sent; null: still going on. */
  readonly toMs: number | null;
  /** `toMs - fromMs`, or up to the last request; an upper bound, by one sending interval. */
  readonly outageMs: number;
  /** Requests without an answer in time. */
  readonly lost: number;
  /** Who answered before and after. */
  readonly before: string | null;
  readonly after: string | null;
}

/** Sums over the requests of one phase. */
export interface Summary {
  readonly sent: number;
  readonly answered: number;
  readonly lost: number;
  /** Requests that were refused in words (ICMP port unreachable): what the shield must prevent. */
  readonly refused: number;
  readonly outages: readonly Outage[];
  readonly longestOutageMs: number;
  /** Answers per answering party (MAC, or name of the SIP server). */
  readonly by: Readonly<Record<string, number>>;
  /** Requests that two parties answered: two hosts held the address at that moment. */
  readonly answeredByTwo: number;
  /** Longest pause between two requests: how far the ruler itself can be trusted. */
  readonly maxSendGapMs: number;
  readonly medianRttMs: number | null;
}

/** The requests to one target. */
export class Series {
  readonly #sentAt: number[] = [];
  readonly #rtt: number[] = [];
  readonly #by: (string | null)[] = [];
  readonly #refused = new Set<number>();
  readonly #byTwo = new Set<number>();

  /** Number of requests so far; the next one has this number. */
  get length(): number {
    return this.#sentAt.length;
  }

  /** Notes that the next request goes out now; returns its number. */
  sent(atMs: number): number {
    if (this.#sentAt.length >= MAX_REQUESTS) {
      throw new RangeError(`Cannot note more than ${MAX_REQUESTS} requests: start a new observer`);
    }
    this.#rtt.push(NaN);
    this.#by.push(null);
    return this.#sentAt.push(atMs) - 1;
  }

  /** When a request was sent; undefined for a number that was never used. */
  sentAt(index: number): number | undefined {
    return this.#sentAt[index];
  }

  /** Notes an answer in time; false when there is no such request. A second party is noted apart. */
  answered(index: number, answer: { readonly rttMs: number; readonly by: string }): boolean {
    if (this.#sentAt[index] === undefined) return false;
    const before = this.#by[index] ?? null;
    if (before === null) {
      this.#by[index] = answer.by;
      this.#rtt[index] = answer.rttMs;
    } else if (before !== answer.by) {
      this.#byTwo.add(index);
    }
    return true;
  }

  /** Notes that a request was refused. */
  refused(index: number): void {
    if (this.#sentAt[index] !== undefined) this.#refused.add(index);
  }

  /** The request was answered in time. */
  isAnswered(index: number): boolean {
    return (this.#by[index] ?? null) !== null;
  }

  /**
   * Sums over the requests `from` (inclusive) to `to` (exclusive). An outage counts where its first lost
   * request is; it may end after `to`.
   */
  summary(from: number, to: number): Summary {
    const by: Record<string, number> = {};
    const rtts: number[] = [];
    let refused = 0, byTwo = 0, maxSendGapMs = 0;
    for (let i = from; i < to; i++) {
      const who = this.#by[i] ?? null;
      if (who !== null) {
        by[who] = (by[who] ?? 0) + 1;
        rtts.push(this.#rtt[i]!);
      }
      if (this.#refused.has(i)) refused++;
      if (this.#byTwo.has(i)) byTwo++;
      if (i > from) maxSendGapMs = Math.max(maxSendGapMs, this.#sentAt[i]! - this.#sentAt[i - 1]!);
    }
    const outages = this.#outages(from, to);
    return {
      sent: to - from,
      answered: rtts.length,
      lost: to - from - rtts.length,
      refused,
      outages,
      longestOutageMs: outages.reduce((longest, { outageMs }) => Math.max(longest, outageMs), 0),
      by,
      answeredByTwo: byTwo,
      maxSendGapMs,
      medianRttMs: median(rtts),
    };
  }

  /**
   * The time from `fromMs` to `toMs` in `count` equal parts: who answered the requests of each, null where
   * one was lost, and what the part before had where none was sent.
   */
  strip(fromMs: number, toMs: number, count: number): (string | null)[] {
    const width = (toMs - fromMs) / count;
    const parts: (string | null)[] = [];
    let index = 0;
    while (index < this.length && this.#sentAt[index]! < fromMs) index++;
    for (let part = 0; part < count; part++) {
      let who = parts[part - 1] ?? null;
      for (let first = true; this.#sentAt[index]! < fromMs + (part + 1) * width; index++) {
        who = first || who !== null ? this.#by[index] ?? null : null;
        first = false;
      }
      parts.push(who);
    }
    return parts;
  }

  #outages(from: number, to: number): Outage[] {
    const outages: Outage[] = [];
    for (let i = from; i < to; i++) {
      if (this.isAnswered(i)) continue;
      if (i > 0 && !this.isAnswered(i - 1)) continue; // goes on; noted where it began
      let end = i;
      while (end < this.length && !this.isAnswered(end)) end++;
      const fromMs = this.#sentAt[Math.max(0, i - 1)]!;
      const toMs = this.#sentAt[end] ?? null;
      outages.push({
        fromMs,
        toMs,
        outageMs: (toMs ?? this.#sentAt[this.length - 1]!) - fromMs,
        lost: end - i,
        before: this.#by[i - 1] ?? null,
        after: this.#by[end] ?? null,
      });
    }
    return outages;
  }
}

/** Median; null of nothing. */
export function median(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
