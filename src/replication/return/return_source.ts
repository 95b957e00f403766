/**
 * The slave's side of the way back, in the database worker: what is kept at a takeover, and what was
 * gained since (docs/design/return.md).
 *
 * @module
 */

import {
  parentsFirst,
  type Query,
  type Row,
  scalar,
  selectTables,
  type UserTable,
  userTables,
} from "../database_catalog.ts";
import type { DatabaseAddress } from "../database_connection.ts";
import { quoteIdent, quoteLiteral } from "../database_connection.ts";
import { inTransaction, openSession, type Session, withSession } from "../database_session.ts";
import { catchUp, createSlot, dropSlot, slotFault } from "./return_slot.ts";
import type { CatchUp, ReturnBase, ReturnCounters, ReturnOperations } from "./return_protocol.ts";
import {
  plainText,
  RETURN_SCHEMA,
  rowText,
  sameKey,
  type TableShape,
  tableShape,
} from "./return_rows.ts";
import { isHistory, parseReturnTable, type ReturnSummary, type RowChange } from "./return_types.ts";

/** A table larger than this (bytes) is not kept at a takeover: it would take too long. */
const MAX_BASE_BYTES = 64_000_000;
/** How far a sequence is raised at a takeover: the master's last numbers never reached us. */
const SEQUENCE_GAP = 10_000;
/** Rows, and about how many characters of them, in one answer. */
const READ_ROWS = 500;
const READ_CHARS = 4_000_000;

/** See the module. */
export class ReturnSource {
  readonly #address: DatabaseAddress;
  /** Holds the list of changes while it is read. */
  #open: Session | null = null;

  constructor(address: DatabaseAddress) {
    this.#address = address;
  }

