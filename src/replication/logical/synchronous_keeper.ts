/**
 * Sets and clears `synchronous_standby_names` as {@linkcode SynchronousWatch} says.
 *
 * @module
 */

import { messageOf } from "../../os/errors.ts";
import { STREAM_APPLICATION } from "./names.ts";
import type { SourceState } from "./operations.ts";
import type { StreamOptions } from "./stream_types.ts";
import { SynchronousWatch } from "./synchronous.ts";

const DEADLINE_MS = 5000;

/** See the module. */
export class SynchronousKeeper {
  readonly #options: Pick<StreamOptions, "watch" | "onEvent">;
  readonly #watch: SynchronousWatch | null;
  #names = "";
  #paused = false;

  constructor(
    options: Pick<StreamOptions, "watch" | "onEvent"> & {
      /** Null: commits shall not wait for the slave. */
      readonly patienceMs: number | null;
    },
  ) {
    this.#options = options;
    this.#watch = options.patienceMs === null ? null : new SynchronousWatch(options.patienceMs);
  }

  /** The configuration wants it. */
  get wanted(): boolean {
    return this.#watch !== null;
  }

  /** Commits wait for the slave, as was seen last. */
  get waits(): boolean {
    return this.wanted && this.#names === STREAM_APPLICATION;
  }

  /** Acts after a look. @throws what PostgreSQL says */
  async look(
    source: SourceState,
    { nowMs, lagBytes }: { readonly nowMs: number; readonly lagBytes: number },
  ): Promise<void> {
    const { watch, onEvent } = this.#options;
    this.#names = source.synchronousNames;
    if (this.#watch === null) {
      // The configuration was changed under a dead daemon.
      if (this.#names === STREAM_APPLICATION) await this.release("synchronous is false");
      return;
    }
    if (this.#paused) return;
    const step = this.#watch.look(source, { nowMs, lagBytes });
    if (step === null) return;
    if (!step.set) return await this.release(step.why);
    await watch.ask("stream-synchronous", { on: true }, { deadlineMs: DEADLINE_MS });
    this.#names = STREAM_APPLICATION;
    onEvent("info", "Commits wait for the slave from here on (synchronous)");
  }

  /** Lets commits go and lets none wait until {@linkcode resume}. Never rejects. */
  pause(why: string): void {
    if (this.#watch === null || this.#paused) return;
    this.#paused = true;
    this.release(why).catch((error) => this.#options.onEvent("warn", messageOf(error)));
  }

  /** Undoes {@linkcode pause}. */
  resume(): void {
    this.#paused = false;
  }

  /** Lets every commit go. @throws when PostgreSQL does not do it */
  async release(why: string): Promise<void> {
    const { watch, onEvent } = this.#options;
    const was = this.#names;
    await watch.ask("stream-synchronous", { on: false }, { deadlineMs: DEADLINE_MS });
    this.#watch?.distrust();
    this.#names = "";
    if (was !== STREAM_APPLICATION) return;
    onEvent("warn", `Commits no longer wait for the slave (asynchronous), as ${why}`);
  }
}
