/**
 * Feeds one target with inputs that follow from a seed: each input from the seed, the target's name and its
 * number alone, so that any one of them can be made again.
 *
 * @module
 */

import { bytesOf } from "./bytes.ts";
import { mutate, type MutationOptions } from "./mutate.ts";
import { mutateJson } from "./mutate_json.ts";
import { Random } from "./random.ts";
import { mustBeUnpolluted, mustHold, type Subject, type Target } from "./target.ts";

/** Which inputs of a target. */
export interface Range {
  readonly seed: number;
  readonly from: number;
  readonly count: number;
}

/** An input that broke something. */
export interface Failure {
  readonly target: string;
  readonly seed: number;
  readonly index: number;
  readonly what: string;
  readonly input: Uint8Array;
}

/** What a run found and measured. */
export interface RunResult {
  readonly target: string;
  inputs: number;
  accepted: number;
  rejected: number;
  /** The slowest input, ms of wall time. */
  worstMs: number;
  worstIndex: number;
  seconds: number;
  /** Bytes of the heap, after a collection, that the second half of the run added. */
  growth: number;
  /** The same for the first half, without the start. */
  growthBefore: number;
  readonly failures: Failure[];
}

/** A target gives up after this many: one bug makes many. */
const FAILURES_MAX = 5;
/** Sizes of what is kept are looked at each so many inputs. */
const SIZES_EVERY = 500;
/** Inputs before the heap is measured first: code is compiled, pools are filled. */
const WARM_UP = 2000;

/** A target, ready to make inputs. */
export class Source {
  readonly target: Target;
  readonly #options: MutationOptions;

  private constructor(target: Target, options: MutationOptions) {
    this.target = target;
    this.#options = options;
  }

  static async of(target: Target): Promise<Source> {
    return new Source(target, {
      corpus: await target.corpus(),
      dictionary: (target.words ?? []).map(bytesOf),
      maxBytes: target.maxBytes ?? 4096,
    });
  }

  /** The corpus, good inputs. */
  get corpus(): readonly Uint8Array[] {
    return this.#options.corpus;
  }

  /** Input number `index` under `seed`. The first ones are the corpus itself. */
  input(seed: number, index: number): Uint8Array {
    const { corpus } = this.#options;
    if (index < corpus.length) return corpus[index]!;
    const { target } = this;
    const random = new Random(`${seed}/${target.name}/${index}`);
    if (target.generate !== undefined && random.oneIn(3)) {
      const made = target.generate(random);
      if (random.oneIn(2)) return made;
      return this.#mended(mutate(random, { ...this.#options, corpus: [made] }), random);
    }
    if (target.json === true && random.oneIn(2)) {
      const mutated = mutateJson(random.pick(corpus), random);
      if (mutated !== null) return this.#mended(mutated, random);
    }
    return this.#mended(mutate(random, this.#options), random);
  }

  #mended(input: Uint8Array<ArrayBuffer>, random: Random): Uint8Array {
    return this.target.mend === undefined || random.oneIn(4)
      ? input
      : this.target.mend(input, random);
  }
}

/** The generator that a subject is given beside input number `index`. */
export function feedRandom(target: string, seed: number, index: number): Random {
  return new Random(`feed/${seed}/${target}/${index}`);
}

/**
 * Runs a range. `onInput` is told the number of each input before it is fed; it may be what a watchdog
 * looks at.
 */
export async function runRange(
  source: Source,
  range: Range,
  onInput: (index: number) => void = () => {},
): Promise<RunResult> {
  const { target } = source;
  const result: RunResult = {
    target: target.name,
    inputs: 0,
    accepted: 0,
    rejected: 0,
    worstMs: 0,
    worstIndex: -1,
    seconds: 0,
    growth: 0,
    growthBefore: 0,
    failures: [],
  };
  const subject = await target.open();
  const startedAt = performance.now();
  const half = range.from + Math.floor(range.count / 2);
  const warm = range.from + Math.min(WARM_UP, Math.floor(range.count / 4));
  let [heapWarm, heapHalf] = [0, 0];
  try {
    for (let index = range.from; index < range.from + range.count; index++) {
      if (index === warm) heapWarm = await heapBytes(range.count);
      if (index === half) heapHalf = await heapBytes(range.count);
      const input = source.input(range.seed, index);
      onInput(index);
      const before = performance.now();
      const last = index === range.from + range.count - 1;
      try {
        const pending = subject.feed(input, feedRandom(target.name, range.seed, index));
        const accepted = typeof pending === "boolean" ? pending : await pending;
        if (accepted) result.accepted++;
        else result.rejected++;
        if (last || index % SIZES_EVERY === 0) checkKept(subject);
      } catch (error) {
        const what = describe(error);
        result.failures.push({ target: target.name, seed: range.seed, index, what, input });
      }
      const took = performance.now() - before;
      result.inputs++;
      if (took > result.worstMs) [result.worstMs, result.worstIndex] = [took, index];
      if (result.failures.length >= FAILURES_MAX) break;
    }
    const heapEnd = await heapBytes(range.count);
    result.growth = heapEnd - heapHalf;
    result.growthBefore = heapHalf - heapWarm;
  } finally {
    await subject.close?.();
  }
  result.seconds = (performance.now() - startedAt) / 1000;
  return result;
}

function checkKept(subject: Subject): void {
  mustBeUnpolluted();
  for (const [name, [size, most]] of Object.entries(subject.sizes?.() ?? {})) {
    mustHold(size <= most, `${size} ${name} are kept, ${most} are the most`);
  }
}

/** Feeds one input to a fresh subject; null: nothing is wrong with it. */
export async function tryInput(
  target: Target,
  input: Uint8Array,
  seed = 0,
): Promise<string | null> {
  const subject = await target.open();
  try {
    await subject.feed(input, feedRandom(target.name, seed, 0));
    checkKept(subject);
    return null;
  } catch (error) {
    return describe(error);
  } finally {
    await subject.close?.();
  }
}

/** An error in one line, with the place where it was thrown. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return `threw ${String(error)}`;
  // Where it was thrown, not where the oracle is that threw it for somebody.
  const stack = (error.stack ?? "").replaceAll(/^.*tests\/fuzz\/target\.ts.*$/gm, "");
  const place = /\((?:file:\/\/)?([^)]*\/(?:src|tests)\/[^)]*)\)/.exec(stack)?.[1] ??
    /at (?:async )?(?:file:\/\/)?(\S*\/(?:src|tests)\/\S+)/.exec(stack)?.[1];
  const short = place?.replace(/^.*\/((?:src|tests)\/)/, "$1") ?? "?";
  return `${error.name}: ${error.message.slice(0, 400).replaceAll("\n", " ")} (${short})`;
}

/** Bytes in use after a collection; needs `--v8-flags=--expose-gc` to mean much. */
async function heapBytes(inputs: number): Promise<number> {
  // A collection takes longer than a few inputs, which say nothing about growth.
  if (inputs < 1000) return 0;
  // What was asynchronous ends first.
  await new Promise((resolve) => setTimeout(resolve, 5));
  const { gc } = globalThis as { gc?: () => void };
  gc?.();
  gc?.();
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

/** A leak keeps growing: both halves of a run added more than noise does. */
export function isGrowth({ growth, growthBefore, inputs }: RunResult): boolean {
  const noise = 1_000_000;
  return inputs >= 20_000 && growth > noise && growthBefore > noise;
}
