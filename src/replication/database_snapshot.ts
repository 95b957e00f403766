/**
 * The dump's side of the database worker: one exported snapshot in which pg_dump reads and the rows are
 * counted, and the guard that ends the dump when somebody waits for it.
 *
 * @module
 */

import {
  countLargeObjects,
  countRows,
  databaseLocale,
  databaseProperties,
  extensionNames,
  neededRoles,
  scalar,
  selectTables,
  serverVersion,
  userTables,
} from "./database_catalog.ts";
import type { Query } from "./database_catalog.ts";
import { quoteIdent, quoteLiteral } from "./database_connection.ts";
import type { DatabaseAddress } from "./database_connection.ts";
import type { Manifest } from "./database_manifest.ts";
import type { TableSelection } from "./database_protocol.ts";
import { inTransaction, openSession } from "./database_session.ts";
import type { Session } from "./database_session.ts";
import { schemaFingerprint } from "./database_schema.ts";
import { sampleSums } from "./database_sums.ts";

/** How often the guard looks, in milliseconds. */
const GUARD_EVERY_MS = 500;

/** How long others may wait for the dump: an ALTER TABLE and every SELECT behind it stand still. */
const GUARD_PATIENCE = "1 second";

const BEGIN_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/** Options of {@linkcode DumpSnapshot.open}. */
export interface SnapshotOptions {
  readonly address: DatabaseAddress;
  readonly selection: TableSelection;
  /** Application name of every session of this dump, pg_dump's included: unique to it. */
  readonly appName: string;
  readonly statementTimeoutMs: number;
  /** Logical slot to make, whose snapshot is read; default: none, any snapshot. */
  readonly slot?: string | null;
  /** Somebody waited; every session of the dump has been ended. */
  readonly onBlocked: (reason: string) => void;
}

/** An exported snapshot, guarded until it is closed. */
export class DumpSnapshot {
  readonly #exporter: Session;
  readonly #guard: Session;
  readonly #timer: ReturnType<typeof setInterval>;
  #looking = false;
  #closed = false;

  private constructor(exporter: Session, guard: Session, options: SnapshotOptions) {
    this.#exporter = exporter;
    this.#guard = guard;
    this.#timer = setInterval(() => this.#look(options), GUARD_EVERY_MS);
  }

  /** Exports the snapshot, reads the manifest in it and keeps guarding. */
  static async open(
    options: SnapshotOptions,
  ): Promise<{ snapshot: DumpSnapshot; id: string; manifest: Manifest }> {
    const session = {
      address: options.address,
      database: options.address.database,
      statementTimeoutMs: options.statementTimeoutMs,
    };
    const guard = await openSession({ ...session, appName: "relais-guard" });
    let exporter: Session;
    try {
      const replication = typeof options.slot === "string";
      exporter = await openSession({ ...session, appName: options.appName, replication });
    } catch (error) {
      await guard.end();
      throw error;
    }
    const snapshot = new DumpSnapshot(exporter, guard, options);
    try {
      const id = await exportSnapshot(exporter.query, options.slot ?? null);
      // In a session of its own, because counting takes locks on tables which must end with it.
      const reader = await openSession({ ...session, appName: options.appName });
      try {
        const begin = `${BEGIN_SNAPSHOT}; SET TRANSACTION SNAPSHOT ${quoteLiteral(id)}`;
        const manifest = await inTransaction(
          { query: reader.query, begin },
          () => readManifest(reader.query, options),
        );
        return { snapshot, id, manifest };
      } finally {
        await reader.end();
      }
    } catch (error) {
      await snapshot.close();
      throw error;
    }
  }

  /** Ends the exporting transaction: pg_dump has taken the snapshot over. */
  async release(): Promise<void> {
    await this.#exporter.query("COMMIT");
  }

