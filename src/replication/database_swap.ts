/**
 * Making, dropping and swapping databases; part of the database worker. At every moment, also when the
 * server or relais dies, exactly one complete database has the live name (once there was one).
 *
 * @module
 */

import { databaseExists, serverVersion } from "./database_catalog.ts";
import type { Query } from "./database_catalog.ts";
import { quoteIdent, quoteLiteral } from "./database_connection.ts";
import type { DatabaseLocale } from "./database_manifest.ts";
import { newDatabaseName, oldDatabaseName } from "./database_protocol.ts";

/** How often sessions are ended while a database is renamed, in milliseconds. */
const TERMINATE_EVERY_MS = 100;

/** `DROP DATABASE … WITH (FORCE)` exists from here on. */
const FORCE_SINCE = 130_000;

/** SQLSTATE object_in_use: sessions came faster than they were ended. */
const OBJECT_IN_USE = "55006";

/** Makes an empty database of that encoding and collation. */
export async function createDatabase(
  query: Query,
  options: { readonly name: string; readonly owner: string; readonly locale: DatabaseLocale },
): Promise<void> {
  const { locale } = options;
  await query(
    `CREATE DATABASE ${quoteIdent(options.name)} OWNER ${quoteIdent(options.owner)} ` +
      `TEMPLATE template0 ENCODING ${quoteLiteral(locale.encoding)} ` +
      `LC_COLLATE ${quoteLiteral(locale.collate)} LC_CTYPE ${quoteLiteral(locale.ctype)}` +
      await providerClause(query, locale),
  );
}

async function providerClause(query: Query, locale: DatabaseLocale): Promise<string> {
  if (await serverVersion(query) < 150_000) return "";
  const text = quoteLiteral(locale.locale ?? "");
  switch (locale.provider) {
    case "c":
      return " LOCALE_PROVIDER libc";
    case "i":
      return ` LOCALE_PROVIDER icu ICU_LOCALE ${text}`;
    case "b":
      return ` LOCALE_PROVIDER builtin BUILTIN_LOCALE ${text}`;
    default:
      throw new Error(`Cannot make a database of the unknown locale provider ${locale.provider}`);
  }
}

/** Drops a database and whoever is in it; nothing happens if there is none. */
export async function dropDatabase(query: Query, name: string): Promise<void> {
  if (!await databaseExists(query, name)) return;
  const force = await serverVersion(query) >= FORCE_SINCE;
  if (!force) await terminateSessions(query, [name]);
  await query(`DROP DATABASE IF EXISTS ${quoteIdent(name)}${force ? " WITH (FORCE)" : ""}`);
}

/**
 * Renames live → old and new → live in one transaction; only new → live if there is no live one yet.
 * Sessions of both end; meanwhile nobody finds the database, for some tens of milliseconds.
 *
 * No CHECKPOINT is needed before: the commit is written with `synchronous_commit = on`, and what was
 * written to the log before it, by whatever session, is on disk then too.
 *
 * @throws {Error} when sessions kept coming until `deadlineMs` milliseconds had passed: nothing changed
 */
export async function swapDatabases(
  options: {
    /** Session that renames. */
    readonly rename: Query;
    /** Second session, which ends those in the way. */
    readonly terminate: Query;
    readonly live: string;
    readonly deadlineMs: number;
  },
): Promise<void> {
  const { live, rename } = options;
  const until = performance.now() + options.deadlineMs;
  const names = [live, newDatabaseName(live)];
  const renames = [
    `ALTER DATABASE ${quoteIdent(newDatabaseName(live))} RENAME TO ${quoteIdent(live)}`,
  ];
  if (await databaseExists(rename, live)) {
    renames.unshift(
      `ALTER DATABASE ${quoteIdent(live)} RENAME TO ${quoteIdent(oldDatabaseName(live))}`,
    );
  }
  const clearing = keepTerminating(options.terminate, names);
  try {
    while (true) {
      try {
        await rename("BEGIN");
        for (const statement of renames) await rename(statement);
        await rename("COMMIT");
        return;
      } catch (error) {
        await rename("ROLLBACK");
        const inUse = (error as { code?: unknown }).code === OBJECT_IN_USE;
        if (!inUse || performance.now() >= until) throw error;
      }
    }
  } finally {
    await clearing.stop();
  }
}

/** After a crash: makes sure that the live database has its name and drops what is left over. */
export async function cleanUpDatabases(query: Query, live: string): Promise<string[]> {
  const done: string[] = [];
  const old = oldDatabaseName(live);
  const fresh = newDatabaseName(live);
  if (!await databaseExists(query, live) && await databaseExists(query, old)) {
    await terminateSessions(query, [old]);
    await query(`ALTER DATABASE ${quoteIdent(old)} RENAME TO ${quoteIdent(live)}`);
    done.push(`renamed ${old} back to ${live}`);
  }
  for (const name of [fresh, old]) {
    if (!await databaseExists(query, name)) continue;
    await dropDatabase(query, name);
    done.push(`dropped ${name}`);
  }
  return done;
}

function keepTerminating(
  query: Query,
  names: readonly string[],
): { stop: () => Promise<void> } {
  let stopped = false;
  const loop = async (): Promise<void> => {
    while (!stopped) {
      await terminateSessions(query, names);
      await new Promise((resolve) => setTimeout(resolve, TERMINATE_EVERY_MS));
    }
  };
  const looping = loop();
  looping.catch(() => {
    // Told by stop(); a handler is needed at once.
  });
  return {
    stop: () => {
      stopped = true;
      return looping;
    },
  };
}

async function terminateSessions(query: Query, names: readonly string[]): Promise<void> {
  await query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND datname IN (${names.map(quoteLiteral).join(", ")})`);
}
