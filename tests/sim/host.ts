/**
 * One simulated machine: power, clocks, kernel addresses with a finite lifetime, services, a disk. What
 * runs on it is in `daemon.ts`.
 *
 * @module
 */

import type { Role } from "../../src/core/types.ts";
import type { Previous } from "../../src/runtime/memory.ts";
import type { Random } from "./random.ts";
import type { Owner, VirtualTime } from "./virtual_time.ts";

/** How long the kernel keeps a VIP that nobody renews; measured: 2.5 to 3 s (docs/design/vip.md). */
export const LEASE_MS = 3000;
const LEASE_SLACK_MS = 500;

/** What survives a reboot. */
export interface DiskState {
  readonly epoch: number;
  readonly failbackHeld: boolean;
  readonly role: Role;
  readonly witnesses: string[];
}

/** How a tool behaves now. */
export type ToolMode = "ok" | "slow" | "fail" | "hang";

/** What the host tells the world. */
export interface HostWorld {
  readonly time: VirtualTime;
  readonly random: Random;
  /** Something that the checkers look at has changed. */
  changed(): void;
  log(text: string): void;
}

/** See the module. */
export class Host {
  powered = true;
  /** The whole machine stands still (a virtual machine that is paused, a crash of the kernel). */
  frozen = false;
  bootId = 1;
  bootedAt = 0;
  disk: DiskState | null = null;
  diskFull = false;
  /** Gone with the boot. */
  serving: { state: Previous["state"]; serving: boolean; at: number } | null = null;
  ipMode: ToolMode = "ok";
  serviceMode: ToolMode = "ok";
  readonly units = [false, false];
  /** VIP → when the kernel drops it. */
  readonly vips = new Map<string, number>();
  /** Epoch of the data set that was installed last; null: none. */
  installedEpoch: number | null = null;
  /** Milliseconds of wall time that are wrong here. */
  wallErrorMs = 0;
  #rate = 1;
  #clockAt = 0;
  #clockMs: number;
  #clockStopped = false;

  constructor(
    readonly index: 0 | 1,
    readonly role: Role,
    readonly world: HostWorld,
  ) {
    this.#clockMs = 1_000_000 + index * 777_777;
    this.bootedAt = this.monotonic() - 10_000_000;
  }

  /** Its monotonic clock. */
  monotonic(): number {
    return this.#clockStopped
      ? this.#clockMs
      : this.#clockMs + (this.world.time.now - this.#clockAt) * this.#rate;
  }

  /** How fast that clock goes. */
  get rate(): number {
    return this.#rate;
  }

  /** The clock drifts from now on: 1.0005 gains half a millisecond each second. */
  drift(rate: number): void {
    this.#clockMs = this.monotonic();
    this.#clockAt = this.world.time.now;
    this.#rate = rate;
  }

  /** The kernel answers ARP and echoes. */
  get answers(): boolean {
    return this.powered && !this.frozen;
  }

  /** What runs of the operator's services. */
  get running(): "none" | "some" | "all" {
    const up = this.units.filter((unit) => unit).length;
    return up === 0 ? "none" : up === this.units.length ? "all" : "some";
  }

  /** Mounts or renews a VIP in the kernel. */
  lease(vip: string): void {
    const isNew = !this.vips.has(vip);
    const until = this.world.time.now + LEASE_MS - this.world.random.between(0, LEASE_SLACK_MS);
    this.vips.set(vip, until);
    if (!isNew) return;
    this.#watchLease(vip, until);
    this.world.changed();
  }

  /** Removes all VIPs. */
  unmount(): void {
    if (this.vips.size === 0) return;
    this.vips.clear();
    this.world.changed();
  }

  /** Everything stands still. `clock`: the clocks too, as in a paused virtual machine. */
  freeze(clock: boolean): void {
    this.frozen = true;
    if (clock) {
      this.#clockMs = this.monotonic();
      this.#clockStopped = true;
      this.#pausedAt = this.world.time.now;
    }
    this.world.changed();
  }
  #pausedAt = 0;

  /** Goes on where it was. */
  thaw(daemon: Owner | null): void {
    if (!this.frozen) return;
    this.frozen = false;
    const { time, random } = this.world;
    if (this.#clockStopped) {
      this.#clockStopped = false;
      this.#clockAt = time.now;
      const paused = time.now - this.#pausedAt;
      for (const [vip, until] of this.vips) {
        this.vips.set(vip, until + paused);
        this.#watchLease(vip, until + paused);
      }
    } else {
      // The kernel's own timers come first, within one tick or two.
      for (const [vip, until] of this.vips) {
        this.#watchLease(vip, until <= time.now ? time.now + random.between(0, 20) : until);
      }
    }
    this.world.changed();
    if (daemon !== null) time.unpark(daemon);
  }

  /** The power goes: nothing of this boot is left. */
  cutPower(): void {
    this.powered = false;
    this.frozen = false;
    this.#clockStopped = false;
    this.vips.clear();
    this.units.fill(false);
    this.serving = null;
    this.world.changed();
  }

  /** The kernel is up again. */
  boot(): void {
    this.powered = true;
    this.bootId++;
    this.#clockMs = this.world.random.between(1000, 5000);
    this.#clockAt = this.world.time.now;
    this.bootedAt = this.monotonic() - 1000;
    this.world.changed();
  }

  #watchLease(vip: string, at: number): void {
    const { time } = this.world;
    const { bootId } = this;
    time.after(at - time.now, () => {
      const until = this.vips.get(vip);
      if (until === undefined || bootId !== this.bootId || this.frozen || !this.powered) return;
      if (until > time.now + 1e-6) return this.#watchLease(vip, until);
      this.vips.delete(vip);
      this.world.log(`${this.role}: the kernel drops ${vip}`);
      this.world.changed();
    });
  }
}
