/**
 * The fingerprint of a schema: the name of each object and a hash of its structure. Equal fingerprints of
 * the source and of the restored copy are part of the proof that the copy is whole.
 *
 * The text of expressions (checks, defaults, view bodies, predicates) is left out on purpose: PostgreSQL
 * writes some of them differently after a dump and restore (`CHECK (x IN ('a', 'b'))` on a varchar column
 * moves its casts), so that comparing them would refuse good copies for ever. That they arrived is proved
 * by the digest of the stream and by `pg_restore --exit-on-error`.
 *
 * @module
 */

import type { Query } from "./database_catalog.ts";
import { USER_RELATIONS } from "./database_catalog.ts";

/** Excludes objects of extensions: their version may differ between the hosts. */
function notOfExtension(catalog: string, oid: string): string {
  return `NOT EXISTS (SELECT 1 FROM pg_depend x WHERE x.classid = '${catalog}'::regclass
    AND x.objid = ${oid} AND x.deptype = 'e')`;
}

/** Privileges as text that does not depend on their order or on being spelled out. */
function privileges(acl: string): string {
  return `(SELECT string_agg(DISTINCT format('%s:%s:%s', CASE a.grantee WHEN 0 THEN 'PUBLIC'
    ELSE pg_get_userbyid(a.grantee) END, a.privilege_type, a.is_grantable) COLLATE "C", ',')
    FROM aclexplode(${acl}) a)`;
}

const NOT_SYSTEM = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";

/** Names of the columns `numbers` (int2[]) of the table `oid`. */
function columnNames(oid: string, numbers: string): string {
  return `(SELECT string_agg(coalesce(a.attname::text, '(expression)'), ',' ORDER BY u.position)
    FROM unnest(${numbers}) WITH ORDINALITY AS u(number, position)
    LEFT JOIN pg_attribute a ON a.attrelid = ${oid} AND a.attnum = u.number)`;
}

const RELATIONS = `
  SELECT format('table %I.%I', n.nspname, c.relname) AS key,
    concat_ws('|', c.relkind, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity,
      (SELECT string_agg(i.inhparent::regclass::text, ',' ORDER BY i.inhseqno) FROM pg_inherits i
        WHERE i.inhrelid = c.oid),
      (SELECT string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod),
          a.attnotnull, a.attidentity, a.attgenerated, a.atthasdef,
          nullif(a.attcollation, t.typcollation)::regcollation), ',' ORDER BY a.attnum)
        FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)) AS definition
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND ${USER_RELATIONS}`;

const RELATION_PRIVILEGES = `
  SELECT format('privileges %I.%I', n.nspname, c.relname), concat_ws('|',
    pg_get_userbyid(c.relowner), ${
  privileges(
    "coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's'::\"char\" ELSE 'r' END, " +
      "c.relowner))",
  )
})
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND ${USER_RELATIONS}`;

const SEQUENCES = `
  SELECT format('sequence %I.%I', n.nspname, c.relname), concat_ws('|', s.seqtypid::regtype,
    s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcycle)
  FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ${USER_RELATIONS}`;

const CONSTRAINTS = `
  SELECT format('constraint %s %I', k.conrelid::regclass, k.conname), concat_ws('|', k.contype,
    k.condeferrable, k.condeferred, k.convalidated, k.confupdtype, k.confdeltype,
    nullif(k.confrelid, 0)::regclass, ${columnNames("k.conrelid", "k.conkey")}, ${
  columnNames("k.confrelid", "k.confkey")
})
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE k.contype IN ('c', 'f', 'p', 'u', 'x') AND ${USER_RELATIONS}`;

const INDEXES = `
  SELECT format('index %I.%I', n.nspname, ic.relname), concat_ws('|', i.indrelid::regclass,
    am.amname, i.indisunique, i.indisprimary, i.indisexclusion, i.indnkeyatts,
    i.indpred IS NOT NULL, ${columnNames("i.indrelid", "i.indkey::int2[]")})
  FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid JOIN pg_am am ON am.oid = ic.relam
  JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE (i.indisvalid OR ic.relkind = 'I') AND i.indisready AND ${USER_RELATIONS}`;

