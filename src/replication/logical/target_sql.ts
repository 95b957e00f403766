/**
 * The slave's side of the stream in SQL: the subscription, and how it ends. Runs in the database worker.
 *
 * @module
 */

import type { Query } from "../database_catalog.ts";
import { quoteLiteral } from "../database_connection.ts";
import { STREAM } from "./names.ts";
import { raiseSequences } from "./sequences_sql.ts";
import type { TargetState } from "./operations.ts";

/** How often the apply worker is looked at, in milliseconds. */
const LOOK_MS = 25;
/** How long a worker may take to end after its subscription was disabled, in milliseconds. */
const END_PATIENCE_MS = 10_000;

/** Our subscriptions of the current database. */
const OURS = `subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND subname = ${quoteLiteral(STREAM)}`;

/** Makes the subscription; the slot is there already, and so are the rows. */
export async function subscribe(
  query: Query,
  options: { readonly conninfo: string; readonly slot: string; readonly synchronous: boolean },
): Promise<void> {
  // A synchronous master waits for what is on disk here: the worker then says so at once, not by and by.
  const commit = options.synchronous ? "local" : "off";
  await query(`CREATE SUBSCRIPTION ${STREAM} CONNECTION ${quoteLiteral(options.conninfo)}
    PUBLICATION ${STREAM} WITH (copy_data = false, create_slot = false,
      slot_name = ${quoteLiteral(options.slot)}, synchronous_commit = '${commit}')`);
}

/** The subscription as it is. */
export async function readTarget(query: Query): Promise<TargetState["subscription"]> {
  const [row] = await query(`SELECT s.subslotname::text AS slot, s.subenabled AS enabled,
      EXISTS (SELECT 1 FROM pg_stat_subscription w WHERE w.subid = s.oid AND w.pid IS NOT NULL)
        AS working,
      coalesce((SELECT to_jsonb(e)->>'apply_error_count' FROM pg_stat_subscription_stats e
        WHERE e.subid = s.oid), '0') AS errors
    FROM pg_subscription s WHERE ${OURS}`);
  if (row === undefined) return null;
  return {
    slot: row.slot === null ? null : String(row.slot),
    enabled: row.enabled === true,
    working: row.working === true,
    applyErrors: Number(row.errors),
  };
}

/**
 * Drops our subscriptions of this database without a word to the master, which may be dead.
 *
 * @returns their names
 */
export async function dropSubscriptions(query: Query): Promise<string[]> {
  const found = await query(`SELECT subname::text AS name FROM pg_subscription WHERE ${OURS}`);
  for (const { name } of found) {
    await query(`ALTER SUBSCRIPTION ${name} DISABLE`);
    await query(`ALTER SUBSCRIPTION ${name} SET (slot_name = NONE)`);
    await query(`DROP SUBSCRIPTION ${name}`);
  }
  return found.map(({ name }) => String(name));
}

/**
 * Stops the apply worker of this database, so that it can be renamed; the subscription stays.
 *
 * @returns whether there was one that ran
 */
export async function pauseSubscription(query: Query): Promise<boolean> {
  const found = await query(`SELECT 1 FROM pg_subscription WHERE subenabled AND ${OURS}`);
  if (found.length === 0) return false;
  await query(`ALTER SUBSCRIPTION ${STREAM} DISABLE`);
  const until = performance.now() + END_PATIENCE_MS;
  while (await workerState(query) !== "none" && performance.now() < until) await pause();
  return true;
}

/** Undoes {@linkcode pauseSubscription}. */
export async function resumeSubscription(query: Query): Promise<void> {
  await query(`ALTER SUBSCRIPTION ${STREAM} ENABLE`);
}

/**
 * Ends the stream for good as this host begins to serve: what has arrived is applied first (a worker that
 * waits for more has nothing left), then the subscription goes and every sequence is raised.
 */
export async function promote(
  query: Query,
  options: { readonly patienceMs: number },
): Promise<{ dropped: string[]; raised: number }> {
  const until = performance.now() + options.patienceMs;
  let idle = 0;
  while (idle < 2 && performance.now() < until) {
    const state = await workerState(query);
    if (state === "none") break;
    idle = state === "idle" ? idle + 1 : 0;
    await pause();
  }
  if ((await query(`SELECT 1 FROM pg_subscription WHERE ${OURS}`)).length === 0) {
    return { dropped: [], raised: 0 };
  }
  await query(`ALTER SUBSCRIPTION ${STREAM} DISABLE`);
  // Before the subscription goes: what was cut here is done again.
  const raised = await raiseSequences(query);
  return { dropped: await dropSubscriptions(query), raised };
}

async function workerState(query: Query): Promise<"none" | "idle" | "busy"> {
  const [row] = await query(`SELECT wait_event AS event FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type LIKE 'logical replication%worker'`);
  if (row === undefined) return "none";
  return row.event === "LogicalApplyMain" ? "idle" : "busy";
}

async function pause(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
}
