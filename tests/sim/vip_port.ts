/**
 * In the place of `VipManager`: mounts in the simulated kernel, one change at a time, with its promises
 * (a drop goes first, late renewals look before they act).
 *
 * @module
 */

import type { Clock } from "../../src/os/clock.ts";
import { MountError, VipLapsedError, type VipManager } from "../../src/vip/manager.ts";
import type { InterfaceInfo } from "../../src/vip/iproute.ts";
import { type Host, LEASE_MS } from "./host.ts";
import type { Network } from "./network.ts";

const SLACK_MS = 500;
/** A hanging `ip` is killed after this long, and tried that often. */
const IP_DEADLINE_MS = 1000;
const TRIES = 3;

/** See the module. */
export class SimVips {
  held: ReadonlySet<string> = new Set();
  problems: readonly string[] = [];
  #wanted = false;
  #generation = 0;
  #renewedAt = 0;
  #running = false;
  #tail: Promise<unknown> = Promise.resolve();
  #interfaces = new Map<string, InterfaceInfo>();

  constructor(
    readonly host: Host,
    readonly clock: Clock,
    readonly networks: readonly Network[],
    readonly vips: readonly string[],
  ) {
    this.#note();
  }

  interfaceOf(name: string): InterfaceInfo | null {
    return this.#interfaces.get(name) ?? null;
  }

  refresh(): Promise<readonly InterfaceInfo[]> {
    return this.#serial(async () => {
      await this.#tool();
      this.#note();
      return [...this.#interfaces.values()];
    });
  }

  mount(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const generation = this.#generation;
    return this.#serial(async () => {
      if (generation !== this.#generation) throw new Error("they were dropped meanwhile");
      options.signal?.throwIfAborted();
      const startedAt = this.clock.nowMs();
      await this.#tool(generation);
      for (const vip of this.vips) this.host.lease(vip);
      this.#renewedAt = startedAt;
      this.#wanted = true;
      this.#note();
    }).catch((error: unknown) => {
      if (error instanceof ToolError) throw new MountError([error.message], []);
      throw error;
    });
  }

  drop(): Promise<void> {
    this.#generation++;
    this.#wanted = false;
    return this.#serial(() => this.#remove());
  }

  renew(): Promise<readonly { what: string }[]> {
    const generation = this.#generation;
    return this.#serial(async () => {
      if (!this.#wanted || generation !== this.#generation) return [];
      const late = this.#isLate();
      await this.#tool(generation);
      const missing = this.vips.filter((vip) => !this.host.vips.has(vip));
      if ((late || this.#isLate()) && missing.length > 0) {
        const lateMs = this.clock.nowMs() - this.#renewedAt;
        this.#wanted = false;
        await this.#remove();
        throw new VipLapsedError(missing, lateMs);
      }
      for (const vip of this.vips) this.host.lease(vip);
      this.#renewedAt = this.clock.nowMs();
      this.#note();
      return missing.map((what) => ({ what }));
    });
  }

  extend(): boolean {
    if (!this.#wanted || this.#running || this.#isLate()) return false;
    if (!this.vips.every((vip) => this.host.vips.has(vip))) return false;
    for (const vip of this.vips) this.host.lease(vip);
    this.#renewedAt = this.clock.nowMs();
    return true;
  }

  adopt(): Promise<{ readonly held: readonly string[] }> {
    return this.#serial(async () => {
      await this.#tool();
      this.#note();
      for (const vip of this.held) this.host.lease(vip);
      this.#renewedAt = this.clock.nowMs();
      this.#wanted = this.held.size > 0;
      return { held: [...this.held] };
    });
  }

  release(): Promise<void> {
    this.#generation++;
    this.#wanted = false;
    return this.#serial(() => Promise.resolve());
  }

  /** Quiet time was jumped over: the renewals of it were made. */
  jumped(): void {
    if (!this.#wanted) return;
    this.#renewedAt = this.clock.nowMs();
    for (const vip of this.held) this.host.lease(vip);
  }

  /** As the type that the node asks for. */
  get port(): VipManager {
    return this as unknown as VipManager;
  }

  async #remove(): Promise<void> {
    await this.#tool();
    this.host.unmount();
    this.#note();
  }

  #isLate(): boolean {
    return this.clock.nowMs() - this.#renewedAt >= LEASE_MS - SLACK_MS;
  }

  /** One run of `ip`; a newer drop breaks it off. */
  async #tool(generation = this.#generation): Promise<void> {
    const { random } = this.host.world;
    for (let n = 0; n < TRIES; n++) {
      const mode = this.host.ipMode;
      if (mode === "fail") break;
      const takes = mode === "hang"
        ? IP_DEADLINE_MS
        : mode === "slow"
        ? random.between(100, 800)
        : random.between(3, 9);
      await this.clock.sleep(takes);
      if (generation !== this.#generation) throw new Error("they are being dropped");
      if (mode !== "hang") return;
    }
    throw new ToolError(`Cannot change the addresses of the ${this.host.role}: ip fails`);
  }

  #note(): void {
    this.held = new Set(this.vips.filter((vip) => this.host.vips.has(vip)));
    this.#interfaces = new Map(this.networks.map((network, n) => [network.name, {
      name: `eth${n}`,
      index: n + 2,
      mac: macOf(this.host.index, n),
      up: true,
      carrier: network.carrier[this.host.index] ?? true,
      addresses: [],
    }]));
  }

  #serial<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#tail.then(() => {
      this.#running = true;
      return work();
    }).finally(() => this.#running = false);
    this.#tail = mine.catch(() => {});
    return mine;
  }
}

class ToolError extends Error {}

/** The Ethernet address of a host on a network. */
export function macOf(host: number, network: number): string {
  return `02:00:00:00:0${network}:0${host + 1}`;
}
