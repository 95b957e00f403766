/**
 * Has something changed? Asked each ten seconds, so it must cost next to nothing: one `psql`, one statement
 * upon PostgreSQL's statistics, no worker. It sees a change at the latest some ten seconds after it (a
 * session that stays open reports late), sees changes that were rolled back too, and none of rows of large
 * objects alone. What it finds is proved by {@linkcode readSignatures} (`database_signature.ts`) before anything is copied.
 *
 * @module
 */

import { selectTables, type UserTable } from "./database_catalog.ts";
import { conninfo, toolEnvironment } from "./database_connection.ts";
import type { DatabaseContext } from "./database_context.ts";
import { startPipeline } from "./database_pipeline.ts";
import { HISTORY_TABLES } from "./database_signature.ts";
import type { ChangeProbe } from "./tables_port.ts";

const DEADLINE_MS = 10_000;

/**
 * Per table: file node and counters of changed rows. Changes of the structure show in the counters of the
 * catalogs. `pg_class` and `pg_statistic` are not among them: ANALYZE changes them all the time.
 */
const STATEMENT = `SELECT schemaname, relname, concat_ws(':', relid,
    pg_catalog.pg_relation_filenode(relid), n_tup_ins, n_tup_upd, n_tup_del)
  FROM pg_catalog.pg_stat_user_tables
  UNION ALL SELECT 'pg_catalog', relname, concat_ws(':', n_tup_ins, n_tup_upd, n_tup_del)
  FROM pg_catalog.pg_stat_sys_tables WHERE schemaname = 'pg_catalog' AND relname IN ('pg_attribute',
    'pg_constraint', 'pg_enum', 'pg_index', 'pg_inherits', 'pg_namespace', 'pg_policy', 'pg_proc',
    'pg_rewrite', 'pg_sequence', 'pg_trigger', 'pg_type') ORDER BY 1, 2`;

/**
 * Reads the probe of the live database.
 *
 * @throws {PipelineError} when PostgreSQL cannot be reached
 * @throws {ToolMissingError} when psql is not installed
 */
export async function readProbe(
  context: DatabaseContext,
  signal?: AbortSignal,
): Promise<ChangeProbe> {
  const { address, config } = context;
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  const { output, done } = startPipeline({
    stages: [{
      argv: [
        ...[await context.findTool("psql"), "-X", "-q", "-A", "-t", "-0", "-F", "\x1f"],
        ...["-v", "ON_ERROR_STOP=1", "-d", conninfo(address.database), "-c", STATEMENT],
      ],
      env: toolEnvironment({
        address,
        appName: "relais-probe",
        pgOptions: `-c statement_timeout=${DEADLINE_MS} -c default_transaction_read_only=on`,
      }),
    }],
    user: await context.user(),
    signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
  });
  const [text] = await Promise.all([new Response(output).text(), done]);
  const tables = text.split("\0").filter((line) => line.includes("\x1f")).map((line) => {
    const [schema = "", table = "", counters = ""] = line.split("\x1f");
    return {
      name: JSON.stringify([schema, table]),
      schema,
      table,
      kind: "r",
      parent: null,
      counters,
    };
  });
  return {
    config: await digest(
      tables,
      without(tables, [
        ...config.localTables,
        ...config.excludeTableData,
        ...HISTORY_TABLES,
      ]),
    ),
    hot: await digest(tables, selectTables(tables, config.hotTables)),
  };
}

function without(tables: readonly UserTable[], patterns: readonly string[]): Set<string> {
  const left = selectTables(tables, patterns);
  return new Set(tables.map(({ name }) => name).filter((name) => !left.has(name)));
}

async function digest(
  tables: readonly (UserTable & { readonly counters: string })[],
  names: ReadonlySet<string>,
): Promise<string> {
  const lines = tables.filter(({ name }) => names.has(name))
    .map(({ name, counters }) => `${name} ${counters}`);
  const bytes = new TextEncoder().encode(lines.join("\n"));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}
