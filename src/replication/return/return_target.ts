/**
 * The master's side of the way back, in the database worker: brings the slave's rows in, in one
 * transaction, and says where the two hosts want different things (docs/design/return.md).
 *
 * @module
 */

import type { Query } from "../database_catalog.ts";
import { scalar, userTables } from "../database_catalog.ts";
import type { DatabaseAddress } from "../database_connection.ts";
import { quoteIdent, quoteLiteral } from "../database_connection.ts";
import { openSession, type Session } from "../database_session.ts";
import { ReturnCount } from "./return_count.ts";
import { conflictOf, decided } from "./return_conflict.ts";
import type { ReturnOperations } from "./return_protocol.ts";
import { differing, jsonLiteral, plainText, sameKey, tableShape } from "./return_rows.ts";
import { columnsOf, rowText, type TableShape } from "./return_rows.ts";
import {
  type ConstraintTrouble,
  deleteRow,
  insertRow,
  insertRows,
  referring,
  tolerant,
  uniqueTwin,
  updateRow,
} from "./return_write.ts";
import type { Decisions, ReturnOutcome, RowChange, RowValues } from "./return_types.ts";

/** Changes that wait for others (a reference, a number that is not free yet), at most. */
const MAX_WAITING = 20_000;

interface Waiting {
  readonly change: RowChange;
  readonly trouble: ConstraintTrouble;
}

/** See the module. */
export class ReturnTarget {
  readonly #address: DatabaseAddress;
  #session: Session | null = null;
  readonly #shapes = new Map<string, TableShape>();
  #names = new Set<string>();
  #triggers: readonly { readonly table: string; readonly name: string; readonly how: string }[] =
    [];
  #count = new ReturnCount();
  #waiting: Waiting[] = [];

  constructor(address: DatabaseAddress) {
    this.#address = address;
  }

