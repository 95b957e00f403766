/**
 * One life of `relais daemon` on a simulated host: the real `Node` with its real loop, steps, runner,
 * memory keeper and talk, on simulated ports.
 *
 * @module
 */

import type { LocalConfig } from "../../src/config/types.ts";
import type { StepTrace } from "../../src/core/invariants.ts";
import { Fencer } from "../../src/fencing/fencer.ts";
import type { HealthBody, HistoryEntry } from "../../src/health/types.ts";
import type { PeerMessenger, SendOptions, SendResult } from "../../src/heartbeat/notice.ts";
import type { PeerNotice } from "../../src/core/types.ts";
import type { Clock } from "../../src/os/clock.ts";
import type { Poller } from "../../src/os/poller.ts";
import { BeatClock } from "../../src/runtime/beat.ts";
import { hasServed } from "../../src/runtime/adoption.ts";
import type { History } from "../../src/runtime/history.ts";
import type { Memory } from "../../src/runtime/memory.ts";
import { Node } from "../../src/runtime/node.ts";
import type { NodePorts } from "../../src/runtime/ports.ts";
import type { Gate } from "../../src/services/gate.ts";
import type { Shield } from "../../src/services/shield.ts";
import { SimData } from "./data_port.ts";
import type { Host } from "./host.ts";
import { SimServices } from "./services_port.ts";
import { SimVips } from "./vip_port.ts";
import type { Entry, Owner } from "./virtual_time.ts";
import { SimHttp, SimPinger, SimVipLink } from "./wire.ts";
import type { World } from "./world.ts";

/** See the module. */
export class Daemon implements Owner {
  alive = true;
  /** The process stands still, the kernel goes on. */
  stalled = false;
  readonly parked: Entry[] = [];
  readonly instanceId: string;
  readonly clock: Clock;
  readonly vips: SimVips;
  readonly data: SimData;
  readonly node: Node;
  readonly http: SimHttp[] = [];
  readonly entries: HistoryEntry[] = [];
  #links: SimVipLink[] = [];

  constructor(
    readonly world: World,
    readonly host: Host,
    readonly config: LocalConfig,
    id: number,
  ) {
    this.instanceId = `${host.role}-${id}`;
    this.clock = this.#makeClock();
    const vips = config.networks.flatMap((network) => network.vips);
    this.vips = new SimVips(host, this.clock, world.networks, vips);
    this.data = new SimData(this);
    this.node = this.#makeNode();
  }

  get blocked(): boolean {
    return this.stalled || this.host.frozen;
  }

  get rate(): number {
    return this.host.rate;
  }

  nodeNow(): number {
    return this.host.monotonic();
  }

  /** The body of `GET /health`; null while it has none to give. */
  health(): HealthBody | null {
    return this.node.loop.last === null ? null : this.node.reporter.health();
  }

  /** The watch of a network; null while there is none. */
  vipLink(network: string): SimVipLink | null {
    const view = this.node.links.views.find((found) => found.network.name === network);
    return this.#links.find((link) => link.port === view?.vipLink) ?? null;
  }

  /** It ends without a word. */
  kill(): void {
    this.alive = false;
    this.parked.length = 0;
  }

