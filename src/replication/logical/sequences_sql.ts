/**
 * Sequences, which logical replication does not carry: read on the master, set on the slave, raised when the
 * slave begins to serve. Runs in the database worker.
 *
 * @module
 */

import { selectTables, USER_RELATIONS, userTables } from "../database_catalog.ts";
import type { Query } from "../database_catalog.ts";
import { quoteLiteral } from "../database_connection.ts";
import type { SequencePosition } from "./operations.ts";

/** How far a sequence is raised at a promotion: more numbers than a PBX gives out between two carries. */
const SEQUENCE_GAP = 10_000;

/** Statements in one message. */
const BATCH = 200;

/** Positions of the sequences that were used, but not those of the host's own tables. */
export async function readSequences(
  query: Query,
  localTables: readonly string[],
): Promise<SequencePosition[]> {
  const own = selectTables(await userTables(query), localTables);
  const rows = await query(`SELECT format('%I.%I', n.nspname, c.relname) AS name,
      pg_sequence_last_value(c.oid)::text AS value,
      (SELECT format('%I.%I', tn.nspname, t.relname) FROM pg_depend d
        JOIN pg_class t ON t.oid = d.refobjid JOIN pg_namespace tn ON tn.oid = t.relnamespace
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
          AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') LIMIT 1) AS owner
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'S' AND c.relpersistence = 'p' AND ${USER_RELATIONS} ORDER BY 1`);
  return rows.filter(({ value, owner }) => value !== null && !own.has(String(owner)))
    .map(({ name, value }) => ({ name: String(name), value: String(value) }));
}

/** Sets those that exist here. @returns how many */
export async function setSequences(
  query: Query,
  sequences: readonly SequencePosition[],
): Promise<number> {
  let set = 0;
  for (let from = 0; from < sequences.length; from += BATCH) {
    const values = sequences.slice(from, from + BATCH).map(({ name, value }) =>
      `(to_regclass(${quoteLiteral(name)}), ${quoteLiteral(value)}::int8)`
    ).join(", ");
    const rows = await query(`SELECT setval(s.name, s.value) FROM (VALUES ${values})
      AS s (name, value) JOIN pg_sequence q ON q.seqrelid = s.name
      WHERE s.value BETWEEN q.seqmin AND q.seqmax`);
    set += rows.length;
  }
  return set;
}

/**
 * Raises every sequence over what its column holds and over what the master may have given out since the
 * last carry. A tenth of what is left at most, so that a small sequence is not used up by takeovers.
 *
 * @returns how many
 */
export async function raiseSequences(query: Query): Promise<number> {
  const rows = await query(`SELECT format('SELECT setval(%L, least(x.top + least(%s,
        greatest((%s - x.top) / 10, 0)), %s)) FROM (SELECT greatest((SELECT last_value FROM %s), %s) AS top) x',
      format('%I.%I', n.nspname, s.relname), (${SEQUENCE_GAP} * q.seqincrement)::text,
      q.seqmax::text, q.seqmax::text, format('%I.%I', n.nspname, s.relname),
      coalesce((SELECT format('coalesce((SELECT max(%I)::int8 FROM %I.%I), %s)', a.attname, tn.nspname,
          t.relname, q.seqmin)
        FROM pg_depend d JOIN pg_class t ON t.oid = d.refobjid
        JOIN pg_namespace tn ON tn.oid = t.relnamespace
        JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
        WHERE d.classid = 'pg_class'::regclass AND d.objid = s.oid
          AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
          AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) LIMIT 1),
        q.seqmin::text)) AS statement
    FROM pg_class s JOIN pg_sequence q ON q.seqrelid = s.oid JOIN pg_namespace n ON n.oid = s.relnamespace
    WHERE s.relkind = 'S' AND s.relpersistence = 'p' AND q.seqincrement > 0
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`);
  const statements = rows.map(({ statement }) => String(statement));
  for (let from = 0; from < statements.length; from += BATCH) {
    await query(statements.slice(from, from + BATCH).join(";\n"));
  }
  return statements.length;
}
