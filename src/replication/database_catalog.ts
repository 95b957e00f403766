/**
 * Questions to PostgreSQL's catalogs about one database. They run in the database worker, in a session
 * whose `search_path` is `pg_catalog`, so that every name in an answer carries its schema.
 *
 * @module
 */

import type { DatabaseLocale, DatabaseProperties } from "./database_manifest.ts";
import { matchesTable, tablePattern } from "./database_pattern.ts";
import { quoteLiteral } from "./database_connection.ts";

/** One row of an answer. */
export type Row = Readonly<Record<string, unknown>>;

/** Sends one statement in a certain session and gives its rows. */
export type Query = (statement: string) => Promise<readonly Row[]>;

/** Tables counted by one statement; more than one saves round trips, all at once would be unwieldy. */
const COUNTS_PER_STATEMENT = 50;

/** A table of the users (not of the system, not of an extension). */
export interface UserTable {
  /** `"schema"."table"`, quoted where needed, as `format('%I.%I')` does. */
  readonly name: string;
  readonly schema: string;
  readonly table: string;
  /** `r` table, `p` partitioned table (has no rows of its own). */
  readonly kind: string;
  /** Partitioned table that it is a part of. */
  readonly parent: string | null;
}

/** Restricts `pg_class c` and `pg_namespace n` to what users made. */
export const USER_RELATIONS = `n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND c.relpersistence <> 't' AND NOT EXISTS (SELECT 1 FROM pg_depend x
    WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e')`;

/** Every user table, by name. */
export async function userTables(query: Query): Promise<UserTable[]> {
  const rows = await query(`
    SELECT format('%I.%I', n.nspname, c.relname) AS name, n.nspname::text AS schema,
      c.relname::text AS table, c.relkind::text AS kind,
      (SELECT format('%I.%I', pn.nspname, p.relname) FROM pg_inherits i
        JOIN pg_class p ON p.oid = i.inhparent AND p.relkind = 'p'
        JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE i.inhrelid = c.oid) AS parent
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND ${USER_RELATIONS} ORDER BY 1`);
  return rows.map((row) => ({
    name: String(row.name),
    schema: String(row.schema),
    table: String(row.table),
    kind: String(row.kind),
    parent: row.parent === null ? null : String(row.parent),
  }));
}

/** The tables that the patterns name, with the parts of partitioned ones. */
export function selectTables(
  tables: readonly UserTable[],
  patterns: readonly string[],
): Set<string> {
  const parsed = patterns.map(tablePattern);
  const selected = new Set<string>();
  for (const table of tables) {
    if (parsed.some((pattern) => matchesTable(pattern, table))) selected.add(table.name);
  }
  let grew = true;
  while (grew) {
    grew = false;
    for (const { name, parent } of tables) {
      if (parent === null || selected.has(name) || !selected.has(parent)) continue;
      selected.add(name);
      grew = true;
    }
  }
  return selected;
}

/** Counts the rows of each table; the partitioned ones have none of their own and are left out. */
export async function countRows(
  query: Query,
  tables: readonly UserTable[],
): Promise<Record<string, number>> {
  const counted = tables.filter((table) => table.kind === "r");
  const rows: Record<string, number> = {};
  for (let from = 0; from < counted.length; from += COUNTS_PER_STATEMENT) {
    const statement = counted.slice(from, from + COUNTS_PER_STATEMENT)
      .map(({ name }) => `SELECT ${quoteLiteral(name)} AS name, count(*) AS n FROM ONLY ${name}`)
      .join(" UNION ALL ");
    for (const row of await query(statement)) rows[String(row.name)] = Number(row.n);
  }
  return rows;
}

/** Sorts tables so that rows exist before others refer to them; circles stay in the order given. */
export async function parentsFirst(query: Query, names: readonly string[]): Promise<string[]> {
  const references = await query(`
    SELECT format('%I.%I', n.nspname, c.relname) AS name,
      format('%I.%I', fn.nspname, f.relname) AS target
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class f ON f.oid = k.confrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_namespace fn ON fn.oid = f.relnamespace
    WHERE k.contype = 'f' AND c.oid <> f.oid`);
  const waiting = [...names];
  const sorted: string[] = [];
  while (waiting.length > 0) {
    const free = waiting.findIndex((name) =>
      !references.some((row) => row.name === name && waiting.includes(String(row.target)))
    );
    sorted.push(...waiting.splice(Math.max(free, 0), 1));
  }
  return sorted;
}