  /** `return-prepare` */
  prepare(
    args: ReturnOperations["return-prepare"]["args"],
    deadlineMs: number,
  ): Promise<ReturnBase> {
    return this.#with(deadlineMs, async (session) => {
      const { query } = session;
      const had = await readMeta(query);
      if (had !== null && had.mode === args.mode && !args.fresh) {
        return { ...had, mode: args.mode, already: true, notes: [] };
      }
      await removeAll(query);
      // A slot can only be made in a transaction that has not written yet.
      if (args.mode === "all") await createSlot(query);
      try {
        return await inTransaction({ query, begin: "BEGIN" }, () => keepBase(query, args));
      } catch (error) {
        await dropSlot(query).catch(() => {}); // The first cause is in hand.
        throw error;
      }
    });
  }

  /** `return-catch-up` */
  catchUp(deadlineMs: number): Promise<CatchUp> {
    return this.#with(deadlineMs, ({ query }) => catchUp(query));
  }

  /** `return-open` */
  async open(deadlineMs: number): Promise<ReturnSummary | null> {
    await this.close();
    const session = await openSession({
      address: this.#address,
      database: this.#address.database,
      statementTimeoutMs: deadlineMs,
      appName: "relais-return",
    });
    this.#open = session;
    const { query } = session;
    const meta = await readMeta(query);
    if (meta === null) return null;
    await plainText(query);
    if (meta.mode === "all") {
      await catchUp(query).catch(async (cause) => {
        // A slot that is lost is told with what is known.
        if ((await slotFault(query)).length === 0) throw cause;
      });
    }
    // One moment for all tables: a row must not be found without the one that it refers to.
    return await inTransaction(
      { query, begin: "BEGIN ISOLATION LEVEL REPEATABLE READ" },
      () => listChanges(query, meta.mode),
    );
  }

  /** `return-read` */
  async read(from: number): Promise<{ readonly changes: readonly RowChange[] }> {
    const rows = await this.#opened()(`
      SELECT tbl, append, key::text, before::text, after::text, sent::text FROM (
        SELECT *, sum(length(before::text) + length(after::text)) OVER (ORDER BY n) AS chars
        FROM (SELECT * FROM pg_temp.relais_changes WHERE n > ${Number(from)} ORDER BY n
          LIMIT ${READ_ROWS}) part) x
      WHERE chars < ${READ_CHARS} OR chars IS NULL OR n = ${Number(from) + 1} ORDER BY n`);
    return { changes: rows.map(toChange) };
  }

  /** `return-ahead` */
  async ahead(): Promise<{ readonly rows: number }> {
    const query = this.#opened();
    await query(`
      CREATE TEMP TABLE relais_ahead AS SELECT row_number() OVER (ORDER BY n)::int AS number, *
        FROM relais_changes WHERE append AND after IS NOT NULL;
      DROP TABLE relais_changes;
      ALTER TABLE relais_ahead DROP COLUMN n;
      ALTER TABLE relais_ahead RENAME COLUMN number TO n;
      ALTER TABLE relais_ahead RENAME TO relais_changes;
      CREATE INDEX ON relais_changes (n); ANALYZE relais_changes;
      INSERT INTO ${RETURN_SCHEMA}.base (tbl, key, before, sent)
        SELECT tbl, key, before, after FROM relais_changes
        ON CONFLICT (tbl, md5(key::text)) DO UPDATE SET sent = excluded.sent`);
    return { rows: Number(await scalar(query, "SELECT count(*) FROM relais_changes")) };
  }

  /** `return-ahead-done` */
  async aheadDone(): Promise<null> {
    await this.#opened()(`UPDATE ${RETURN_SCHEMA}.base b SET before = b.sent, sent = NULL
      FROM relais_changes c WHERE c.tbl = b.tbl AND c.key = b.key`);
    return null;
  }

  #opened(): Query {
    if (this.#open === null) throw new Error("Cannot read changes that were not looked for");
    return this.#open.query;
  }

  /** `return-done` */
  async done(deadlineMs: number): Promise<null> {
    await this.close();
    return await this.#with(deadlineMs, async ({ query }) => {
      await removeAll(query);
      return null;
    });
  }

  /** `return-counters` */
  counters(deadlineMs: number): Promise<ReturnCounters> {
    return this.#with(deadlineMs, async ({ query }) => {
      const [row] = await query(`
        SELECT (SELECT oid FROM pg_database WHERE datname = current_database())::text AS database,
          coalesce(sum(n_tup_ins), 0)::text AS inserted, coalesce(sum(n_tup_upd), 0)::text AS updated,
          coalesce(sum(n_tup_del), 0)::text AS deleted FROM pg_stat_user_tables`);
      return {
        database: String(row?.database),
        inserted: Number(row?.inserted),
        updated: Number(row?.updated),
        deleted: Number(row?.deleted),
      };
    });
  }

  /** Ends the reading. */
  async close(): Promise<void> {
    const session = this.#open;
    this.#open = null;
    await session?.end();
  }

  async #with<T>(deadlineMs: number, work: (session: Session) => Promise<T>): Promise<T> {
    return await withSession({
      address: this.#address,
      database: this.#address.database,
      statementTimeoutMs: deadlineMs,
      appName: "relais-return",
    }, async (session) => {
      await plainText(session.query);
      return await work(session);
    });
  }
}

interface Meta {
  readonly mode: "tables" | "all";
  readonly tables: number;
  readonly rows: number;
  readonly sequences: number;
}

async function readMeta(query: Query): Promise<Meta | null> {
  const there = await scalar(
    query,
    `SELECT to_regclass('${RETURN_SCHEMA}.meta') IS NOT NULL`,
  );
  if (there !== true) return null;
  return JSON.parse(String(await scalar(query, `SELECT facts::text FROM ${RETURN_SCHEMA}.meta`)));
}

async function removeAll(query: Query): Promise<void> {
  await dropSlot(query);
  await query(`SET client_min_messages = warning; DROP SCHEMA IF EXISTS ${RETURN_SCHEMA} CASCADE`);
}

/** In one transaction: the tables' rows or where to read from, and raised sequences. */
async function keepBase(
  query: Query,
  args: ReturnOperations["return-prepare"]["args"],
): Promise<ReturnBase> {
  const notes: string[] = [];
  await query(`
    CREATE SCHEMA ${RETURN_SCHEMA};
    CREATE TABLE ${RETURN_SCHEMA}.meta (facts jsonb NOT NULL);
    -- append: rows with a number above "above"; otherwise as it was is in base, or comes from the log.
    CREATE TABLE ${RETURN_SCHEMA}.followed (tbl text PRIMARY KEY, append boolean NOT NULL, above bigint);
    -- sent: what the master was given while this host served, unless it is "before" already.
    CREATE TABLE ${RETURN_SCHEMA}.base (tbl text NOT NULL, key jsonb NOT NULL, before jsonb,
      sent jsonb);
    CREATE UNIQUE INDEX ON ${RETURN_SCHEMA}.base (tbl, md5(key::text));
    CREATE TABLE ${RETURN_SCHEMA}.sequence (name text PRIMARY KEY, raised bigint NOT NULL)`);
  const chosen = await chooseTables(query, args, notes);
  let rows = 0;
  for (const { name, append } of chosen) {
    const shape = await tableShape(query, name);
    const above = append && args.mode === "tables" ? await highestNumber(query, shape) : null;
    if (args.mode === "all") {
      await query(`ALTER TABLE ${name} REPLICA IDENTITY FULL`);
    } else if (above === null) {
      const bytes = Number(
        await scalar(query, `SELECT pg_relation_size(${quoteLiteral(name)}::regclass)`),
      );
      if (bytes > MAX_BASE_BYTES) {
        notes.push(
          `${name} does not go back as it is too large to be kept at a takeover ` +
            `(${Math.round(bytes / 1e6)} MB, at most ${MAX_BASE_BYTES / 1e6} MB)` +
            (append ? "" : `: if its rows are only ever added, write append:${name}`),
        );
        continue;
      }
      rows += await keepRows(query, shape);
    }
    await query(`INSERT INTO ${RETURN_SCHEMA}.followed
      VALUES (${quoteLiteral(name)}, ${append}, ${above ?? "NULL"})`);
  }
  const sequences = await raiseSequences(query);
  const facts = { mode: args.mode, tables: chosen.length, rows, sequences };
  await query(
    `INSERT INTO ${RETURN_SCHEMA}.meta VALUES (${quoteLiteral(JSON.stringify(facts))}::jsonb)`,
  );
  return { ...facts, already: false, notes };
}

async function chooseTables(
  query: Query,
  { mode, tables, localTables }: ReturnOperations["return-prepare"]["args"],
  notes: string[],
): Promise<{ readonly name: string; readonly append: boolean }[]> {
  const all = (await userTables(query)).filter(({ schema }) => schema !== RETURN_SCHEMA);
  const own = selectTables(all, localTables);
  const usable = (table: UserTable): boolean => table.kind === "r" && !own.has(table.name);
  const chosen = new Map<string, boolean>();
  if (mode === "all") {
    for (const table of all.filter(usable)) chosen.set(table.name, isHistory(table.name));
  }
  for (const entry of tables) {
    const { pattern, append } = parseReturnTable(entry);
    const found = selectTables(all, [pattern]);
    for (const table of all) {
      if (found.has(table.name) && usable(table)) chosen.set(table.name, append);
    }
    for (const name of found) {
      if (own.has(name)) notes.push(`${name} does not go back as it is each host's own`);
    }
  }
  return [...chosen].map(([name, append]) => ({ name, append }));
}