  #makeClock(): Clock {
    const { world } = this;
    return {
      nowMs: () => this.host.monotonic(),
      wallMs: () => 1_700_000_000_000 + world.time.now + this.host.wallErrorMs,
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          if (signal?.aborted === true) return reject(signal.reason);
          const onAbort = (): void => {
            timer.cancelled = true;
            reject(signal?.reason);
          };
          const timer = world.time.timer(this, ms, () => {
            signal?.removeEventListener("abort", onAbort);
            resolve();
          });
          signal?.addEventListener("abort", onAbort, { once: true });
        }),
    };
  }

  #makeNode(): Node {
    const { world, host, config, clock } = this;
    const memory = this.#makeMemory();
    return new Node({
      config,
      clock,
      beat: new BeatClock(clock),
      poller: {} as Poller,
      identity: {
        instanceId: this.instanceId,
        bootId: `boot-${host.role}-${host.bootId}`,
        version: "sim",
        denort: "none",
        pid: 1,
        startedAt: clock.nowMs(),
      },
      stateDir: "",
      memory,
      vips: this.vips.port,
      driver: new SimServices(host, clock),
      gate: {
        open: () => {},
        close: () => {},
        state: () => ({ gated: true, open: true, missing: [] }),
        install: () => Promise.resolve([]),
      } as unknown as Gate,
      shield: {
        ports: [],
        up: null,
        raise: () => Promise.resolve(),
        lower: () => Promise.resolve(null),
        settled: () => Promise.resolve(),
      } as unknown as Shield,
      replicator: this.data.port,
      fencer: config.fencing === undefined ? null : new Fencer({
        config: config.fencing,
        role: config.role,
        clock,
        run: (device, action, options) => world.power.run(this, device, action, options),
      }),
      messenger: world.options.hasKey ? this.#makeMessenger() : null,
      localFaults: [],
      path: undefined,
      onTurn: () => {},
      configNews: { loadedAt: 0, refusal: null },
      former: null,
      ports: this.#makePorts(),
    });
  }

  #makePorts(): NodePorts {
    const { world } = this;
    return {
      history: () =>
        ({
          entries: this.entries,
          add: (entry: HistoryEntry) => {
            this.entries.push(entry);
            if (this.entries.length > 50) this.entries.shift();
            world.log(`${this.host.role}: ${entry.rule} ${entry.from}>${entry.to} ${entry.why}`);
          },
        }) as unknown as History,
      pinger: () => new SimPinger(this).port,
      http: (options) => {
        const http = new SimHttp(this, options);
        this.http.push(http);
        return http.port;
      },
      vipLink: (options) => {
        const link = new SimVipLink(this, options);
        this.#links.push(link);
        return link.port;
      },
      arbiter: (_config) => world.etcd!.cluster(this),
      askPeer: (_addresses, { signal }) => world.askReady(this, signal),
      flushFlows: () => Promise.resolve(""),
      onStep: (trace: StepTrace) => world.checkers.onStep(this, trace),
    };
  }

  #makeMemory(): Memory {
    const { host, world } = this;
    const refuse = (): void => {
      if (host.diskFull) throw new Error("Cannot write state.json: no space left on device");
    };
    return {
      boot: {
        id: `${host.role}-${host.bootId}`,
        uptimeMs: () => host.monotonic() - host.bootedAt,
      },
      load: () => host.disk,
      save: (value: NonNullable<Host["disk"]>) => {
        refuse();
        world.checkers.onPersist(host, value.epoch);
        host.disk = value;
      },
      // In /run, which is memory: it does not fill up with the disk.
      saveServing: (state: { name: "active"; serving: boolean }) => {
        host.serving = { state: state.name, serving: state.serving, at: host.monotonic() };
      },
      previous: () =>
        host.serving === null ? null : {
          state: host.serving.state,
          serving: host.serving.serving,
          agoMs: Math.max(0, host.monotonic() - host.serving.at),
        },
    } as unknown as Memory;
  }

  #makeMessenger(): PeerMessenger {
    return {
      send: (addresses: readonly string[], notice: PeerNotice, options: SendOptions) =>
        this.#send(addresses, notice, options),
      close: () => {},
    } as unknown as PeerMessenger;
  }

  /** Address by address, each with its share of the time; the peer may hear it twice. */
  async #send(
    addresses: readonly string[],
    notice: PeerNotice,
    { receiver, deadlineMs, signal }: SendOptions,
  ): Promise<SendResult> {
    const end = this.clock.nowMs() + deadlineMs;
    for (const [n, address] of addresses.entries()) {
      const left = end - this.clock.nowMs();
      if (left <= 0 || signal?.aborted === true) break;
      const answer = await this.world.post(this, address, notice, {
        receiver,
        deadlineMs: n === addresses.length - 1 ? left : left / 2,
      });
      if (answer !== null) return answer;
    }
    return { delivered: false, accepted: false, status: null, text: "the peer does not answer" };
  }
}

/** This host served when its daemon ended. */
export function wasServing(daemon: Daemon): boolean {
  return hasServed(daemon.host.serving === null ? null : { ...daemon.host.serving, agoMs: 0 });
}