/** Number of large objects. */
export async function countLargeObjects(query: Query): Promise<number> {
  return Number(await scalar(query, "SELECT count(*) FROM pg_largeobject_metadata"));
}

/** `server_version_num`, e.g. 150018. */
export async function serverVersion(query: Query): Promise<number> {
  return Number(await scalar(query, "SELECT current_setting('server_version_num')"));
}

/** Whether the cluster has a database of that name. */
export async function databaseExists(query: Query, name: string): Promise<boolean> {
  const found = await query(`SELECT 1 FROM pg_database WHERE datname = ${quoteLiteral(name)}`);
  return found.length > 0;
}

/** Encoding and collation of a database. */
export async function databaseLocale(query: Query, name: string): Promise<DatabaseLocale> {
  const [row] = await query(`
    SELECT pg_encoding_to_char(encoding) AS encoding, datcollate::text AS collate,
      datctype::text AS ctype, coalesce(to_jsonb(d)->>'datlocprovider', 'c') AS provider,
      coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale') AS locale
    FROM pg_database d WHERE datname = ${quoteLiteral(name)}`);
  if (row === undefined) throw new Error(missingDatabase(name));
  return {
    encoding: String(row.encoding),
    collate: String(row.collate),
    ctype: String(row.ctype),
    provider: String(row.provider),
    locale: row.locale === null ? null : String(row.locale),
  };
}

/** Owner, limit, comment, settings and privileges of a database: what a new one must be given. */
export async function databaseProperties(
  query: Query,
  name: string,
): Promise<DatabaseProperties> {
  const properties = await scalar(
    query,
    `
    SELECT jsonb_build_object(
      'owner', pg_get_userbyid(d.datdba),
      'connectionLimit', d.datconnlimit,
      'comment', shobj_description(d.oid, 'pg_database'),
      'settings', coalesce((
        SELECT jsonb_agg(jsonb_build_object('role', r.rolname, 'config', s.setconfig)
          ORDER BY r.rolname NULLS FIRST)
        FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole
        WHERE s.setdatabase = d.oid AND (s.setrole = 0 OR r.rolname IS NOT NULL)), '[]'),
      'grants', CASE WHEN d.datacl IS NULL THEN NULL ELSE coalesce((
        SELECT jsonb_agg(DISTINCT jsonb_build_object('privilege', a.privilege_type,
          'grantable', a.is_grantable,
          'grantee', CASE a.grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(a.grantee) END))
        FROM aclexplode(d.datacl) a), '[]') END)::text
    FROM pg_database d WHERE datname = ${quoteLiteral(name)}`,
  );
  if (properties === undefined) throw new Error(missingDatabase(name));
  return JSON.parse(String(properties)) as DatabaseProperties;
}

/** Roles that objects of the current database, or the database itself, belong or are granted to. */
export async function neededRoles(query: Query): Promise<string[]> {
  const rows = await query(`
    WITH here AS (SELECT oid, datdba FROM pg_database WHERE datname = current_database())
    SELECT DISTINCT r.rolname::text AS name FROM here, pg_roles r WHERE r.oid = here.datdba
      OR r.oid IN (SELECT setrole FROM pg_db_role_setting WHERE setdatabase = here.oid)
      OR r.oid IN (SELECT refobjid FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass
        AND (dbid = here.oid
          OR (dbid = 0 AND classid = 'pg_database'::regclass AND objid = here.oid)))
    ORDER BY 1`);
  return rows.map((row) => String(row.name));
}

/** Extensions of the current database. */
export async function extensionNames(query: Query): Promise<string[]> {
  const rows = await query("SELECT extname::text AS name FROM pg_extension ORDER BY 1");
  return rows.map((row) => String(row.name));
}

/** First column of the first row; undefined when there is no row. */
export async function scalar(query: Query, statement: string): Promise<unknown> {
  const [row] = await query(statement);
  return row === undefined ? undefined : Object.values(row)[0];
}

function missingDatabase(name: string): string {
  return `Cannot read the database ${name} as the cluster has none of that name: ` +
    "correct the url of [replication.database]";
}
