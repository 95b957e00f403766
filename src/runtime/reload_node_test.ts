import assert from "node:assert/strict";
import { initialState, type NodeState } from "../core/state.ts";
import { STATE_NAMES, type StateName } from "../core/types.ts";
import { busyWith, mountsAfterReload } from "./reload_node.ts";

function state(change: Partial<NodeState>): NodeState {
  return { ...initialState(0, { epoch: 1, failbackHeld: false }), name: "standby", ...change };
}

const GOAL: NonNullable<NodeState["goal"]> = {
  id: 1,
  name: "hand-over",
  startedAt: 0,
  outcome: "running",
  failedStep: null,
  error: null,
};

Deno.test("busyWith() lets no reload into a move, whatever the state says", () => {
  const moving: readonly StateName[] = ["starting", "taking-over", "handing-back"];
  for (const name of STATE_NAMES) {
    const busy = busyWith(state({ name }), null);
    assert.equal(busy !== null, moving.includes(name), name);
  }
  assert.equal(busyWith(state({ name: "rejoining", goal: GOAL }), null), "this node is rejoining");
  assert.equal(busyWith(state({ goal: { ...GOAL, outcome: "done" } }), null), null);
  assert.equal(
    busyWith(state({ name: "active" }), { goal: "repair", step: "start-services", since: 0 }),
    "this node is active: repair, start-services",
  );
});

Deno.test("mountsAfterReload() mounts where VIPs are held, or on an active node that had none", () => {
  const held = new Set(["10.20.0.10"]);
  const none = new Set<string>();
  assert.equal(mountsAfterReload({ name: "active" }, { wasHeld: held, hadVips: true }), true);
  assert.equal(mountsAfterReload({ name: "maintenance" }, { wasHeld: held, hadVips: true }), true);
  // They lapsed a moment ago: the core knows, a reload does not bring them back.
  assert.equal(mountsAfterReload({ name: "active" }, { wasHeld: none, hadVips: true }), false);
  assert.equal(mountsAfterReload({ name: "active" }, { wasHeld: none, hadVips: false }), true);
  for (const name of ["standby", "maintenance", "isolated"] as const) {
    assert.equal(mountsAfterReload({ name }, { wasHeld: none, hadVips: false }), false, name);
  }
});
