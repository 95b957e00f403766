import assert from "node:assert/strict";
import fc from "fast-check";
import "../../tests/support/seed.ts";
import { RiseFall } from "./rise_fall.ts";

Deno.test("RiseFall changes its judgement after rise good or fall bad results in a row", () => {
  const judgement = new RiseFall({ rise: 2, fall: 3 });
  const seen = [true, true, false, false, true, false, false, false, false, true, true].map(
    (good) => [judgement.add(good), judgement.healthy],
  );
  assert.deepEqual(seen, [
    [false, null],
    [true, true],
    [false, true],
    [false, true],
    [false, true],
    [false, true],
    [false, true],
    [true, false],
    [false, false],
    [false, false],
    [true, true],
  ]);
});

Deno.test("RiseFall forgets everything at reset()", () => {
  const judgement = new RiseFall({ rise: 2, fall: 2 });
  judgement.add(false);
  judgement.reset();
  assert.equal(judgement.add(false), false);
  assert.equal(judgement.healthy, null);
  judgement.add(false);
  judgement.reset();
  assert.equal(judgement.healthy, null);
});

Deno.test("RiseFall judges as its last long enough row says, for every history", () => {
  const thresholds = fc.record({
    rise: fc.integer({ min: 1, max: 5 }),
    fall: fc.integer({ min: 1, max: 5 }),
  });
  fc.assert(
    fc.property(thresholds, fc.array(fc.boolean(), { maxLength: 40 }), (limits, results) => {
      const judgement = new RiseFall(limits);
      for (const good of results) judgement.add(good);
      let expected: boolean | null = null;
      for (let end = 1; end <= results.length; end++) {
        const good = results[end - 1] ?? false;
        const needed = good ? limits.rise : limits.fall;
        const row = results.slice(Math.max(0, end - needed), end);
        if (row.length === needed && row.every((one) => one === good)) expected = good;
      }
      assert.equal(judgement.healthy, expected);
    }),
  );
});
