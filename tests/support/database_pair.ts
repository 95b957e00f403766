/**
 * Two clusters with a XiVO-like database each, and what tests of copies between them need.
 *
 * @module
 */

import { PostgresDatabase } from "../../src/replication/database.ts";
import { PostgresTables } from "../../src/replication/postgres_tables.ts";
import type { DatabaseSeams } from "../../src/replication/database_context.ts";
import type { DatabaseDump } from "../../src/replication/database_port.ts";
import { openSession, type Session } from "../../src/replication/database_session.ts";
import { ReturnDatabase } from "../../src/replication/return/return_database.ts";
import type { SetDetail } from "../../src/replication/set_header.ts";
import type { DatabaseConfig } from "../../src/config/types.ts";
import { databaseConfig } from "./database_config.ts";
import { sourceSeams } from "./database_seams.ts";
import { startBoth, type TestCluster } from "./postgres.ts";
import { createXivoDatabase, XIVO_LOCAL_TABLES } from "./xivo_database.ts";

/** `hot_tables` of both hosts. */
const HOT_TABLES = ["queuemember", "userfeatures"];

/** Everything waits at most this long, in milliseconds. */
export const TEST_DEADLINE_MS = 60_000;

/** The database that is copied. */
export const LIVE = "asterisk";

/** One host: its cluster and relais' view of it. */
export interface DatabaseHost {
  readonly cluster: TestCluster;
  /** `options` replace parts of the configuration or the seams. */
  source(options?: Partial<DatabaseConfig>, seams?: DatabaseSeams): PostgresDatabase;
  /** The same for single tables. */
  tables(options?: Partial<DatabaseConfig>): PostgresTables;
  /** Seams, for a process of its own. */
  readonly seams: {
    readonly self: readonly string[];
    readonly workerEnv: Readonly<Record<string, string>>;
  };
  /** The same for the way back. */
  returning(options?: Partial<DatabaseConfig>): ReturnDatabase;
  /** What makes {@linkcode returning} in a process of its own: configuration and seams, as JSON. */
  returningJson(options?: Partial<DatabaseConfig>): string;
  /** The configuration of it. */
  readonly config: DatabaseConfig;
  /** Hash of all rows of every table, sequence and large object, by name. */
  contents(database?: string): Promise<Record<string, string>>;
  /** Names of the databases, without PostgreSQL's own. */
  databases(): Promise<string[]>;
  /** The same as {@linkcode source} in a process of its own: `database_install_main.ts`. */
  installer(spoolFile: string): Deno.ChildProcess;
  /** Takes a set stream in on its standard input: `database_receive_main.ts`. */
  receiver(): Deno.ChildProcess;
  /** A session of this process (its own role) in the live database; end it. */
  session(): Promise<Session>;
}

/** Master and slave. */
export interface DatabasePair extends AsyncDisposable {
  readonly master: DatabaseHost;
  readonly slave: DatabaseHost;
  /** Directory for received files. */
  readonly directory: string;
  /** Copies master → slave. */
  copy(): Promise<SetDetail>;
}

