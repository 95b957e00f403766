/**
 * Watches over the copies: one that fails, one that is too old and the end of either is an event.
 *
 * @module
 */

import type { StatusDocument } from "../health/types.ts";
import { formatAge } from "./data_sets.ts";
import { oldCopyText } from "./copy_age.ts";

/** Between two looks, in ms. */
const LOOK_EVERY_MS = 5000;

type Entry = StatusDocument["dataSets"][number];

/** What was known of one set in one direction at the last look. */
interface Known {
  readonly failures: number;
  /** The failure that the history has; null: none since the last good copy. */
  readonly told: string | null;
  readonly tooOld: boolean;
}

/** What {@linkcode CopyWatch} needs. */
export interface CopyWatchOptions {
  readonly dataSets: () => StatusDocument["dataSets"];
  /** Into history and log, under a name. */
  readonly tell: (rule: string, text: string) => void;
}

/** See the module. */
export class CopyWatch {
  readonly #options: CopyWatchOptions;
  readonly #known = new Map<string, Known>();
  #lookedAt = -Infinity;

  constructor(options: CopyWatchOptions) {
    this.#options = options;
  }

  /** Called at each turn; looks when it is time. `now` is monotonic ms. */
  pace(now: number): void {
    if (now - this.#lookedAt < LOOK_EVERY_MS) return;
    this.#lookedAt = now;
    for (const entry of this.#options.dataSets()) this.#look(entry);
  }

  #look(entry: Entry): void {
    const key = `${entry.set} ${entry.direction}`;
    const before = this.#known.get(key);
    this.#known.set(key, {
      failures: entry.failures,
      told: this.#failure(entry, before),
      tooOld: entry.tooOld,
    });
    if (entry.tooOld && before?.tooOld !== true) this.#options.tell("COPY-OLD", oldCopyText(entry));
    if (!entry.tooOld && before?.tooOld === true) {
      const age = entry.ageMs === null ? "gone" : `${formatAge(entry.ageMs)} old`;
      this.#options.tell("COPY-FRESH", `the copy of the ${key} is not too old any more: ${age}`);
    }
  }

  /** The same failure again and again is one event; it is counted all the same. */
  #failure(
    { set, direction, failures, lastError }: Entry,
    before: Known | undefined,
  ): string | null {
    const told = before?.told ?? null;
    if (lastError === null) {
      if (told !== null) {
        this.#options.tell("COPY-GOOD", `the copy of the ${set} (${direction}) went well again`);
      }
      return null;
    }
    // What failed before this daemon began is in its history.
    if (before === undefined) return lastError;
    if (failures === before.failures || lastError === told) return told;
    this.#options.tell("COPY-FAILED", `the copy of the ${set} (${direction}) failed: ${lastError}`);
    return lastError;
  }
}
