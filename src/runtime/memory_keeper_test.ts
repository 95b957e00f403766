import assert from "node:assert/strict";
import { BALANCED, NOW, seenCase, stateCase } from "../../tests/support/core_cases.ts";
import { ManualClock } from "../../tests/support/manual_clock.ts";
import { TempDirectory } from "../../tests/support/temp_directory.ts";
import type { NodeState } from "../core/state.ts";
import { step, type StepResult } from "../core/step.ts";
import { Memory } from "./memory.ts";
import { MemoryKeeper } from "./memory_keeper.ts";

interface Place {
  readonly clock: ManualClock;
  readonly troubles: string[];
  readonly keeper: MemoryKeeper;
  /** What the next daemon of this boot finds. */
  readonly next: () => ReturnType<Memory["previous"]>;
  readonly persisted: () => ReturnType<Memory["load"]>;
  /** Puts the node into a state, as a turn of the loop does. */
  readonly be: (changes: Partial<NodeState>) => StepResult;
}

function make(directory: TempDirectory): Place {
  const clock = new ManualClock();
  const troubles: string[] = [];
  const places = {
    stateDir: directory.path,
    runDir: directory.path,
    boot: { id: "boot-1", uptimeMs: () => clock.nowMs() },
    onTrouble: (text: string) => troubles.push(text),
  };
  const memory = new Memory(places);
  let state = stateCase({ name: "starting", epoch: 4 });
  const keeper = new MemoryKeeper({
    memory,
    clock,
    role: "slave",
    deadAfterMs: 3000,
    state: () => state,
    witnesses: () => [],
    onTrouble: (text) => troubles.push(text),
  });
  const be = (changes: Partial<NodeState>): StepResult => {
    state = { ...state, ...changes };
    return step(state, seenCase(), NOW, BALANCED, []);
  };
  return {
    clock,
    troubles,
    keeper,
    be,
    next: () => memory.previous(),
    // Of the file, not of what the process knows.
    persisted: () => new Memory(places).load(),
  };
}

Deno.test("MemoryKeeper.saveServing() tells the next daemon that this one was in maintenance, and whether it served", () => {
  using directory = new TempDirectory();
  const { keeper, be, next } = make(directory);
  assert.equal(next(), null);
  for (const served of [true, false]) {
    be({ name: "maintenance", servedBeforeMaintenance: served });
    keeper.saveServing();
    assert.deepEqual(next(), { state: "maintenance", serving: served, agoMs: 0 });
  }
  be({ name: "active" });
  keeper.saveServing();
  assert.deepEqual(next(), { state: "active", serving: true, agoMs: 0 });
});

Deno.test("MemoryKeeper.pace() renews the word each second while serving, also in maintenance, and not at rest", async () => {
  using directory = new TempDirectory();
  const { clock, keeper, be, next } = make(directory);
  const serving = [{ name: "active" }, {
    name: "maintenance",
    servedBeforeMaintenance: true,
  }] as const;
  for (const changes of serving) {
    const result = be(changes);
    keeper.saveServing();
    await clock.advance(999);
    keeper.pace(result, clock.nowMs());
    assert.equal(next()?.agoMs, 999);
    await clock.advance(1);
    keeper.pace(result, clock.nowMs());
    assert.equal(next()?.agoMs, 0);
  }
  const result = be({ name: "standby", servedBeforeMaintenance: false });
  await clock.advance(5000);
  keeper.pace(result, clock.nowMs());
  assert.equal(next()?.agoMs, 5000);
});

Deno.test("MemoryKeeper.pace() persists a new epoch, and only then", () => {
  using directory = new TempDirectory();
  const { keeper, be, persisted } = make(directory);
  assert.deepEqual(keeper.before, { epoch: 0, failbackHeld: false });
  keeper.pace(be({ name: "standby", epoch: 5 }), 0);
  assert.equal(persisted()?.epoch, 5);
  Deno.removeSync(`${directory.path}/state.json`);
  keeper.pace(be({}), 60_000);
  assert.equal(persisted(), null);
});

Deno.test("MemoryKeeper tells of a disk that refuses, and goes on", () => {
  using directory = new TempDirectory();
  const { keeper, be, troubles } = make(directory);
  be({ name: "active" });
  for (const name of ["state.json.tmp", "serving.json.tmp"]) {
    Deno.mkdirSync(`${directory.path}/${name}`);
  }
  assert.throws(() => keeper.persist());
  keeper.persistSafely();
  keeper.saveServing();
  assert.equal(troubles.length, 2);
  assert.match(troubles[0] ?? "", /^Cannot persist the epoch: /);
});