/** Null: its rows have no number that grows. */
async function highestNumber(query: Query, shape: TableShape): Promise<string | null> {
  const key = shape.columns.find((column) => column.name === shape.key[0]);
  if (!shape.hasKey || shape.key.length !== 1 || key === undefined) return null;
  if (!["smallint", "integer", "bigint"].includes(key.type)) return null;
  const sequence = await scalar(
    query,
    `SELECT pg_get_serial_sequence(${quoteLiteral(shape.name)}, ${quoteLiteral(key.name)})`,
  );
  const last = typeof sequence === "string" ? `(SELECT last_value FROM ${sequence})` : "0";
  return String(
    await scalar(
      query,
      `SELECT greatest(coalesce((SELECT max(${
        quoteIdent(key.name)
      }) FROM ONLY ${shape.name}), 0), ${last})::text`,
    ),
  );
}

async function keepRows(query: Query, shape: TableShape): Promise<number> {
  const columns = shape.columns.map((column) => column.name);
  // Without a primary key two rows may be the same.
  const [row] = await query(`
    WITH kept AS (INSERT INTO ${RETURN_SCHEMA}.base
      SELECT ${quoteLiteral(shape.name)}, ${rowText("t", shape.key)}, ${rowText("t", columns)}
      FROM ONLY ${shape.name} t ON CONFLICT DO NOTHING RETURNING 1)
    SELECT count(*) AS n FROM kept`);
  return Number(row?.n);
}

