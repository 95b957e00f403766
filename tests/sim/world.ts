/**
 * The whole: two hosts, their daemons, the switch, the telephones, an operator. What happens to it is in
 * `faults.ts`, what must hold in `checkers.ts`.
 *
 * @module
 */

import { localConfig, parseConfig } from "../../src/config/load.ts";
import type { LocalConfig } from "../../src/config/types.ts";
import type { HealthBody } from "../../src/health/types.ts";
import type { SendResult } from "../../src/heartbeat/notice.ts";
import type { FencingMode, OperatorCommand, PeerNotice, Role } from "../../src/core/types.ts";
import { judgeHandOver } from "../../src/runtime/peer_talk.ts";
import { Checkers } from "./checkers.ts";
import { Daemon } from "./daemon.ts";
import { SimEtcd } from "./etcd.ts";
import { Host } from "./host.ts";
import { MASTER, type Network, Network as Net, SLAVE, WITNESS } from "./network.ts";
import { Phones } from "./phones.ts";
import { PowerDevice } from "./power_device.ts";
import { Random } from "./random.ts";
import { VirtualTime } from "./virtual_time.ts";

/** What varies between runs beside the faults. */
export interface WorldOptions {
  readonly preset: "fast" | "balanced" | "calm";
  readonly networks: 1 | 2;
  readonly witness: boolean;
  readonly hasKey: boolean;
  readonly failback: "auto" | "manual";
  readonly stableS: number;
  readonly startDeadlineS: number;
  /** The second network has a VIP, too. */
  readonly twoVips: boolean;
  /** Whether and how the hosts switch each other off. */
  readonly fencing: FencingMode | null;
  /** Null or absent: there is no arbiter. */
  readonly arbiter?: { readonly policy: "hold" | "release"; readonly ttlS: number } | null;
}

const LOG_KEPT = 400;

/** See the module. */
export class World {
  readonly random: Random;
  readonly time = new VirtualTime();
  readonly networks: readonly Network[];
  readonly hosts: readonly [Host, Host];
  readonly daemons: [Daemon | null, Daemon | null] = [null, null];
  readonly checkers: Checkers;
  readonly phones: Phones;
  /** Null: no arbiter. */
  readonly etcd: SimEtcd | null;
  readonly configs: readonly [LocalConfig, LocalConfig];
  readonly power: PowerDevice;
  readonly lines: string[] = [];
  /** systemd starts a daemon that has ended again. */
  readonly wanted = [true, true];
  #ids = 0;

  constructor(seed: number, readonly options: WorldOptions) {
    this.random = new Random(seed);
    this.networks = ["voip", "data"].slice(0, options.networks).map((name) =>
      new Net(name, this.random)
    );
    const config = parseConfig(toml(options));
    this.configs = [localConfig(config, "master"), localConfig(config, "slave")];
    this.hosts = [new Host(MASTER, "master", this), new Host(SLAVE, "slave", this)];
    this.power = new PowerDevice(this, seed);
    this.phones = new Phones(this);
    this.etcd = (options.arbiter ?? null) === null ? null : new SimEtcd(this);
    this.checkers = new Checkers(this);
  }

  /** VIPs of the first network, which the telephones use. */
  get vip(): string {
    return this.configs[0].networks[0]!.vips[0]!;
  }

  log(text: string): void {
    this.lines.push(`${(this.time.now / 1000).toFixed(3).padStart(12)} s  ${text}`);
    if (this.lines.length > LOG_KEPT) this.lines.shift();
  }

  changed(): void {
    this.checkers.look();
  }

  network(name: string): Network {
    return this.networks.find((found) => found.name === name)!;
  }

  /** Who has that address of its own. */
  find(address: string): { readonly network: Network; readonly who: number } {
    const [, , net, last] = address.split(".");
    const network = this.networks[Number(net)]!;
    return { network, who: last === "11" ? MASTER : last === "12" ? SLAVE : WITNESS };
  }

  /** The hosts can exchange words on some network. */
  canTalk(): boolean {
    return this.hosts.every((host) => host.answers) &&
      this.networks.some((network) => network.isJoined(MASTER, SLAVE));
  }

  /** Starts relais on a host, as systemd does. */
  startDaemon(index: 0 | 1): void {
    const host = this.hosts[index];
    if (!host.answers || this.daemons[index]?.alive === true) return;
    const id = this.#ids++;
    const holder: { daemon: Daemon | null } = { daemon: null };
    const starter = {
      alive: true,
      blocked: false,
      parked: [],
      rate: 1,
      nodeNow: () => host.monotonic(),
    };
    this.time.within(starter, () => {
      holder.daemon = new Daemon(this, host, this.configs[index], id);
    });
    const daemon = holder.daemon!;
    this.daemons[index] = daemon;
    this.checkers.onStart(daemon);
    this.time.within(daemon, () => {
      void daemon.node.start();
      void daemon.node.done.then(() => {
        this.log(`${host.role}: relais has ended`);
        daemon.kill();
        this.changed();
        if (this.wanted[index]) this.time.after(500, () => this.startDaemon(index));
      });
    });
    this.changed();
  }

