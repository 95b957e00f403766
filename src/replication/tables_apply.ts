/**
 * Puts the rows of single tables into the standby database, in one transaction that is proved before it is
 * committed (docs/design/tables.md).
 *
 * @module
 */

import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { writeAll } from "../os/write_all.ts";
import type { Query } from "./database_catalog.ts";
import { quoteIdent, quoteLiteral } from "./database_connection.ts";
import { inTransaction, type Session, withSession } from "./database_session.ts";
import { InstallLock } from "./database_lock.ts";
import { majorVersion } from "./database_tools.ts";
import {
  chosenTables,
  columnList,
  describeTables,
  hashTables,
  pinFormats,
  type TablesSelection,
} from "./tables_catalog.ts";
import { PieceReader, type TablesManifest } from "./tables_format.ts";
import type { TablesJob } from "./tables_worker.ts";

const STATEMENT_TIMEOUT_MS = 120_000;

/** What the parent writes when all of it came and the daemon agrees. */
export const COMMIT_WORD = "commit\n";

/** What this process writes when everything is in place but the commit. */
export const READY_WORD = "ready\n";

/** The standby's tables are not those of the rows: the database must be copied as a whole first. */
class TablesDifferError extends Error {
  override readonly name = "TablesDifferError";
}

/**
 * Reads rows from standard input (see {@linkcode framed}) and puts them in place; says {@linkcode READY_WORD},
 * waits for {@linkcode COMMIT_WORD}, commits, and writes what it did as one line of JSON.
 */
export async function applyTables({ address, selection }: TablesJob): Promise<void> {
  const input = new PieceReader(Deno.stdin.readable);
  await using lock = await InstallLock.take(address);
  const result = await withSession({
    address,
    database: address.database,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    appName: "relais-tables",
  }, async (session) =>
    await inTransaction({ query: session.query, begin: "BEGIN" }, async () => {
      const replaced = await replaceRows(session, selection, input);
      await lock.held();
      await writeAll(Deno.stdout, new TextEncoder().encode(READY_WORD));
      const word = await input.piece();
      if (word === null || new TextDecoder().decode(word) !== COMMIT_WORD) {
        throw new Error("nobody said that the rows may be committed");
      }
      return replaced;
    }));
  await writeAll(Deno.stdout, new TextEncoder().encode(JSON.stringify(result) + "\n"));
}

/** The framed payload as a stream of bytes, up to its empty piece. */
async function* framed(input: PieceReader): AsyncGenerator<Uint8Array> {
  for (let piece = await input.piece(); piece !== null; piece = await input.piece()) yield piece;
}

async function replaceRows(
  session: Session,
  selection: TablesSelection,
  input: PieceReader,
): Promise<{ tables: number; rows: number; replaced: number }> {
  const { query } = session;
  const source = Readable.from(framed(input), { objectMode: false });
  const gunzip = createGunzip();
  // pipe() would swallow what is wrong with the input: the rows would then just stop coming.
  source.on("error", (error) => gunzip.destroy(error));
  const rows = new PieceReader(source.pipe(gunzip));
  const manifest = await rows.manifest();
  if (manifest.set !== selection.set) throw new TablesDifferError("the rows are of another set");
  await pinFormats(query);
  const here = (await chosenTables(query, selection)).map(({ name }) => name);
  const names = manifest.tables.map(({ name }) => name);
  const own = await describeTables(query, selection.set, here);
  refuseDifferences(manifest, own);
  // Foreign keys and triggers rest: the rows come as the other host has them, whole.
  await query("SET LOCAL session_replication_role = replica");
  const before = new Map(own.tables.map((table) => [table.name, table]));
  const replaced: string[] = [];
  for (const table of manifest.tables) {
    const old = before.get(table.name)!;
    if (old.rows === table.rows && old.hash === table.hash) {
      while (await rows.piece() !== null);
      continue;
    }
    replaced.push(table.name);
    await replaceTable(session, table, rows);
  }
  await rows.end();
  await proveRows(query, manifest, replaced);
  await proveReferences(query, replaced, names);
  await carrySequences(query, own.sequences, manifest.sequences);
  return {
    tables: names.length,
    rows: manifest.tables.reduce((sum, table) => sum + table.rows, 0),
    replaced: replaced.length,
  };
}

function refuseDifferences(theirs: TablesManifest, own: TablesManifest): void {
  const differ = (what: string): never => {
    throw new TablesDifferError(
      `Cannot put rows into the standby database as ${what}: a full copy comes first`,
    );
  };
  const sameMajor = majorVersion(theirs.serverVersionNum) === majorVersion(own.serverVersionNum);
  if (majorVersion(own.serverVersionNum) < majorVersion(theirs.serverVersionNum)) {
    throw new TablesDifferError(
      "Cannot put rows into the standby database as they come from a newer PostgreSQL than this " +
        "host's, which is older: upgrade it",
    );
  }
  if (sameMajor && theirs.schema !== own.schema) differ("its schema differs from the source's");
  const here = new Map(own.tables.map((table) => [table.name, table]));
  for (const { name, columns } of theirs.tables) {
    const table = here.get(name);
    if (table === undefined) return differ(`it has no table ${name}`);
    if (JSON.stringify(table.columns) !== JSON.stringify(columns)) {
      differ(`the columns of ${name} differ`);
    }
    here.delete(name);
  }
  const [extra] = here.keys();
  if (extra !== undefined) differ(`its table ${extra} does not exist on the source`);
}

