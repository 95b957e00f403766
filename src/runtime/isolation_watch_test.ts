import assert from "node:assert/strict";
import { BALANCED, linkCase, NOW, seenCase, stateCase } from "../../tests/support/core_cases.ts";
import { step, type StepResult } from "../core/step.ts";
import type { StateName } from "../core/types.ts";
import { ISOLATED_ALERT_AFTER_MS, IsolationWatch } from "./isolation_watch.ts";

/** What the real core makes of a node that hears nobody since long. */
function turn(name: StateName, { cut }: { readonly cut: boolean }): StepResult {
  const state = stateCase({ name, since: 0, evidenceSince: 0 });
  const silent = linkCase({ lastIcmpAt: 1, lastHttpAt: 1, lastWitnessAt: 1 });
  const seen = cut ? seenCase({ links: [silent], peer: null }) : seenCase();
  return step(state, seen, NOW, BALANCED, []);
}

Deno.test("IsolationWatch speaks after a minute of isolation at rest, across standby and rejoining", () => {
  const watch = new IsolationWatch();
  watch.pace(turn("rejoining", { cut: true }), 0);
  assert.equal(watch.alert, null);
  watch.pace(turn("standby", { cut: true }), ISOLATED_ALERT_AFTER_MS - 1);
  assert.equal(watch.alert, null);
  watch.pace(turn("standby", { cut: true }), ISOLATED_ALERT_AFTER_MS);
  assert.match(
    watch.alert ?? "",
    /^isolated: neither the peer nor any witness answers on any network; this node does not serve\. If/,
  );
  assert.match(
    watch.alert ?? "",
    /correct the witnesses in the configuration and run: relais reload$/,
  );
});

Deno.test("IsolationWatch is silent again as soon as somebody is heard, and counts anew", () => {
  const watch = new IsolationWatch();
  watch.pace(turn("standby", { cut: true }), 0);
  watch.pace(turn("standby", { cut: true }), 2 * ISOLATED_ALERT_AFTER_MS);
  assert.notEqual(watch.alert, null);
  watch.pace(turn("standby", { cut: false }), 2 * ISOLATED_ALERT_AFTER_MS + 20);
  assert.equal(watch.alert, null);
  watch.pace(turn("standby", { cut: true }), 2 * ISOLATED_ALERT_AFTER_MS + 40);
  watch.pace(turn("standby", { cut: true }), 3 * ISOLATED_ALERT_AFTER_MS);
  assert.equal(watch.alert, null);
});

Deno.test("IsolationWatch says nothing of a node that is not at rest", () => {
  const watch = new IsolationWatch();
  for (const name of ["active", "isolated", "maintenance", "failed"] as const) {
    watch.pace(turn(name, { cut: true }), 0);
    watch.pace(turn(name, { cut: true }), 2 * ISOLATED_ALERT_AFTER_MS);
    assert.equal(watch.alert, null, name);
  }
});
