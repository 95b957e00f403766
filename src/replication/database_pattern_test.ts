import assert from "node:assert/strict";
import fc from "fast-check";
import "../../tests/support/seed.ts";
import { matchesTable, tablePattern } from "./database_pattern.ts";

function matches(pattern: string, table: string, schema = "public"): boolean {
  return matchesTable(tablePattern(pattern), { schema, table });
}

Deno.test("tablePattern() reads names as psql does", () => {
  assert.ok(matches("cel", "cel"));
  assert.ok(matches("CEL", "cel"), "folded to lower case");
  assert.ok(!matches('"CEL"', "cel"), "not in quotes");
  assert.ok(matches('"CEL"', "CEL"));
  assert.ok(!matches("cel", "cels") && !matches("cel", "xcel"));
  assert.ok(matches("stat_*", "stat_queue") && !matches("stat_*", "status"));
  assert.ok(matches("cfg_?", "cfg_1") && !matches("cfg_?", "cfg_12"));
  assert.ok(matches('"a*b"', "a*b") && !matches('"a*b"', "axb"));
  assert.ok(matches('"a""b"', 'a"b'));
  assert.ok(matches('"a.b"', "a.b"));
});

Deno.test("tablePattern() without a schema matches in every schema", () => {
  assert.ok(matches("cel", "cel", "history"));
  assert.ok(matches("public.cel", "cel") && !matches("public.cel", "cel", "history"));
  assert.ok(matches("*.cel", "cel", "history"));
});

Deno.test("tablePattern() refuses what is no table name", () => {
  for (const text of ["", ".", "a.", ".a", "a.b.c", '"open']) {
    assert.throws(() => tablePattern(text), /not of the form schema.table/, text);
  }
});

Deno.test("tablePattern() of a quoted name matches exactly that name", () => {
  fc.assert(fc.property(fc.string({ minLength: 1 }), fc.string(), (name, other) => {
    const quoted = `"${name.replaceAll('"', '""')}"`;
    assert.ok(matches(quoted, name));
    assert.equal(matches(quoted, other), name === other);
  }));
});
