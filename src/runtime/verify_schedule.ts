/**
 * Has the standby prove its copies by itself: `relais verify` in a process of its own, so that neither its
 * memory nor a slow disk is the daemon's.
 *
 * @module
 */

import { messageOf } from "../os/errors.ts";
import type { Clock } from "../os/clock.ts";
import { run } from "../os/process.ts";
import { selfCommand } from "../os/self.ts";
import type { StatusDocument } from "../health/types.ts";
import type { Paths } from "./paths.ts";

/** Between two looks at the record, in ms. */
const LOOK_EVERY_MS = 60_000;
/** After a start: copies and takeovers come first. */
const FIRST_AFTER_MS = 600_000;
/** After a proof that could not check everything, or did not end. */
const RETRY_MS = 3_600_000;
/** Longer than the proof's own deadline. */
const DEADLINE_MS = 70 * 60_000;

/** What {@linkcode VerifySchedule} needs. */
export interface VerifyScheduleOptions {
  readonly clock: Clock;
  /** Null: never. */
  readonly everyMs: number | null;
  /** Null: the schedule runs nothing. */
  readonly paths: Paths | null;
  /** The record of the last proof, read again. */
  readonly last: () => StatusDocument["verification"];
  readonly tell: (rule: string, text: string) => void;
  /** Runs the proof; default: `relais verify`. */
  readonly prove?: (signal: AbortSignal) => Promise<void>;
}

/** See the module. */
export class VerifySchedule {
  readonly #options: VerifyScheduleOptions;
  readonly #began: number;
  readonly #stop = new AbortController();
  #lookedAt: number;
  #triedAt = -Infinity;
  #running: Promise<void> | null = null;

  constructor(options: VerifyScheduleOptions) {
    this.#options = options;
    this.#began = options.clock.nowMs();
    this.#lookedAt = this.#began;
  }

  /** Called at each turn; `standsBy`: this node is the slave and in standby. */
  pace(now: number, standsBy: boolean): void {
    if (now - this.#lookedAt < LOOK_EVERY_MS || now - this.#began < FIRST_AFTER_MS) return;
    this.#lookedAt = now;
    const { everyMs, paths } = this.#options;
    if (!standsBy || everyMs === null || paths === null || this.#running !== null) return;
    if (now - this.#triedAt < RETRY_MS) return;
    const last = this.#options.last();
    const isFresh = last !== null && (last.ageMs ?? Infinity) < everyMs;
    if (isFresh && last.result !== "unchecked") return;
    this.#triedAt = now;
    this.#running = this.#prove(paths).finally(() => this.#running = null);
  }

  /** Ends a proof in progress: it changes nothing, so that nothing is left. */
  close(): void {
    this.#stop.abort(new Error("relais stops"));
  }

  async #prove(paths: Paths): Promise<void> {
    const { tell, last, prove } = this.#options;
    const { signal } = this.#stop;
    try {
      await (prove ?? ((signal) => runVerify(paths, signal)))(signal);
    } catch (error) {
      if (!signal.aborted) tell("VERIFY", `the copies could not be proved: ${messageOf(error)}`);
      return;
    }
    const found = last();
    if (found !== null) tell("VERIFY", `the copies here are ${found.result}: ${found.text}`);
  }
}

async function runVerify(paths: Paths, signal: AbortSignal): Promise<void> {
  const { config, key, stateDir, runDir } = paths;
  const argv = selfCommand([
    ...["verify", "--json", "--config", config, "--key", key],
    ...["--state-dir", stateDir, "--run-dir", runDir],
  ]);
  const { code, stderr } = await run(argv, { deadlineMs: DEADLINE_MS, signal });
  // 0, 3 and 4 are results, which are in its record; anything else is none.
  if (![0, 3, 4].includes(code)) {
    throw new Error(`relais verify ended with ${code}: ${stderr.slice(0, 500)}`);
  }
}
