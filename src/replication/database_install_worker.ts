/**
 * The installer's side of the database worker: every SQL statement that turns a received dump into the live
 * database of this host.
 *
 * @module
 */

import { statfs } from "node:fs/promises";
import {
  countLargeObjects,
  countRows,
  databaseExists,
  databaseProperties,
  scalar,
  serverVersion,
  userTables,
} from "./database_catalog.ts";
import type { Query } from "./database_catalog.ts";
import { quoteLiteral } from "./database_connection.ts";
import type { DatabaseAddress } from "./database_connection.ts";
import type { DatabaseProperties } from "./database_manifest.ts";
import { carryLocalTables } from "./database_local.ts";
import { applyProperties } from "./database_properties.ts";
import { InstallLock } from "./database_lock.ts";
import { newDatabaseName, oldDatabaseName } from "./database_protocol.ts";
import type { Inspection, InstallFacts, WorkerOperations } from "./database_protocol.ts";
import { schemaFingerprint } from "./database_schema.ts";
import { dropSubscriptions, pauseSubscription, resumeSubscription } from "./logical/target_sql.ts";
import { STREAM } from "./logical/names.ts";
import { MAINTENANCE_DATABASE, withSession } from "./database_session.ts";
import { DATABASE_OID } from "./database_verify_worker.ts";
import type { Session } from "./database_session.ts";
import { cleanUpDatabases, createDatabase, dropDatabase, swapDatabases } from "./database_swap.ts";

/** Kept from the end of the swap for what must follow it, in milliseconds. */
const SWAP_RESERVE_MS = 2000;

/** The operations of an installation on one cluster. */
export class InstallWorker {
  readonly #address: DatabaseAddress;
  /** Holds the lock of installations as long as it lives. */
  #lock: InstallLock | null = null;

  constructor(address: DatabaseAddress) {
    this.#address = address;
  }

  /** Ends the session that holds the lock. */
  async close(): Promise<void> {
    await this.#lock?.end();
  }

  /** See {@linkcode WorkerOperations}. */
  async facts(
    args: WorkerOperations["install-facts"]["args"],
    deadlineMs: number,
  ): Promise<InstallFacts> {
    await this.#takeLock();
    return await this.#maintain(deadlineMs, async ({ query }) => {
      const live = quoteLiteral(this.#address.database);
      const dataDirectory = String(await scalar(query, "SHOW data_directory"));
      const disk = await statfs(dataDirectory);
      return {
        serverVersionNum: await serverVersion(query),
        liveExists: await databaseExists(query, this.#address.database),
        missingRoles: await missing(query, args.roles, "SELECT rolname FROM pg_roles"),
        missingExtensions: await missing(
          query,
          args.extensions,
          "SELECT name FROM pg_available_extensions",
        ),
        holders: (await query(`
          SELECT format('replication slot %I', slot_name) AS name FROM pg_replication_slots
            WHERE database = ${live}
          UNION ALL SELECT format('subscription %I', subname) FROM pg_subscription s
            JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = ${live}
              AND s.subname <> ${quoteLiteral(STREAM)}`))
          .map((row) => String(row.name)),
        freeBytes: disk.bavail * disk.bsize,
        maxWalBytes: Number(
          await scalar(query, "SELECT pg_size_bytes(current_setting('max_wal_size'))"),
        ),
      };
    });
  }

  /** See {@linkcode WorkerOperations}. */
  async exists(deadlineMs: number): Promise<boolean> {
    return await this.#maintain(
      deadlineMs,
      ({ query }) => databaseExists(query, this.#address.database),
    );
  }

