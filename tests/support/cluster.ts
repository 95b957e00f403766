/**
 * A whole relais pair in a lab: both hosts with program, configuration, cluster key, ssh, sshd, a
 * PostgreSQL server each (if asked for) and the test PBX.
 *
 * @module
 */

import { createPostgres, sql, startPostgres } from "./host_postgres.ts";
import { pairSsh, startSshd } from "./host_ssh.ts";
import type { TestHost } from "./host.ts";
import { Lab, type LabOptions } from "./lab.ts";
import { Observer, type ProbeTarget } from "./observer.ts";
import { type ConfigOptions, FILE_PATHS, relaisToml, RETURN_PATH, VIP6 } from "./relais_config.ts";
import { createXivoDatabase } from "./xivo_database.ts";
import { CONFIG_FILE, KEY_FILE, RELAIS, RelaisHost } from "./relais_host.ts";

/** What to build. */
export interface ClusterOptions {
  readonly lab?: LabOptions;
  readonly config?: ConfigOptions;
  /** The whole configuration file instead of {@linkcode config}. */
  readonly toml?: string;
  /** A cluster key; default true. */
  readonly key?: boolean;
  /** Programs of the operator's on both hosts: path and text. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Two hosts with relais, and the world around them. */
export class Cluster {
  readonly master: RelaisHost;
  readonly slave: RelaisHost;
  readonly #options: ClusterOptions;

  private constructor(readonly lab: Lab, options: ClusterOptions) {
    this.#options = options;
    this.master = new RelaisHost(lab.master);
    this.slave = new RelaisHost(lab.slave);
  }

  /** Builds everything and starts what a boot starts, except the daemons. */
  static async create(options: ClusterOptions = {}): Promise<Cluster> {
    const networks = options.lab?.networks ?? options.config?.networks;
    const lab = await Lab.create({ ...options.lab, ...(networks ? { networks } : {}) });
    const cluster = new Cluster(lab, options);
    try {
      await cluster.#install();
    } catch (error) {
      await lab.close();
      throw error;
    }
    return cluster;
  }

  /** Both hosts with relais. */
  get both(): readonly [RelaisHost, RelaisHost] {
    return [this.master, this.slave];
  }

  /** Starts both daemons and waits until the master serves and the slave could take over. */
  async start(deadlineMs = 60_000): Promise<void> {
    for (const host of this.both) host.start();
    await this.untilNormal(deadlineMs);
  }

  /**
   * The normal state: the master serves and knows that the slave stands by and is ready, and each hears the
   * other one now. After a cut a node is at rest, and its last report of the peer good, before it hears it again.
   */
  async untilNormal(deadlineMs = 60_000): Promise<void> {
    await Promise.all([
      this.master.waitFor(
        ({ node, goal, services, peer, isolated }) =>
          node.state === "active" && goal === null && services.healthy !== false &&
          peer.report?.ready === true && peer.verdict === "alive" && !isolated,
        { deadlineMs, what: "the serving master that knows of a ready slave" },
      ),
      this.slave.waitFor(
        ({ node, ready, goal, peer, isolated }) =>
          node.state === "standby" && ready && goal === null && peer.verdict === "alive" &&
          !isolated,
        { deadlineMs, what: "the ready slave" },
      ),
    ]);
  }

  /** Power on, and what the host's own boot starts; the daemon too unless told otherwise. */
  async boot(host: RelaisHost, options: { readonly daemon?: boolean } = {}): Promise<void> {
    await host.host.boot();
    await this.#startBase(host.host);
    if (options.daemon !== false) host.start();
  }

  /** An observer in the client's place: ping to the first VIP each 5 ms, SIP each 50 ms. */
  async observe(): Promise<Observer> {
    const vip: ProbeTarget = {
      name: "vip",
      kind: "icmp",
      address: this.lab.vip(0),
      interfaceName: "eth0",
      everyMs: 5,
    };
    const targets: ProbeTarget[] = [vip, { ...vip, name: "sip", kind: "sip", everyMs: 50 }];
    if (this.lab.networks.length > 1) {
      const data = { ...vip, name: "data", address: this.lab.vip(1), interfaceName: "eth1" };
      targets.push({ ...data, everyMs: 20 });
    }
    if (this.#options.config?.ipv6 === true) targets.push({ ...vip, name: "vip6", address: VIP6 });
    return await Observer.start(this.lab.client, targets);
  }

  /** An observer in the watcher's place: asks by ARP each 50 ms who holds the first VIP. */
  async watch(): Promise<Observer> {
    const address = this.lab.vip(0);
    return await Observer.start(this.lab.watcher, [
      { name: "arp", kind: "arp", address, interfaceName: "eth0", everyMs: 50 },
    ]);
  }

  /** Ends everything; harmless when repeated. */
  async close(): Promise<void> {
    await this.lab.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #install(): Promise<void> {
    const toml = this.#options.toml ?? relaisToml(this.#options.config);
    await Promise.all(this.both.map(async (each) => {
      await each.install();
      await each.host.writeFile(CONFIG_FILE, toml, 0o644);
      for (const [path, text] of Object.entries(this.#options.files ?? {})) {
        await each.host.writeFile(path, text, 0o755);
      }
      for (const path of [...FILE_PATHS, RETURN_PATH]) {
        await each.host.exec(["mkdir", "-p", path]);
      }
      if (this.#options.config?.database === true) await createPostgres(each.host);
    }));
    const [master, slave] = this.both;
    await pairSsh([master.host, slave.host], { forcedCommand: `${RELAIS} receive` });
    if (this.#options.key !== false) {
      await master.host.exec([RELAIS, "keygen", KEY_FILE]);
      await slave.host.writeFile(KEY_FILE, await master.host.readFile(KEY_FILE), 0o600);
    }
    await Promise.all(this.both.map(({ host }) => this.#startBase(host)));
    if (this.#options.config?.database === true) {
      await Promise.all(this.both.map(({ host }) => createAsteriskDatabase(host)));
    }
  }

  async #startBase(host: TestHost): Promise<void> {
    await startSshd(host);
    if (this.#options.config?.database === true) await startPostgres(host);
  }
}

/** The database as an installer leaves it on both hosts: the same shape, each host's own tables. */
async function createAsteriskDatabase(host: TestHost): Promise<void> {
  const address = host.interfaces[0]?.addresses[0]?.split("/")[0] ?? "";
  await createXivoDatabase((database, text) => sql(host, { database, text }), { address });
}