  /** Kills relais without a word. */
  killDaemon(index: 0 | 1): void {
    this.daemons[index]?.kill();
    this.changed();
  }

  /** Runs something in the daemon's process, if it runs. */
  inDaemon(index: 0 | 1, run: (daemon: Daemon) => void): void {
    const daemon = this.daemons[index];
    if (daemon?.alive !== true) return;
    this.time.after(0, () => run(daemon), daemon);
  }

  /** An operator types a command on a host; a move is passed on as `relais` does. */
  type(index: 0 | 1, command: Exclude<OperatorCommand, "stop">): void {
    this.log(`operator on the ${this.hosts[index].role}: ${command}`);
    this.inDaemon(index, (daemon) => {
      const { loop, peerLine } = daemon.node;
      if (command === "fence-confirm") {
        if (loop.last?.situation.verdict === "alive") return;
        return loop.push({ type: "command", command });
      }
      if (command === "maintenance-on" || command === "maintenance-off") {
        return loop.push({ type: "command", command });
      }
      const cannot = loop.last?.situation.peerCannotTakePlanned ?? null;
      if (judgeHandOver(loop.state.name, cannot).accepted) {
        return loop.push({ type: "command", command });
      }
      const kind = command === "failback" ? "request-failback" : "request-switchover";
      void peerLine.ask(kind, "an operator asked", AbortSignal.timeout(1500));
    });
  }

  /** The kernel told the daemon that a cable was pulled or plugged in. */
  linkChanged(index: 0 | 1): void {
    this.inDaemon(index, (daemon) => daemon.node.keeper.refresh());
    this.changed();
  }

  /** One question over HTTP. `answer` null: refused. A question that nobody hears is never answered. */
  ask<T>(
    from: 0 | 1,
    to: 0 | 1,
    network: Network,
    serve: (daemon: Daemon) => T | null,
    answer: (body: T | null) => void,
    asker: Daemon,
  ): void {
    const there = network.tcpTransit(from, to);
    if (there === null) return;
    const reply = (body: T | null): void => {
      const back = network.tcpTransit(to, from);
      if (back !== null) this.time.after(back, () => answer(body), asker);
    };
    this.time.after(there, () => {
      if (!this.hosts[to].answers) return;
      const daemon = this.daemons[to];
      if (daemon?.alive !== true) return reply(null);
      this.time.after(0, () => reply(serve(daemon)), daemon);
    });
  }

  /** A signed message; null: no answer within the deadline. */
  post(
    from: Daemon,
    address: string,
    notice: PeerNotice,
    { receiver, deadlineMs }: { readonly receiver: string; readonly deadlineMs: number },
  ): Promise<SendResult | null> {
    const { network, who } = this.find(address);
    return new Promise((resolve) => {
      const deadline = this.time.timer(from, deadlineMs, () => resolve(null));
      this.ask(from.host.index, who as 0 | 1, network, (peer): SendResult => {
        if (peer.instanceId !== receiver) {
          return { delivered: true, accepted: false, status: 403, text: "for another daemon" };
        }
        this.log(`${peer.host.role} hears "${notice.kind}" of epoch ${notice.epoch}`);
        const { accepted, text } = peer.node.peerLine.take(notice);
        return { delivered: true, accepted, status: 200, text };
      }, (body) => {
        deadline.cancelled = true;
        resolve(body);
      }, from);
    });
  }

