/**
 * An etcd beside the pair: one key, leases, a leader. Linearizable where a majority answers; what is not:
 * an old leader that does not know of the new one still renews leases, in vain. It stands where the witness
 * stands, and each host's path to it can be cut by itself.
 *
 * @module
 */

import { arbiterTryMs } from "../../src/config/arbiter_timing.ts";
import type { Answered, Etcd, EtcdCluster, Kept } from "../../src/arbiter/etcd.ts";
import type { Daemon } from "./daemon.ts";
import { WITNESS } from "./network.ts";
import type { World } from "./world.ts";

/** etcd looks for leases that have ended twice a second (lessor.go, `revokeExpiredLeases`). */
const LOOK_EVERY_MS = 500;

interface Lease {
  readonly ttlMs: number;
  until: number;
}

/** The servers, as one. */
export class SimEtcd {
  /** A host's way to it. */
  readonly reach = [true, true];
  /** It answers: a majority is up and has a leader. */
  up = true;
  /** Milliseconds that each answer takes longer. */
  slowMs = 0;
  /** By host: its questions arrive at once, the answers come so many milliseconds late. */
  readonly lateMs = [0, 0];
  /** While set, an old leader renews leases that the new one does not hear of. */
  oldLeaderUntil = -Infinity;
  readonly #leases = new Map<string, Lease>();
  #kept: Kept | null = null;
  #term = 2;
  #revision = 1;
  #ids = 100;

  constructor(readonly world: World) {
    this.#watch();
  }

  /** Somebody else leads from now on: every lease lives its whole time again (lessor.go, `Promote`). */
  elect(): void {
    const { now } = this.world.time;
    this.#term++;
    for (const lease of this.#leases.values()) lease.until = now + lease.ttlMs;
  }

  /** What one daemon speaks with. */
  cluster(daemon: Daemon): EtcdCluster {
    const { arbiter } = daemon.config;
    const tryMs = arbiterTryMs(arbiter!.ttlMs, arbiter!.endpoints.length);
    return {
      attempt: async (work, { patience = 1 } = {}) => {
        const deadline = new AbortController();
        const timer = setTimeout(
          () => deadline.abort(new Error("no answer in time")),
          tryMs * patience,
        );
        try {
          return await work(this.#endpoint(daemon), deadline.signal);
        } finally {
          clearTimeout(timer);
        }
      },
      close: () => {},
    };
  }

  /** Quiet time was jumped over: the renewals of it were made. */
  jumped(): void {
    for (const lease of this.#leases.values()) lease.until = this.world.time.now + lease.ttlMs;
  }

  #endpoint(daemon: Daemon): Etcd {
    const ask = <T>(signal: AbortSignal, serve: () => T): Promise<T> =>
      this.#ask(daemon, signal, serve);
    return {
      grant: (ttlMs, signal) =>
        ask(signal, () => {
          const leaseId = `${this.#ids++}`;
          this.#leases.set(leaseId, { ttlMs, until: this.world.time.now + ttlMs });
          return { leaseId, ttlMs };
        }),
      keepAlive: (leaseId, signal) =>
        ask(signal, (): Answered<number> => {
          const lease = this.#leases.get(leaseId);
          const { now } = this.world.time;
          const isOld = now < this.oldLeaderUntil;
          if (lease !== undefined && !isOld) lease.until = now + lease.ttlMs;
          return { value: lease?.ttlMs ?? 0, term: `${isOld ? this.#term - 1 : this.#term}` };
        }),
      read: (_key, signal) => ask(signal, () => ({ value: this.#kept, term: `${this.#term}` })),
      claim: ({ value, leaseId, expected }, signal) =>
        ask(signal, () => {
          if ((expected?.modRevision ?? null) !== (this.#kept?.modRevision ?? null)) return false;
          if (!this.#leases.has(leaseId)) throw new Error("requested lease not found");
          this.#kept = { value, leaseId, modRevision: `${this.#revision++}` };
          this.world.log(`etcd: the right goes to ${value}`);
          return true;
        }),
      revoke: (leaseId, signal) => ask(signal, () => this.#end(leaseId)),
      about: () => Promise.resolve("simulated"),
    };
  }

  /** There and back over the daemon's network, as long as somebody answers; a late answer goes nowhere. */
  #ask<T>(daemon: Daemon, signal: AbortSignal, serve: () => T): Promise<T> {
    const { time, networks, random } = this.world;
    const { index } = daemon.host;
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      const transit = (there: boolean): number | null =>
        !this.reach[index]
          ? null
          : there
          ? networks[0]!.tcpTransit(index, WITNESS)
          : networks[0]!.tcpTransit(WITNESS, index);
      const there = transit(true);
      if (there === null || !daemon.host.answers) return;
      time.after(there + random.between(0, this.slowMs) + 1, () => {
        if (!this.up) return;
        let served: T;
        try {
          served = serve();
        } catch (error) {
          return reject(error);
        }
        const back = transit(false);
        if (back === null) return;
        const late = random.between(0, this.slowMs) + this.lateMs[index]!;
        time.after(back + late, () => resolve(served), daemon);
      });
    });
  }

  #end(leaseId: string): void {
    this.#leases.delete(leaseId);
    if (this.#kept?.leaseId !== leaseId) return;
    this.#kept = null;
    this.world.log("etcd: the right is free");
  }

  #watch(): void {
    const { time } = this.world;
    if (this.up) {
      for (const [id, lease] of this.#leases) if (lease.until <= time.now) this.#end(id);
    }
    time.after(LOOK_EVERY_MS, () => this.#watch());
  }
}
