/**
 * What a node does about its copies beside making them: events when one fails or grows too old, and the
 * proof of them on the standby. And the look at the device that would switch the peer off.
 *
 * @module
 */

import type { Clock } from "../os/clock.ts";
import type { LocalConfig } from "../config/types.ts";
import type { Fencer } from "../fencing/fencer.ts";
import { CopyWatch, type CopyWatchOptions } from "./copy_watch.ts";
import { FenceWatch } from "./fence_watch.ts";
import type { Paths } from "./paths.ts";
import type { Reporter } from "./reporter.ts";
import { VerifySchedule } from "./verify_schedule.ts";

/** Settings of {@linkcode CopyCare}. */
export interface CopyCareOptions {
  readonly config: LocalConfig;
  readonly clock: Clock;
  readonly paths: Paths | null;
  readonly fencer: Fencer | null;
  readonly reporter: () => Reporter;
  readonly tell: CopyWatchOptions["tell"];
}

/** See the module. */
export class CopyCare {
  readonly #config: LocalConfig;
  readonly #watch: CopyWatch;
  readonly #verify: VerifySchedule;
  readonly #fencing: FenceWatch;

  constructor({ config, clock, paths, fencer, reporter, tell }: CopyCareOptions) {
    this.#config = config;
    this.#watch = new CopyWatch({ dataSets: () => reporter().dataSets, tell });
    this.#fencing = new FenceWatch({ fencer, tell });
    this.#verify = new VerifySchedule({
      clock,
      everyMs: config.replication.verify?.everyMs ?? null,
      paths,
      last: () => reporter().verification({ maxAgeMs: 0 }),
      tell,
    });
  }

  /** Called at each turn; `now` is monotonic ms, `state` the node's. */
  pace(now: number, state: string): void {
    this.#watch.pace(now);
    this.#fencing.pace(now);
    this.#verify.pace(now, state === "standby" && this.#config.role === "slave");
  }

  /** Ends a proof that is under way. */
  close(): void {
    this.#verify.close();
  }
}
