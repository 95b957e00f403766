/**
 * The logical slot of `return = "all"`: from the slave's takeover on PostgreSQL writes down every change;
 * relais notes of each row how it was first, and lets the log go. Part of the database worker.
 *
 * @module
 */

import type { Query } from "../database_catalog.ts";
import { scalar } from "../database_catalog.ts";
import { quoteLiteral } from "../database_connection.ts";
import { inTransaction } from "../database_session.ts";
import { decodeChange } from "./decode.ts";
import { type CatchUp, RETURN_SLOT } from "./return_protocol.ts";
import { plainText, RETURN_SCHEMA, type TableShape, tableShape } from "./return_rows.ts";
import type { RowValues } from "./return_types.ts";

/** Changes that are read at once. */
const BATCH = 20_000;
const SLOT = quoteLiteral(RETURN_SLOT);

/**
 * Makes the slot.
 *
 * @throws {Error} when the server writes no logical log
 */
export async function createSlot(query: Query): Promise<void> {
  if (await scalar(query, "SHOW wal_level") !== "logical") {
    throw new Error(
      'Cannot keep what changes here as wal_level is not logical: for return = "all" set ' +
        "wal_level = logical in postgresql.conf of this host and restart PostgreSQL",
    );
  }
  await query(`SELECT pg_create_logical_replication_slot(${SLOT}, 'test_decoding')`);
}

/** Drops the slot if there is one. */
export async function dropSlot(query: Query): Promise<void> {
  await query(`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
    WHERE slot_name = ${SLOT} AND database = current_database()`);
}

/** What is wrong with the slot, as sentences. */
export async function slotFault(query: Query): Promise<string[]> {
  const [slot] = await query(`SELECT wal_status::text AS status FROM pg_replication_slots
    WHERE slot_name = ${SLOT} AND database = current_database()`);
  const truncated = await query(
    `SELECT facts->>'truncated' AS tables FROM ${RETURN_SCHEMA}.meta WHERE facts ? 'truncated'`,
  );
  return [
    ...(slot === undefined ? ["the slot is gone: what changed lately is not known"] : []),
    ...(slot?.status === "lost"
      ? ["PostgreSQL gave the slot up (max_slot_wal_keep_size): what changed lately is not known"]
      : []),
    ...truncated.map(({ tables }) => `emptied by TRUNCATE, which does not go back: ${tables}`),
  ];
}

/**
 * Reads the slot as far as it is written: of each row that was touched for the first time, how it was
 * before. What was read is committed before the slot moves on; read twice it says the same.
 *
 * @throws {Error} when the slot is lost
 */
export async function catchUp(query: Query): Promise<CatchUp> {
  await plainText(query);
  const shapes = new Map<string, TableShape | null>();
  for (const { tbl } of await query(`SELECT tbl FROM ${RETURN_SCHEMA}.followed`)) {
    shapes.set(String(tbl), await tableShape(query, String(tbl)).catch(() => null));
  }
  let changes = 0;
  while (true) {
    const end = String(await scalar(query, "SELECT pg_current_wal_insert_lsn()::text"));
    // Only whole transactions: the last one may be longer than the batch.
    const rows = await query(`
      SELECT lsn::text AS lsn, data FROM pg_logical_slot_peek_changes(${SLOT}, NULL, ${BATCH},
        'include-xids', '0', 'skip-empty-xacts', '1')`);
    const touched: Touched[] = [];
    const truncated: string[] = [];
    for (const { data } of rows) {
      const change = decodeChange(String(data));
      if (change === null) continue;
      changes++;
      if (change.kind === "TRUNCATE") {
        truncated.push(...change.tables.filter((table) => shapes.has(table)));
        continue;
      }
      const shape = shapes.get(change.table);
      if (shape === null || shape === undefined) continue;
      if (change.old !== null) touched.push(touch(shape, change.old, whole(shape, change.old)));
      if (change.new !== null) touched.push(touch(shape, { ...change.old, ...change.new }, null));
    }
    await note(query, touched, truncated);
    const last = rows.at(-1)?.lsn;
    await query(`SELECT pg_replication_slot_advance(${SLOT},
      ${quoteLiteral(last === undefined ? end : String(last))})`);
    if (rows.length < BATCH) break;
  }
  const held = await scalar(
    query,
    `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::text FROM pg_replication_slots
      WHERE slot_name = ${SLOT}`,
  );
  return { changes, heldBytes: Number(held ?? 0) };
}

interface Touched {
  readonly table: string;
  readonly key: RowValues;
  readonly before: RowValues | null;
}

function touch(shape: TableShape, row: RowValues, before: RowValues | null): Touched {
  return { table: shape.name, key: pick(shape, row, shape.key), before };
}

function whole(shape: TableShape, row: RowValues): RowValues {
  return pick(shape, row, shape.columns.map((column) => column.name));
}

/** The plugin leaves NULLs out of old rows, and pads `char(n)`, which a cast to text does not. */
function pick(shape: TableShape, row: RowValues, columns: readonly string[]): RowValues {
  const padded = shape.columns.filter(({ type }) => type === "bpchar").map(({ name }) => name);
  return Object.fromEntries(columns.map((name) => {
    const value = row[name] ?? null;
    return [name, padded.includes(name) ? value?.replace(/ +$/, "") ?? null : value];
  }));
}

async function note(
  query: Query,
  touched: readonly Touched[],
  truncated: readonly string[],
): Promise<void> {
  if (touched.length === 0 && truncated.length === 0) return;
  await inTransaction({ query, begin: "BEGIN" }, async () => {
    if (truncated.length > 0) {
      const text = quoteLiteral([...new Set(truncated)].join(", "));
      await query(`UPDATE ${RETURN_SCHEMA}.meta
        SET facts = facts || jsonb_build_object('truncated', ${text}::text)`);
    }
    for (let from = 0; from < touched.length; from += 1000) {
      const some = JSON.stringify(touched.slice(from, from + 1000));
      await query(`INSERT INTO ${RETURN_SCHEMA}.base
        SELECT x->>'table', x->'key', nullif(x->'before', 'null')
        FROM jsonb_array_elements(${quoteLiteral(some)}::jsonb) WITH ORDINALITY e(x, n) ORDER BY n
        ON CONFLICT DO NOTHING`);
    }
  });
}
