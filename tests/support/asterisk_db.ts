/**
 * An astdb as Asterisk (10 and newer) keeps it, written the way its `main/db.c` writes: one long-lived
 * connection that always has a transaction open, a commit at most once a second, no busy timeout, and
 * ROLLBACK when the commit fails. Whoever locks the file while copying loses registrations, here as there.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";

/** Where Asterisk keeps it on Debian. */
export const ASTDB_PATH = "/var/lib/asterisk/astdb.sqlite3";

const COMMIT_EVERY_MS = 1_000;

/** An open astdb. */
export class AsteriskDb {
  readonly #db: DatabaseSync;
  #dirty = false;
  #quietUntil = 0;
  #rolledBack = 0;

  /** Opens or makes the file. */
  constructor(path: string = ASTDB_PATH) {
    this.#db = new DatabaseSync(path, { timeout: 0 });
    this.#db.exec(
      "CREATE TABLE IF NOT EXISTS astdb(key VARCHAR(256), value VARCHAR(256), PRIMARY KEY(key))",
    );
    this.#db.exec("BEGIN TRANSACTION");
  }

  /** Commits that failed because somebody held SQLite's lock; their changes are gone. */
  get rolledBack(): number {
    return this.#rolledBack;
  }

  /** Sets a key. Reaches the disk with the next commit. */
  put(key: string, value: string): void {
    this.#db.prepare("INSERT OR REPLACE INTO astdb (key, value) VALUES (?, ?)").run(key, value);
    this.#dirty = true;
  }

  /** Removes a key. */
  delete(key: string): void {
    this.#db.prepare("DELETE FROM astdb WHERE key = ?").run(key);
    this.#dirty = true;
  }

  /** Every entry whose key begins with `prefix`. */
  entries(prefix: string): Map<string, string> {
    const rows = this.#db.prepare(
      "SELECT key, value FROM astdb WHERE substr(key, 1, length(?)) = ? ORDER BY key",
    ).all(prefix, prefix);
    return new Map(rows.map(({ key, value }) => [String(key), String(value)]));
  }

  /** Commits what is due, to be called often: at once after a quiet second, else when it is over. */
  sync(nowMs: number): void {
    if (!this.#dirty || nowMs < this.#quietUntil) return;
    this.#commit();
    this.#db.exec("BEGIN TRANSACTION");
    this.#quietUntil = nowMs + COMMIT_EVERY_MS;
  }

  /** Commits and closes (orderly end). */
  close(): void {
    this.#commit();
    this.#db.close();
  }

  #commit(): void {
    this.#dirty = false;
    try {
      this.#db.exec("COMMIT");
    } catch {
      this.#rolledBack++; // db.c logs "Error executing SQL (COMMIT)" and gives the changes up
      this.#db.exec("ROLLBACK");
    }
  }
}
