import assert from "node:assert/strict";
import { SEED } from "../../tests/support/seed.ts";
import type { CutResult } from "../../tests/support/database_cuts.ts";
import { runCuts } from "../../tests/support/database_cuts_run.ts";

/** Each kind once; hundreds are cut by `make bench-data`. */
const COUNT = 14;

Deno.test(`the standby has one whole database after each of ${COUNT} random cuts`, async () => {
  const results: CutResult[] = [];
  await runCuts({ seed: SEED, count: COUNT, onCut: (result) => results.push(result) });
  const shown = `seed ${SEED}: ${JSON.stringify(results, null, 1)}`;
  assert.equal(results.length, COUNT, shown);
  for (const { number, kind, standby, copied } of results) {
    assert.notEqual(standby, "lost", `cut ${number}, ${shown}`);
    const cannotPass = ["line", "changed byte", "stalled line", "permission"].includes(kind);
    if (cannotPass) assert.equal(copied, false, `cut ${number}, ${shown}`);
    if (cannotPass) assert.equal(standby, "old", `cut ${number}, ${shown}`);
  }
});
