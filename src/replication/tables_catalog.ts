/**
 * Which tables belong to the sets `config` and `hot`, and what is in them. Part of the processes that run as
 * the system user of the database.
 *
 * @module
 */

import {
  type Query,
  selectTables,
  serverVersion,
  type UserTable,
  userTables,
} from "./database_catalog.ts";
import { quoteIdent, quoteLiteral } from "./database_connection.ts";
import { HISTORY_TABLES } from "./database_signature.ts";
import { schemaFingerprint } from "./database_schema.ts";
import type { TablesManifest } from "./tables_format.ts";
import type { TableSet } from "./tables_port.ts";

/** Tables hashed by one statement. */
const HASHES_PER_STATEMENT = 50;

/** Which tables are meant. */
export interface TablesSelection {
  readonly set: TableSet;
  readonly localTables: readonly string[];
  readonly excludeTableData: readonly string[];
  readonly hotTables: readonly string[];
}

/**
 * Makes texts of values the same on both hosts, whatever their settings are: rows travel and are hashed as
 * text. For the current transaction.
 */
export async function pinFormats(query: Query): Promise<void> {
  await query(`SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO, YMD';
    SET LOCAL intervalstyle = 'postgres'; SET LOCAL bytea_output = 'hex';
    SET LOCAL extra_float_digits = 1; SET LOCAL lc_monetary = 'C'; SET LOCAL xmlbinary = 'base64'`);
}

/**
 * The tables of the set, those with rows of their own. `config`: all but history and what is each host's own
 * or not copied; `hot`: the named ones, never a host's own.
 */
export async function chosenTables(
  query: Query,
  selection: TablesSelection,
): Promise<readonly UserTable[]> {
  const tables = await userTables(query);
  const own = selectTables(tables, selection.localTables);
  const left = selectTables(tables, [...selection.excludeTableData, ...HISTORY_TABLES]);
  const hot = selectTables(tables, selection.hotTables);
  const unlogged = new Set(
    (await query(`SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relpersistence = 'u'`))
      .map((row) => String(row.name)),
  );
  return tables.filter(({ name, kind }) =>
    kind === "r" && !own.has(name) && !unlogged.has(name) &&
    (selection.set === "hot" ? hot.has(name) : !left.has(name))
  );
}

/** What the tables hold at this moment (of the transaction's snapshot). */
export async function describeTables(
  query: Query,
  set: TableSet,
  names: readonly string[],
): Promise<TablesManifest> {
  const hashes = await hashTables(query, names);
  const columns = await tableColumns(query, names);
  return {
    format: 1,
    set,
    serverVersionNum: await serverVersion(query),
    schema: await schemaDigest(query),
    tables: names.map((name) => ({
      name,
      columns: columns.get(name) ?? [],
      ...hashes.get(name)!,
    })),
    sequences: await readSequences(query, set === "config" ? null : names),
  };
}

/** One digest for the structure of the whole database. */
async function schemaDigest(query: Query): Promise<string> {
  const text = JSON.stringify(await schemaFingerprint(query));
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(hash).toHex();
}

/** Rows and hash of each table's own rows. */
export async function hashTables(
  query: Query,
  names: readonly string[],
): Promise<Map<string, { readonly rows: number; readonly hash: string }>> {
  const found = new Map<string, { rows: number; hash: string }>();
  for (let from = 0; from < names.length; from += HASHES_PER_STATEMENT) {
    const statement = names.slice(from, from + HASHES_PER_STATEMENT).map((name) =>
      `SELECT ${quoteLiteral(name)} AS name, count(*) AS rows,
        coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text AS hash FROM ONLY ${name} t`
    ).join(" UNION ALL ");
    for (const row of await query(statement)) {
      found.set(String(row.name), { rows: Number(row.rows), hash: String(row.hash) });
    }
  }
  return found;
}

/** Columns with values of their own, in order, by table. */
async function tableColumns(
  query: Query,
  names: readonly string[],
): Promise<Map<string, { name: string; type: string }[]>> {
  const found = new Map<string, { name: string; type: string }[]>();
  if (names.length === 0) return found;
  const rows = await query(`
    SELECT format('%I.%I', n.nspname, c.relname) AS table, a.attname::text AS name,
      format_type(a.atttypid, a.atttypmod) AS type
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
      AND format('%I.%I', n.nspname, c.relname) IN (${names.map(quoteLiteral).join(", ")})
    ORDER BY c.oid, a.attnum`);
  for (const row of rows) {
    const list = found.get(String(row.table)) ?? [];
    list.push({ name: String(row.name), type: String(row.type) });
    found.set(String(row.table), list);
  }
  return found;
}

/** `(a, b)` for `COPY`. */
export function columnList(columns: readonly { readonly name: string }[]): string {
  return columns.map(({ name }) => quoteIdent(name)).join(", ");
}

/** State of the sequences: of all (null), or of those that columns of the tables own. */
async function readSequences(
  query: Query,
  owners: readonly string[] | null,
): Promise<TablesManifest["sequences"]> {
  const rows = await query(`
    SELECT format('%I.%I', n.nspname, c.relname) AS name, (
      SELECT format('%I.%I', tn.nspname, t.relname) FROM pg_depend d
      JOIN pg_class t ON t.oid = d.refobjid JOIN pg_namespace tn ON tn.oid = t.relnamespace
      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
        AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') LIMIT 1) AS owner
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'S' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND NOT EXISTS (SELECT 1 FROM pg_depend x WHERE x.classid = 'pg_class'::regclass
        AND x.objid = c.oid AND x.deptype = 'e') ORDER BY 1`);
  const wanted = rows.filter(({ owner }) => owners === null || owners.includes(String(owner)))
    .map((row) => String(row.name));
  if (wanted.length === 0) return [];
  const states = await query(
    wanted.map((name) =>
      `SELECT ${quoteLiteral(name)} AS name, last_value::text AS last, is_called FROM ${name}`
    ).join(" UNION ALL "),
  );
  return states.map((row) => ({
    name: String(row.name),
    last: String(row.last),
    called: row.is_called === true,
  }));
}
