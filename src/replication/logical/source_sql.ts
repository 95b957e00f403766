/**
 * The master's side of the stream in SQL: publication, slots, how far the slave is. Runs in the database
 * worker.
 *
 * @module
 */

import { selectTables, userTables } from "../database_catalog.ts";
import type { Query } from "../database_catalog.ts";
import { quoteLiteral } from "../database_connection.ts";
import type { TableSelection } from "../database_protocol.ts";
import { SLOT_PREFIX, STREAM, STREAM_APPLICATION } from "./names.ts";
import type { SlotState, SourceState } from "./operations.ts";

/** `LIKE` pattern of our slots. */
const OUR_SLOTS = quoteLiteral(`${SLOT_PREFIX.replaceAll("_", "\\_")}%`);

/** How long `REPLICA IDENTITY` may wait for a table: whoever comes later waits behind it. */
const IDENTITY_PATIENCE = "2s";

/** Tables that the stream carries, quoted; parts of partitioned tables one by one. */
export async function streamedTables(query: Query, selection: TableSelection): Promise<string[]> {
  const tables = await userTables(query);
  const left = selectTables(tables, [...selection.localTables, ...selection.excludeTableData]);
  const volatile = new Set(
    (await query(`SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind = 'r' AND c.relpersistence <> 'p'`)).map(({ name }) => String(name)),
  );
  return tables.filter(({ name, kind }) => kind === "r" && !left.has(name) && !volatile.has(name))
    .map(({ name }) => name);
}

/** Those of `tables` whose rows could not be named in an update: no key, no identity. */
export async function tablesWithoutIdentity(
  query: Query,
  tables: readonly string[],
): Promise<string[]> {
  const wanted = new Set(tables);
  const rows = await query(`SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND (c.relreplident = 'n'
      OR c.relreplident = 'd' AND NOT EXISTS (SELECT 1 FROM pg_index i
        WHERE i.indrelid = c.oid AND i.indisprimary AND i.indisvalid)) ORDER BY 1`);
  return rows.map(({ name }) => String(name)).filter((name) => wanted.has(name));
}

/** Tables of our publication; null: there is none. */
export async function publishedTables(query: Query): Promise<string[] | null> {
  const name = quoteLiteral(STREAM);
  if ((await query(`SELECT 1 FROM pg_publication WHERE pubname = ${name}`)).length === 0) {
    return null;
  }
  const rows = await query(`SELECT format('%I.%I', n.nspname, c.relname) AS name
    FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
    JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE p.pubname = ${name} ORDER BY 1`);
  return rows.map((row) => String(row.name));
}

/**
 * Makes the publication what the configuration says. Identities first: a published table without one would
 * refuse the PBX's updates.
 */
export async function publish(
  query: Query,
  selection: TableSelection,
): Promise<{ tables: number; identities: string[] }> {
  const tables = await streamedTables(query, selection);
  if (tables.length === 0) {
    throw new Error("Cannot publish the database as it has no table that is copied");
  }
  const identities = await tablesWithoutIdentity(query, tables);
  for (const table of identities) {
    await query(`BEGIN; SET LOCAL lock_timeout = '${IDENTITY_PATIENCE}';
      ALTER TABLE ${table} REPLICA IDENTITY FULL; COMMIT`)
      .catch(async (error) => {
        await query("ROLLBACK").catch(() => {}); // The connection is lost: nothing is left to undo.
        throw error;
      });
  }
  const published = await publishedTables(query);
  if (published === null) {
    await query(`CREATE PUBLICATION ${STREAM} FOR TABLE ${tables.join(", ")}`);
  } else if (published.join() !== [...tables].sort().join()) {
    await query(`ALTER PUBLICATION ${STREAM} SET TABLE ${tables.join(", ")}`);
  }
  await rememberIdentities(query, identities);
  return { tables: tables.length, identities };
}

/** With the publication itself stands which identities came from us, for the day when it is taken down. */
async function rememberIdentities(query: Query, added: readonly string[]): Promise<void> {
  if (added.length === 0) return;
  const all = [...new Set([...await rememberedIdentities(query), ...added])].sort();
  await query(`COMMENT ON PUBLICATION ${STREAM} IS ${quoteLiteral(JSON.stringify(all))}`);
}

