import assert from "node:assert/strict";
import { ManualClock } from "../../tests/support/manual_clock.ts";
import { ASK_AGAIN_EVERY_MS, askAgain } from "./ask_again.ts";
import { parseUnitStates, type UnitState } from "./unit_state.ts";
import { unitProperties } from "./systemd_fixture.ts";

function unit(properties: Readonly<Record<string, string>>): UnitState {
  return parseUnitStates(unitProperties("a.service", properties), ["a.service"])[0]!;
}

const ENDING = unit({ ActiveState: "deactivating", SubState: "stop-sigterm" });

/** What is asked while a unit looks like that; `over` once askAgain() has come back. */
function watched(look: () => UnitState | null): {
  readonly clock: ManualClock;
  readonly asked: number[];
  readonly stop: AbortController;
  readonly over: () => boolean;
} {
  const clock = new ManualClock();
  const stop = new AbortController();
  const asked: number[] = [];
  let over = false;
  askAgain({
    clock,
    look: () => Promise.resolve(look()),
    ask: () => Promise.resolve(void asked.push(clock.nowMs())),
    signal: stop.signal,
  }).then(() => over = true);
  return { clock, asked, stop, over: () => over };
}

Deno.test("askAgain() asks each two seconds while systemd waits for the end", async () => {
  const { clock, asked, stop, over } = watched(() => ENDING);
  await clock.advance(ASK_AGAIN_EVERY_MS - 1);
  assert.deepEqual(asked, []);
  await clock.advance(5_000);
  assert.deepEqual(asked, [2_000, 4_000, 6_000]);
  stop.abort();
  await clock.advance(10_000);
  assert.equal(asked.length, 3);
  assert.equal(over(), true);
});

Deno.test("askAgain() ends with the unit", async () => {
  const states = [ENDING, unit({ ActiveState: "failed" })];
  const { clock, asked, over } = watched(() => states.shift()!);
  await clock.advance(10_000);
  assert.deepEqual(asked, []);
  assert.equal(over(), true);
});

Deno.test("askAgain() leaves a unit alone that has an ExecStop= or another signal", async () => {
  for (
    const other of [
      { ActiveState: "deactivating", SubState: "stop" },
      { ActiveState: "deactivating", SubState: "stop-sigterm", KillSignal: "2" },
      { ActiveState: "deactivating", SubState: "final-sigterm" },
    ]
  ) {
    const { clock, asked, stop } = watched(() => unit(other));
    await clock.advance(20_000);
    assert.deepEqual(asked, [], JSON.stringify(other));
    stop.abort();
  }
});

Deno.test("askAgain() gives a start that nobody stops up after a moment", async () => {
  const { clock, asked, over } = watched(() =>
    unit({ ActiveState: "activating", SubState: "start" })
  );
  await clock.advance(1_000);
  assert.equal(over(), false, "the stop of a shutdown may be on its way");
  await clock.advance(1_500);
  assert.equal(over(), true);
  assert.deepEqual(asked, []);
});

Deno.test("askAgain() goes on when the state cannot be read for once", async () => {
  let looks = 0;
  const { clock, asked, stop } = watched(() => ++looks % 2 === 0 ? null : ENDING);
  await clock.advance(5_000);
  assert.ok(asked.length >= 1, `${asked}`);
  stop.abort();
});
