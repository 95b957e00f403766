/**
 * Keeps installations into one database apart: an advisory lock of the cluster, held by a session as long as
 * it lives. Part of the processes that run as the system user of the database.
 *
 * @module
 */

import { scalar } from "./database_catalog.ts";
import { type DatabaseAddress, quoteLiteral } from "./database_connection.ts";
import { MAINTENANCE_DATABASE, openSession, type Session } from "./database_session.ts";

/** How long another installation (of a relais that has just died) may keep the lock, in milliseconds. */
const LOCK_PATIENCE_MS = 15_000;
const LOCK_RETRY_MS = 200;

/** The lock, held. */
export class InstallLock implements AsyncDisposable {
  readonly #session: Session;

  private constructor(session: Session) {
    this.#session = session;
  }

  /**
   * Waits for the lock.
   *
   * @throws {Error} when another installation keeps it for longer than 15 s
   */
  static async take(address: DatabaseAddress): Promise<InstallLock> {
    const session = await openSession({
      address,
      database: MAINTENANCE_DATABASE,
      statementTimeoutMs: LOCK_PATIENCE_MS,
      appName: "relais-install-lock",
    });
    const statement = "SELECT pg_try_advisory_lock(hashtext('relais'), hashtext(" +
      `${quoteLiteral(address.database)}))`;
    const until = performance.now() + LOCK_PATIENCE_MS;
    let lock: InstallLock | null = null;
    try {
      while (await scalar(session.query, statement) !== true) {
        if (performance.now() >= until) {
          throw new Error(
            "Cannot touch the standby database as another installation is in progress: try later",
          );
        }
        await new Promise((resolve) => setTimeout(resolve, LOCK_RETRY_MS));
      }
      return lock = new InstallLock(session);
    } finally {
      if (lock === null) await session.end();
    }
  }

  /** @throws when the session was lost, and the lock with it */
  async held(): Promise<void> {
    await this.#session.query("SELECT 1");
  }

  /** Gives it back. */
  async end(): Promise<void> {
    await this.#session.end();
  }

  /** @inheritdoc */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}