/** Of followed tables: each stands above what either host may have given to a row. */
async function raiseSequences(query: Query): Promise<number> {
  const owned = await query(`
    SELECT format('%I.%I', n.nspname, s.relname) AS sequence, a.attname::text AS column, f.tbl,
      q.seqincrement::text AS step, q.seqmax::text AS highest
    FROM ${RETURN_SCHEMA}.followed f
    JOIN pg_depend d ON d.refobjid = f.tbl::regclass AND d.classid = 'pg_class'::regclass
      AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
    JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_sequence q ON q.seqrelid = s.oid
    JOIN pg_namespace n ON n.oid = s.relnamespace
    JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE q.seqincrement > 0`);
  let raised = 0;
  for (const { sequence, column, tbl, step, highest } of owned) {
    const target = await scalar(
      query,
      `SELECT (greatest((SELECT last_value FROM ${sequence}),
        coalesce((SELECT max(${quoteIdent(String(column))}) FROM ${tbl}), 0)::bigint)::numeric
        + ${SEQUENCE_GAP * Number(step)})::text`,
    );
    // A sequence that is nearly used up stays: better a conflict than no numbers.
    if (BigInt(String(target)) > BigInt(String(highest))) continue;
    await query(`SELECT setval(${quoteLiteral(String(sequence))}, ${target});
      INSERT INTO ${RETURN_SCHEMA}.sequence VALUES (${quoteLiteral(String(sequence))}, ${target})`);
    raised++;
  }
  return raised;
}