/** Tables that got their identity from us. */
export async function rememberedIdentities(query: Query): Promise<string[]> {
  const [row] = await query(`SELECT obj_description(oid, 'pg_publication') AS text
    FROM pg_publication WHERE pubname = ${quoteLiteral(STREAM)}`);
  try {
    const list: unknown = JSON.parse(String(row?.text ?? "[]"));
    return Array.isArray(list) ? list.filter((name) => typeof name === "string") : [];
  } catch {
    return []; // Somebody else's comment.
  }
}

/**
 * Where master and slave are. Then a few bytes of log are written that nobody applies: also a database at
 * rest shows each second that the slave still follows.
 */
export async function readSource(query: Query): Promise<SourceState> {
  const [row] = await query(`SELECT json_build_object(
    'walLevel', current_setting('wal_level'),
    'lsn', pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0'),
    'slots', coalesce((SELECT json_agg(json_build_object('name', slot_name, 'active', active,
        'walStatus', coalesce(wal_status, 'lost'),
        'behindBytes', coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn), 0),
        'confirmed', coalesce(confirmed_flush_lsn::text, '')) ORDER BY slot_name)
      FROM pg_replication_slots
      WHERE database = current_database() AND slot_name LIKE ${OUR_SLOTS}), '[]'),
    'sender', (SELECT json_build_object('state', state,
        'replayLsn', pg_wal_lsn_diff(replay_lsn, '0/0'),
        'replayLagMs', round(extract(epoch FROM replay_lag)::numeric * 1000, 1))
      FROM pg_stat_replication WHERE application_name = ${quoteLiteral(STREAM_APPLICATION)}
      ORDER BY backend_start DESC LIMIT 1),
    'synchronousNames', current_setting('synchronous_standby_names'),
    'waiting', coalesce((SELECT json_agg(format('%s %s', pid, query_start)) FROM (
      SELECT pid, query_start FROM pg_stat_activity WHERE wait_event = 'SyncRep'
      ORDER BY query_start LIMIT 50) w), '[]'))::text AS state`);
  const state = JSON.parse(String(row?.state)) as SourceState;
  if (state.walLevel === "logical") {
    await query("SELECT pg_logical_emit_message(false, 'relais', '')");
  }
  return state;
}

/** Drops our slots but `keep`; with `force` also one that is in use, after its sender was ended. */
export async function dropSlots(
  query: Query,
  options: { readonly keep: string | null; readonly force: boolean },
): Promise<string[]> {
  const keep = quoteLiteral(options.keep ?? "");
  const wanted = `database = current_database() AND slot_name LIKE ${OUR_SLOTS}
    AND slot_name <> ${keep}`;
  const until = performance.now() + 10_000;
  const dropped: string[] = [];
  for (;;) {
    const slots = await query(`SELECT slot_name::text AS name, active_pid AS pid
      FROM pg_replication_slots WHERE ${wanted}`);
    const idle = slots.filter(({ pid }) => pid === null);
    for (const { name } of idle) {
      await query(`SELECT pg_drop_replication_slot(${quoteLiteral(String(name))})`);
      dropped.push(String(name));
    }
    const busy = slots.filter(({ pid }) => pid !== null);
    if (busy.length === 0 || !options.force) return dropped;
    if (performance.now() > until) {
      throw new Error(`Cannot drop the slot ${busy[0]!.name} as it is in use again and again`);
    }
    for (const { pid } of busy) await query(`SELECT pg_terminate_backend(${Number(pid)})`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/**
 * Sets or clears `synchronous_standby_names`.
 *
 * @returns whether it is ours and set afterwards
 * @throws when it holds another's value
 */
export async function setSynchronous(query: Query, on: boolean): Promise<boolean> {
  const [row] = await query("SELECT current_setting('synchronous_standby_names') AS value");
  const value = String(row?.value ?? "");
  if (value !== "" && value !== STREAM_APPLICATION) {
    if (!on) return false;
    throw new Error(
      `Cannot make commits synchronous as synchronous_standby_names is "${value}" here: ` +
        "that is not relais'; clear it, or set synchronous = false",
    );
  }
  // Also when it seems so already: a reload may be on its way.
  await query(
    on
      ? `ALTER SYSTEM SET synchronous_standby_names = ${quoteLiteral(STREAM_APPLICATION)}`
      : "ALTER SYSTEM RESET synchronous_standby_names",
  );
  await query("SELECT pg_reload_conf()");
  return on;
}

/** The slot that the slave should use: the newest one; null: there is none. */
export function currentSlot(slots: readonly SlotState[]): SlotState | null {
  return slots.find(({ active }) => active) ?? slots.at(-1) ?? null;
}
