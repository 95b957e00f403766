/**
 * Checksums of a sample of tables, the same on both hosts for the same rows: small tables whole, large ones
 * in two ranges of their key (the newest rows and some anywhere). Part of the database worker; all of it
 * reads only.
 *
 * @module
 */

import type { Query, UserTable } from "./database_catalog.ts";
import { quoteIdent, quoteLiteral } from "./database_connection.ts";
import type { TableSum } from "./database_manifest.ts";

/** A table of at most so many bytes is summed whole. */
const WHOLE_BYTES = 512 * 1024;

/** All of the small tables together: what does not fit is summed as if it were large. */
const BUDGET_BYTES = 32 * 1024 * 1024;

/** Keys in one range of a large table. */
const RANGE_KEYS = 1000;

/** Large tables that are looked into. */
const MAX_LARGE = 200;

/** Rows as text must not depend on the settings of the host. */
const SETTINGS = `SET LOCAL datestyle = 'ISO'; SET LOCAL intervalstyle = 'postgres';
  SET LOCAL timezone = 'UTC'; SET LOCAL extra_float_digits = 3; SET LOCAL bytea_output = 'hex';
  SET LOCAL xmlbinary = 'base64'; SET LOCAL lc_monetary = 'C'`;

/** What to sum; `column` null: the whole table. */
type Part = Pick<TableSum, "table" | "column" | "from" | "to">;

/**
 * Sums a sample of the given tables; must run in a transaction (that of the dump's snapshot).
 *
 * @param random from 0 to 1 (excluded): where in the large tables to look
 */
export async function sampleSums(
  query: Query,
  tables: readonly UserTable[],
  random: () => number,
): Promise<TableSum[]> {
  const found = await query(`SELECT format('%I.%I', n.nspname, c.relname) AS name,
    pg_relation_size(c.oid)::text AS bytes FROM pg_class c JOIN pg_namespace n
    ON n.oid = c.relnamespace WHERE c.relkind = 'r'`);
  const bytes = new Map(found.map((row) => [String(row.name), Number(row.bytes)]));
  const plain = tables.filter(({ kind, name }) => kind === "r" && bytes.has(name))
    .sort((a, b) => bytes.get(a.name)! - bytes.get(b.name)!);
  const keys = await integerKeys(query);
  const parts: Part[] = [];
  let left = BUDGET_BYTES;
  let large = 0;
  for (const { name } of plain) {
    const size = bytes.get(name)!;
    if (size <= WHOLE_BYTES && size <= left) {
      left -= size;
      parts.push({ table: name, column: null, from: null, to: null });
      continue;
    }
    const column = keys.get(name);
    if (column === undefined || ++large > MAX_LARGE) continue;
    parts.push(...await ranges(query, { table: name, column }, random));
  }
  const sums = await sumParts(query, parts);
  return parts.flatMap((part, i) => sums[i] === null ? [] : [{ ...part, ...sums[i]! }]);
}

/**
 * Sums the same parts again, in one transaction.
 *
 * @returns null for a part whose table or key does not exist here
 */
export async function sumParts(
  query: Query,
  parts: readonly Part[],
): Promise<(Pick<TableSum, "rows" | "sum"> | null)[]> {
  await query(SETTINGS);
  // The parts may come from the peer: only names that this database itself gives are put into a statement.
  const known = new Set(
    (await query(`SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r'`))
      .map((row) => String(row.name)),
  );
  const keys = await integerKeys(query);
  const sums: (Pick<TableSum, "rows" | "sum"> | null)[] = [];
  for (const part of parts) {
    const { table, column } = part;
    if (!known.has(table) || (column !== null && keys.get(table) !== column)) {
      sums.push(null);
      continue;
    }
    const where = column === null ? "" : `WHERE ${quoteIdent(column)} BETWEEN
      ${quoteLiteral(part.from ?? "0")}::numeric AND ${quoteLiteral(part.to ?? "0")}::numeric`;
    // Half of each row's MD5 as a number: their sum does not depend on the order of the rows.
    const [row] = await query(`SELECT count(*)::text AS rows, coalesce(sum(
      ('x' || left(md5(relais_row::text), 16))::bit(64)::bigint::numeric), 0)::text AS sum
      FROM ONLY ${table} AS relais_row ${where.replaceAll("::numeric", "::bigint")}`);
    sums.push({ rows: Number(row?.rows), sum: String(row?.sum) });
  }
  return sums;
}

/** The newest keys, and some anywhere; none of an empty table. */
async function ranges(
  query: Query,
  { table, column }: { readonly table: string; readonly column: string },
  random: () => number,
): Promise<Part[]> {
  const key = quoteIdent(column);
  const [row] = await query(
    `SELECT min(${key})::text AS low, max(${key})::text AS high FROM ONLY ${table}`,
  );
  if (row === undefined || row.low === null) return [];
  const [low, high] = [BigInt(String(row.low)), BigInt(String(row.high))];
  const last = BigInt(RANGE_KEYS - 1);
  const anywhere = low + BigInt(Math.floor(random() * Number(high - low + 1n)));
  const part = (from: bigint, to: bigint): Part => ({
    table,
    column,
    from: String(from),
    to: String(to < high ? to : high),
  });
  return [part(high - last < low ? low : high - last, high), part(anywhere, anywhere + last)];
}

/** Tables with a primary key of one whole number → its column. */
async function integerKeys(query: Query): Promise<ReadonlyMap<string, string>> {
  const rows = await query(`SELECT format('%I.%I', n.nspname, c.relname) AS name,
      a.attname::text AS column
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
    WHERE i.indisprimary AND i.indnatts = 1 AND a.atttypid IN (20, 21, 23)`);
  return new Map(rows.map((row) => [String(row.name), String(row.column)]));
}
