/**
 * Looks at what the user of the database may do, for `relais doctor`. Part of the database worker.
 *
 * @module
 */

import { statfs } from "node:fs/promises";
import { databaseExists, type Query, scalar, serverVersion } from "./database_catalog.ts";
import type { DatabaseAddress } from "./database_connection.ts";
import { quoteLiteral } from "./database_connection.ts";
import { newDatabaseName, oldDatabaseName } from "./database_protocol.ts";
import { MAINTENANCE_DATABASE, withSession } from "./database_session.ts";
import type { DatabaseRights } from "./host_facts.ts";

/** Reads rights and room; changes nothing and takes no lock. */
export async function readRights(
  address: DatabaseAddress,
  deadlineMs: number,
): Promise<DatabaseRights> {
  const options = { address, statementTimeoutMs: deadlineMs, appName: "relais-doctor" };
  const rights = await withSession(
    { ...options, database: MAINTENANCE_DATABASE },
    ({ query }) => readFrom(query, address),
  );
  // That it may connect to the live database too is part of its rights: this throws when it may not.
  if (rights.liveExists) {
    await withSession({ ...options, database: address.database }, ({ query }) => query("SELECT 1"));
  }
  return rights;
}

async function readFrom(query: Query, { database }: DatabaseAddress): Promise<DatabaseRights> {
  const [role] = await query(`
    SELECT rolname::text AS name, rolsuper, rolcreatedb,
      rolsuper OR pg_has_role('pg_read_all_settings', 'USAGE') AS reads_settings
    FROM pg_roles WHERE rolname = current_user`);
  if (role === undefined) throw new Error("Cannot find the role of this session in pg_roles");
  const liveExists = await databaseExists(query, database);
  const names = [newDatabaseName(database), oldDatabaseName(database)].map(quoteLiteral).join(", ");
  const leftovers = await query(
    `SELECT datname::text AS name FROM pg_database WHERE datname IN (${names}) ORDER BY 1`,
  );
  const disk = role.reads_settings === true
    ? await statfs(String(await scalar(query, "SHOW data_directory"))).catch(() => null)
    : null;
  return {
    serverVersionNum: await serverVersion(query),
    role: String(role.name),
    superuser: role.rolsuper === true,
    createDatabases: role.rolsuper === true || role.rolcreatedb === true,
    liveExists,
    databaseBytes: liveExists
      ? Number(await scalar(query, `SELECT pg_database_size(${quoteLiteral(database)})`))
      : null,
    freeBytes: disk === null ? null : disk.bavail * disk.bsize,
    leftovers: leftovers.map((row) => String(row.name)),
    walLevel: String(await scalar(query, "SHOW wal_level")),
    // Since PostgreSQL 13; before, a slot may hold the log without bound.
    slotWalMegabytes: Number(
      await scalar(
        query,
        "SELECT setting FROM pg_settings WHERE name = 'max_slot_wal_keep_size'",
      ) ?? -1,
    ),
  };
}