  /** The step `check-transport` asks the peer whether it is ready. */
  askReady(from: Daemon, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const deadline = this.time.timer(from, 1500, () => reject(new Error("no answer")));
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      for (const network of this.networks) {
        const to = (1 - from.host.index) as 0 | 1;
        this.ask(
          from.host.index,
          to,
          network,
          (peer) => peer.health(),
          (body: HealthBody | null) => {
            if (body === null) return;
            deadline.cancelled = true;
            body.ready ? resolve() : reject(new Error(`the peer is ${body.state}, not ready`));
          },
          from,
        );
      }
    });
  }

  /** A VIP is announced on a network. */
  announced(network: Network, host: 0 | 1, vip: string): void {
    if (network === this.networks[0] && vip === this.vip) this.phones.announced(host);
  }

  /** A data set was put in place. */
  installed(host: Host, epoch: number): void {
    this.checkers.onInstall(host, epoch);
    host.installedEpoch = epoch;
  }

  /** Exactly one serves, the other one stands by, and nothing is under way. */
  isQuiet(): boolean {
    const [a, b] = this.daemons;
    if (a?.alive !== true || b?.alive !== true || a.blocked || b.blocked) return false;
    const names = [a.node.loop.state.name, b.node.loop.state.name].sort().join();
    return names === "active,standby" && this.#rightIsKept() && !this.#failbackIsPending() &&
      a.node.busyWith === null &&
      b.node.busyWith === null &&
      this.phones.allServed() && this.hosts.some(({ running }) => running === "none");
  }

  /** The one that serves has the right, and both reach the arbiter. */
  #rightIsKept(): boolean {
    if (this.etcd === null) return true;
    return this.daemons.every((daemon) => {
      const seen = daemon!.node.right.keeper!.evidence(daemon!.nodeNow());
      return seen.reaches && (seen.right === "mine" || daemon!.node.loop.state.name !== "active");
    });
  }

  /** The slave serves and will give the service back by itself, sooner or later. */
  #failbackIsPending(): boolean {
    const state = this.daemons[SLAVE]!.node.loop.state;
    return state.name === "active" && this.options.failback === "auto" && !state.failbackHeld;
  }

  /**
   * Quiet time is jumped over: what happens in it is what happened in the seconds before it, again. Every
   * renewal, echo and question of that time is taken as made and answered.
   */
  jump(ms: number): void {
    const both = this.daemons.map((daemon) => daemon!);
    for (const daemon of both) this.time.within(daemon, () => daemon.node.loop.stop());
    const to = this.time.now + ms;
    this.time.now = to;
    for (const [n, daemon] of both.entries()) {
      const body = both[1 - n]!.health()!;
      this.time.within(daemon, () => {
        daemon.vips.jumped();
        const now = daemon.nodeNow();
        for (const view of daemon.node.links.views) {
          view.lastIcmpAt = now;
          for (const witness of view.witnessAt.keys()) view.witnessAt.set(witness, now);
        }
        for (const http of daemon.http) http.jumped(body);
      });
    }
    this.phones.jumped();
    this.#renewRights(both);
    for (const daemon of both) this.time.within(daemon, () => daemon.node.loop.start());
    this.checkers.look();
  }

  /** The lease was renewed all the time; each keeper hears of it before its loop turns again. */
  #renewRights(daemons: readonly Daemon[]): void {
    if (this.etcd === null) return;
    this.etcd.jumped();
    for (const daemon of daemons) {
      const wants = daemon.node.loop.state.name === "active";
      this.time.within(daemon, () => void daemon.node.right.keeper?.begin({ wants }));
    }
    this.time.runUntil(this.time.now + 50);
  }

  /** Ends: the machine's timers are the machine's again. */
  close(): void {
    for (const daemon of this.daemons) daemon?.kill();
    this.time.release();
  }
}

function toml(
  options: WorldOptions,
): string {
  const { preset, networks, witness, failback, stableS, twoVips, startDeadlineS, fencing } =
    options;
  const arbiter = options.arbiter ?? null;
  const tables = ["voip", "data"].slice(0, networks).map((name, n) =>
    [
      "[[networks]]",
      `name = "${name}"`,
      `master = "10.20.${n}.11"`,
      `slave = "10.20.${n}.12"`,
      "prefix = 24",
      ...(n === 0 || twoVips ? [`vip = "10.20.${n}.10"`] : []),
      `witnesses = [${witness ? `"10.20.${n}.254"` : ""}]`,
    ].join("\n")
  );
  return [
    '[cluster]\nname = "sim"\npreset = "none"',
    ...tables,
    `[heartbeat]\npreset = "${preset}"`,
    `[services]\nunits = ["asterisk.service", "agentd.service"]\nstart_deadline_s = ${startDeadlineS}\nstop_deadline_s = 10`,
    `[failback]\nmode = "${failback}"\nstable_s = ${stableS}`,
    ...(fencing === null ? [] : [fencingToml(fencing)]),
    ...(arbiter === null ? [] : [
      `[arbiter]\netcd = ["http://10.20.0.254:2379"]\npolicy = "${arbiter.policy}"\n` +
      `ttl = "${arbiter.ttlS}s"`,
    ]),
    "",
  ].join("\n\n");
}

/** By role. */
export function indexOf(role: Role): 0 | 1 {
  return role === "master" ? MASTER : SLAVE;
}

/** The section of a pair that switches each other off. */
export function fencingToml(mode: FencingMode): string {
  return [
    `[fencing]\nmode = "${mode}"\ndeadline = "10s"`,
    ...["master", "slave"].map((plug) =>
      `[fencing.${plug}]\nagent = "fence_sim"\nparameters = { plug = "${plug}" }`
    ),
  ].join("\n");
}
