/**
 * Change signatures: cheap to read (tens of milliseconds), different whenever something was changed, and
 * sometimes (a rolled back change, statistics reset by a crash) also when nothing was. Built from
 * PostgreSQL's own counters of changed rows, so that a change is seen as soon as the session that made it
 * has reported it: at once when it ends, within 10 s when it stays open. A mere `nextval` is not seen.
 *
 * @module
 */

import type { Query } from "./database_catalog.ts";
import { scalar, selectTables, userTables } from "./database_catalog.ts";
import { quoteLiteral } from "./database_connection.ts";
import type { Signatures, TableSelection } from "./database_protocol.ts";
import { schemaFingerprint } from "./database_schema.ts";

/** Tables that change with calls and with the logins of agents: no configuration. */
export const HISTORY = [
  "cel",
  "queue_log",
  "call_log",
  "call_log_*",
  "callcenter_*",
  "stat_*",
  "agent_login_status",
  "session",
  "session_cache",
];

/** Reads both signatures of the current database. */
export async function readSignatures(
  query: Query,
  selection: TableSelection,
): Promise<Signatures> {
  const tables = await userTables(query);
  const skipped = selectTables(tables, [...selection.localTables, ...selection.excludeTableData]);
  const history = selectTables(tables, HISTORY);
  const schema = JSON.stringify(await schemaFingerprint(query));
  const common = await scalar(
    query,
    `
    SELECT concat_ws('|', md5(${quoteLiteral(schema)}),
      (SELECT md5(coalesce(string_agg(format('%s %s', setrole, setconfig), ';' ORDER BY setrole), ''))
        FROM pg_db_role_setting WHERE setdatabase = d.oid),
      d.datacl, d.datdba, d.datconnlimit, shobj_description(d.oid, 'pg_database'),
      (SELECT concat_ws(':', n_tup_ins, n_tup_upd, n_tup_del) FROM pg_stat_all_tables
        WHERE relid = 'pg_largeobject'::regclass),
      (SELECT count(*) FROM pg_largeobject_metadata))
    FROM pg_database d WHERE datname = current_database()`,
  );
  const counters = await query(`
    SELECT format('%I.%I', s.schemaname, s.relname) AS name, concat_ws(':', s.relid,
      pg_relation_filenode(s.relid), s.n_tup_ins, s.n_tup_upd, s.n_tup_del) AS counters
    FROM pg_stat_user_tables s ORDER BY s.relid`);
  const rows = counters.filter((row) => !skipped.has(String(row.name)));
  const configuration = rows.filter((row) => !history.has(String(row.name)));
  return {
    all: await digest([common, ...rows.map((row) => row.counters)]),
    configuration: await digest([common, ...configuration.map((row) => row.counters)]),
  };
}

async function digest(parts: readonly unknown[]): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(parts));
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return hash.toHex();
}
