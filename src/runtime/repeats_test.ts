import assert from "node:assert/strict";
import { ManualClock } from "../../tests/support/manual_clock.ts";
import { Repeats } from "./repeats.ts";

Deno.test("Repeats lets a sentence through once an hour, with how often it came meanwhile", async () => {
  const clock = new ManualClock();
  const repeats = new Repeats(clock);
  assert.equal(repeats.next("database", "epoch 3 is old"), "epoch 3 is old");
  for (let i = 0; i < 1000; i++) assert.equal(repeats.next("database", `epoch ${i} is old`), null);
  assert.equal(repeats.next("astdb", "epoch 3 is old"), "epoch 3 is old", "another set is news");
  assert.equal(repeats.next("database", "no disk"), "no disk", "another reason is news");
  await clock.advance(3_600_001);
  assert.match(repeats.next("database", "epoch 9 is old") ?? "", /^epoch 9 is old \(and 1000 more/);
  repeats.over("database");
  assert.equal(repeats.next("database", "epoch 9 is old"), "epoch 9 is old");
  for (let i = 0; i < 1000; i++) repeats.next("database", "x".repeat(i + 1));
  assert.equal(repeats.next("database", "no disk"), "no disk", "what is kept is bounded");
});
