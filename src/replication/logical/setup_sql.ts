/**
 * What one host's PostgreSQL needs for the stream, in SQL: looked at, set up, taken down. Runs in the
 * database worker.
 *
 * @module
 */

import { databaseExists, scalar, serverVersion } from "../database_catalog.ts";
import type { Query } from "../database_catalog.ts";
import { quoteIdent, quoteLiteral } from "../database_connection.ts";
import type { TableSelection } from "../database_protocol.ts";
import { SLOT_PREFIX, STREAM } from "./names.ts";
import type { StreamFacts } from "./operations.ts";
import {
  dropSlots,
  publishedTables,
  rememberedIdentities,
  setSynchronous,
  streamedTables,
  tablesWithoutIdentity,
} from "./source_sql.ts";
import { dropSubscriptions } from "./target_sql.ts";

/** An absent slave keeps at most this much log on the master. */
const SLOT_LIMIT = "2GB";

type ServerFacts = Omit<StreamFacts, "published" | "withoutKey" | "notCarried" | "hasSystemUser">;

/** What the server has, asked in its maintenance database. */
export async function serverFacts(
  query: Query,
  options: { readonly database: string; readonly role: string },
): Promise<ServerFacts> {
  const names = async (statement: string): Promise<string[]> =>
    (await query(statement)).map((row) => String(Object.values(row)[0]));
  const number = async (statement: string): Promise<number> =>
    Number(await scalar(query, statement));
  const database = quoteLiteral(options.database);
  const prefix = quoteLiteral(`${SLOT_PREFIX.replaceAll("_", "\\_")}%`);
  return {
    serverVersionNum: await serverVersion(query),
    walLevel: String(await scalar(query, "SELECT current_setting('wal_level')")),
    restartPending: (await query(`SELECT 1 FROM pg_file_settings WHERE name = 'wal_level'
      AND setting = 'logical' AND NOT applied`)).length > 0,
    slotLimitBytes: await number(`SELECT CASE setting WHEN '-1' THEN -1
      ELSE setting::int8 * 1024 * 1024 END FROM pg_settings WHERE name = 'max_slot_wal_keep_size'`),
    maxSlots: await number("SELECT current_setting('max_replication_slots')"),
    usedSlots: await number("SELECT count(*) FROM pg_replication_slots"),
    maxSenders: await number("SELECT current_setting('max_wal_senders')"),
    hasRole: (await query(`SELECT 1 FROM pg_roles WHERE rolname = ${quoteLiteral(options.role)}
      AND rolreplication AND rolcanlogin AND NOT rolsuper`)).length > 0,
    dataDirectory: String(await scalar(query, "SHOW data_directory")),
    databaseExists: await databaseExists(query, options.database),
    slots: await names(`SELECT slot_name FROM pg_replication_slots
      WHERE database = ${database} AND slot_name LIKE ${prefix}`),
    subscriptions: await names(`SELECT subname FROM pg_subscription s JOIN pg_database d
      ON d.oid = s.subdbid WHERE d.datname = ${database} AND subname = ${quoteLiteral(STREAM)}`),
    synchronousNames: String(await scalar(query, "SHOW synchronous_standby_names")),
  };
}

/** What the database has, asked in it. */
export async function databaseFacts(
  query: Query,
  selection: TableSelection,
): Promise<Pick<StreamFacts, "published" | "withoutKey" | "notCarried">> {
  const tables = await streamedTables(query, selection);
  const count = async (statement: string): Promise<number> =>
    Number(await scalar(query, statement));
  const notCarried: string[] = [];
  const objects = await count("SELECT count(*) FROM pg_largeobject_metadata");
  if (objects > 0) notCarried.push(`${objects} large objects`);
  const unlogged = await query(
    "SELECT relname::text AS name FROM pg_class WHERE relkind = 'r' " +
      "AND relpersistence = 'u' ORDER BY 1 LIMIT 20",
  );
  if (unlogged.length > 0) {
    notCarried.push(`unlogged tables: ${unlogged.map(({ name }) => name).join(", ")}`);
  }
  const views = await query(
    "SELECT relname::text AS name FROM pg_class WHERE relkind = 'm' " +
      "ORDER BY 1 LIMIT 20",
  );
  if (views.length > 0) {
    notCarried.push(`rows of materialised views: ${views.map(({ name }) => name).join(", ")}`);
  }
  return {
    published: await publishedTables(query),
    withoutKey: await tablesWithoutIdentity(query, tables),
    notCarried,
  };
}

