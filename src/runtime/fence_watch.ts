/**
 * Looks from time to time whether the device that would switch the peer off still answers: found out at the
 * moment of need, a changed password is an outage.
 *
 * @module
 */

import type { Fencer } from "../fencing/fencer.ts";

/** Between two looks at a device that works; the manual states it. */
const CHECK_EVERY_MS = 3_600_000;
/** The same while it does not: an operator is mending it. */
const CHECK_AGAIN_MS = 300_000;
/** After the start: the network and the peer come first. */
const FIRST_AFTER_MS = 5000;

/** What {@linkcode FenceWatch} needs. */
export interface FenceWatchOptions {
  /** Null: fencing is not configured, nothing is looked at. */
  readonly fencer: Fencer | null;
  /** Into history and log, under a name. */
  readonly tell: (rule: string, text: string) => void;
}

/** See the module. */
export class FenceWatch {
  readonly #options: FenceWatchOptions;
  #startedAt: number | null = null;
  #checking = false;

  constructor(options: FenceWatchOptions) {
    this.#options = options;
  }

  /** Called at each turn; looks when it is time. `now` is monotonic ms. */
  pace(now: number): void {
    const { fencer } = this.#options;
    this.#startedAt ??= now;
    if (fencer === null || this.#checking || fencer.busy !== null) return;
    const { checked } = fencer;
    const due = checked === null
      ? this.#startedAt + FIRST_AFTER_MS
      : checked.at + (checked.ok ? CHECK_EVERY_MS : CHECK_AGAIN_MS);
    if (now < due) return;
    this.#checking = true;
    const before = checked;
    fencer.check().then((after) => this.#told(before?.ok ?? true, after)).finally(() =>
      this.#checking = false
    );
  }

  /** A change is an event; the standing alert is the status' (`fencingAlert`). */
  #told(wasOk: boolean, { ok, text }: { readonly ok: boolean; readonly text: string }): void {
    if (ok === wasOk) return;
    this.#options.tell(ok ? "FENCING-GOOD" : "FENCING-BAD", text);
  }
}
