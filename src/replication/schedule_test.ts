import assert from "node:assert/strict";
import fc from "fast-check";
import "../../tests/support/seed.ts";
import { backOffMs, due, nextStartMs, type ScheduleInput } from "./schedule.ts";

const BASE: ScheduleInput = {
  lastStartMs: 100_000,
  failures: 0,
  everyMs: 120_000,
  changedAtMs: null,
  minGapMs: 1000,
  sourceSinceMs: 50_000,
  firstDelayMs: 2000,
};

Deno.test("nextStartMs() is the first delay, the period, the change after the gap, or the back-off", () => {
  const table: readonly [string, Partial<ScheduleInput>, number][] = [
    ["never copied", { lastStartMs: null }, 52_000],
    ["nothing changed", {}, 220_000],
    ["changed long after the last start", { changedAtMs: 130_000 }, 130_000],
    ["changed at once after the last start", { changedAtMs: 100_200 }, 101_000],
    ["changed after it was due", { changedAtMs: 300_000 }, 220_000],
    ["one failure", { failures: 1 }, 102_000],
    ["one failure, and changed", { failures: 1, changedAtMs: 100_100 }, 102_000],
    ["five failures", { failures: 5 }, 132_000],
    ["many failures", { failures: 500 }, 220_000],
  ];
  for (const [name, change, expected] of table) {
    assert.equal(nextStartMs({ ...BASE, ...change }), expected, name);
  }
  assert.equal(due({ ...BASE, nowMs: 219_999 }), false);
  assert.equal(due({ ...BASE, nowMs: 220_000 }), true);
});

Deno.test("backOffMs() grows with the failures and never beyond the period", () => {
  fc.assert(
    fc.property(fc.nat(10_000), fc.integer({ min: 1000, max: 1e8 }), (failures, everyMs) => {
      const here = backOffMs({ failures, minGapMs: 1000, everyMs });
      const next = backOffMs({ failures: failures + 1, minGapMs: 1000, everyMs });
      assert.ok(here <= next && next <= everyMs);
    }),
  );
});
