/**
 * In the place of the service driver: two units that take their time, fail or hang.
 *
 * @module
 */

import type { Clock } from "../../src/os/clock.ts";
import type { DriveOptions, ServiceDriver } from "../../src/services/driver.ts";
import type { Host } from "./host.ts";

/** See the module. */
export class SimServices implements ServiceDriver {
  readonly names = ["asterisk.service", "agentd.service"];

  constructor(readonly host: Host, readonly clock: Clock) {}

  async start({ signal }: DriveOptions = {}): Promise<void> {
    for (const n of this.names.keys()) await this.#drive(n, true, signal);
  }

  async stop({ signal }: DriveOptions = {}): Promise<void> {
    const failed: unknown[] = [];
    for (const n of [...this.names.keys()].reverse()) {
      try {
        await this.#drive(n, false, signal);
      } catch (error) {
        signal?.throwIfAborted();
        failed.push(error);
      }
    }
    if (failed.length > 0) throw failed[0];
  }

  async running(): Promise<"none" | "some" | "all"> {
    await this.clock.sleep(this.host.world.random.between(5, 15));
    return this.host.running;
  }

  async #drive(n: number, up: boolean, signal?: AbortSignal): Promise<void> {
    if (this.host.units[n] === up) return;
    const { random } = this.host.world;
    const mode = this.host.serviceMode;
    if (mode === "hang") await this.clock.sleep(86_400_000, signal);
    await this.clock.sleep(
      mode === "slow" ? random.between(3000, 9000) : random.between(100, 900),
      signal,
    );
    if (mode === "fail" || this.host.serviceMode === "fail") {
      throw new Error(`Cannot ${up ? "start" : "stop"} ${this.names[n]}: see its journal`);
    }
    this.host.units[n] = up;
    this.host.world.changed();
  }
}
