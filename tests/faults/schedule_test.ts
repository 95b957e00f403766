import assert from "node:assert/strict";
import { goalSteps } from "../../src/core/goals.ts";
import { KIND_FACTS, REAL_KINDS } from "./kinds.ts";
import { describeFault, drawSchedule } from "./schedule.ts";

Deno.test("the same seed draws the same schedule, however long the run is", () => {
  for (const seed of [1, 7, 20261130, -5]) {
    const long = drawSchedule({ seed, minutes: 20 });
    assert.deepEqual(drawSchedule({ seed, minutes: 20 }), long);
    const short = drawSchedule({ seed, minutes: 3 });
    assert.deepEqual(short.faults, long.faults.slice(0, short.faults.length));
  }
  const [one, other] = [1, 2].map((seed) => drawSchedule({ seed, minutes: 3 }).faults);
  assert.notDeepEqual(one, other);
});

Deno.test("each kind comes once before one comes again", () => {
  const { faults } = drawSchedule({ seed: 4, minutes: 20 });
  for (let from = 0; from + REAL_KINDS.length <= faults.length; from += REAL_KINDS.length) {
    const round = faults.slice(from, from + REAL_KINDS.length).map(({ kind }) => kind);
    assert.deepEqual(round.toSorted(), [...REAL_KINDS].sort());
  }
});

Deno.test("a fault lasts as long as its kind may, and a move falls into it", () => {
  for (const fault of drawSchedule({ seed: 9, minutes: 60 }).faults) {
    const [from, to] = KIND_FACTS[fault.kind].lastsS;
    assert.ok(fault.lastsMs >= from * 1000 && fault.lastsMs <= to * 1000, describeFault(fault));
    if (fault.move !== null) assert.ok(fault.move.afterMs <= fault.lastsMs);
    assert.ok(fault.dice.every((throwOf) => throwOf >= 0 && throwOf < 1));
  }
});

Deno.test("kill points reach every step that src/core/goals.ts has", () => {
  const { faults } = drawSchedule({
    seed: 1,
    minutes: 60,
    kinds: ["kill-in-takeover", "kill-in-hand-over", "kill-in-join"],
  });
  for (const goal of ["take", "hand-over", "join"] as const) {
    const hit = new Set(
      faults.flatMap(({ kill }) => kill?.goal === goal ? [`${kill.number} ${kill.step}`] : []),
    );
    const wanted = goalSteps(goal, { fetch: false, urgent: false })
      .map(({ name }, number) => `${number} ${name}`);
    assert.deepEqual([...hit].sort(), wanted.toSorted());
  }
});
