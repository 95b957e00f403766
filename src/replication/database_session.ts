/**
 * Sessions with PostgreSQL through the npm client, over the local socket. Used in the database worker.
 *
 * @module
 */

import postgres from "postgres";
import type { Query, Row } from "./database_catalog.ts";
import type { DatabaseAddress } from "./database_connection.ts";

/** Where maintenance statements run: one cannot rename the database that one is in. */
export const MAINTENANCE_DATABASE = "postgres";

/** How long a session may take to open, in seconds. */
const CONNECT_TIMEOUT_S = 10;

/** How long a statement waits for a lock that somebody else has, in milliseconds. */
export const LOCK_TIMEOUT_MS = 10_000;

/** Options of {@linkcode openSession}. */
export interface SessionOptions {
  readonly address: DatabaseAddress;
  readonly database: string;
  /** Milliseconds after which the server ends a statement. */
  readonly statementTimeoutMs: number;
  /** Shown in pg_stat_activity. */
  readonly appName: string;
}

/** One connection; statements run in it one after the other. */
export interface Session {
  readonly query: Query;
  /** The client itself, for COPY. */
  readonly sql: postgres.ReservedSql;
  /** Ends the connection; what is in progress is broken off. */
  end(): Promise<void>;
}

/**
 * Opens one session. It never reconnects: when its connection is lost, so is the session.
 *
 * @throws {Error} when there is no server or it refuses
 */
export async function openSession(options: SessionOptions): Promise<Session> {
  const { address } = options;
  const pool = postgres({
    host: address.socketDir,
    port: address.port,
    user: address.role,
    database: options.database,
    max: 1,
    connect_timeout: CONNECT_TIMEOUT_S,
    fetch_types: false,
    prepare: false,
    onnotice: () => {},
    connection: {
      application_name: options.appName,
      statement_timeout: options.statementTimeoutMs,
      lock_timeout: LOCK_TIMEOUT_MS,
      idle_in_transaction_session_timeout: 0,
      search_path: "pg_catalog",
      // The swap must be on disk when it is reported, and with it everything written before.
      synchronous_commit: "on" as unknown as boolean,
      default_transaction_read_only: "off" as unknown as boolean,
    },
  });
  try {
    // Opens the connection. With fetch_types off, reserve() alone would wait for ever (postgres 3.4.9).
    await pool.unsafe("SELECT 1");
    const sql = await pool.reserve();
    return {
      sql,
      query: async (statement) => await sql.unsafe(statement) as unknown as readonly Row[],
      end: () => pool.end({ timeout: 0 }),
    };
  } catch (error) {
    await pool.end({ timeout: 0 });
    throw error;
  }
}

/** Opens a session, works in it, ends it whatever happens. */
export async function withSession<T>(
  options: SessionOptions,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await openSession(options);
  try {
    return await work(session);
  } finally {
    await session.end();
  }
}

/** Runs `work` in one transaction of the session. */
export async function inTransaction<T>(
  options: { readonly query: Query; readonly begin: string },
  work: () => Promise<T>,
): Promise<T> {
  await options.query(options.begin);
  try {
    const result = await work();
    await options.query("COMMIT");
    return result;
  } catch (error) {
    await options.query("ROLLBACK").catch(() => {
      // The connection is lost: the server rolls back by itself, and the first error is the one to tell.
    });
    throw error;
  }
}