  /** See {@linkcode WorkerOperations}. */
  async create(
    args: WorkerOperations["create-new"]["args"],
    deadlineMs: number,
  ): Promise<null> {
    await this.#dropSubscriptions([this.#old, this.#new], deadlineMs);
    return await this.#maintain(deadlineMs, async ({ query }) => {
      // An old one that could not be dropped after the last swap would stop the next.
      await dropDatabase(query, this.#old);
      await dropDatabase(query, this.#new);
      await createDatabase(query, { name: this.#new, owner: args.owner, locale: args.locale });
      return null;
    });
  }

  /** See {@linkcode WorkerOperations}. */
  async carryLocal(
    localTables: readonly string[],
    deadlineMs: number,
  ): Promise<{ tables: string[] }> {
    const live = this.#address.database;
    const exists = await this.#maintain(deadlineMs, ({ query }) => databaseExists(query, live));
    if (!exists || localTables.length === 0) return { tables: [] };
    return await this.#within(
      live,
      deadlineMs,
      (from) =>
        this.#within(this.#new, deadlineMs, async (to) => ({
          tables: await carryLocalTables({ from, to, localTables }),
        })),
    );
  }

  /** See {@linkcode WorkerOperations}. */
  async inspect(excluded: readonly string[], deadlineMs: number): Promise<Inspection> {
    const left = new Set(excluded);
    return await this.#within(this.#new, deadlineMs, async ({ query }) => ({
      rows: await countRows(
        query,
        (await userTables(query)).filter((table) => !left.has(table.name)),
      ),
      largeObjects: await countLargeObjects(query),
      databaseOid: Number(await scalar(query, DATABASE_OID)),
      schema: await schemaFingerprint(query),
    }));
  }

  /** See {@linkcode WorkerOperations}. */
  async setProperties(
    properties: DatabaseProperties,
    deadlineMs: number,
  ): Promise<DatabaseProperties> {
    return await this.#maintain(deadlineMs, async ({ query }) => {
      await applyProperties(query, { name: this.#new, properties });
      return await databaseProperties(query, this.#new);
    });
  }

  /** See {@linkcode WorkerOperations}. */
  async swap(deadlineMs: number): Promise<{ swapMs: number }> {
    // Fails if the session was lost, and the lock with it.
    await this.#lock?.held();
    const live = this.#address.database;
    const followed = await this.#maintain(deadlineMs, ({ query }) => databaseExists(query, live)) &&
      await this.#within(live, deadlineMs, ({ query }) => pauseSubscription(query));
    try {
      const swapped = await this.#rename(deadlineMs);
      if (followed) await this.#dropSubscriptions([this.#old], deadlineMs);
      return swapped;
    } catch (error) {
      // The one that is live goes on as it was.
      if (followed) {
        await this.#within(live, deadlineMs, ({ query }) => resumeSubscription(query)).catch(() => {
          // Renamed after all, or the server is gone: the master sees the stream stand and seeds again.
        });
      }
      throw error;
    }
  }

  async #rename(deadlineMs: number): Promise<{ swapMs: number }> {
    return await this.#maintain(
      deadlineMs,
      ({ query: rename }) =>
        this.#maintain(deadlineMs, async ({ query: terminate }) => {
          const from = performance.now();
          await swapDatabases({
            rename,
            terminate,
            live: this.#address.database,
            deadlineMs: deadlineMs - SWAP_RESERVE_MS,
          });
          return { swapMs: Math.round(performance.now() - from) };
        }),
    );
  }

  /** See {@linkcode WorkerOperations}. */
  async drop(which: "old" | "new", deadlineMs: number): Promise<null> {
    await this.#takeLock();
    await this.#dropSubscriptions([which === "old" ? this.#old : this.#new], deadlineMs);
    return await this.#maintain(deadlineMs, async ({ query }) => {
      await dropDatabase(query, which === "old" ? this.#old : this.#new);
      return null;
    });
  }

  /** See {@linkcode WorkerOperations}. */
  async cleanup(deadlineMs: number): Promise<string[]> {
    await this.#takeLock();
    const hasLive = await this.#maintain(
      deadlineMs,
      ({ query }) => databaseExists(query, this.#address.database),
    );
    if (hasLive) await this.#dropSubscriptions([this.#old, this.#new], deadlineMs);
    return await this.#maintain(
      deadlineMs,
      ({ query }) => cleanUpDatabases(query, this.#address.database),
    );
  }

  get #new(): string {
    return newDatabaseName(this.#address.database);
  }

  get #old(): string {
    return oldDatabaseName(this.#address.database);
  }

  /** A database with a subscription cannot be dropped. */
  async #dropSubscriptions(databases: readonly string[], deadlineMs: number): Promise<void> {
    const held = await this.#maintain(
      deadlineMs,
      ({ query }) =>
        query(`SELECT DISTINCT d.datname::text AS name FROM pg_subscription s
        JOIN pg_database d ON d.oid = s.subdbid WHERE s.subname = ${quoteLiteral(STREAM)}`),
    );
    for (const name of held.map((row) => String(row.name))) {
      if (!databases.includes(name)) continue;
      await this.#within(name, deadlineMs, ({ query }) => dropSubscriptions(query));
    }
  }

  async #maintain<T>(deadlineMs: number, work: (session: Session) => Promise<T>): Promise<T> {
    return await this.#within(MAINTENANCE_DATABASE, deadlineMs, work);
  }

  async #within<T>(
    database: string,
    statementTimeoutMs: number,
    work: (session: Session) => Promise<T>,
  ): Promise<T> {
    const options = { address: this.#address, database, statementTimeoutMs };
    return await withSession({ ...options, appName: "relais-install" }, work);
  }

  /** Two installations at once would drop each other's database. */
  async #takeLock(): Promise<void> {
    this.#lock ??= await InstallLock.take(this.#address);
  }
}

/** Those of `wanted` that the one-column answer to `statement` does not have. */
async function missing(
  query: Query,
  wanted: readonly string[],
  statement: string,
): Promise<string[]> {
  const found = new Set((await query(statement)).map((row) => String(Object.values(row)[0])));
  return wanted.filter((name) => !found.has(name));
}
