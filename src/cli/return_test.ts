import assert from "node:assert/strict";
import { conflictLines, reportLines } from "./return.ts";

type Report = Parameters<typeof reportLines>[0];

const NOTHING: Report = {
  mode: "tables",
  since: null,
  blocked: null,
  decisions: {},
  summary: null,
  changes: [],
  outcome: null,
  trouble: null,
};

const counts = { inserted: 0, updated: 0, deleted: 0, renumbered: 0, same: 0, leftByDecision: 0 };
const GAINED: Report = {
  ...NOTHING,
  since: "2026-11-25T20:00:00.000Z",
  decisions: { "0fad23b9": "slave" },
  summary: {
    total: 5,
    tables: [{ table: "public.t", inserted: 1, updated: 1, deleted: 3 }],
    notes: ["the slot is gone"],
  },
  changes: [
    { table: "public.t", append: false, key: { id: "1" }, before: { id: "1" }, after: null },
    {
      table: "public.t",
      append: false,
      key: { id: "2" },
      before: { id: "2", a: "x", b: null },
      after: { id: "2", a: "\u001b[31m", b: null },
    },
    { table: "public.t", append: false, key: { id: "3" }, before: null, after: { id: "3" } },
  ],
  outcome: {
    ...counts,
    committed: false,
    replaced: [],
    conflicts: [{
      id: "0123abcd",
      table: "public.t",
      key: { id: "2" },
      kind: "changed",
      why: "both hosts changed it",
      before: { id: "2", a: "x" },
      slave: { id: "2", a: "y" },
      master: { id: "2", a: "z".repeat(100) },
    }],
    conflictCount: 3,
  },
};

Deno.test("reportLines() lists counts, rows and what is not shown, without control characters", () => {
  assert.deepEqual(reportLines(NOTHING), [
    'return = "tables": nothing is to go back from this host',
  ]);
  const text = reportLines(GAINED).join("\n");
  for (
    const line of [
      "5 rows would go to the master",
      "  public.t: 1 new, 1 changed, 3 deleted",
      "note: the slot is gone",
      '- public.t id="1"',
      '~ public.t id="2": a "x" → "\\u001b[31m"',
      '+ public.t id="3"',
      "… and 2 more rows",
    ]
  ) assert(text.includes(line), `${line} in ${text}`);
  assert(!text.includes("\u001b"));
});

Deno.test("conflictLines() show the differing columns of all three, and what was decided", () => {
  const lines = conflictLines(GAINED);
  assert.deepEqual(lines.slice(0, 4), [
    'conflict 0123abcd: public.t id="2": both hosts changed it',
    '  before: a="x"',
    '  slave:  a="y"',
    `  master: a="${"z".repeat(60)}"…`,
  ]);
  assert(lines.includes("… and 2 more conflicts"));
  assert(lines.includes("decided: 0fad23b9 slave"));
});
