/**
 * The operations of the stream in the database worker. The master's look, each second, keeps its session;
 * everything else opens one.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { DatabaseAddress } from "../database_connection.ts";
import type { WorkerOperations } from "../database_protocol.ts";
import { schemaFingerprint } from "../database_schema.ts";
import {
  MAINTENANCE_DATABASE,
  openSession,
  type Session,
  withSession,
} from "../database_session.ts";
import type { Query } from "../database_catalog.ts";
import type { StreamOperations } from "./operations.ts";
import { readSequences, setSequences } from "./sequences_sql.ts";
import {
  databaseFacts,
  prepare,
  serverFacts,
  teardownDatabase,
  teardownServer,
} from "./setup_sql.ts";
import { dropSlots, publish, readSource, setSynchronous } from "./source_sql.ts";
import { promote, readTarget, subscribe } from "./target_sql.ts";

const APPLICATION = "relais-stream";

/** Handlers by operation. */
export type StreamHandlers = {
  readonly [Op in keyof StreamOperations]: (
    args: WorkerOperations[Op]["args"],
    deadlineMs: number,
  ) => Promise<WorkerOperations[Op]["result"]>;
};

/** See the module. */
export class StreamWorker {
  readonly #address: DatabaseAddress;
  #kept: Session | null = null;

  constructor(address: DatabaseAddress) {
    this.#address = address;
  }

  /** Ends the kept session. */
  async close(): Promise<void> {
    await this.#kept?.end();
  }

  /** The operations. */
  handlers(): StreamHandlers {
    return {
      "stream-facts": async ({ role, localTables, excludeTableData }, deadlineMs) => {
        const { database } = this.#address;
        const server = await this.#maintain(
          deadlineMs,
          (query) => serverFacts(query, { database, role }),
        );
        const hasSystemUser = await hasUser(role);
        const empty = { published: null, withoutKey: [], notCarried: [] };
        const inside = server.databaseExists
          ? await this.#live(
            deadlineMs,
            (query) => databaseFacts(query, { localTables, excludeTableData }),
          )
          : empty;
        return { ...server, ...inside, hasSystemUser };
      },
      "stream-prepare": (args, deadlineMs) =>
        this.#maintain(
          deadlineMs,
          (query) => prepare(query, { ...args, database: this.#address.database }),
        ),
      "stream-publish": (args, deadlineMs) =>
        this.#live(deadlineMs, (query) => publish(query, args)),
      "stream-source": (_, deadlineMs) => this.#look(deadlineMs),
      "stream-schema": (_, deadlineMs) => this.#live(deadlineMs, schemaDigest),
      "stream-sequences": ({ localTables }, deadlineMs) =>
        this.#live(deadlineMs, (query) => readSequences(query, localTables)),
      "stream-drop-slots": (args, deadlineMs) =>
        this.#live(deadlineMs, (query) => dropSlots(query, args)),
      "stream-synchronous": ({ on }, deadlineMs) =>
        this.#maintain(deadlineMs, (query) => setSynchronous(query, on)),
      "stream-subscribe": async (args, deadlineMs) => {
        await this.#live(deadlineMs, (query) => subscribe(query, args));
        return null;
      },
      "stream-target": (_, deadlineMs) =>
        this.#live(deadlineMs, async (query) => ({
          subscription: await readTarget(query),
          schema: await schemaDigest(query),
        })),
      "stream-carry-sequences": ({ sequences }, deadlineMs) =>
        this.#live(deadlineMs, (query) => setSequences(query, sequences)),
      "stream-promote": (args, deadlineMs) =>
        this.#live(deadlineMs, (query) => promote(query, args)),
      "stream-teardown": async ({ role }, deadlineMs) => {
        const inside = await this.#live(deadlineMs, (query) => teardownDatabase(query, role));
        return [...inside, ...await this.#maintain(deadlineMs, (q) => teardownServer(q, role))];
      },
    };
  }

  /** The second look after a lost session opens another one. */
  async #look(deadlineMs: number): ReturnType<StreamHandlers["stream-source"]> {
    this.#kept ??= await openSession({
      address: this.#address,
      database: this.#address.database,
      statementTimeoutMs: deadlineMs,
      appName: APPLICATION,
    });
    try {
      return await readSource(this.#kept.query);
    } catch (error) {
      const lost = this.#kept;
      this.#kept = null;
      await lost.end();
      throw error;
    }
  }

  async #live<T>(deadlineMs: number, work: (query: Query) => Promise<T>): Promise<T> {
    return await this.#within(this.#address.database, deadlineMs, work);
  }

  async #maintain<T>(deadlineMs: number, work: (query: Query) => Promise<T>): Promise<T> {
    return await this.#within(MAINTENANCE_DATABASE, deadlineMs, work);
  }

  async #within<T>(
    database: string,
    statementTimeoutMs: number,
    work: (query: Query) => Promise<T>,
  ): Promise<T> {
    const options = { address: this.#address, database, statementTimeoutMs };
    return await withSession({ ...options, appName: APPLICATION }, async ({ query }) => {
      // What we change here must not wait for a slave that is away: it is what ends that wait.
      await query("SET synchronous_commit = local");
      return await work(query);
    });
  }
}

/** One word for the structure of the whole database. */
async function schemaDigest(query: Query): Promise<string> {
  const fingerprint = await schemaFingerprint(query);
  return createHash("sha256").update(JSON.stringify(fingerprint)).digest("hex");
}

/** The package makes it in /etc/passwd. */
async function hasUser(name: string): Promise<boolean> {
  const passwd = await Deno.readTextFile("/etc/passwd");
  return passwd.split("\n").some((line) => line.startsWith(`${name}:`));
}
