/**
 * How much work an input costs when it grows: the same pattern at n, 2n and 4n bytes. Twice the bytes may
 * cost twice the time or a little more; four times means that somebody with a cable can stop the daemon.
 *
 * @module
 */

import { cpuUsage } from "node:process";
import { bytesOf, concat, printable } from "./bytes.ts";
import { feedRandom, type Source } from "./engine.ts";
import { Random } from "./random.ts";

/** A pattern that costs too much. */
export interface Slow {
  readonly target: string;
  /** `a(b)*c`, printable. */
  readonly pattern: string;
  readonly input: Uint8Array;
  /** Milliseconds of CPU at n/4, n/2 and n bytes. */
  readonly ms: readonly number[];
  /** Power of n that the work grows with. */
  readonly exponent: number;
}

/** Work at the full length below this is nobody's trouble, ms. */
const CHEAP_MS = 40;
/** Grows faster than this power of the length: not linear, and no n log n. */
const MAX_EXPONENT = 1.5;
/** Repeated as it is, beside the words of the format. */
const PLAIN = [
  " ",
  "\t",
  "\n",
  "\r",
  "\r\n",
  "a",
  "0",
  '"',
  "'",
  "\\",
  "[",
  "{",
  "(",
  ";",
  ",",
  ":",
  "/",
]
  .concat([
    "=",
    ".",
    "-",
    "#",
    "!",
    "\0",
    '""',
    "''",
    "a ",
    '" ',
    " a",
    "ab",
    '{"a":',
    "é",
    "\xff",
  ]);

/** Patterns are looked for with what a target's words and corpus give; `onInput` as in `runRange`. */
export async function findSlow(
  source: Source,
  seed: number,
  onInput: (index: number) => void = () => {},
): Promise<Slow[]> {
  const { target } = source;
  const random = new Random(`work/${seed}/${target.name}`);
  const length = Math.min(target.maxBytes ?? 4096, target.workBytes ?? 65_536);
  const found: Slow[] = [];
  const tokens = [...PLAIN, ...target.words ?? []].filter((token) => token !== "");
  const subject = await target.open();
  const drips = subject.drip !== undefined;
  await subject.close?.();
  let count = 0;
  for (const token of tokens) {
    for (let shape = 0; shape < 6; shape++) {
      const good = random.pick(source.corpus);
      const cut = random.below(Math.min(good.length, length >> 1) + 1);
      const [head, tail] = shape === 0
        ? [new Uint8Array(0), new Uint8Array(0)]
        : [good.subarray(0, cut), shape % 2 === 0 ? good.subarray(cut) : new Uint8Array(0)];
      const input = (bytes: number): Uint8Array => grown(head, bytesOf(token), tail, bytes);
      // Each third one comes byte by byte, where the target has a way for that.
      const drip = drips && shape % 3 === 1;
      onInput(count++);
      const ms = await measure(source, input(length), drip);
      if (ms < CHEAP_MS) continue;
      const all: number[] = [];
      for (const part of [4, 2, 1]) all.push(await best(source, input(length / part >> 0), drip));
      const [a = 0, b = 0, c = 0] = all;
      const exponent = Math.min(Math.log2(c / b), Math.log2(b / a));
      if (c < CHEAP_MS || exponent <= MAX_EXPONENT) continue;
      const pattern = (drip ? "byte by byte: " : "") +
        `${printable(head, 60)}(${printable(bytesOf(token), 30)})*${printable(tail, 30)}`;
      found.push({ target: target.name, pattern, input: input(length), ms: all, exponent });
      if (found.length >= 3) return found;
    }
  }
  return found;
}

/** `head`, as many `token`s as fit, `tail`. */
function grown(head: Uint8Array, token: Uint8Array, tail: Uint8Array, length: number): Uint8Array {
  const room = Math.max(token.length, length - head.length - tail.length);
  const middle = new Uint8Array(Math.floor(room / token.length) * token.length);
  for (let at = 0; at < middle.length; at += token.length) middle.set(token, at);
  return concat(head, middle, tail).slice(0, length);
}

async function best(source: Source, input: Uint8Array, drip: boolean): Promise<number> {
  let least = Infinity;
  for (let i = 0; i < 3; i++) least = Math.min(least, await measure(source, input, drip));
  return Math.max(least, 0.01);
}

/** Milliseconds of CPU of this process: others on the machine do not count. */
async function measure({ target }: Source, input: Uint8Array, drip: boolean): Promise<number> {
  const subject = await target.open();
  const before = cpuUsage();
  try {
    if (drip) await subject.drip?.(input);
    else await subject.feed(input, feedRandom(target.name, 0, 0));
  } catch {
    // What it does wrong is found by other means.
  } finally {
    await subject.close?.();
  }
  const { user, system } = cpuUsage(before);
  return (user + system) / 1000;
}