async function replaceTable(
  session: Session,
  table: TablesManifest["tables"][number],
  rows: PieceReader,
): Promise<void> {
  const { query } = session;
  const { name, columns } = table;
  // ENABLE ALWAYS and ENABLE REPLICA fire in spite of the replication role.
  const triggers = await query(`
    SELECT tgname::text AS trigger, tgenabled::text AS enabled FROM pg_trigger
    WHERE tgrelid = ${
    quoteLiteral(name)
  }::regclass AND NOT tgisinternal AND tgenabled IN ('A', 'R')`);
  const rules = await query(`
    SELECT rulename::text AS rule, ev_enabled::text AS enabled FROM pg_rewrite
    WHERE ev_class = ${quoteLiteral(name)}::regclass AND ev_enabled IN ('A', 'R')
      AND rulename <> '_RETURN'`);
  const switches = [
    ...triggers.map(({ trigger, enabled }) => ({ what: "TRIGGER", name: trigger, enabled })),
    ...rules.map(({ rule, enabled }) => ({ what: "RULE", name: rule, enabled })),
  ];
  for (const each of switches) {
    await query(`ALTER TABLE ${name} DISABLE ${each.what} ${quoteIdent(String(each.name))}`);
  }
  await query(`DELETE FROM ONLY ${name}`);
  if (columns.length > 0 && table.rows > 0) {
    const target = await session.copyIn(`COPY ${name} (${columnList(columns)}) FROM STDIN`);
    const ended = new Promise<void>((resolve, reject) => {
      target.once("finish", resolve);
      target.once("error", reject);
    });
    ended.catch(() => {}); // Awaited below; it may break while rows are still read.
    try {
      for (let piece = await rows.piece(); piece !== null; piece = await rows.piece()) {
        if (!target.write(piece)) {
          await Promise.race([
            new Promise<void>((resolve) => target.once("drain", resolve)),
            ended,
          ]);
        }
      }
      target.end();
    } catch (error) {
      target.destroy(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
    await ended;
  } else if (await rows.piece() !== null) {
    throw new Error(`rows came for ${name}, which has none`);
  }
  for (const each of switches) {
    const how = each.enabled === "A" ? "ENABLE ALWAYS" : "ENABLE REPLICA";
    await query(`ALTER TABLE ${name} ${how} ${each.what} ${quoteIdent(String(each.name))}`);
  }
}

/** What is in the tables now is what the source had in its snapshot. */
async function proveRows(
  query: Query,
  manifest: TablesManifest,
  replaced: readonly string[],
): Promise<void> {
  const now = await hashTables(query, replaced);
  for (const { name, rows, hash } of manifest.tables) {
    const found = now.get(name);
    if (found === undefined || (found.rows === rows && found.hash === hash)) continue;
    throw new Error(
      `Cannot trust the rows of ${name} as they are not those of the source ` +
        `(${found.rows} rows here, ${rows} there): nothing was changed`,
    );
  }
}

/** Rows outside of the set must not refer to rows that went, nor rows of the set to what is not here. */
async function proveReferences(
  query: Query,
  replaced: readonly string[],
  all: readonly string[],
): Promise<void> {
  if (replaced.length === 0) return;
  const keys = await query(`
    SELECT k.conname::text AS constraint, format('%I.%I', n.nspname, c.relname) AS name,
      format('%I.%I', fn.nspname, f.relname) AS target,
      (SELECT string_agg(format('c.%I = f.%I', a.attname, b.attname), ' AND ' ORDER BY u.i)
        FROM unnest(k.conkey, k.confkey) WITH ORDINALITY u(l, r, i)
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.l
        JOIN pg_attribute b ON b.attrelid = f.oid AND b.attnum = u.r) AS same,
      (SELECT string_agg(format('c.%I IS NOT NULL', a.attname), ' AND ') FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum = ANY (k.conkey)) AS used
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class f ON f.oid = k.confrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_namespace fn ON fn.oid = f.relnamespace
    WHERE k.contype = 'f' AND k.convalidated`);
  const inside = new Set(all);
  const changed = new Set(replaced);
  for (const { constraint, name, target, same, used } of keys) {
    const [child, parent] = [String(name), String(target)];
    // Both of one snapshot: they fit. Neither changed: they fit as before.
    if (inside.has(child) && inside.has(parent)) continue;
    if (!changed.has(child) && !changed.has(parent)) continue;
    const [dangling] = await query(`SELECT 1 FROM ${child} c WHERE ${used}
      AND NOT EXISTS (SELECT 1 FROM ${parent} f WHERE ${same}) LIMIT 1`);
    if (dangling === undefined) continue;
    throw new TablesDifferError(
      `Cannot put rows into the standby database as rows of ${child} would refer to rows that ` +
        `${parent} does not have (${constraint}): a full copy comes first`,
    );
  }
}

/**
 * `setval` alone would stay after a rollback: ALTER SEQUENCE gives the sequence a new file in this
 * transaction first.
 */
async function carrySequences(
  query: Query,
  own: TablesManifest["sequences"],
  theirs: TablesManifest["sequences"],
): Promise<void> {
  const before = new Map(own.map((each) => [each.name, each]));
  for (const { name, last, called } of theirs) {
    const old = before.get(name);
    if (old === undefined || (old.last === last && old.called === called)) continue;
    await query(`ALTER SEQUENCE ${name} RESTART`);
    await query(`SELECT setval(${quoteLiteral(name)}::regclass, ${last}, ${called})`);
  }
}
