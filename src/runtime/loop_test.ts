import assert from "node:assert/strict";
import { initialState } from "../core/state.ts";
import type { CoreEvent } from "../core/types.ts";
import { BALANCED } from "../../tests/support/core_cases.ts";
import { sampleObservation } from "../../tests/support/core_sample.ts";
import { ManualClock } from "../../tests/support/manual_clock.ts";
import { Loop } from "./loop.ts";

/** A loop that has not begun, and the events that it shows to the core. */
function makeLoop(clock: ManualClock, epoch: number): { loop: Loop; seen: CoreEvent[] } {
  const seen: CoreEvent[] = [];
  const loop = new Loop({
    clock,
    config: BALANCED,
    initial: initialState(clock.nowMs(), { epoch, failbackHeld: true }),
    observe: (events) => {
      seen.push(...events);
      return sampleObservation({ events });
    },
    perform: () => {},
    onStall: () => assert.fail("nothing stood still"),
    afterTurn: () => {},
  });
  return { loop, seen };
}

Deno.test("Loop.inherit() goes on with the memory of the other loop and hears what that one had promised to hear", async () => {
  const clock = new ManualClock();
  const former = makeLoop(clock, 7);
  former.loop.start();
  await clock.advance(50);
  const { state, last } = former.loop;
  // Accepted, and its turn has not come yet: the peer relies on it.
  const promised: CoreEvent = {
    type: "notice",
    notice: { kind: "yours", epoch: 7, reason: "handed over" },
  };
  former.loop.push(promised);
  former.loop.stop();
  const next = makeLoop(clock, 0);
  const later: CoreEvent = { type: "command", command: "failback" };
  next.loop.push(later);
  next.loop.inherit(former.loop);
  assert.equal(next.loop.state, state);
  assert.equal(next.loop.last, last);
  assert.ok(last !== null, "the status can be told before the first turn");
  next.loop.start();
  next.loop.stop();
  assert.deepEqual(next.seen.slice(0, 2), [promised, later]);
  assert.ok(next.loop.state.epoch >= 7);
  assert.equal(next.loop.state.failbackHeld, true);
  assert.deepEqual(former.seen, [], "not heard twice");
});

Deno.test("Loop.voidEvidence() starts the count of the silence anew and forgets nothing else", () => {
  const clock = new ManualClock();
  const { loop } = makeLoop(clock, 7);
  const before = loop.state;
  loop.voidEvidence(before.evidenceSince + 500);
  assert.deepEqual(loop.state, { ...before, evidenceSince: before.evidenceSince + 500 });
});

Deno.test("Loop goes on turning when a timer fires a moment before it is due by the monotonic clock", async () => {
  // Found by the simulation: the loop took the timer that had just fired for one that was still to come.
  let now = 0;
  const clock = new ManualClock();
  let turns = 0;
  const seen = Promise.withResolvers<void>();
  const loop = new Loop({
    clock: { nowMs: () => now, wallMs: () => now, sleep: clock.sleep.bind(clock) },
    config: BALANCED,
    initial: initialState(0, { epoch: 1, failbackHeld: false }),
    observe: (events) => sampleObservation({ events }),
    perform: () => {},
    onStall: () => {},
    afterTurn: () => {
      turns++;
      // Less than the pause of 20 to 200 ms: every timer is early by this clock.
      now += 15;
      if (turns === 5) seen.resolve();
    },
  });
  loop.start();
  await seen.promise;
  loop.stop();
  assert.ok(turns >= 5);
});
