import assert from "node:assert/strict";
import type { DatabaseProperties, Manifest } from "./database_manifest.ts";
import { copyDifferences, preflightProblems, propertyDifferences } from "./database_proof.ts";
import type { Inspection, InstallFacts } from "./database_protocol.ts";

const MIB = 1024 * 1024;

const PROPERTIES: DatabaseProperties = {
  owner: "asterisk",
  connectionLimit: -1,
  comment: null,
  settings: [{ role: null, config: ["a=1"] }, { role: "asterisk", config: ["b=2"] }],
  grants: [
    { grantee: null, privilege: "CONNECT", grantable: false },
    { grantee: "stats", privilege: "CONNECT", grantable: true },
  ],
};

const MANIFEST: Manifest = {
  format: 1,
  serverVersionNum: 150_018,
  databaseBytes: 100 * MIB,
  locale: { encoding: "UTF8", collate: "C", ctype: "C", provider: "c", locale: null },
  properties: PROPERTIES,
  roles: ["asterisk"],
  extensions: ["pgcrypto"],
  rows: { "public.a": 1, "public.b": 2 },
  largeObjects: 0,
  excluded: [],
  schema: { "table public.a": "1", "index public.i": "2" },
};

const FACTS: InstallFacts = {
  serverVersionNum: 150_010,
  liveExists: true,
  missingRoles: [],
  missingExtensions: [],
  holders: [],
  freeBytes: 220 * MIB,
  maxWalBytes: 1024 * MIB,
};

const COPY: Inspection = {
  rows: MANIFEST.rows,
  largeObjects: 0,
  schema: MANIFEST.schema,
};

function problem(facts: Partial<InstallFacts>): string {
  return preflightProblems(MANIFEST, { ...FACTS, ...facts }).join("\n");
}

Deno.test("preflightProblems() finds nothing on a host that fits", () => {
  assert.deepEqual(preflightProblems(MANIFEST, FACTS), []);
  assert.equal(problem({ serverVersionNum: 170_000 }), "", "a newer server may restore");
  assert.equal(problem({ freeBytes: 140 * MIB, maxWalBytes: 20 * MIB }), "", "the log is bounded");
});

Deno.test("preflightProblems() names what is missing and what to do", () => {
  assert.match(problem({ serverVersionNum: 130_021 }), /has PostgreSQL 13.21, older than .* 15.18/);
  assert.match(problem({ missingRoles: ["a", "b"] }), /createuser a b/);
  assert.match(problem({ missingExtensions: ["hstore"] }), /extensions are missing here: hstore/);
  assert.match(problem({ holders: ["subscription s"] }), /held by subscription s/);
  assert.match(problem({ freeBytes: 219 * MIB }), /has 219 MiB free and 220 MiB are needed/);
  const all = problem({ missingRoles: ["a"], freeBytes: 0 });
  assert.equal(all.split("\n").length, 2, "everything at once");
});

Deno.test("copyDifferences() is empty for equal copies only", () => {
  const found = (copy: Partial<Inspection>, sameMajor = true): string =>
    copyDifferences(MANIFEST, { ...COPY, ...copy }, { sameMajor }).join("\n");
  assert.equal(found({}), "");
  assert.match(
    found({ rows: { "public.a": 1, "public.b": 1 } }),
    /public.b has 1 rows instead of 2/,
  );
  assert.match(found({ rows: { "public.a": 1 } }), /public.b has no rows/);
  assert.match(found({ largeObjects: 3 }), /3 large objects instead of 0/);
  assert.match(found({ schema: { "table public.a": "1" } }), /index public.i is missing/);
  assert.match(found({ schema: { ...COPY.schema, "view x": "1" } }), /view x is too much/);
  const otherIndex = { ...COPY.schema, "index public.i": "3" };
  assert.match(found({ schema: otherIndex }), /index public.i differs/);
  assert.equal(found({ schema: otherIndex }, false), "", "described otherwise by another version");
  const otherTable = { ...COPY.schema, "table public.a": "3" };
  assert.match(found({ schema: otherTable }, false), /table public.a differs/);
});

Deno.test("copyDifferences() names a few of many", () => {
  const rows = Object.fromEntries(Array.from({ length: 9 }, (_, n) => [`t${n}`, 1]));
  const found = copyDifferences({ ...MANIFEST, rows }, { ...COPY, rows: {} }, { sameMajor: true });
  assert.equal(found.length, 6);
  assert.equal(found.at(-1), "and 4 more");
});

Deno.test("propertyDifferences() does not depend on the order of the answers", () => {
  const reversed: DatabaseProperties = {
    ...PROPERTIES,
    settings: PROPERTIES.settings.toReversed(),
    grants: PROPERTIES.grants?.toReversed() ?? null,
  };
  assert.deepEqual(propertyDifferences(PROPERTIES, reversed), []);
  assert.deepEqual(propertyDifferences(PROPERTIES, { ...reversed, grants: null, owner: "x" }), [
    "owner of the database differs",
    "grants of the database differs",
  ]);
});
