/**
 * Runs targets in a thread of its own, so that a parser that never ends can be stopped. Before each input it
 * writes where it is into shared memory.
 *
 * @module
 */

import { runRange, Source } from "./engine.ts";
import type { Target } from "./target.ts";
import { findSlow } from "./work.ts";

/** What the thread is told to do. */
export interface Job {
  readonly target: string;
  readonly seed: number;
  readonly from: number;
  readonly count: number;
  /** Module with the targets, for tests of the fuzzer itself; default: the catalogue. */
  readonly module?: string;
  /** Measure how work grows instead of feeding. */
  readonly work: boolean;
}

const scope = self as unknown as {
  onmessage: ((event: MessageEvent) => void) | null;
  postMessage(message: unknown): void;
};

scope.onmessage = async ({ data }): Promise<void> => {
  const { job, now } = data as { job: Job; now: SharedArrayBuffer };
  const place = new Int32Array(now);
  const onInput = (index: number): void => {
    Atomics.store(place, 0, index);
  };
  try {
    const module = job.module ?? new URL("./catalogue.ts", import.meta.url).href;
    const { TARGETS } = await import(module) as { readonly TARGETS: readonly Target[] };
    const target = TARGETS.find(({ name }) => name === job.target)!;
    const source = await Source.of(target);
    const answer = job.work
      ? { slow: await findSlow(source, job.seed, onInput) }
      : { result: await runRange(source, job, onInput) };
    scope.postMessage(answer);
  } catch (error) {
    scope.postMessage({ error: error instanceof Error ? error.stack : String(error) });
  }
};
