/**
 * Rows as text: how a table's rows are read, compared and written, whatever types its columns have.
 * Part of the database worker.
 *
 * @module
 */

import { quoteIdent, quoteLiteral } from "../database_connection.ts";
import type { Query } from "../database_catalog.ts";
import type { RowValues } from "./return_types.ts";

/** Schema of relais in the slave's database, from a takeover to the end of the way back. */
export const RETURN_SCHEMA = "relais_return";

/** A column that is written (generated ones are not). */
export interface Column {
  readonly name: string;
  /** For a cast: schema-qualified, without length. */
  readonly type: string;
  /** It gets a value of its own when none is given (sequence, identity, default). */
  readonly hasDefault: boolean;
}

/** What has to be known of a table. */
export interface TableShape {
  /** `schema.table`, quoted where needed. */
  readonly name: string;
  readonly columns: readonly Column[];
  /** Columns of the primary key; all of them if there is none. */
  readonly key: readonly string[];
  readonly hasKey: boolean;
}

/** Both hosts must print values alike. */
export async function plainText(query: Query): Promise<void> {
  await query(`SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres';
    SET extra_float_digits = 1; SET bytea_output = 'hex'; SET xmloption = 'content'`);
}

/** Reads the shape of a table. @throws {Error} when there is none of that name */
export async function tableShape(query: Query, name: string): Promise<TableShape> {
  const rows = await query(`
    SELECT a.attname::text AS name, format_type(a.atttypid, -1) AS type,
      (a.atthasdef OR a.attidentity <> '') AS has_default,
      array_position(i.indkey::int2[], a.attnum) AS place
    FROM pg_attribute a LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
    WHERE a.attrelid = to_regclass(${quoteLiteral(name)}) AND a.attnum > 0 AND NOT a.attisdropped
      AND a.attgenerated = '' ORDER BY a.attnum`);
  if (rows.length === 0) throw new Error(`there is no table ${name} here`);
  const columns = rows.map((row) => ({
    name: String(row.name),
    type: String(row.type),
    hasDefault: row.has_default === true,
  }));
  const keyed = rows.filter((row) => row.place !== null)
    .sort((a, b) => Number(a.place) - Number(b.place));
  const key = keyed.map((row) => String(row.name));
  return {
    name,
    columns,
    key: key.length > 0 ? key : columns.map((column) => column.name),
    hasKey: key.length > 0,
  };
}

/** SQL: the given columns of `alias` as one jsonb of texts. Any number of columns. */
export function rowText(alias: string, columns: readonly string[]): string {
  const list = columns.map((name) => `${alias}.${quoteIdent(name)}::text AS ${quoteIdent(name)}`);
  return `(SELECT to_jsonb(relais_row) FROM (SELECT ${list.join(", ")}) relais_row)`;
}

/** SQL: the value of a column out of a jsonb of texts, as its own type. */
export function typed(json: string, column: Column): string {
  return `(${json}->>${quoteLiteral(column.name)})::${column.type}`;
}

/** SQL: `alias` is the row that the jsonb `json` names. With a primary key its index is used. */
export function sameKey(shape: TableShape, alias: string, json: string): string {
  return shape.key.map((name) => {
    const column = shape.columns.find((each) => each.name === name)!;
    const own = `${alias}.${quoteIdent(name)}`;
    return shape.hasKey
      ? `${own} = ${typed(json, column)}`
      : `${own}::text IS NOT DISTINCT FROM ${json}->>${quoteLiteral(name)}`;
  }).join(" AND ");
}

/** A value as jsonb in SQL. */
export function jsonLiteral(value: unknown): string {
  return `${quoteLiteral(JSON.stringify(value))}::jsonb`;
}

/** Columns (of those given) in which two rows differ. */
export function differing(
  one: RowValues,
  other: RowValues,
  columns: readonly string[],
): readonly string[] {
  return columns.filter((name) => (one[name] ?? null) !== (other[name] ?? null));
}

/** Names of the columns. */
export function columnsOf(shape: TableShape): readonly string[] {
  return shape.columns.map((column) => column.name);
}