  /** `return-apply-begin` */
  async begin(
    { tables }: ReturnOperations["return-apply-begin"]["args"],
    deadlineMs: number,
  ): Promise<null> {
    await this.close();
    this.#session = await openSession({
      address: this.#address,
      database: this.#address.database,
      statementTimeoutMs: deadlineMs,
      appName: "relais-return",
    });
    const { query } = this.#session;
    await plainText(query);
    this.#shapes.clear();
    this.#count = new ReturnCount();
    this.#waiting = [];
    // What comes from the other host never gets into a statement unless a table here has that name.
    this.#names = new Set((await userTables(query)).filter(({ kind }) => kind === "r").map(nameOf));
    await query("BEGIN");
    const known = tables.map((table) => this.#known(table));
    this.#triggers = (await query(`
      SELECT format('%I.%I', n.nspname, c.relname) AS table, t.tgname::text AS name,
        t.tgenabled::text AS how
      FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE NOT t.tgisinternal AND t.tgenabled <> 'D'
        AND format('%I.%I', n.nspname, c.relname) = ANY (ARRAY[${
      ["''", ...known.map(quoteLiteral)].join(", ")
    }])`)).map((row) => ({
      table: String(row.table),
      name: String(row.name),
      how: String(row.how),
    }));
    // Rows arrive as they are: what a trigger would do was done on the slave.
    for (const { table, name } of this.#triggers) {
      await query(`ALTER TABLE ${table} DISABLE TRIGGER ${quoteIdent(name)}`);
    }
    return null;
  }

  /** `return-apply` */
  async apply({ changes, decisions }: ReturnOperations["return-apply"]["args"]): Promise<null> {
    for (let at = 0; at < changes.length;) {
      const { table } = changes[at]!;
      let end = at + 1;
      while (end < changes.length && changes[end]!.table === table) end++;
      await this.#applyTo(table, changes.slice(at, end), decisions);
      at = end;
    }
    return null;
  }

  /** `return-apply-end` */
  async end(
    { decisions, sequences, commit }: ReturnOperations["return-apply-end"]["args"],
  ): Promise<ReturnOutcome> {
    const { query } = this.#live();
    await this.#settleWaiting(decisions);
    const clean = this.#count.conflictCount === 0;
    const go = commit === "without" || (commit === "if-clean" && clean);
    // Also in a trial: a reference that is checked at the end must be seen.
    await query("SET CONSTRAINTS ALL IMMEDIATE");
    for (const { table, name, how } of this.#triggers) {
      const enable = how === "A" ? "ENABLE ALWAYS" : how === "R" ? "ENABLE REPLICA" : "ENABLE";
      await query(`ALTER TABLE ${table} ${enable} TRIGGER ${quoteIdent(name)}`);
    }
    if (go) {
      await raise(query, sequences);
      await query("SET LOCAL synchronous_commit = on");
    }
    await query(go ? "COMMIT" : "ROLLBACK");
    await this.close();
    return this.#count.outcome(go);
  }

  /** Rolls back what was not committed. */
  async close(): Promise<void> {
    const session = this.#session;
    this.#session = null;
    await session?.end();
  }

  #live(): Session {
    if (this.#session === null) throw new Error("Cannot bring rows in before it was begun");
    return this.#session;
  }

  #known(table: string): string {
    if (this.#names.has(table)) return table;
    throw new Error(`there is no table ${table} on the master: are both of the same version?`);
  }

  async #shape(table: string, row: RowValues): Promise<TableShape> {
    let shape = this.#shapes.get(table);
    if (shape === undefined) {
      shape = await tableShape(this.#live().query, this.#known(table));
      this.#shapes.set(table, shape);
    }
    const missing = Object.keys(row).find((name) => !columnsOf(shape).includes(name));
    if (missing !== undefined) {
      throw new Error(
        `${table} has no column ${missing} on the master: are both of the same version?`,
      );
    }
    return shape;
  }

  async #applyTo(
    table: string,
    changes: readonly RowChange[],
    decisions: Decisions,
  ): Promise<void> {
    const { query } = this.#live();
    const sample = changes[0]!;
    const shape = await this.#shape(table, { ...(sample.after ?? sample.before), ...sample.key });
    const here = await currentRows(query, shape, changes);
    // New rows whose key is free: all at once, as call records are many.
    const free = changes.filter((change, at) => change.before === null && here[at] === null);
    const inserted = free.length > 1 &&
      await tolerant(query, () => insertRows(query, shape, free)) === null;
    if (inserted) this.#count.inserted += free.length;
    for (const [at, change] of changes.entries()) {
      if (inserted && change.before === null && here[at] === null) continue;
      await this.#applyOne(shape, change, here[at] ?? null, decisions);
    }
  }

  async #applyOne(
    shape: TableShape,
    change: RowChange,
    current: RowValues | null,
    decisions: Decisions,
  ): Promise<void> {
    const { query } = this.#live();
    const count = this.#count;
    const { before, after, sent = null } = change;
    const columns = Object.keys(after ?? before ?? {});
    const equal = (one: RowValues | null, other: RowValues | null): boolean =>
      one === null || other === null ? one === other : differing(one, other, columns).length === 0;
    if (equal(current, after)) {
      count.same++;
      return;
    }
    const untouched = equal(current, before) || (sent !== null && equal(current, sent));
    if (change.append && before === null && after !== null && !untouched) {
      return await this.#renumber(shape, change, after, decisions);
    }
    let force = false;
    let only: readonly string[] | null = null;
    if (!untouched) {
      const conflict = conflictOf(change, "changed", current);
      const choice = decided(conflict.id, decisions);
      if (choice === undefined) return count.conflict(conflict);
      if (choice === "master") return count.leave();
      if (choice === "both") {
        if (before === null && after !== null) {
          return await this.#renumber(shape, change, after, decisions);
        }
        if (before === null || after === null || current === null) {
          return count.conflict({
            ...conflict,
            why: `${conflict.why}; both at once can't be kept`,
          });
        }
        const mine = differing(before, after, columns);
        const theirs = differing(before, current, columns);
        const clash = mine.filter((name) =>
          theirs.includes(name) && (after[name] ?? null) !== (current[name] ?? null)
        );
        if (clash.length > 0) {
          const why = `${conflict.why}; both can't be kept as both changed ${clash.join(", ")}`;
          return count.conflict({ ...conflict, why });
        }
        only = mine;
      }
      force = choice === "slave";
      if (current !== null && choice === "slave") count.replace(shape.name, current);
    }
    const trouble = await tolerant(query, async () => {
      if (after === null) {
        const by = await referring(query, shape, change.key);
        if (by !== null && !force) throw new RefersError(by);
        await deleteRow(query, shape, change.key);
      } else if (current === null) await insertRow(query, shape, after);
      else {
        const changed = only ?? differing(current, after, columns);
        await updateRow(query, shape, change.key, after, changed);
      }
    });
    if (trouble === null) {
      if (after === null) count.deleted++;
      else if (current === null) count.inserted++;
      else count.updated++;
      return;
    }
    this.#wait(change, trouble);
  }

  /** Something that comes later may cure it. */
  #wait(change: RowChange, trouble: ConstraintTrouble): void {
    this.#waiting.push({ change, trouble });
    if (this.#waiting.length > MAX_WAITING) {
      throw new Error(`more than ${MAX_WAITING} rows can't be brought in: ${trouble.message}`);
    }
  }

  /** Tries again what waits until nothing moves; what then remains is shown. */
  async #settleWaiting(decisions: Decisions): Promise<void> {
    const { query } = this.#live();
    for (let before = Infinity; this.#waiting.length > 0 && this.#waiting.length < before;) {
      before = this.#waiting.length;
      const again = this.#waiting;
      this.#waiting = [];
      for (const { change } of again) await this.apply({ changes: [change], decisions });
    }
    const remaining = this.#waiting;
    this.#waiting = [];
    for (const { change, trouble } of remaining) {
      const shape = await this.#shape(change.table, change.key);
      const twin = trouble.code === "23505" && change.after !== null
        ? await uniqueTwin(query, shape, trouble.constraint, change)
        : null;
      const conflict = twin === null
        ? conflictOf(change, "refused", null, trouble.message)
        : conflictOf(change, "unique", twin.row, trouble.message);
      const choice = decided(conflict.id, decisions);
      if (choice === "master") {
        this.#count.leave();
        continue;
      }
      if (choice === "slave" && twin !== null) {
        const failed = await tolerant(query, async () => {
          await deleteRow(query, shape, twin.key);
          const [current = null] = await currentRows(query, shape, [change]);
          if (current === null) await insertRow(query, shape, change.after!);
          else {
            const changed = differing(current, change.after!, Object.keys(change.after!));
            await updateRow(query, shape, change.key, change.after!, changed);
          }
        });
        if (failed === null) {
          this.#count.replace(shape.name, twin.row);
          this.#count.updated++;
          continue;
        }
        this.#count.conflict({
          ...conflict,
          why: `${conflict.why}; the master's row can't be replaced: ${failed.message}`,
        });
        continue;
      }
      const why = choice === undefined
        ? conflict.why
        : `${conflict.why}; only "master" is possible`;
      this.#count.conflict({ ...conflict, why });
    }
  }

  /** A row of history whose number is taken: the same content is not brought twice. */
  async #renumber(
    shape: TableShape,
    change: RowChange,
    after: RowValues,
    decisions: Decisions,
  ): Promise<void> {
    const { query } = this.#live();
    const free = shape.columns.find(({ name }) => shape.key.includes(name))?.hasDefault === true &&
      shape.key.length === 1;
    const rest = Object.fromEntries(
      Object.entries(after).filter(([name]) => !shape.key.includes(name)),
    );
    if (!free) {
      const [current = null] = await currentRows(query, shape, [change]);
      const conflict = conflictOf(change, "changed", current);
      const choice = decided(conflict.id, decisions);
      if (choice === "master") return this.#count.leave();
      return this.#count.conflict({
        ...conflict,
        why: `${conflict.why}; it can't get a new number`,
      });
    }
    const names = Object.keys(rest);
    const own = await scalar(
      query,
      `SELECT 1 FROM ONLY ${shape.name} t WHERE ${rowText("t", names)} = ${
        jsonLiteral(rest)
      } LIMIT 1`,
    );
    if (own !== undefined) {
      this.#count.same++;
      return;
    }
    const trouble = await tolerant(query, async () => {
      // Numbers that rows have already are passed over.
      for (let tries = 0;; tries++) {
        const failed = await tolerant(query, () => insertRow(query, shape, rest));
        if (failed === null) return;
        if (failed.code !== "23505" || tries >= 1) throw failed;
        await passHighest(query, shape);
      }
    });
    if (trouble === null) this.#count.renumbered++;
    else this.#wait(change, trouble);
  }
}