const TRIGGERS = `
  SELECT format('trigger %s %I', t.tgrelid::regclass, t.tgname), concat_ws('|', t.tgtype,
    t.tgenabled, t.tgfoid::regprocedure, t.tgnargs, encode(t.tgargs, 'hex'))
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT t.tgisinternal AND ${USER_RELATIONS}`;

const FUNCTIONS = `
  SELECT format('function %s', p.oid::regprocedure), concat_ws('|', l.lanname, p.prokind,
    p.prosecdef, p.proleakproof, p.proisstrict, p.proretset, p.provolatile, p.prosrc, p.proconfig,
    pg_get_function_result(p.oid), pg_get_userbyid(p.proowner), ${
  privileges("coalesce(p.proacl, acldefault('f', p.proowner))")
})
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_language l ON l.oid = p.prolang
  WHERE ${NOT_SYSTEM} AND ${notOfExtension("pg_proc", "p.oid")}`;

const TYPES = `
  SELECT format('type %s', t.oid::regtype), concat_ws('|', t.typtype, t.typnotnull,
    nullif(t.typbasetype, 0)::regtype, pg_get_userbyid(t.typowner),
    (SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder) FROM pg_enum e
      WHERE e.enumtypid = t.oid),
    (SELECT string_agg(k.conname, ',' ORDER BY k.conname) FROM pg_constraint k
      WHERE k.contypid = t.oid))
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
  WHERE t.typtype IN ('e', 'd', 'r') AND ${NOT_SYSTEM} AND ${notOfExtension("pg_type", "t.oid")}`;

const OTHERS = `
  SELECT format('schema %I', n.nspname), concat_ws('|', pg_get_userbyid(n.nspowner), ${
  privileges("coalesce(n.nspacl, acldefault('n', n.nspowner))")
}) FROM pg_namespace n WHERE ${NOT_SYSTEM} AND ${notOfExtension("pg_namespace", "n.oid")}
  UNION ALL SELECT format('extension %I', extname), '' FROM pg_extension
  UNION ALL SELECT format('policy %s %I', polrelid::regclass, polname),
    concat_ws('|', polcmd, polpermissive) FROM pg_policy
  UNION ALL SELECT format('event trigger %I', evtname),
    concat_ws('|', evtevent, evtenabled, evtfoid::regproc, evttags::text, pg_get_userbyid(evtowner))
    FROM pg_event_trigger WHERE ${notOfExtension("pg_event_trigger", "pg_event_trigger.oid")}
  UNION ALL SELECT format('default privileges %s %s %s', pg_get_userbyid(defaclrole),
    coalesce(nullif(defaclnamespace, 0)::regnamespace::text, '(all)'), defaclobjtype),
    ${privileges("defaclacl")} FROM pg_default_acl
  UNION ALL SELECT format('rule %s %I', r.ev_class::regclass, r.rulename),
    concat_ws('|', r.ev_type, r.ev_enabled, r.is_instead)
    FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE r.rulename <> '_RETURN' AND ${USER_RELATIONS}`;

const FINGERPRINT = [
  RELATIONS,
  RELATION_PRIVILEGES,
  SEQUENCES,
  CONSTRAINTS,
  INDEXES,
  TRIGGERS,
  FUNCTIONS,
  TYPES,
  OTHERS,
].join(" UNION ALL ");

/** Name of each object of the current database and a hash (16 hex digits) of its structure. */
export async function schemaFingerprint(query: Query): Promise<Record<string, string>> {
  const rows = await query(
    `SELECT key, left(md5(definition), 16) AS hash FROM (${FINGERPRINT}) AS objects ORDER BY 1`,
  );
  return Object.fromEntries(rows.map((row) => [String(row.key), String(row.hash)]));
}
