import assert from "node:assert/strict";
import { decodeChange } from "./decode.ts";

Deno.test("decodeChange() reads values of every kind", () => {
  assert.deepEqual(
    decodeChange(
      `table public.t: INSERT: id[integer]:1 "a b"[character varying]:'it''s [x]:null' n[numeric]:-1.50 ` +
        `f[boolean]:true b[bit]:B'101' l[text[]]:'{"a b",c}' z[text]:null`,
    ),
    {
      kind: "INSERT",
      table: "public.t",
      old: null,
      new: {
        id: "1",
        "a b": "it's [x]:null",
        n: "-1.50",
        f: "true",
        b: "101",
        l: '{"a b",c}',
        z: null,
      },
    },
  );
});

Deno.test("decodeChange() tells old and new apart, also when a value looks like the border", () => {
  assert.deepEqual(
    decodeChange(
      `table public."T: x": UPDATE: old-key: id[integer]:1 v[text]:' new-tuple: id[integer]:9' ` +
        `new-tuple: id[integer]:1 v[text]:'y' big[bytea]:unchanged-toast-datum`,
    ),
    {
      kind: "UPDATE",
      table: 'public."T: x"',
      old: { id: "1", v: " new-tuple: id[integer]:9" },
      new: { id: "1", v: "y" },
    },
  );
  assert.deepEqual(decodeChange("table public.t: DELETE: (no-tuple-data)"), {
    kind: "DELETE",
    table: "public.t",
    old: null,
    new: null,
  });
});

Deno.test("decodeChange() knows TRUNCATE and what holds no row, and refuses the rest", () => {
  assert.deepEqual(decodeChange("table public.a, public.b: TRUNCATE: (no-flags)"), {
    kind: "TRUNCATE",
    tables: ["public.a", "public.b"],
  });
  assert.equal(decodeChange("BEGIN 1"), null);
  assert.throws(() => decodeChange("table public.t: INSERT: id"), SyntaxError);
});

Deno.test("decodeChange() reads a column of any name, also one that means something to JavaScript", () => {
  const change = decodeChange(
    `table public.t: INSERT: "__proto__"[text]:'x' constructor[text]:'y' "a""b"[text]:'it''s'`,
  );
  assert.ok(change !== null && change.kind === "INSERT" && change.new !== null);
  assert.deepEqual(Object.entries(change.new), [
    ["__proto__", "x"],
    ["constructor", "y"],
    ['a"b', "it's"],
  ]);
});

Deno.test("decodeChange() takes values of many megabytes, and names of nothing but quotes", () => {
  const value = "it''s ".repeat(3_000_000);
  const change = decodeChange(`table public.t: INSERT: v[text]:'${value}'`);
  assert.ok(change !== null && change.kind === "INSERT");
  assert.equal(change.new?.["v"]?.length, 15_000_000);
  // Each doubled quote could once be read in two ways: 2^60 tries before it was refused.
  assert.throws(() => decodeChange(`table public.${'"'.repeat(120)} INSERT: x`), SyntaxError);
  assert.throws(() => decodeChange(`table public.${'"'.repeat(121)}: INSERT: x`), SyntaxError);
});