/** Makes two hosts that differ in everything; `rows` is the size of the master's history. */
export async function databasePair(
  options: {
    readonly rows: number;
    /** Settings of both servers, see `TestClusterOptions`. */
    readonly settings?: Readonly<Record<string, string>>;
    /** Where the slave's cluster is made; default: a temporary directory. */
    readonly slaveDirectory?: string;
    /** Programs of either server, where they are not the installed ones. */
    readonly masterBin?: string;
    readonly slaveBin?: string;
  },
): Promise<DatabasePair> {
  const stack = new AsyncDisposableStack();
  try {
    const { settings = {}, slaveDirectory } = options;
    const bin = (path?: string): { readonly bin?: string } =>
      path === undefined ? {} : { bin: path };
    const [first, second] = await startBoth(stack, {
      settings,
      ...bin(options.masterBin),
    }, {
      settings,
      ...bin(options.slaveBin),
      ...(slaveDirectory === undefined ? {} : { directory: slaveDirectory }),
    });
    // Below a cluster's directory, so that its keeper removes it whatever happens to this process.
    const directory = `${first.directory}/spool`;
    await Deno.mkdir(directory);
    const seams = await sourceSeams();
    const [master, slave] = await Promise.all([
      host(first, seams, { rows: options.rows }),
      host(second, seams, { rows: 100, users: 60, address: "192.0.2.2" }),
    ]);
    const copy = async (): Promise<SetDetail> => {
      const file = `${directory}/spool`;
      const dump = await master.source().dump(dumpOptions());
      await receive(dump, file);
      return (await slave.source().install(installOptions(file))).detail;
    };
    const disposable = stack.move();
    return {
      master,
      slave,
      directory,
      copy,
      [Symbol.asyncDispose]: () => disposable.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** Options of a dump that is not disturbed. */
export function dumpOptions(): Parameters<PostgresDatabase["dump"]>[0] {
  return { signal: AbortSignal.timeout(TEST_DEADLINE_MS), onProgress: () => {} };
}

/** Options of an installation that is not disturbed. */
export function installOptions(spoolFile: string): Parameters<PostgresDatabase["install"]>[0] {
  return {
    payload: filePayload(spoolFile),
    whole: Promise.resolve(),
    detail: {},
    signal: AbortSignal.timeout(TEST_DEADLINE_MS),
    onProgress: () => {},
    confirm: () => Promise.resolve(),
  };
}

/** What a file holds; opened when first read, closed at its end. */
export function filePayload(path: string): ReadableStream<Uint8Array> {
  let reader: ReadableStreamDefaultReader<Uint8Array> | null = null;
  return new ReadableStream<Uint8Array>({
    async pull(controller): Promise<void> {
      reader ??= (await Deno.open(path)).readable.getReader();
      const { done, value } = await reader.read();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => reader?.cancel(reason),
  }, { highWaterMark: 0 });
}

/** Writes the whole payload to a file. */
export async function receive(dump: DatabaseDump, path: string): Promise<void> {
  await Deno.writeFile(path, dump.payload);
  await dump.done;
}

/** Adds 10 MB that cannot be compressed: a dump then does not fit into the buffers on its way. */
export async function addNoise(host: DatabaseHost): Promise<void> {
  await host.cluster.psql(
    LIVE,
    `CREATE TABLE noise AS SELECT g AS id, (SELECT string_agg(gen_random_bytes(1000), '')
       FROM generate_series(1, 1000) x WHERE g > 0) AS data FROM generate_series(1, 10) g`,
  );
}

/** Waits until `condition` holds; fails after {@linkcode TEST_DEADLINE_MS}. */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
): Promise<void> {
  const until = performance.now() + TEST_DEADLINE_MS;
  while (!await condition()) {
    if (performance.now() > until) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function host(
  cluster: TestCluster,
  seams: DatabaseSeams,
  options: { readonly rows: number; readonly users?: number; readonly address?: string },
): Promise<DatabaseHost> {
  const run = (database: string, script: string): Promise<string> => cluster.psql(database, script);
  await createXivoDatabase(run, options);
  const self = Deno.uid() === 0 ? "root" : cluster.osUser;
  if (self !== cluster.osUser) await run("postgres", `CREATE ROLE ${self} SUPERUSER LOGIN`);
  const config = databaseConfig(cluster, LIVE, {
    localTables: XIVO_LOCAL_TABLES,
    hotTables: HOT_TABLES,
    everyMs: 3_600_000,
  });
  return {
    cluster,
    source: (parts = {}, more = {}) =>
      new PostgresDatabase({ ...config, ...parts }, { ...seams, ...more }),
    tables: (parts = {}) => new PostgresTables({ ...config, ...parts }, seams),
    seams: { self: seams.self?.([]) ?? [], workerEnv: seams.workerEnv ?? {} },
    config,
    returningJson: (parts = {}) =>
      JSON.stringify({
        config: { ...config, ...parts },
        self: seams.self?.([]),
        workerEnv: seams.workerEnv,
      }),
    returning: (parts = {}) => new ReturnDatabase({ ...config, ...parts }, seams),
    installer: (spoolFile) => {
      const main = new URL("./database_install_main.ts", import.meta.url).pathname;
      const { workerEnv } = seams;
      const given = JSON.stringify({ config, self: seams.self?.([]), workerEnv, spoolFile });
      return new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--quiet", main, given],
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
    },
    receiver: () => {
      const main = new URL("./database_receive_main.ts", import.meta.url).pathname;
      const { workerEnv } = seams;
      const given = JSON.stringify({ config, self: seams.self?.([]), workerEnv });
      return new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--quiet", main, given],
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
    },
    contents: async (database = LIVE) => {
      const { tables } = JSON.parse(await run(database, CONTENTS_QUERIES));
      const union = (tables as string[]).join(" UNION ALL ");
      return JSON.parse(
        await run(database, `SELECT json_object_agg(name, hash) FROM (${union}) x`),
      );
    },
    databases: async () =>
      (await run("postgres", "SELECT datname FROM pg_database ORDER BY 1")).split("\n")
        .filter((name) => !["postgres", "template0", "template1"].includes(name)),
    session: () =>
      openSession({
        address: {
          socketDir: cluster.directory,
          port: cluster.port,
          role: self,
          database: LIVE,
        },
        database: LIVE,
        statementTimeoutMs: TEST_DEADLINE_MS,
        appName: "pbx",
      }),
  };
}

/** Prints the queries that hash each table, sequence and large object. */
const CONTENTS_QUERIES = String.raw`
SELECT json_build_object('tables', json_agg(query)) FROM (
  SELECT format('SELECT %L AS name, (SELECT coalesce(md5(string_agg(t::text, E''\n''
    ORDER BY t::text COLLATE "C")), '''') FROM ONLY %I.%I t) AS hash', relname, nspname, relname) AS query
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE relkind IN ('r', 'm') AND nspname IN ('public', 'provd')
  UNION ALL
  SELECT format('SELECT %L, (SELECT format(''%%s %%s'', last_value, is_called) FROM %I.%I)',
    relname, nspname, relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE relkind = 'S' AND nspname IN ('public', 'provd')
  UNION ALL
  SELECT 'SELECT ''large objects'', (SELECT md5(string_agg(md5(lo_get(oid)), '','' ORDER BY oid))
    FROM pg_largeobject_metadata)') q`;
