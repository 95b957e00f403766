import assert from "node:assert/strict";
import { RepeatLimiter } from "./log_limit.ts";

Deno.test("RepeatLimiter.admit() lets ten repeats a minute pass and sums up the rest", () => {
  const limiter = new RepeatLimiter<number>();
  const passed = Array.from({ length: 25 }, (_, i) => limiter.admit("a", i, i).pass);
  assert.equal(passed.filter((pass) => pass).length, 10);
  // Another record of another key ends the window.
  const { pass, summaries } = limiter.admit("b", 100, 60_000);
  assert.equal(pass, true);
  assert.deepEqual(summaries, [{ last: 24, count: 15 }]);
  assert.equal(limiter.admit("a", 101, 60_001).pass, true);
});

Deno.test("RepeatLimiter.admit() keeps keys apart", () => {
  const limiter = new RepeatLimiter<number>();
  for (let i = 0; i < 20; i++) limiter.admit("a", i, 0);
  assert.equal(limiter.admit("a", 0, 0).pass, false);
  assert.equal(limiter.admit("b", 0, 0).pass, true);
});

Deno.test("RepeatLimiter remembers a bounded number of keys and loses no count", () => {
  const limiter = new RepeatLimiter<string>();
  let admitted = 0;
  let counted = 0;
  for (let round = 0; round < 5000; round++) {
    const key = `key ${round % 300}`;
    for (let repeat = 0; repeat < 12; repeat++) {
      const { pass, summaries } = limiter.admit(key, key, round);
      if (pass) admitted++;
      counted += summaries.reduce((sum, { count }) => sum + count, 0);
    }
  }
  const rest = limiter.drain();
  assert.ok(rest.length <= 256, `${rest.length} keys remembered`);
  counted += rest.reduce((sum, { count }) => sum + count, 0);
  assert.equal(admitted + counted, 5000 * 12);
});

Deno.test("RepeatLimiter.drain() tells what was suppressed and forgets it", () => {
  const limiter = new RepeatLimiter<string>();
  for (let i = 0; i < 11; i++) limiter.admit("a", "x", 0);
  assert.deepEqual(limiter.drain(), [{ last: "x", count: 1 }]);
  assert.deepEqual(limiter.drain(), []);
});
