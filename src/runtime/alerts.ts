/**
 * What an operator should know: said once in the log, kept for a while in the status. Bounded.
 *
 * @module
 */

import type { Clock } from "../os/clock.ts";

/** An alert that is not raised again disappears from the status after this long. */
const KEPT_MS = 10 * 60_000;
const KEPT_MAX = 50;

/** Alerts of the last minutes. */
export class Alerts {
  readonly #clock: Clock;
  readonly #onNew: (text: string) => void;
  readonly #raised = new Map<string, number>();

  constructor(options: { readonly clock: Clock; readonly onNew: (text: string) => void }) {
    this.#clock = options.clock;
    this.#onNew = options.onNew;
  }

  /** Raises an alert; the same text again only renews it. */
  raise(text: string): void {
    const now = this.#clock.nowMs();
    const before = this.#raised.get(text);
    // Nobody may have asked for the status since it was over: then it is new again.
    const known = before !== undefined && now - before <= KEPT_MS;
    this.#raised.delete(text);
    this.#raised.set(text, now);
    while (this.#raised.size > KEPT_MAX) {
      const oldest = this.#raised.keys().next().value;
      if (oldest === undefined) break;
      this.#raised.delete(oldest);
    }
    if (!known) this.#onNew(text);
  }

  /** What is still of interest, oldest first. */
  get texts(): readonly string[] {
    const since = this.#clock.nowMs() - KEPT_MS;
    for (const [text, at] of this.#raised) if (at < since) this.#raised.delete(text);
    return [...this.#raised.keys()];
  }
}
