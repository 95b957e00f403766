/**
 * Sessions with PostgreSQL through the npm client, over the local socket. Used in the database worker.
 *
 * @module
 */

import type { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import postgres from "postgres";
import type { Query, Row } from "./database_catalog.ts";
import type { DatabaseAddress } from "./database_connection.ts";
import { ServerSocket } from "./database_socket.ts";

/** Where maintenance statements run: one cannot rename the database that one is in. */
export const MAINTENANCE_DATABASE = "postgres";

/** How long the server may take to accept a connection, and then again to accept the user. */
const CONNECT_TIMEOUT_MS = 10_000;

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
  /** A walsender of the database, which also understands the commands of replication. */
  readonly replication?: boolean;
}

/**
 * One connection; statements run in it one after the other. When the connection is lost, so is the session:
 * what is in progress and all that follows rejects (`ConnectionLostError`, or what the server said last).
 */
export interface Session {
  readonly query: Query;
  /** `COPY … TO STDOUT`: what the server sends. */
  copyOut(statement: string): Promise<Readable>;
  /** `COPY … FROM STDIN`: what the server takes. */
  copyIn(statement: string): Promise<Writable>;
  /** Ends the connection; what is in progress is broken off. Never rejects. */
  end(): Promise<void>;
}

/**
 * Opens one session. It never reconnects.
 *
 * @throws {Error} when there is no server or it refuses
 */
export async function openSession(options: SessionOptions): Promise<Session> {
  const inProgress = new InProgress();
  const socket = new ServerSocket({
    address: options.address,
    deadlineMs: CONNECT_TIMEOUT_MS,
    onLost: (error) => inProgress.rejectAll(error),
  });
  const pool = postgres(clientOptions(options, () => socket.open()));
  const end = async (): Promise<void> => {
    await pool.end({ timeout: 0 });
    await socket.end();
  };
  // A statement that is given to a client without a connection would end the process (postgres 3.4.9).
  const ask = async <T>(work: () => PromiseLike<T>): Promise<T> => {
    if (socket.lost !== null) throw socket.lost;
    return await inProgress.watch(work());
  };
  try {
    // Opens the connection. With fetch_types off, reserve() alone would wait for ever (postgres 3.4.9).
    await inProgress.watch(pool.unsafe("SELECT 1"));
    const sql = await ask(() => pool.reserve());
    return {
      query: (statement) => ask(() => sql.unsafe(statement) as PromiseLike<readonly Row[]>),
      copyOut: async (statement) => {
        const stream = heard(await ask(() => sql.unsafe(statement).readable()));
        stream.once("end", () => socket.resume());
        return stream;
      },
      copyIn: async (statement) => heard(await ask(() => sql.unsafe(statement).writable())),
      end,
    };
  } catch (error) {
    await end();
    throw error;
  }
}

function clientOptions(
  options: SessionOptions,
  socket: () => Promise<Socket>,
): postgres.Options<Record<string, postgres.PostgresType>> {
  const { address } = options;
  return {
    host: address.socketDir,
    port: address.port,
    user: address.role,
    database: options.database,
    max: 1,
    connect_timeout: CONNECT_TIMEOUT_MS / 1000,
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
      ...(options.replication === true ? { replication: "database" } : {}),
    },
    // Documented in the client's README, missing in its types.
    ...{ socket },
  };
}

/** What waits for the server; the client forgets some of it when the connection breaks (postgres 3.4.9). */
class InProgress {
  readonly #rejects = new Set<(error: Error) => void>();

  /** As `work`, but rejects also when {@linkcode rejectAll} is called meanwhile. */
  async watch<T>(work: PromiseLike<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#rejects.add(reject);
    work.then(resolve, reject);
    try {
      return await promise;
    } finally {
      this.#rejects.delete(reject);
    }
  }

  rejectAll(error: Error): void {
    for (const reject of this.#rejects) reject(error);
  }
}

/** A stream that breaks before its user listens must not end the process; its user is told all the same. */
function heard<S extends Readable | Writable>(stream: S): S {
  stream.on("error", () => {});
  return stream;
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
