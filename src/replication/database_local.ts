/**
 * Carries a host's own tables (network, mail, DHCP settings…) from its live database into the restored one.
 * Part of the database worker.
 *
 * @module
 */

import { pipeline } from "node:stream/promises";
import { messageOf } from "../os/errors.ts";
import type { Query, Row, UserTable } from "./database_catalog.ts";
import { parentsFirst, selectTables, userTables } from "./database_catalog.ts";
import { quoteIdent, quoteLiteral } from "./database_connection.ts";
import { inTransaction } from "./database_session.ts";
import type { Session } from "./database_session.ts";

/**
 * Replaces the rows of the local tables in `to` by those in `from`, in one transaction. Tables that one of
 * the two does not have are left as they are; columns too.
 *
 * @returns names of the tables that were carried
 * @throws {Error} when the rows do not fit the other host's definition of the table; nothing was changed
 */
export async function carryLocalTables(
  options: {
    readonly from: Session;
    readonly to: Session;
    readonly localTables: readonly string[];
  },
): Promise<string[]> {
  const { from, to } = options;
  const selected = await localTables(from.query, options.localTables);
  const present = new Set((await localTables(to.query, options.localTables)).map((t) => t.name));
  const tables = await parentsFirst(
    to.query,
    selected.map((table) => table.name).filter((name) => present.has(name)),
  );
  await inTransaction(
    { query: from.query, begin: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" },
    () =>
      inTransaction({ query: to.query, begin: "BEGIN" }, async () => {
        for (const name of tables.toReversed()) await to.query(`DELETE FROM ONLY ${name}`);
        for (const name of tables) {
          await carryTable(from, to, name).catch((cause) => {
            const why = messageOf(cause);
            throw new Error(
              `Cannot keep this host's own table ${name} as its rows do not fit the copy: ${why}`,
              { cause },
            );
          });
        }
      }),
  );
  return tables;
}

/** Those with rows of their own. */
async function localTables(query: Query, patterns: readonly string[]): Promise<UserTable[]> {
  const tables = await userTables(query);
  const names = selectTables(tables, patterns);
  return tables.filter((table) => table.kind === "r" && names.has(table.name));
}

async function carryTable(from: Session, to: Session, name: string): Promise<void> {
  const theirs = new Set((await columns(to.query, name)).map((row) => row.name));
  const common = (await columns(from.query, name)).filter((row) => theirs.has(row.name));
  if (common.length > 0) {
    const list = common.map((row) => quoteIdent(String(row.name))).join(", ");
    const triggers = await userTriggers(to.query, name);
    for (const { trigger } of triggers) {
      await to.query(`ALTER TABLE ${name} DISABLE TRIGGER ${quoteIdent(String(trigger))}`);
    }
    const source = await from.copyOut(`COPY ${name} (${list}) TO STDOUT`);
    const target = await to.copyIn(`COPY ${name} (${list}) FROM STDIN`);
    await pipeline(source, target);
    // ALTER TABLE refuses a table that still has checks to do.
    await to.query("SET CONSTRAINTS ALL IMMEDIATE");
    for (const { trigger, enabled } of triggers) {
      const how = enabled === "A" ? "ENABLE ALWAYS" : enabled === "R" ? "ENABLE REPLICA" : "ENABLE";
      await to.query(`ALTER TABLE ${name} ${how} TRIGGER ${quoteIdent(String(trigger))}`);
    }
  }
  await carrySequences(from.query, to.query, name);
}

async function columns(query: Query, name: string): Promise<readonly Row[]> {
  return await query(`
    SELECT attname::text AS name FROM pg_attribute
    WHERE attrelid = ${quoteLiteral(name)}::regclass AND attnum > 0 AND NOT attisdropped
      AND attgenerated = '' ORDER BY attnum`);
}

/** Triggers must not run: the rows are carried as they are. Those of foreign keys stay. */
async function userTriggers(query: Query, name: string): Promise<readonly Row[]> {
  return await query(`
    SELECT tgname::text AS trigger, tgenabled::text AS enabled FROM pg_trigger
    WHERE tgrelid = ${quoteLiteral(name)}::regclass AND NOT tgisinternal AND tgenabled <> 'D'`);
}

/** Sequences of `serial` and identity columns go with the rows. */
async function carrySequences(from: Query, to: Query, name: string): Promise<void> {
  const owned = `
    SELECT a.attname::text AS column, format('%I.%I', n.nspname, s.relname) AS sequence
    FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
    JOIN pg_namespace n ON n.oid = s.relnamespace
    JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
      AND d.deptype IN ('a', 'i') AND d.refobjid = ${quoteLiteral(name)}::regclass`;
  const targets = await to(owned);
  for (const { column, sequence } of await from(owned)) {
    const target = targets.find((row) => row.column === column);
    if (target === undefined) continue;
    const [state] = await from(`SELECT last_value::text AS value, is_called FROM ${sequence}`);
    if (state === undefined) continue;
    await to(`SELECT setval(${quoteLiteral(String(target.sequence))}::regclass,
      ${quoteLiteral(String(state.value))}::bigint, ${state.is_called === true})`);
  }
}
