/**
 * The table is well-formed (DESIGN section 4): it can be read from the top, and nothing in it is dead.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import "../../tests/support/seed.ts";
import {
  anyConfig,
  anyObservation,
  anyState,
  shiftObservation,
  shiftState,
} from "../../tests/support/core_arbitrary.ts";
import { BALANCED, linkCase, seenCase } from "../../tests/support/core_cases.ts";
import type { Rule } from "./rule.ts";
import { initialState, type NodeState } from "./state.ts";
import { step } from "./step.ts";
import { RULES } from "./transitions.ts";
import { type Observation, type Role, STATE_NAMES } from "./types.ts";

const NOW = 10_000_000;
const ROLES: readonly Role[] = ["master", "slave"];

/** The rows that a node of this role may use. */
function rowsOf(role: Role): Rule[] {
  return RULES.filter((rule) => rule.role === "both" || rule.role === role);
}

Deno.test("RULES have unique ids that say which node they are for", () => {
  assert.equal(new Set(RULES.map(({ id }) => id)).size, RULES.length);
  const prefix = { master: "M-", slave: "S-" } as const;
  for (const { id, role } of RULES) {
    if (role === "both") assert.match(id, /^[NX]-[A-Z-]+$/);
    else assert.ok(id.startsWith(prefix[role]), `${id} is a row of the ${role}`);
  }
});

Deno.test("RULES name known states only, and `stay` rows say how often they fire", () => {
  for (const { id, from, to, everyMs } of RULES) {
    assert.ok(from.length > 0, id);
    for (const name of from) assert.ok(STATE_NAMES.includes(name), `${id} from ${name}`);
    if (to === "stay") assert.ok((everyMs ?? 0) >= 1000, `${id} stays without a pause`);
    else {
      assert.ok(STATE_NAMES.includes(to), `${id} to ${to}`);
      assert.equal(everyMs, undefined, id);
    }
  }
});

Deno.test("RULES say when and why in words, as they stand in log, status and history", () => {
  for (const { id, when, why } of RULES) {
    for (const text of [when, why]) {
      assert.ok(text.trim().length > 5, id);
      assert.doesNotMatch(text, /\.$/, id);
      assert.equal(text, text.trim(), id);
    }
  }
});

for (const role of ROLES) {
  Deno.test(`RULES lead out of every state for the ${role}, other than by maintenance or the end`, () => {
    for (const name of STATE_NAMES) {
      const ways = rowsOf(role).filter((rule) =>
        rule.from.includes(name) && rule.to !== "stay" && rule.to !== name &&
        !rule.id.startsWith("X-") && rule.id !== "N-MAINTENANCE"
      );
      assert.ok(ways.length > 0, `${name} is a dead end`);
    }
  });
}

Deno.test("RULES lead from every state to every state but starting, for both roles", () => {
  for (const role of ROLES) {
    for (const start of STATE_NAMES) {
      const reached = new Set<string>([start]);
      for (let before = 0; before !== reached.size;) {
        before = reached.size;
        for (const { from, to } of rowsOf(role)) {
          if (to !== "stay" && from.some((name) => reached.has(name))) reached.add(to);
        }
      }
      for (const name of STATE_NAMES) {
        if (name !== "starting") {
          assert.ok(reached.has(name), `${role}: ${start} never gets to ${name}`);
        }
      }
    }
  }
});

/** An observation in which the peer says nothing and nothing happens. */
const QUIET: Observation = seenCase({
  links: [linkCase({ lastIcmpAt: NOW, lastHttpAt: NOW, lastWitnessAt: NOW })],
  peer: null,
  vips: [],
  services: { running: "all", healthy: true },
  hostUptimeMs: NOW,
});

function stuckIn(name: NodeState["name"], since: number): NodeState {
  return {
    ...initialState(since, { epoch: 3, failbackHeld: false }),
    name,
    goal: {
      id: 1,
      name: "join",
      startedAt: since,
      outcome: "running",
      failedStep: null,
      error: null,
    },
    nextGoalId: 2,
  };
}

for (const name of ["rejoining", "taking-over", "handing-back", "failed"] as const) {
  Deno.test(`N-STUCK is the deadline of ${name}: a goal whose end never comes does not hold it`, () => {
    for (const role of ROLES) {
      const config = { ...BALANCED, role };
      const early = step(stuckIn(name, NOW - 599_000), QUIET, NOW, config);
      assert.equal(early.decision, null);
      const late = step(stuckIn(name, NOW - 600_000), QUIET, NOW, config);
      assert.equal(late.decision?.rule, "N-STUCK");
      assert.deepEqual(
        late.actions.map((action) => action.type),
        ["cancel-goal", "drop-vips", "start-goal"],
      );
    }
  });
}

Deno.test("N-RETRY is the deadline of a failure that has come to rest", () => {
  const rested: NodeState = { ...stuckIn("failed", NOW - 30_000), goal: null };
  assert.equal(step(rested, QUIET, NOW, BALANCED).decision?.rule, "N-RETRY");
  assert.equal(step({ ...rested, since: NOW - 29_000 }, QUIET, NOW, BALANCED).decision, null);
});

/**
 * Searches for cases until every row of both roles was the first that matches, from each of its states.
 * What is never found is shadowed by an earlier row, or its guard can never hold.
 */
Deno.test("RULES hold no row that an earlier row shadows, from any of its states", () => {
  const missing = new Map<string, number>();
  for (const role of ROLES) {
    for (const rule of rowsOf(role)) {
      for (const name of rule.from) missing.set(`${role} ${name} ${rule.id}`, 0);
    }
  }
  const arbitrary = fc.tuple(anyState, anyObservation, anyConfig);
  for (let seed = 1; seed <= 200 && missing.size > 0; seed++) {
    for (const [drawnState, drawnSeen, config] of fc.sample(arbitrary, { seed, numRuns: 1000 })) {
      const { decision } = step(
        shiftState(drawnState, NOW),
        shiftObservation(drawnSeen, NOW),
        NOW,
        config,
      );
      if (decision !== null) missing.delete(`${config.role} ${decision.from} ${decision.rule}`);
    }
  }
  assert.deepEqual([...missing.keys()], []);
});
