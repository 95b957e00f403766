import assert from "node:assert/strict";
import { ManualClock } from "../../tests/support/manual_clock.ts";
import { BEAT_FROM_MS, BeatClock } from "./beat.ts";

interface Beating {
  readonly clock: ManualClock;
  readonly beat: BeatClock;
  /** What has ended, in order. */
  readonly ended: string[];
  readonly sleep: (name: string, ms: number, signal?: AbortSignal) => void;
  /** Lets time pass, with a turn at its end. */
  readonly turnAfter: (ms: number) => Promise<void>;
}

function beating(): Beating {
  const clock = new ManualClock();
  const beat = new BeatClock(clock);
  const ended: string[] = [];
  return {
    clock,
    beat,
    ended,
    sleep(name, ms, signal): void {
      beat.sleep(ms, signal).then(() => ended.push(name), () => ended.push(`${name} aborted`));
    },
    async turnAfter(ms): Promise<void> {
      await clock.advance(ms);
      beat.turn(clock.nowMs());
      await clock.advance(0);
    },
  };
}

Deno.test("BeatClock.sleep() ends in a turn and has no timer of its own", async () => {
  const { clock, ended, sleep, turnAfter } = beating();
  await turnAfter(0);
  sleep("second", 1000);
  sleep("two", 2000);
  assert.equal(clock.sleeping, 0);
  for (let turn = 1; turn <= 4; turn++) await turnAfter(200);
  assert.deepEqual(ended, []);
  await clock.advance(190);
  assert.deepEqual(ended, [], "not between two turns");
  await turnAfter(10);
  assert.deepEqual(ended, ["second"]);
  await turnAfter(5000);
  assert.deepEqual(ended, ["second", "two"], "late turns lose nobody");
});

Deno.test("BeatClock.sleep() keeps the pace of a second with turns that come a little early or late", async () => {
  const { ended, sleep, turnAfter } = beating();
  await turnAfter(0);
  for (const pause of [199, 203]) {
    ended.length = 0;
    sleep("second", 1000);
    for (let turn = 1; turn <= 4; turn++) await turnAfter(pause);
    assert.deepEqual(ended, []);
    await turnAfter(pause);
    assert.deepEqual(ended, ["second"], `turns each ${pause} ms`);
  }
});

Deno.test("BeatClock.sleep() is the clock's own for short waits, before the first turn and after the last", async () => {
  const { clock, beat, ended, sleep, turnAfter } = beating();
  sleep("before", 1000);
  await turnAfter(0);
  sleep("short", BEAT_FROM_MS - 1);
  sleep("long", 60_000);
  assert.equal(clock.sleeping, 2);
  await clock.advance(1000);
  assert.deepEqual(ended, ["short", "before"]);
  beat.release();
  await clock.advance(58_999);
  assert.deepEqual(ended, ["short", "before"]);
  await clock.advance(1);
  assert.deepEqual(ended, ["short", "before", "long"], "nobody waits for a turn that never comes");
  sleep("after", 1000);
  await clock.advance(1000);
  assert.equal(ended.at(-1), "after");
});

Deno.test("BeatClock.sleep() rejects when aborted, before and while it waits", async () => {
  const { ended, sleep, turnAfter } = beating();
  await turnAfter(0);
  sleep("never", 1000, AbortSignal.abort());
  const abort = new AbortController();
  sleep("cut", 1000, abort.signal);
  abort.abort();
  await turnAfter(2000);
  assert.deepEqual(ended, ["never aborted", "cut aborted"]);
});