/**
 * Makes the role, bounds what a slot keeps, asks for `wal_level = logical` (which waits for a restart).
 *
 * @returns what was done, in words
 */
export async function prepare(
  query: Query,
  { role, logical, database }: {
    readonly role: string;
    readonly logical: boolean;
    readonly database: string;
  },
): Promise<string[]> {
  const done: string[] = [];
  const [found] = await query(`SELECT rolreplication AND rolcanlogin AS fits, rolsuper AS super
    FROM pg_roles WHERE rolname = ${quoteLiteral(role)}`);
  if (found?.super === true) {
    throw new Error(
      `Cannot use the role ${role} as it is a superuser here: the peer must not be one; ` +
        `ALTER ROLE ${role} NOSUPERUSER`,
    );
  }
  if (found === undefined) {
    await query(`CREATE ROLE ${quoteIdent(role)} LOGIN REPLICATION`);
    done.push(`role ${role} made (LOGIN, REPLICATION, no superuser)`);
  } else if (found.fits !== true) {
    await query(`ALTER ROLE ${quoteIdent(role)} LOGIN REPLICATION`);
    done.push(`role ${role} given LOGIN and REPLICATION`);
  }
  const [grant] = await query(`SELECT has_database_privilege(${quoteLiteral(role)}, oid, 'CONNECT')
    AS connect FROM pg_database WHERE datname = ${quoteLiteral(database)}`);
  if (grant?.connect === false) {
    await query(`GRANT CONNECT ON DATABASE ${quoteIdent(database)} TO ${quoteIdent(role)}`);
    done.push(`role ${role} may connect to ${database}`);
  }
  if (String(await scalar(query, "SHOW max_slot_wal_keep_size")) === "-1") {
    await query(`ALTER SYSTEM SET max_slot_wal_keep_size = '${SLOT_LIMIT}'`);
    await query("SELECT pg_reload_conf()");
    done.push(`max_slot_wal_keep_size = ${SLOT_LIMIT}: an absent slave cannot fill the disk`);
  }
  if (logical && String(await scalar(query, "SHOW wal_level")) !== "logical") {
    await query("ALTER SYSTEM SET wal_level = 'logical'");
    done.push("wal_level = logical is written down: it counts after a restart of PostgreSQL");
  }
  return done;
}

/** Takes down what is in the database. */
export async function teardownDatabase(query: Query, role: string): Promise<string[]> {
  const done: string[] = [];
  for (const name of await dropSubscriptions(query)) done.push(`subscription ${name} dropped`);
  const identities = await rememberedIdentities(query);
  if (await publishedTables(query) !== null) {
    await query(`DROP PUBLICATION ${STREAM}`);
    done.push(`publication ${STREAM} dropped`);
  }
  for (const slot of await dropSlots(query, { keep: null, force: true })) {
    done.push(`slot ${slot} dropped`);
  }
  let restored = 0;
  for (const table of identities) {
    const found = await query(
      `SELECT 1 FROM pg_class WHERE oid = to_regclass(${
        quoteLiteral(table)
      }) AND relreplident = 'f'`,
    );
    if (found.length === 0) continue;
    await query(`ALTER TABLE ${table} REPLICA IDENTITY DEFAULT`);
    restored++;
  }
  // Its right to connect would keep the role alive.
  if ((await query(`SELECT 1 FROM pg_roles WHERE rolname = ${quoteLiteral(role)}`)).length > 0) {
    await query(`DROP OWNED BY ${quoteIdent(role)}`);
  }
  if (restored > 0) done.push(`replica identity of ${restored} tables as it was`);
  return done;
}

/** Takes down what is in the server. `wal_level` stays: going back costs a restart and brings nothing. */
export async function teardownServer(query: Query, role: string): Promise<string[]> {
  const done: string[] = [];
  const before = String(await scalar(query, "SHOW synchronous_standby_names"));
  await setSynchronous(query, false);
  if (before === STREAM) done.push("synchronous_standby_names cleared");
  const [found] = await query(`SELECT rolsuper AS super FROM pg_roles
    WHERE rolname = ${quoteLiteral(role)}`);
  if (found !== undefined && found.super !== true) {
    await query(`DROP ROLE ${quoteIdent(role)}`);
    done.push(`role ${role} dropped`);
  }
  return done;
}
