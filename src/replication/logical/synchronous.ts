/**
 * When commits wait for the slave, and when they no longer do; pure. PostgreSQL itself would wait for ever.
 *
 * @module
 */

import { STREAM_APPLICATION } from "./names.ts";
import type { SourceState } from "./operations.ts";

/** The slave must have kept up for this long before commits wait for it, in milliseconds. */
export const CAUGHT_UP_MS = 3000;
/** Farther behind, commits would wait for the backlog, in bytes. */
const CAUGHT_UP_BYTES = 1_000_000;

/** What to do about `synchronous_standby_names`. */
export type SynchronousStep =
  | { readonly set: true }
  | { readonly set: false; readonly why: string }
  | null;

/** Remembers who waits since when. */
export class SynchronousWatch {
  readonly #patienceMs: number;
  /** First sight of each wait, by its key. */
  #waits = new Map<string, number>();
  #awaySinceMs: number | null = null;
  #wellSinceMs: number | null = null;

  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  /** Decides after a look. `lagBytes`: what the slave has not applied. */
  look(
    source: Pick<SourceState, "sender" | "synchronousNames" | "waiting">,
    { nowMs, lagBytes }: { readonly nowMs: number; readonly lagBytes: number },
  ): SynchronousStep {
    const { sender, synchronousNames, waiting } = source;
    const connected = sender?.state === "streaming";
    this.#awaySinceMs = connected ? null : this.#awaySinceMs ?? nowMs;
    this.#wellSinceMs = connected && lagBytes <= CAUGHT_UP_BYTES
      ? this.#wellSinceMs ?? nowMs
      : null;
    this.#waits = new Map(waiting.map((key) => [key, this.#waits.get(key) ?? nowMs]));
    if (synchronousNames === STREAM_APPLICATION) {
      const longest = nowMs - Math.min(nowMs, ...this.#waits.values());
      if (longest >= this.#patienceMs) {
        return { set: false, why: `a commit has waited for ${(longest / 1000).toFixed(1)} s` };
      }
      const awayMs = this.#awaySinceMs === null ? 0 : nowMs - this.#awaySinceMs;
      if (awayMs >= this.#patienceMs) return { set: false, why: "the slave is not connected" };
      return null;
    }
    const wellMs = this.#wellSinceMs === null ? -1 : nowMs - this.#wellSinceMs;
    return wellMs >= CAUGHT_UP_MS ? { set: true } : null;
  }

  /** After commits were let go: the slave must prove itself anew. */
  distrust(): void {
    this.#wellSinceMs = null;
    this.#waits.clear();
  }
}
