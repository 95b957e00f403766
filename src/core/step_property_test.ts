/**
 * step() over random input: what `invariants.ts` states holds whatever a node sees and remembers.
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
import { findBroken, INVARIANTS } from "./invariants.ts";
import { initialState } from "./state.ts";
import { step } from "./step.ts";

const NOW = 10_000_000;

Deno.test("INVARIANTS have unique ids and statements without a trailing period", () => {
  assert.equal(new Set(INVARIANTS.map(({ id }) => id)).size, INVARIANTS.length);
  for (const { holds } of INVARIANTS) assert.match(holds, /\w$/);
});

Deno.test("step() keeps every invariant from any memory, whatever it sees (M1, S1, S2)", () => {
  fc.assert(
    fc.property(anyState, anyObservation, anyConfig, (drawnState, drawnSeen, config) => {
      const before = shiftState(drawnState, NOW);
      const seen = shiftObservation(drawnSeen, NOW);
      const result = step(before, seen, NOW, config);
      assert.deepEqual(findBroken({ before, seen, now: NOW, config, result }), []);
    }),
    { numRuns: 5000 },
  );
});

Deno.test("step() keeps every invariant over sequences of anything (M1, S1, S2)", () => {
  const turns = fc.array(
    fc.tuple(anyObservation, fc.constantFrom(20, 100, 1600, 3100, 16_000, 31_000)),
    { minLength: 5, maxLength: 40 },
  );
  fc.assert(
    fc.property(turns, anyConfig, (drawn, config) => {
      let now = NOW;
      let state = initialState(now, { epoch: 3, failbackHeld: false });
      for (const [observation, pause] of drawn) {
        now += pause;
        let seen = shiftObservation(observation, now);
        for (let n = 0; n < 8; n++) {
          const result = step(state, seen, now, config);
          assert.deepEqual(findBroken({ before: state, seen, now, config, result }), []);
          state = result.state;
          seen = { ...seen, events: [] };
          if (result.decision === null) break;
        }
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("step() comes to rest within eight transitions on one picture of the world", () => {
  fc.assert(
    fc.property(anyState, anyObservation, anyConfig, (drawnState, drawnSeen, config) => {
      let state = shiftState(drawnState, NOW);
      let seen = shiftObservation(drawnSeen, NOW);
      const rules: string[] = [];
      for (let n = 0; n < 8; n++) {
        const { state: next, decision } = step(state, seen, NOW, config);
        if (decision === null) return;
        rules.push(decision.rule);
        state = next;
        seen = { ...seen, events: [] };
      }
      assert.fail(`no rest after ${rules.join(", ")}`);
    }),
    { numRuns: 5000 },
  );
});
