import assert from "node:assert/strict";
import { judge, LAG_ALERT_MS, seedPauseMs, type StreamSight } from "./decide.ts";
import { LagMeter } from "./lag.ts";
import { isSlotName, slotName } from "./names.ts";
import type { SlotState } from "./operations.ts";

const SLOT: SlotState = {
  name: "relais_stream_1_00000000",
  active: true,
  walStatus: "reserved",
  behindBytes: 0,
  confirmed: "0/1",
};
const WELL: StreamSight = {
  source: {
    walLevel: "logical",
    lsn: 100,
    slots: [SLOT],
    sender: { state: "streaming", replayLsn: 100, replayLagMs: 1 },
    synchronousNames: "",
    waiting: [],
  },
  target: {
    subscription: { slot: SLOT.name, enabled: true, working: true, applyErrors: 5 },
    schema: "b",
  },
  errorsAtProgress: 5,
  seededSchema: "a",
  schema: "a",
  lagMs: 2,
};

Deno.test("judge() leaves a stream alone that is well", () => {
  assert.deepEqual(judge(WELL), { state: "streaming", why: "", seed: false });
  assert.equal(judge({ ...WELL, target: null }).state, "streaming");
  assert.equal(judge({ ...WELL, lagMs: LAG_ALERT_MS + 1 }).state, "behind");
});

Deno.test("judge() seeds anew what only a copy can mend", () => {
  const subscription = WELL.target!.subscription!;
  const target = (change: Partial<typeof subscription>): StreamSight => ({
    ...WELL,
    target: { schema: "b", subscription: { ...subscription, ...change } },
  });
  const slots = (change: Partial<SlotState>): StreamSight => ({
    ...WELL,
    source: { ...WELL.source, slots: [{ ...SLOT, ...change }] },
  });
  const cases: readonly [StreamSight, RegExp][] = [
    [{ ...WELL, source: { ...WELL.source, slots: [] } }, /no slot/],
    [slots({ walStatus: "lost", active: false }), /log it needs is gone/],
    [{ ...WELL, target: { schema: "b", subscription: null } }, /no subscription/],
    [target({ slot: "relais_stream_1_11111111" }), /another slot/],
    [target({ slot: null }), /another slot/],
    [target({ enabled: false }), /disabled/],
    [target({ applyErrors: 7 }), /cannot apply/],
    [{ ...WELL, schema: "c" }, /structure of the database/],
  ];
  for (const [sight, why] of cases) {
    const verdict = judge(sight);
    assert.match(verdict.why, why);
    assert.equal(verdict.seed, true, verdict.why);
  }
});

Deno.test("judge() waits for a slave that is only away", () => {
  const source = { ...WELL.source, sender: null, slots: [{ ...SLOT, active: false }] };
  assert.deepEqual(judge({ ...WELL, source }), {
    state: "broken",
    why: "the slave is not connected",
    seed: false,
  });
  assert.equal(judge({ ...WELL, source: { ...source, walLevel: "replica" } }).state, "unprepared");
});

Deno.test("seeds after faults come ever later, at most each hour", () => {
  assert.deepEqual([0, 1, 2, 3, 20].map(seedPauseMs), [0, 30_000, 60_000, 120_000, 3_600_000]);
});

Deno.test("LagMeter tells the age of the oldest change that is not applied", () => {
  const meter = new LagMeter();
  const look = (nowMs: number, lsn: number, replayedLsn: number | null, behindBytes = 0): unknown =>
    meter.look({ nowMs, lsn, replayedLsn, exactMs: 0.5, behindBytes });
  assert.deepEqual(look(0, 100, 100), { bytes: 0, ms: 0.5 });
  assert.deepEqual(look(1000, 200, 150), { bytes: 50, ms: 0.5 });
  assert.deepEqual(look(2000, 300, 150), { bytes: 150, ms: 1000 });
  assert.deepEqual(look(9000, 400, null, 200), { bytes: 200, ms: 7000 });
  assert.deepEqual(look(9500, 400, 400), { bytes: 0, ms: 0.5 });
  meter.reset();
  assert.deepEqual(
    look(10_000, 500, null, 100),
    { bytes: 100, ms: null },
    "since when, nobody knows",
  );
});

Deno.test("only slots of ours are followed", () => {
  assert.ok(isSlotName(slotName(7)));
  for (const name of ["relais_stream_", "other", "relais_stream_1_00000000'; x", 7, null]) {
    assert.equal(isSlotName(name), false, String(name));
  }
});
