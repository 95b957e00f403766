/**
 * Gives jobs to threads and watches them: a thread that stands still on one input is ended, the input is a
 * finding, and the rest of its range goes on in another thread.
 *
 * @module
 */

import type { Failure, RunResult } from "./engine.ts";
import type { Slow } from "./work.ts";
import type { Job } from "./worker.ts";

/** An input that takes longer than this never ends; the machine may have much else to do. */
const HANG_MS = 30_000;
const LOOK_EVERY_MS = 500;
/** A target that hangs again and again is given up. */
const HANGS_MAX = 3;

/** What a job came to. */
export interface Outcome {
  readonly result: RunResult | null;
  readonly slow: readonly Slow[];
  /** Inputs on which it stood still, by number. */
  readonly hangs: readonly number[];
  /** What broke the thread itself; null: nothing. */
  readonly error: string | null;
}

/** Runs one job to its end. */
export async function runJob(job: Job, hangMs = HANG_MS): Promise<Outcome> {
  let result: RunResult | null = null;
  const hangs: number[] = [];
  for (let next = job; next.count > 0 || next.work;) {
    const answer = await runThread(next, hangMs);
    if ("hang" in answer) {
      hangs.push(answer.hang);
      const left = next.from + next.count - answer.hang - 1;
      if (next.work || hangs.length >= HANGS_MAX) break;
      next = { ...next, from: answer.hang + 1, count: left };
      continue;
    }
    if ("error" in answer) return { result, slow: [], hangs, error: answer.error };
    if ("slow" in answer) return { result, slow: answer.slow, hangs, error: null };
    result = result === null ? answer.result : joined(result, answer.result);
    break;
  }
  return { result, slow: [], hangs, error: null };
}

type Answer =
  | { readonly result: RunResult }
  | { readonly slow: readonly Slow[] }
  | { readonly error: string }
  | { readonly hang: number };

function runThread(job: Job, hangMs: number): Promise<Answer> {
  const now = new SharedArrayBuffer(4);
  const place = new Int32Array(now);
  place[0] = -1;
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  const { promise, resolve } = Promise.withResolvers<Answer>();
  let [seen, since] = [-1, performance.now()];
  const watchdog = setInterval(() => {
    const index = Atomics.load(place, 0);
    if (index !== seen) [seen, since] = [index, performance.now()];
    // Before the first input modules are loaded; after the last one the heap is measured.
    else if (index >= 0 && performance.now() - since > hangMs) resolve({ hang: index });
  }, LOOK_EVERY_MS);
  worker.onmessage = ({ data }): void => resolve(data as Answer);
  worker.onerror = (event): void => {
    event.preventDefault();
    resolve({ error: event.message });
  };
  worker.postMessage({ job, now });
  return promise.finally(() => {
    clearInterval(watchdog);
    worker.terminate();
  });
}

function joined(a: RunResult, b: RunResult): RunResult {
  const worst = a.worstMs > b.worstMs ? a : b;
  return {
    ...b,
    inputs: a.inputs + b.inputs,
    accepted: a.accepted + b.accepted,
    rejected: a.rejected + b.rejected,
    worstMs: worst.worstMs,
    worstIndex: worst.worstIndex,
    seconds: a.seconds + b.seconds,
    failures: [...a.failures, ...b.failures] as Failure[],
  };
}
