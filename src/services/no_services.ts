/**
 * The driver when no services are configured (HA of the VIPs alone).
 *
 * @module
 */

import type { ServiceDriver } from "./driver.ts";

/** Nothing to start: `running` follows `start` and `stop`, `none` before the first of them. */
export class NoServices implements ServiceDriver {
  readonly names: readonly string[] = [];
  #started: boolean;

  /** @param started what `running` says before the first call */
  constructor(started: boolean) {
    this.#started = started;
  }

  /** Done at once. */
  start(): Promise<void> {
    this.#started = true;
    return Promise.resolve();
  }

  /** Done at once. */
  stop(): Promise<void> {
    this.#started = false;
    return Promise.resolve();
  }

  /** `all` after a start, `none` after a stop. */
  running(): Promise<"none" | "all"> {
    return Promise.resolve(this.#started ? "all" : "none");
  }
}