  /** Ends every session. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await Promise.all([this.#exporter.end(), this.#guard.end()]);
  }

  #look(options: SnapshotOptions): void {
    if (this.#looking) return;
    this.#looking = true;
    endIfBlocking(this.#guard.query, options.appName).then((reason) => {
      this.#looking = false;
      if (reason !== null) options.onBlocked(reason);
    }, (error) => {
      // Broken off by close(): nothing is left to guard.
      if (this.#closed) return;
      // Without a guard the dump may hold up the PBX: better no copy now.
      clearInterval(this.#timer);
      options.onBlocked(`the guard of the copy lost the server (${String(error)})`);
    });
  }
}

/** Exports a snapshot that lives as long as the session says nothing more. */
async function exportSnapshot(query: Query, slot: string | null): Promise<string> {
  if (slot === null) {
    await query(BEGIN_SNAPSHOT);
    return String(await scalar(query, "SELECT pg_export_snapshot()"));
  }
  const [row] = await query(
    `CREATE_REPLICATION_SLOT ${quoteIdent(slot)} LOGICAL pgoutput EXPORT_SNAPSHOT`,
  );
  return String(row?.snapshot_name);
}

/**
 * Ends the sessions of the dump if one of them blocks somebody. Terminated, not cancelled: a backend that
 * waits for a slow reader of its COPY does not see a cancel request.
 */
async function endIfBlocking(query: Query, appName: string): Promise<string | null> {
  const [waiting] = await query(`
    SELECT w.pid, left(regexp_replace(w.query, '\\s+', ' ', 'g'), 120) AS query
    FROM pg_stat_activity w WHERE w.wait_event_type = 'Lock'
      AND now() - w.query_start > interval ${quoteLiteral(GUARD_PATIENCE)}
      AND EXISTS (SELECT 1 FROM pg_stat_activity d WHERE d.pid = ANY (pg_blocking_pids(w.pid))
        AND d.application_name = ${quoteLiteral(appName)}) LIMIT 1`);
  if (waiting === undefined) return null;
  await query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = ${quoteLiteral(appName)}`);
  return `session ${waiting.pid} waited behind the copy for: ${waiting.query}`;
}

async function readManifest(query: Query, options: SnapshotOptions): Promise<Manifest> {
  const { database } = options.address;
  const { localTables, excludeTableData } = options.selection;
  const tables = await userTables(query);
  const excluded = selectTables(tables, [...localTables, ...excludeTableData]);
  await refuseDanglingReferences(query, excluded);
  return {
    format: 1,
    serverVersionNum: await serverVersion(query),
    databaseBytes: Number(await scalar(query, "SELECT pg_database_size(current_database())")),
    locale: await databaseLocale(query, database),
    properties: await databaseProperties(query, database),
    roles: await neededRoles(query),
    extensions: await extensionNames(query),
    rows: await countRows(query, tables.filter((table) => !excluded.has(table.name))),
    largeObjects: await countLargeObjects(query),
    excluded: [...excluded].sort(),
    schema: await schemaFingerprint(query),
    sums: await sampleSums(query, tables.filter((table) => !excluded.has(table.name)), Math.random),
  };
}

/** Rows that refer to rows which are left out could not be restored: better said before the copy. */
async function refuseDanglingReferences(
  query: Query,
  excluded: ReadonlySet<string>,
): Promise<void> {
  if (excluded.size === 0) return;
  const references = await query(`
    SELECT format('%I.%I', n.nspname, c.relname) AS name, k.conname::text AS constraint,
      format('%I.%I', fn.nspname, f.relname) AS target,
      (SELECT string_agg(format('%I IS NOT NULL', a.attname), ' AND ') FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum = ANY (k.conkey)) AS used
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class f ON f.oid = k.confrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_namespace fn ON fn.oid = f.relnamespace
    WHERE k.contype = 'f'`);
  for (const { name, constraint, target, used } of references) {
    if (!excluded.has(String(target)) || excluded.has(String(name))) continue;
    const found = await query(`SELECT 1 FROM ${name} WHERE ${used} LIMIT 1`);
    if (found.length === 0) continue;
    throw new Error(
      `Cannot copy the database without the rows of ${target} as rows of ${name} refer to them ` +
        `(${constraint}): list both tables, or neither, in local_tables and exclude_table_data`,
    );
  }
}
