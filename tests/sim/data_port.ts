/**
 * In the place of the replicator: sends sets at a pace and at a hand-over. Whether a set may leave and
 * may be taken in is judged by the real code (`mayRead`, `whyRefused`).
 *
 * @module
 */

import { whyRefused } from "../../src/core/receiving.ts";
import type { Replicator } from "../../src/replication/replicator.ts";
import { mayRead } from "../../src/runtime/data_sets.ts";
import type { Daemon } from "./daemon.ts";

const EVERY_MS = 7000;

/** See the module. */
export class SimData {
  readonly sources: readonly string[] = [];
  #stopped = false;

  constructor(readonly daemon: Daemon) {}

  status(): readonly [] {
    return [];
  }

  lossReport(): readonly [] {
    return [];
  }

  start(): void {
    this.#stopped = false;
    void this.#pace();
  }

  stop(): Promise<void> {
    this.#stopped = true;
    return Promise.resolve();
  }

  async checkTransport({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    await this.#work(10, 200, signal);
    if (!this.daemon.world.canTalk()) {
      throw new Error("Cannot reach the peer by ssh: look at the link");
    }
  }

  /** Nothing of the database goes back, and nothing is streamed. */
  readonly back = null;
  readonly stream = null;

  /** What the steps do with the astdb. */
  readonly astdb = {
    fetchIfNewer: async ({ signal }: { readonly signal: AbortSignal }): Promise<
      { readonly fetched: boolean; readonly why: string }
    > => {
      await this.#work(20, 500, signal);
      return { fetched: false, why: "the peer's is not newer" };
    },
    installReceived: async ({ signal }: { readonly signal: AbortSignal }): Promise<
      { readonly installed: boolean; readonly why: string }
    > => {
      await this.#work(5, 50, signal);
      return { installed: false, why: "none was received" };
    },
    sendAtRest: async (
      options: { readonly signal: AbortSignal; readonly epoch: number },
    ): Promise<void> => {
      const { host, world } = this.daemon;
      if (host.running !== "none") {
        world.checkers.fail(`data: the astdb leaves the ${host.role} while its services run`);
      }
      await this.#copy(options.epoch, options.signal);
    },
  };

  /** What the steps do with the files. */
  readonly files = {
    sendBack: async (
      options: { readonly signal: AbortSignal; readonly epoch: number },
    ): Promise<void> => {
      await this.#copy(options.epoch, options.signal);
    },
    noteReturnBase: async ({ signal }: { readonly signal: AbortSignal }): Promise<void> => {
      await this.#work(5, 50, signal);
    },
  };

  /** Steps that are added later are calls of the replicator, too: they take a moment. */
  get port(): Replicator {
    return new Proxy(this, {
      get: (target, name) => {
        const found = Reflect.get(target, name) as unknown;
        if (typeof found === "function") return found.bind(target);
        if (found !== undefined || typeof name !== "string") return found;
        return (options?: { readonly signal?: AbortSignal }) =>
          target.#work(10, 300, options?.signal);
      },
    }) as unknown as Replicator;
  }

  async #pace(): Promise<void> {
    const { clock, node } = this.daemon;
    while (!this.#stopped) {
      await clock.sleep(EVERY_MS);
      const may = mayRead(node.loop.last);
      if (may.ok && !this.#stopped) {
        await this.#copy(may.epoch, AbortSignal.timeout(5000), () => mayRead(node.loop.last).ok)
          .catch(() => {});
      }
    }
  }

  async #work(from: number, to: number, signal?: AbortSignal): Promise<void> {
    const { clock, host } = this.daemon;
    const mode = host.serviceMode;
    await clock.sleep(mode === "hang" ? 60_000 : host.world.random.between(from, to), signal);
  }

  /** A set on its way: asked at the beginning and directly before it replaces what is there. */
  async #copy(
    epoch: number,
    signal: AbortSignal,
    stays: () => boolean = () => true,
  ): Promise<void> {
    const { world, clock, host } = this.daemon;
    this.#ask(epoch);
    await clock.sleep(world.random.between(50, 1500), signal);
    if (!stays()) throw new Error("this node serves no more");
    this.#ask(epoch);
    const peer = world.hosts[1 - host.index]!;
    const { bootId } = peer;
    // All has arrived: what is left is work of the peer, whatever becomes of the sender.
    const takes = world.random.between(10, 3000);
    const put = Promise.withResolvers<void>();
    world.time.after(takes, () => {
      let failed: unknown = null;
      try {
        if (!peer.answers || peer.bootId !== bootId) throw new Error("the peer died meanwhile");
        this.#ask(epoch, true);
        if (peer.diskFull) throw new Error("Cannot write on the peer: no space left on device");
        world.installed(peer, epoch);
      } catch (error) {
        failed = error;
      }
      world.time.after(
        0.2,
        () => failed === null ? put.resolve() : put.reject(failed),
        this.daemon,
      );
    });
    const onAbort = (): void => put.reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    await put.promise.finally(() => signal.removeEventListener("abort", onAbort));
  }

  /** What `relais receive` asks the daemon over there. */
  #ask(epoch: number, isThere = false): void {
    const { world, host } = this.daemon;
    const peer = world.daemons[1 - host.index];
    if (
      (!isThere && !world.canTalk()) || peer === null || peer === undefined || !peer.alive ||
      peer.blocked
    ) {
      throw new Error("Cannot reach the peer by ssh: look at the link");
    }
    const { state } = peer.node.loop;
    const offered = { set: "astdb", epoch, origin: host.role, fingerprint: "f" } as const;
    const refused = whyRefused(state, offered, { role: peer.host.role, fingerprint: "f" });
    if (refused !== null) throw new Error(refused);
  }
}
