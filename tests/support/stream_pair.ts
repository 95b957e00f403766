/**
 * Two hosts whose database is streamed, on this machine: two real clusters, two real sshds (each host calls
 * the other), the real replicators, and `relais receive` from source.
 *
 * @module
 */

import type { DatabaseConfig, LocalConfig } from "../../src/config/types.ts";
import { systemClock } from "../../src/os/clock.ts";
import type { DatabaseSeams } from "../../src/replication/database_context.ts";
import { PostgresDatabase } from "../../src/replication/database.ts";
import type { StreamHosts } from "../../src/replication/logical/setup.ts";
import { StreamDatabase } from "../../src/replication/logical/stream_database.ts";
import { Pair } from "../../src/replication/peer_fixture.ts";
import { Replicator } from "../../src/replication/replicator.ts";
import { databaseConfig } from "./database_config.ts";
import { sourceSeams } from "./database_seams.ts";
import { startBoth, type TestCluster } from "./postgres.ts";
import { createXivoDatabase, XIVO_LOCAL_TABLES } from "./xivo_database.ts";

/** The streamed database. */
export const LIVE = "asterisk";
/** Role and system user of the tunnel in tests: every Debian has it. */
export const ROLE = "nobody";

/** What a node of the test is. */
export interface StreamNode {
  epoch: number;
  serving: boolean;
  state: string;
}

/** See the module. */
export interface StreamPair extends AsyncDisposable {
  readonly clusters: { readonly master: TestCluster; readonly slave: TestCluster };
  readonly nodes: { readonly master: StreamNode; readonly slave: StreamNode };
  readonly replicators: { readonly master: Replicator; readonly slave: Replicator };
  /** What the streams told. */
  readonly events: string[];
  /** For set-up and teardown, seen from the master. */
  hosts(): StreamHosts;
  /** Writes both nodes' state where `relais receive` asks for it. */
  told(): Promise<void>;
  /** Cuts the slave off: nothing reaches the master any more. */
  readonly toMaster: Pair;
  readonly toSlave: Pair;
}

/** Makes both hosts; nothing runs yet. */
export async function streamPair(options: {
  readonly rows: number;
  readonly database?: Partial<DatabaseConfig>;
  readonly settings?: Readonly<Record<string, string>>;
  readonly seedPauseMs?: (inARow: number) => number;
}): Promise<StreamPair> {
  const stack = new AsyncDisposableStack();
  try {
    // PostgreSQL's own pause between two attempts is 5 s.
    const both = { wal_retrieve_retry_interval: "500ms", ...options.settings };
    const settings = { wal_level: "logical", ...both };
    const [master, slave] = await startBoth(stack, { settings }, { settings: both });
    const seams = await sourceSeams();
    await Promise.all([
      createXivoDatabase((name, script) => master.psql(name, script), { rows: options.rows }),
      createXivoDatabase((name, script) => slave.psql(name, script), {
        rows: 20,
        users: 60,
        address: "192.0.2.2",
      }),
    ]);
    const [toSlave, toMaster] = [await Pair.make("master"), await Pair.make("slave")];
    stack.defer(() => toSlave.end());
    stack.defer(() => toMaster.end());
    for (const { directory } of [toSlave, toMaster]) await Deno.chmod(directory, 0o755);
    // The slave's PostgreSQL dials a socket below here.
    await Deno.chmod(toSlave.at("peer"), 0o755);
    const nodes = {
      master: { epoch: 1, serving: true, state: "active" },
      slave: { epoch: 1, serving: false, state: "standby" },
    };
    const databaseOf = (cluster: TestCluster): DatabaseConfig =>
      databaseConfig(cluster, LIVE, {
        mode: "stream",
        localTables: XIVO_LOCAL_TABLES,
        ...options.database,
      });
    const configOf = (pair: Pair, cluster: TestCluster): LocalConfig =>
      pair.config({ astdb: null, files: null, database: databaseOf(cluster) });
    const worker = seams.workerEnv!["DENO_DIR"]!;
    await tellConfig(toSlave, configOf(toSlave, slave), worker, seams);
    await tellConfig(toMaster, configOf(toMaster, master), worker, seams);
    const told = async (): Promise<void> => {
      const daemon = (node: StreamNode, role: "master" | "slave") =>
        ({ role, ...node }) as Parameters<Pair["setGate"]>[0]["daemon"];
      await toSlave.setGate({ daemon: daemon(nodes.slave, "slave"), refusal: null });
      await toMaster.setGate({ daemon: daemon(nodes.master, "master"), refusal: null });
    };
    await told();
    const events: string[] = [];
    const make = (role: "master" | "slave"): Replicator => {
      const [pair, cluster] = role === "master" ? [toSlave, master] : [toMaster, slave];
      const config = configOf(pair, cluster);
      return pair.replicator({
        config,
        // The slave's own run directory is what its `relais receive` knows.
        runDir: role === "master" ? pair.at("run") : toSlave.at("peer/run"),
        database: new PostgresDatabase(config.replication.database!, seams),
        mayRead: () =>
          nodes[role].serving
            ? { ok: true, epoch: nodes[role].epoch }
            : { ok: false, reason: `this node is ${nodes[role].state}` },
        stream: {
          self: () => ({ ...nodes[role] }),
          peer: () => null,
          onEvent: (level, text) => events.push(`${role} ${level}: ${text}`),
          seams,
          role: ROLE,
          ...(options.seedPauseMs === undefined ? {} : { seedPauseMs: options.seedPauseMs }),
        },
      });
    };
    const replicators = { master: make("master"), slave: make("slave") };
    const local = new StreamDatabase(databaseOf(master), seams);
    const transport = toSlave.transport();
    stack.defer(() => transport.close());
    stack.defer(() => local.close());
    const disposable = stack.move();
    return {
      clusters: { master, slave },
      nodes,
      replicators,
      events,
      told,
      toMaster,
      toSlave,
      hosts: () => ({
        config: configOf(toSlave, master),
        stateDir: toSlave.at("state"),
        database: local,
        transport,
        epoch: nodes.master.epoch,
        role: ROLE,
      }),
      [Symbol.asyncDispose]: async () => {
        await Promise.all([replicators.master.stop(), replicators.slave.stop()]);
        await disposable.disposeAsync();
      },
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** Waits until `condition` holds, for at most 90 s. */
export async function until(
  what: string,
  condition: () => Promise<boolean> | boolean,
): Promise<void> {
  const end = performance.now() + 90_000;
  while (!await condition()) {
    if (performance.now() > end) throw new Error(`Waited 90 s in vain: ${what}`);
    await systemClock.sleep(50);
  }
}

async function tellConfig(
  pair: Pair,
  config: LocalConfig,
  denoDir: string,
  seams: DatabaseSeams,
): Promise<void> {
  const role = config.role === "master" ? "slave" : "master";
  const main = seams.self!([]).at(-1);
  const text = JSON.stringify({ ...config, role, streamed: { main, denoDir } });
  await Deno.writeTextFile(pair.at("peer/config.json"), text);
}
