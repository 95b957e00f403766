import assert from "node:assert/strict";
import { worsened } from "./reload_guards.ts";

const FINE = {
  unfitReasons: [],
  isolated: false,
  isolatedWhy: "",
  verdict: "alive",
} as const;

Deno.test("worsened() finds nothing when all stays as it is, good or bad", () => {
  assert.deepEqual(worsened(FINE, FINE, { removed: [] }), []);
  const ill = { ...FINE, unfitReasons: ["services: not all running"], verdict: "dead" } as const;
  assert.deepEqual(worsened(ill, ill, { removed: ["data"] }), []);
  assert.deepEqual(worsened(ill, FINE, { removed: [] }), [], "better is welcome");
});

Deno.test("worsened() names each new reason to be unfit, and being cut off", () => {
  const unfitReasons = ["network lab: no carrier", "services: stopped"];
  assert.deepEqual(
    worsened({ ...FINE, unfitReasons: ["services: stopped"] }, { ...FINE, unfitReasons }, {
      removed: [],
    }),
    ["this node would be unfit: network lab: no carrier"],
  );
  const cut = { ...FINE, isolated: true, isolatedWhy: "no interface has carrier" };
  assert.deepEqual(worsened(FINE, cut, { removed: [] }), [
    "this node would be cut off: no interface has carrier",
  ]);
  assert.deepEqual(worsened(cut, cut, { removed: [] }), []);
});

Deno.test("worsened() keeps the network that alone reaches the peer; a shorter deadline is no objection", () => {
  const silent = { ...FINE, verdict: "suspect" } as const;
  assert.deepEqual(worsened(FINE, silent, { removed: ["data"] }), [
    "the peer is heard over data only: mend the other networks first",
  ]);
  assert.deepEqual(worsened(FINE, silent, { removed: [] }), []);
  assert.deepEqual(worsened({ ...FINE, verdict: "dead" }, silent, { removed: ["data"] }), []);
});
