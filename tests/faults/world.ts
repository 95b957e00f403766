/**
 * The world in which faults are done: two hosts with the compiled program and the stand-in PBX, what systemd
 * would do for them, a stranger, and the observers outside.
 *
 * @module
 */

import { localConfig, parseConfig } from "../../src/config/load.ts";
import type { LocalConfig } from "../../src/config/types.ts";
import type { StatusDocument } from "../../src/health/types.ts";
import { Cluster, type ClusterOptions } from "../support/cluster.ts";
import type { Lab } from "../support/lab.ts";
import type { Observer } from "../support/observer.ts";
import { poll } from "../support/poll.ts";
import { type ConfigOptions, relaisToml } from "../support/relais_config.ts";
import type { RelaisHost } from "../support/relais_host.ts";
import { runOk } from "../../src/os/process.ts";
import { ArpTable } from "./arp_table.ts";
import { Capture } from "./capture.ts";
import { longestStall } from "./log_lines.ts";
import type { Victim } from "./schedule.ts";
import { Stalls } from "./stalls.ts";
import { Supervisor } from "./supervisor.ts";

/** The state directory holds so much: small enough to be filled in no time. */
const STATE_MB = 4;
/** Unchanged for so long: the pair is at rest. A failback that is due begins within that time. */
const QUIET_MS = 2_500;
const START_DEADLINE_MS = 300_000;

/** Each step shall have something to do, the hooks' too. */
const HOOKS = ["before_takeover", "after_takeover", "before_handback", "after_handback"]
  .map((key) => `${key} = [{ command = ["/bin/true"] }]`);

/** Which preset, and what differs from the usual configuration. */
export interface WorldOptions {
  readonly preset: "fast" | "balanced";
  readonly config?: ConfigOptions;
  readonly files?: ClusterOptions["files"];
}

/** See the module. */
export class World {
  readonly lab: Lab;
  /** The master's; the figures are the same on both. */
  readonly config: LocalConfig;
  #ends = new AsyncDisposableStack();
  readonly #configs: readonly [LocalConfig, LocalConfig];
  readonly supervisors: readonly [Supervisor, Supervisor];

  private constructor(
    readonly cluster: Cluster,
    config: ConfigOptions,
    readonly client: Observer,
    readonly capture: Capture,
    readonly arp: ArpTable,
    readonly stalls: Stalls,
  ) {
    this.lab = cluster.lab;
    const parsed = parseConfig(relaisToml(config));
    this.#configs = [localConfig(parsed, "master"), localConfig(parsed, "slave")];
    this.config = this.#configs[0];
    this.supervisors = [new Supervisor(cluster.master), new Supervisor(cluster.slave)];
  }

  /** Builds it and waits until the master serves. */
  static async create(options: WorldOptions): Promise<World> {
    const config: ConfigOptions = {
      heartbeat: [`preset = "${options.preset}"`],
      failback: ['mode = "auto"', "stable_s = 1"],
      hooks: HOOKS,
      ...options.config,
    };
    const cluster = await Cluster.create({
      lab: { stranger: true },
      config,
      ...(options.files === undefined ? {} : { files: options.files }),
    });
    // Whatever was begun ends, also when something behind it can't begin.
    await using begun = new AsyncDisposableStack();
    begun.defer(() => cluster.close());
    await smallStateDirectories(cluster);
    const stalls = await Stalls.start();
    begun.defer(() => stalls.close());
    const capture = await Capture.start(cluster.lab);
    begun.defer(() => capture.close());
    const client = await cluster.observe();
    begun.defer(() => client.close());
    const arp = new ArpTable(cluster.lab.client.pid, cluster.lab.vip(0));
    begun.defer(() => arp.close());
    const world = new World(cluster, config, client, capture, arp, stalls);
    for (const each of world.supervisors) begun.defer(() => each.close());
    await world.untilRest(START_DEADLINE_MS);
    world.#ends = begun.move();
    return world;
  }

  /** What systemd does for that host. */
  supervisor(host: RelaisHost): Supervisor {
    return this.supervisors[host === this.cluster.master ? 0 : 1];
  }

  /** The configuration as that host has it. */
  configOf(host: RelaisHost): LocalConfig {
    return this.#configs[host === this.cluster.master ? 0 : 1];
  }

