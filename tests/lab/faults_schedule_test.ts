import assert from "node:assert/strict";
import { drawLabFaults, LAB_FAULTS, type LabFaultKind } from "./faults_schedule.ts";

const KINDS = Object.keys(LAB_FAULTS) as LabFaultKind[];

Deno.test("drawLabFaults() draws the same faults from the same seed, and others from another", () => {
  assert.deepEqual(drawLabFaults(7, 40), drawLabFaults(7, 40));
  assert.deepEqual(drawLabFaults(7, 40).slice(0, 10), drawLabFaults(7, 10));
  assert.notDeepEqual(drawLabFaults(7, 40), drawLabFaults(8, 40));
});

Deno.test("drawLabFaults() takes each kind once before it takes one again", () => {
  const faults = drawLabFaults(3, 2 * KINDS.length);
  for (const round of [faults.slice(0, KINDS.length), faults.slice(KINDS.length)]) {
    assert.equal(new Set(round.map(({ kind }) => kind)).size, KINDS.length);
  }
});

Deno.test('drawLabFaults() lets an operator move only where the host answers, and always as "operator"', () => {
  for (const { kind, move, lastsMs } of drawLabFaults(11, 600)) {
    if (!LAB_FAULTS[kind].moves) assert.equal(move, null, kind);
    if (kind === "operator") assert.notEqual(move, null);
    const [from, to] = LAB_FAULTS[kind].lastsS;
    assert.ok(lastsMs >= from * 1000 && lastsMs <= to * 1000, `${kind} ${lastsMs}`);
  }
});
