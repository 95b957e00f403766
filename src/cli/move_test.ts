import assert from "node:assert/strict";
import type { StateName } from "../core/types.ts";
import type { StatusDocument } from "../health/types.ts";
import { sampleHealth, sampleStatus } from "../../tests/support/health_sample.ts";
import { isOver } from "./move.ts";

/** A status with the two states and epochs. */
function seen(
  own: readonly [StateName, number],
  peer: readonly [StateName, number] | null,
): StatusDocument {
  const { node, peer: before } = sampleStatus();
  const report = peer === null ? null : sampleHealth({ state: peer[0], epoch: peer[1] });
  return sampleStatus({
    node: { ...node, state: own[0], epoch: own[1] },
    peer: { ...before, report },
  });
}

Deno.test("isOver() of a move away from here: the peer serves, or this node took it up again", () => {
  const before = { servedHere: true, epoch: 5 };
  assert.equal(isOver(seen(["active", 5], ["standby", 5]), before), false, "not begun");
  assert.equal(isOver(seen(["handing-back", 5], ["standby", 5]), before), false);
  assert.equal(isOver(seen(["standby", 5], ["taking-over", 6]), before), false);
  assert.equal(isOver(seen(["standby", 5], null), before), false, "the peer is silent");
  assert.equal(isOver(seen(["standby", 6], ["active", 6]), before), true);
  assert.equal(isOver(seen(["active", 6], ["standby", 5]), before), true, "kept");
});

Deno.test("isOver() of a move to here: this node serves, or the peer took it up again", () => {
  const before = { servedHere: false, epoch: 5 };
  assert.equal(isOver(seen(["standby", 5], ["active", 5]), before), false, "not begun");
  assert.equal(isOver(seen(["standby", 5], ["handing-back", 5]), before), false);
  assert.equal(isOver(seen(["taking-over", 6], ["standby", 5]), before), false);
  assert.equal(isOver(seen(["active", 6], ["standby", 5]), before), true);
  assert.equal(isOver(seen(["standby", 6], ["active", 6]), before), true, "the peer kept it");
});

Deno.test("isOver() when this node has failed, whoever served", () => {
  for (const servedHere of [true, false]) {
    assert.equal(isOver(seen(["failed", 6], ["standby", 5]), { servedHere, epoch: 5 }), true);
  }
});