  /** The other host. */
  other(host: RelaisHost): RelaisHost {
    return host === this.cluster.master ? this.cluster.slave : this.cluster.master;
  }

  /** Which host that is now; without anybody who serves, the master would. */
  async victim(which: Victim): Promise<RelaisHost> {
    const { master, slave } = this.cluster;
    const slaveServes = (await slave.status())?.node.state === "active";
    const masterServes = (await master.status())?.node.state === "active";
    const serving = slaveServes && !masterServes ? slave : master;
    return which === "serving" ? serving : this.other(serving);
  }

  /** The host's name in the lab. */
  nameOf(host: RelaisHost): "master" | "slave" {
    return host === this.cluster.master ? "master" : "slave";
  }

  /** What the daemons write from now on. */
  logs(): { readonly longestStall: () => number } {
    const sizes = this.cluster.both.map((host) => host.logSize() ?? 0);
    const text = (): string =>
      this.cluster.both.map((host, i) => host.logFrom(sizes[i]!)).join("\n");
    return { longestStall: () => longestStall(text()) };
  }

  /**
   * Waits until the pair is at rest: one serves, the other one stands by and is ready, every telephone and
   * every question is answered by the one that serves; unchanged for {@linkcode QUIET_MS}.
   *
   * @throws {PollTimeoutError} with what was there instead
   */
  async untilRest(deadlineMs: number): Promise<void> {
    let since: number | null = null;
    let before: string | null = null;
    let found = "";
    await poll(async () => {
      const look = await this.#look();
      found = look.text;
      if (look.serving === null || look.serving !== before) since = null;
      before = look.serving;
      if (look.serving === null) return false;
      since ??= performance.now();
      return performance.now() - since >= QUIET_MS;
    }, {
      deadlineMs,
      everyMs: 50,
      what: "one that serves and one that stands by",
      instead: () =>
        [found, ...this.cluster.both.map((host) => `${host.name}:\n${host.log(25)}`)].join("\n"),
    });
  }

  /** Ends everything; harmless when repeated. */
  async close(): Promise<void> {
    await this.#ends.disposeAsync();
  }

  async #look(): Promise<{ readonly serving: string | null; readonly text: string }> {
    const { cluster, client, lab } = this;
    const states = await Promise.all(cluster.both.map((host) => host.status()));
    const n = states.findIndex((status) => status?.node.state === "active");
    const answers = this.capture.vips.map(({ questions }) => questions.at(-3)?.answers ?? []);
    const text = JSON.stringify({
      states: states.map(summary),
      sip: client.isUp("sip") ? client.holder("sip") : null,
      answers,
      arp: this.arp.mac,
    });
    const serving = states[n];
    const standby = states[1 - n];
    const name = n === 0 ? "master" : "slave";
    const resting = n >= 0 && serving?.goal === null && serving.services.healthy !== false &&
      serving.peer.report?.ready === true &&
      standby?.node.state === "standby" && standby.ready && standby.goal === null &&
      client.isUp("vip") && client.isUp("sip") && client.holder("sip") === `test PBX on ${name}` &&
      answers.every((macs, i) => macs.length === 1 && macs[0] === lab.mac(name, i)) &&
      this.arp.mac === lab.mac(name);
    return { serving: resting ? name : null, text };
  }
}

function summary(status: StatusDocument | null): unknown {
  if (status === null) return "no answer";
  const { node, goal, ready, alerts, unfitReasons } = status;
  return {
    state: node.state,
    why: node.why,
    goal,
    ready,
    unfitReasons,
    alerts: alerts.slice(0, 5),
  };
}

/** A disk of its own below each host's state directory; it survives a power cut, as a disk does. */
async function smallStateDirectories(cluster: Cluster): Promise<void> {
  const { lab, both } = cluster;
  for (const each of both) {
    const { host } = each;
    await host.crash();
    const target = `/mnt/${host.name}/own/var/lib/relais`;
    const options = `size=${STATE_MB}m,mode=755`;
    await runOk(
      [
        ...["nsenter", `--mount=/proc/${lab.ethernet.pid}/ns/mnt`, "--"],
        ...["mount", "-t", "tmpfs", "-o", options, "relais", target],
      ],
      { deadlineMs: 10_000 },
    );
    await cluster.boot(each, { daemon: false });
  }
}