/** Fills `pg_temp.relais_changes` in the order in which they are best applied. */
async function listChanges(query: Query, mode: "tables" | "all"): Promise<ReturnSummary> {
  const notes = mode === "all" ? await slotFault(query) : [];
  await query(`CREATE TEMP TABLE relais_found (tbl text, append boolean, rank int, key jsonb,
    before jsonb, after jsonb, sent jsonb)`);
  const followed = await query(
    `SELECT tbl, append, above::text AS above FROM ${RETURN_SCHEMA}.followed
      WHERE to_regclass(tbl) IS NOT NULL ORDER BY tbl`,
  );
  const order = await parentsFirst(query, followed.map((row) => String(row.tbl)));
  for (const row of followed) {
    const shape = await tableShape(query, String(row.tbl));
    const rank = order.indexOf(shape.name);
    await query(`INSERT INTO relais_found
      SELECT ${quoteLiteral(shape.name)}, ${row.append === true}, ${rank}, key, before, after, sent
      FROM (${changesOf(shape, mode, row.above)}) x WHERE before IS DISTINCT FROM after`);
  }
  // What was deleted leaves first, children before parents; then what is new or changed, parents first.
  await query(`CREATE TEMP TABLE relais_changes AS
    SELECT row_number() OVER (ORDER BY after IS NOT NULL,
      CASE WHEN after IS NULL THEN -rank ELSE rank END, key)::int AS n, * FROM relais_found;
    CREATE INDEX ON relais_changes (n); ANALYZE relais_changes`);
  const counts = await query(`
    SELECT tbl, count(*) FILTER (WHERE before IS NULL) AS inserted,
      count(*) FILTER (WHERE before IS NOT NULL AND after IS NOT NULL) AS updated,
      count(*) FILTER (WHERE after IS NULL) AS deleted FROM relais_changes GROUP BY tbl ORDER BY tbl`);
  return {
    mode,
    total: Number(await scalar(query, "SELECT count(*) FROM relais_changes")),
    tables: counts.map((row) => ({
      table: String(row.tbl),
      inserted: Number(row.inserted),
      updated: Number(row.updated),
      deleted: Number(row.deleted),
    })),
    sequences: await usedSequences(query),
    history: Number(
      await scalar(query, "SELECT count(*) FROM relais_changes WHERE append AND after IS NOT NULL"),
    ),
    notes,
  };
}

function changesOf(shape: TableShape, mode: "tables" | "all", above: unknown): string {
  const columns = shape.columns.map((column) => column.name);
  const table = quoteLiteral(shape.name);
  if (above !== null && mode === "tables") {
    const key = quoteIdent(shape.key[0]!);
    const now = `SELECT ${rowText("t", shape.key)} AS key, ${rowText("t", columns)} AS after
      FROM ONLY ${shape.name} t WHERE t.${key} > ${above}`;
    // Known are those that went ahead.
    return `SELECT key, before, after, sent FROM (${now}) a
      LEFT JOIN (SELECT key, before, sent FROM ${RETURN_SCHEMA}.base WHERE tbl = ${table}) b USING (key)`;
  }
  if (mode === "tables" || !shape.hasKey) {
    const kept = `SELECT key, before, sent FROM ${RETURN_SCHEMA}.base WHERE tbl = ${table}`;
    const now = `SELECT DISTINCT ${rowText("t", shape.key)} AS key, ${
      rowText("t", columns)
    } AS after
      FROM ONLY ${shape.name} t`;
    // From the log only touched keys are known: the other rows are as they were.
    const join = mode === "tables" ? "FULL" : "LEFT";
    return `SELECT key, before, after, sent FROM (${kept}) b ${join} JOIN (${now}) a USING (key)`;
  }
  const first = quoteIdent(shape.key[0]!);
  return `SELECT b.key, b.before, CASE WHEN t.${first} IS NULL THEN NULL
      ELSE ${rowText("t", columns)} END AS after, b.sent
    FROM ${RETURN_SCHEMA}.base b LEFT JOIN ONLY ${shape.name} t ON ${sameKey(shape, "t", "b.key")}
    WHERE b.tbl = ${table}`;
}

async function usedSequences(query: Query): Promise<ReturnSummary["sequences"]> {
  const used = [];
  for (
    const { name, raised } of await query(`SELECT name, raised::text AS raised
    FROM ${RETURN_SCHEMA}.sequence WHERE to_regclass(name) IS NOT NULL ORDER BY name`)
  ) {
    const value = String(await scalar(query, `SELECT last_value::text FROM ${name}`));
    if (BigInt(value) > BigInt(String(raised))) used.push({ name: String(name), value });
  }
  return used;
}

function toChange(row: Row): RowChange {
  const parse = (text: unknown) => text === null ? null : JSON.parse(String(text));
  return {
    table: String(row.tbl),
    append: row.append === true,
    key: parse(row.key),
    before: parse(row.before),
    after: parse(row.after),
    ...(row.sent === null ? {} : { sent: parse(row.sent) }),
  };
}
