/**
 * What a fuzz target is: a parser (or a receiver that keeps something), good inputs for it, and what must
 * hold whatever it is fed with.
 *
 * @module
 */

import type { Random } from "./random.ts";

/** A parser under attack. */
export interface Target {
  readonly name: string;
  /** Files of `src` whose parsing this exercises. */
  readonly files: readonly string[];
  /** Share of all inputs; default 10. What is asynchronous gets less. */
  readonly weight?: number;
  /** Longest input; default 4096. */
  readonly maxBytes?: number;
  /** Longest input of the measurement of work; default 65,536. The parser itself is never given more. */
  readonly workBytes?: number;
  /** Good inputs, made once. */
  readonly corpus: () => readonly Uint8Array[] | Promise<readonly Uint8Array[]>;
  /** Words of the format. */
  readonly words?: readonly string[];
  /** Half of the inputs are mutated as trees of JSON. */
  readonly json?: boolean;
  /** A third of the inputs come from here: whole new ones, by the grammar. */
  readonly generate?: (random: Random) => Uint8Array;
  /** Puts right what would stop every mutated input at the first door (a checksum, a signature). */
  readonly mend?: (input: Uint8Array<ArrayBuffer>, random: Random) => Uint8Array;
  /** A fresh subject; it lives for all inputs of a run. */
  readonly open: () => Subject | Promise<Subject>;
}

/** The parser, and what it keeps from one input to the next. */
export interface Subject {
  /**
   * Feeds one input. True: accepted, false: refused in the documented way. Anything thrown is a finding.
   * `random` splits streams and the like.
   */
  readonly feed: (input: Uint8Array, random: Random) => boolean | Promise<boolean>;
  /** Feeds one input byte by byte, for the measurement of work; it must not cost more for that. */
  readonly drip?: (input: Uint8Array) => Promise<void>;
  /** Things that are kept and how many there may be at most. */
  readonly sizes?: () => Readonly<Record<string, readonly [size: number, most: number]>>;
  readonly close?: () => void | Promise<void>;
}

/** A target whose subject keeps nothing. */
export function stateless(
  target: Omit<Target, "open"> & Pick<Subject, "feed" | "drip">,
): Target {
  const { feed, drip, ...rest } = target;
  return { ...rest, open: () => drip === undefined ? { feed } : { feed, drip } };
}

/** What does not hold. */
export class Finding extends Error {
  override readonly name = "Finding";
}

/** Fails with `what` unless `holds`. */
export function mustHold(holds: boolean, what: string | (() => string)): asserts holds {
  if (!holds) throw new Finding(typeof what === "string" ? what : what());
}

/** Runs a parser that may refuse with one of these errors; null: it did. */
export function orRefused<T>(
  parse: () => T,
  // deno-lint-ignore no-explicit-any
  ...errors: readonly (new (...args: any[]) => Error)[]
): { readonly value: T } | null {
  try {
    return { value: parse() };
  } catch (error) {
    if (errors.some((kind) => error instanceof kind)) return null;
    throw error;
  }
}

/** The same for one that waits. */
export async function orRefusedLater<T>(
  parse: () => Promise<T>,
  // deno-lint-ignore no-explicit-any
  ...errors: readonly (new (...args: any[]) => Error)[]
): Promise<{ readonly value: T } | null> {
  try {
    return { value: await parse() };
  } catch (error) {
    if (errors.some((kind) => error instanceof kind)) return null;
    throw error;
  }
}

/** Both must be the same, as JSON tells them apart (and -0 as 0). */
export function mustEqual(actual: unknown, expected: unknown, what: string): void {
  if (actual === expected) return;
  if (actual instanceof Uint8Array && expected instanceof Uint8Array) {
    if (actual.length === expected.length && actual.every((byte, i) => byte === expected[i])) {
      return;
    }
  }
  const [a, b] = [shape(actual), shape(expected)];
  mustHold(a === b, () => `${what}: ${a.slice(0, 300)} instead of ${b.slice(0, 300)}`);
}

function shape(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (part instanceof Map) return ["Map", ...part];
    if (part instanceof Uint8Array) return ["bytes", ...part];
    if (typeof part === "bigint") return `${part}n`;
    if (part === undefined) return ["undefined"];
    if (typeof part === "number" && !Number.isFinite(part)) return [String(part)];
    return part;
  }) ?? "undefined";
}

/** A value that came from outside has no say over prototypes, and no numbers that are none. */
export function mustBePlain(value: unknown, depth = 0): void {
  if (typeof value === "number") mustHold(Number.isFinite(value), `a number is ${value}`);
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return;
  mustHold(depth < 300, "it is nested more than 300 deep");
  const prototype = Object.getPrototypeOf(value);
  const known = [Object.prototype, Array.prototype, Map.prototype, Set.prototype, null];
  mustHold(known.includes(prototype), "its prototype is none of the language's own");
  for (const part of value instanceof Map ? value.values() : Object.values(value)) {
    mustBePlain(part, depth + 1);
  }
}

/** Nothing may ever be added to the prototype of all objects. */
export function mustBeUnpolluted(): void {
  const keys: string[] = [];
  for (const key in {}) keys.push(key);
  mustHold(keys.length === 0, `Object.prototype has ${keys.join(", ")}`);
}
