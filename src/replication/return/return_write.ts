/**
 * Single rows written on the master, and what PostgreSQL says against it. Part of the database worker.
 *
 * @module
 */

import type { Query } from "../database_catalog.ts";
import { scalar } from "../database_catalog.ts";
import { quoteIdent, quoteLiteral } from "../database_connection.ts";
import { jsonLiteral, rowText, sameKey, type TableShape, typed } from "./return_rows.ts";
import type { RowChange, RowValues } from "./return_types.ts";

/** A constraint was against it. */
export interface ConstraintTrouble {
  /** SQLSTATE of class 23. */
  readonly code: string;
  /** Name of the constraint or index, if the server said it. */
  readonly constraint: string;
  readonly message: string;
}

/**
 * Runs `work` so that a broken constraint undoes just it; null: done.
 *
 * @throws everything that is no broken constraint
 */
export async function tolerant(
  query: Query,
  work: () => Promise<void>,
): Promise<ConstraintTrouble | null> {
  await query("SAVEPOINT relais_row");
  try {
    await work();
    await query("RELEASE SAVEPOINT relais_row");
    return null;
  } catch (error) {
    const { code, constraint_name, constraint, message, detail } = error as Record<string, unknown>;
    if (typeof code !== "string" || !code.startsWith("23")) throw error;
    await query("ROLLBACK TO SAVEPOINT relais_row; RELEASE SAVEPOINT relais_row");
    return {
      code,
      constraint: String(constraint_name ?? constraint ?? ""),
      message: typeof detail === "string" ? `${message}: ${detail}` : String(message),
    };
  }
}

/** Adds rows that all have the same columns. */
export async function insertRows(
  query: Query,
  shape: TableShape,
  changes: readonly RowChange[],
): Promise<void> {
  const rows = changes.map(({ after }) => after);
  const columns = shape.columns.filter(({ name }) => name in rows[0]!);
  const list = columns.map(({ name }) => quoteIdent(name)).join(", ");
  const values = columns.map((column) => typed("j", column)).join(", ");
  await query(`INSERT INTO ${shape.name} (${list}) OVERRIDING SYSTEM VALUE SELECT ${values}
    FROM jsonb_array_elements(${jsonLiteral(rows)}) WITH ORDINALITY e(j, n) ORDER BY n`);
}

/** Adds one row; columns that it does not name get their default. */
export async function insertRow(query: Query, shape: TableShape, row: RowValues): Promise<void> {
  const columns = shape.columns.filter(({ name }) => name in row);
  const list = columns.map(({ name }) => quoteIdent(name)).join(", ");
  const values = columns.map((column) => typed("j", column)).join(", ");
  await query(`INSERT INTO ${shape.name} (${list}) OVERRIDING SYSTEM VALUE
    SELECT ${values} FROM (SELECT ${jsonLiteral(row)} AS j) e`);
}

/** Gives the row of that key other values in some columns. */
export async function updateRow(
  query: Query,
  shape: TableShape,
  key: RowValues,
  row: RowValues,
  changed: readonly string[],
): Promise<void> {
  const columns = shape.columns.filter(({ name }) => changed.includes(name));
  if (columns.length === 0) return;
  const set = columns.map((column) => `${quoteIdent(column.name)} = ${typed("e.j", column)}`);
  await query(`UPDATE ONLY ${shape.name} t SET ${set.join(", ")}
    FROM (SELECT ${jsonLiteral(row)} AS j, ${jsonLiteral(key)} AS k) e
    WHERE ${sameKey(shape, "t", "e.k")}`);
}

/** Deletes the row of that key. */
export async function deleteRow(query: Query, shape: TableShape, key: RowValues): Promise<void> {
  await query(`DELETE FROM ONLY ${shape.name} t USING (SELECT ${jsonLiteral(key)} AS k) e
    WHERE ${sameKey(shape, "t", "e.k")}`);
}

/** A table whose rows would silently go or lose their reference with this one; null: none. */
export async function referring(
  query: Query,
  shape: TableShape,
  key: RowValues,
): Promise<string | null> {
  const references = await query(`
    SELECT format('%I.%I', n.nspname, c.relname) AS table,
      (SELECT string_agg(format('r.%I = t.%I', own.attname, their.attname), ' AND ')
        FROM unnest(k.conkey, k.confkey) AS x(o, f)
        JOIN pg_attribute own ON own.attrelid = k.conrelid AND own.attnum = x.o
        JOIN pg_attribute their ON their.attrelid = k.confrelid AND their.attnum = x.f) AS same
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE k.contype = 'f' AND k.confrelid = ${quoteLiteral(shape.name)}::regclass
      AND k.confdeltype IN ('c', 'n', 'd')`);
  for (const { table, same } of references) {
    const found = await scalar(
      query,
      `SELECT 1 FROM ${table} r, ONLY ${shape.name} t, (SELECT ${jsonLiteral(key)} AS k) e
        WHERE ${same} AND ${sameKey(shape, "t", "e.k")} LIMIT 1`,
    );
    if (found !== undefined) return String(table);
  }
  return null;
}

/** The master's row that has the same unique value; null: it can't be found. */
export async function uniqueTwin(
  query: Query,
  shape: TableShape,
  constraint: string,
  change: RowChange,
): Promise<{ readonly key: RowValues; readonly row: RowValues } | null> {
  const parts = await query(`
    SELECT pg_get_indexdef(i.indexrelid, n, true) AS part FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid, generate_series(1, i.indnkeyatts) n
    WHERE i.indrelid = ${quoteLiteral(shape.name)}::regclass AND i.indisunique
      AND c.relname = ${quoteLiteral(constraint)} ORDER BY n`);
  if (parts.length === 0) return null;
  const list = parts.map(({ part }) => part).join(", ");
  const columns = shape.columns.filter(({ name }) => name in change.after!);
  const theirs = columns.map((column) => `${typed("j", column)} AS ${quoteIdent(column.name)}`);
  const [row] = await query(`
    SELECT ${rowText("t", shape.key)}::text AS key,
      ${rowText("t", columns.map(({ name }) => name))}::text AS row
    FROM ONLY ${shape.name} t
    WHERE (SELECT ROW(${list}) FROM (SELECT t.*) m)
      = (SELECT ROW(${list}) FROM (SELECT ${theirs.join(", ")}
        FROM (SELECT ${jsonLiteral(change.after)} AS j) e) s)
      AND NOT (${sameKey(shape, "t", jsonLiteral(change.key))}) LIMIT 1`);
  return row === undefined
    ? null
    : { key: JSON.parse(String(row.key)), row: JSON.parse(String(row.row)) };
}
