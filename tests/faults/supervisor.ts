/**
 * What systemd does for a daemon, as `relais.service` asks it to: started again 100 ms after its end
 * (`RestartSec=`), killed when it stood still for 10 s (`WatchdogSec=`). The laboratory has the real one.
 *
 * @module
 */

import type { RelaisHost } from "../support/relais_host.ts";

const RESTART_MS = 100;
const LOOK_MS = 10;
/** `WatchdogSec=` of packaging/systemd/relais.service. */
export const WATCHDOG_MS = 10_000;

/** Keeps the daemon of one host running while it is wanted. */
export class Supervisor {
  /** The daemon shall run. */
  wanted = true;
  /** Pause before the next start; a fault may make it longer once. */
  nextPauseMs = RESTART_MS;
  /** How often it was started. */
  starts = 0;
  #ended = false;
  readonly #loop: Promise<void>;

  constructor(readonly host: RelaisHost) {
    this.#loop = this.#run();
  }

  /** Stops looking; the daemon is left as it is. */
  async close(): Promise<void> {
    this.#ended = true;
    await this.#loop;
  }

  async #run(): Promise<void> {
    let goneSince: number | null = null;
    while (!this.#ended) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      const { host } = this;
      if (!this.wanted || !host.host.on || host.daemon !== null) {
        goneSince = null;
        continue;
      }
      goneSince ??= performance.now();
      if (performance.now() - goneSince < this.nextPauseMs) continue;
      this.nextPauseMs = RESTART_MS;
      this.starts++;
      host.start();
      goneSince = null;
    }
  }
}