/** Rows of the master hang on one that the slave deleted. */
class RefersError extends Error {
  readonly code = "23503";
  constructor(by: string) {
    super(`rows of ${by} on the master belong to it and would go with it`);
  }
}

function nameOf({ name }: { readonly name: string }): string {
  return name;
}

/** The master's row of each change; null: none. */
async function currentRows(
  query: Query,
  shape: TableShape,
  changes: readonly RowChange[],
): Promise<readonly (RowValues | null)[]> {
  const columns = Object.keys(changes[0]!.after ?? changes[0]!.before ?? changes[0]!.key);
  const rows = await query(`
    SELECT k.n::int AS n, ${rowText("t", columns)}::text AS row
    FROM jsonb_array_elements(${jsonLiteral(changes.map(({ key }) => key))})
      WITH ORDINALITY k(key, n)
    JOIN ONLY ${shape.name} t ON ${sameKey(shape, "t", "k.key")}`);
  const found: (RowValues | null)[] = changes.map(() => null);
  for (const { n, row } of rows) found[Number(n) - 1] = JSON.parse(String(row));
  return found;
}

async function raise(
  query: Query,
  sequences: ReturnOperations["return-apply-end"]["args"]["sequences"],
): Promise<void> {
  for (const { name, value } of sequences) {
    const known = await scalar(
      query,
      `SELECT oid::regclass::text FROM pg_class
        WHERE oid = to_regclass(${quoteLiteral(name)}) AND relkind = 'S'`,
    );
    if (typeof known !== "string") continue;
    await query(
      `SELECT setval(${quoteLiteral(known)}, greatest((SELECT last_value FROM ${known}),
        ${quoteLiteral(value)}::bigint))`,
    );
  }
}

/** The table's own sequence stands behind its rows: it goes on from the highest. */
async function passHighest(query: Query, shape: TableShape): Promise<void> {
  const [key = ""] = shape.key;
  await query(`SELECT setval(s, (SELECT max(${quoteIdent(key)}) FROM ${shape.name}))
    FROM (SELECT pg_get_serial_sequence(${quoteLiteral(shape.name)}, ${quoteLiteral(key)})
      AS s) x WHERE s IS NOT NULL`);
}
