import assert from "node:assert/strict";
import { longestStall, opensGoal, stepOf } from "./log_lines.ts";

const DECISION = 'time=2026-11-30T13:42:56.073Z level=info area=node msg="the master is dead" ' +
  "node=demo role=slave state=taking-over epoch=2 event=decision rule=S-TAKE from=standby " +
  'to=taking-over why="the master is dead"';
const STEP = 'time=2026-11-30T13:42:56.096Z level=info area=node msg="take, mount-vips: done" ' +
  "node=demo role=slave state=taking-over epoch=2 event=step goal=take step=mount-vips ms=17";

Deno.test("decisions and steps are told apart in the log", () => {
  assert.equal(opensGoal("take", DECISION), true);
  assert.equal(opensGoal("hand-over", DECISION), false);
  assert.equal(opensGoal("take", STEP), false);
  assert.deepEqual(stepOf(STEP), { goal: "take", step: "mount-vips" });
  assert.deepEqual(stepOf(STEP.replace("done", "failed")), { goal: "take", step: "mount-vips" });
  assert.equal(stepOf(DECISION), null);
});

Deno.test("the longest stall of a log", () => {
  assert.equal(longestStall(`${DECISION}\n${STEP}`), 0);
  const line = 'msg="the loop stood still: evidence is void" node=demo event=stall ms=';
  const lapsed = 'msg="the VIPs go (the loop stood still for 3587 ms)" event=decision';
  assert.equal(longestStall(`${lapsed}\n${line}316`), 3587);
  assert.equal(longestStall(`${line}104\n${STEP}\n${line}316\n${line}99`), 316);
});
