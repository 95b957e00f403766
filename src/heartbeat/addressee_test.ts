import assert from "node:assert/strict";
import { ManualClock } from "../../tests/support/manual_clock.ts";
import { Addressee, RENEWED_AFTER_MS, TAKEN_FOR_MS } from "./addressee.ts";

Deno.test("Addressee tells a new name every few seconds and takes the ones it told lately", () => {
  const clock = new ManualClock();
  const us = new Addressee({ instanceId: "id", clock });
  assert.equal(us.judge("id"), "late", "the bare id was never told");
  const first = us.name;
  assert.match(first, /^id\.[0-9a-f]{16}$/);
  assert.equal(us.name, first);
  clock.advance(RENEWED_AFTER_MS - 1);
  assert.equal(us.name, first);
  clock.advance(1);
  const second = us.name;
  assert.notEqual(second, first);
  assert.deepEqual([us.judge(first), us.judge(second)], ["us", "us"]);
  clock.advance(TAKEN_FOR_MS - RENEWED_AFTER_MS);
  assert.deepEqual([us.judge(first), us.judge(second)], ["late", "us"]);
  clock.advance(RENEWED_AFTER_MS);
  assert.equal(us.judge(second), "late", "also when nobody asked in between");
});

Deno.test("Addressee takes nobody else's name for its own", () => {
  const clock = new ManualClock();
  const us = new Addressee({ instanceId: "id", clock });
  const other = new Addressee({ instanceId: "id2", clock });
  assert.equal(us.judge(other.name), "other");
  assert.equal(us.judge("id2"), "other");
  assert.equal(us.judge(us.name.slice(0, -1)), "late", "a name of ours that was never told");
});

Deno.test("Addressee remembers a handful of names, however often it is asked", () => {
  const clock = new ManualClock();
  const us = new Addressee({ instanceId: "id", clock });
  const told: string[] = [];
  for (let i = 0; i < 1000; i++) {
    told.push(us.name);
    clock.advance(RENEWED_AFTER_MS / 2);
  }
  const taken = new Set(told.filter((name) => us.judge(name) === "us"));
  assert.ok(taken.size <= TAKEN_FOR_MS / RENEWED_AFTER_MS, `${taken.size}`);
});
