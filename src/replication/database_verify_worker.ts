/**
 * The proof's side of the database worker: reads the live database as a whole, in one snapshot, and changes
 * nothing.
 *
 * @module
 */

import {
  countLargeObjects,
  countRows,
  scalar,
  selectTables,
  serverVersion,
  userTables,
} from "./database_catalog.ts";
import type { DatabaseAddress } from "./database_connection.ts";
import type { LiveFacts, WorkerOperations } from "./database_protocol.ts";
import { schemaFingerprint } from "./database_schema.ts";
import { inTransaction, withSession } from "./database_session.ts";
import { HISTORY_TABLES } from "./database_signature.ts";
import { sumParts } from "./database_sums.ts";

/** See {@linkcode WorkerOperations}. */
export async function readLive(
  address: DatabaseAddress,
  { excluded, sums }: WorkerOperations["verify-live"]["args"],
  deadlineMs: number,
): Promise<LiveFacts> {
  const left = new Set(excluded);
  const begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
  return await withSession({
    address,
    database: address.database,
    statementTimeoutMs: deadlineMs,
    appName: "relais-verify",
  }, ({ query }) =>
    inTransaction({ query, begin }, async () => {
      const tables = await userTables(query);
      return {
        databaseOid: Number(await scalar(query, DATABASE_OID)),
        serverVersionNum: await serverVersion(query),
        rows: await countRows(query, tables.filter((table) => !left.has(table.name))),
        largeObjects: await countLargeObjects(query),
        schema: await schemaFingerprint(query),
        history: [...selectTables(tables, HISTORY_TABLES)],
        sums: await sumParts(query, sums),
      };
    }));
}

/** The number that a database keeps across a rename. */
export const DATABASE_OID =
  "SELECT oid::bigint::text FROM pg_database WHERE datname = current_database()";
