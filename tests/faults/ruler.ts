/**
 * Who answered for a VIP, question by question, and what follows: how long two hosts answered, how long
 * nobody did. Pure bookkeeping over what the capture saw; knows nothing of relais.
 *
 * @module
 */

import type { ArpSighting } from "./pcap.ts";

/** One question "who has the VIP?" and its answers. */
export interface Question {
  /** When it left, milliseconds since 1970 by the kernel. */
  readonly at: number;
  /** One MAC for each answer, doubled when a host with the MAC of another one answered as well. */
  readonly answers: string[];
}

/** A stretch of time. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** An announcement of a VIP that nobody had asked for. */
export interface Announced {
  readonly at: number;
  readonly operation: ArpSighting["operation"];
  readonly mac: string;
}

/** An hour and a half at 100 questions a second. */
const QUESTIONS_MAX = 600_000;
const ANNOUNCED_MAX = 100_000;

/** What was seen of one VIP. */
export class VipRecord {
  readonly questions: Question[] = [];
  readonly announced: Announced[] = [];
  /** The newest question of each address that asks. */
  readonly #open = new Map<string, Question>();

  /** @param askers addresses that ask in turn: a late answer belongs to the question that it answers */
  constructor(readonly vip: string, readonly askers: readonly string[]) {}

  /** Notes a frame that the asking machine sent or heard. */
  take(seen: ArpSighting): void {
    const { at, operation, senderIp, senderMac, targetIp } = seen;
    if (operation === "request" && targetIp === this.vip && this.askers.includes(senderIp)) {
      if (this.questions.length >= QUESTIONS_MAX) {
        throw new RangeError("Cannot note more questions");
      }
      const question = { at, answers: [] };
      this.questions.push(question);
      this.#open.set(senderIp, question);
    } else if (senderIp !== this.vip) {
      return;
    } else if (operation === "reply" && this.askers.includes(targetIp)) {
      this.#open.get(targetIp)?.answers.push(senderMac);
    } else if (targetIp === this.vip && this.announced.length < ANNOUNCED_MAX) {
      this.announced.push({ at, operation, mac: senderMac });
    }
  }

  /** Stretches in which more than one host answered: from the first such question to the next other one. */
  doubles({ from, to }: Span): Span[] {
    return this.#spans({ from, to }, ({ answers }) => answers.length > 1, false);
  }

  /** Stretches in which nobody answered: from the last question with an answer to the next one with one. */
  nones({ from, to }: Span): Span[] {
    return this.#spans({ from, to }, ({ answers }) => answers.length === 0, true);
  }

  /** Longest pause between two questions: how far this ruler can be trusted. */
  longestPause({ from, to }: Span): number {
    let longest = 0;
    let previous: number | null = null;
    for (let i = this.#index(from); i < this.questions.length; i++) {
      const { at } = this.questions[i]!;
      if (previous !== null) longest = Math.max(longest, at - previous);
      previous = at;
      if (at > to) break;
    }
    return longest;
  }

  /** Questions of that time. */
  between({ from, to }: Span): readonly Question[] {
    return this.questions.slice(this.#index(from), this.#index(to));
  }

  /** Spans are cut at the ends of the time that was asked for. */
  #spans(time: Span, holds: (question: Question) => boolean, fromBefore: boolean): Span[] {
    const spans: Span[] = [];
    let since: number | null = null;
    const first = this.#index(time.from);
    for (let i = first; i < this.questions.length; i++) {
      const { at } = this.questions[i]!;
      if (at >= time.to) break;
      if (holds(this.questions[i]!)) {
        since ??= fromBefore ? this.questions[i - 1]?.at ?? at : at;
      } else if (since !== null) {
        spans.push({ from: Math.max(since, time.from), to: at });
        since = null;
      }
    }
    if (since !== null) spans.push({ from: Math.max(since, time.from), to: time.to });
    return spans;
  }

  /** The first question at that time or later. */
  #index(at: number): number {
    let low = 0, high = this.questions.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.questions[middle]!.at < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Lengths of spans. */
export function lengths(
  spans: readonly Span[],
): { readonly longest: number; readonly total: number } {
  const each = spans.map(({ from, to }) => to - from);
  return { longest: Math.max(0, ...each), total: each.reduce((sum, ms) => sum + ms, 0) };
}
