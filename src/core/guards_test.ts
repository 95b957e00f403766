import assert from "node:assert/strict";
import { BALANCED, NOW, peerCase, seenCase, stateCase } from "../../tests/support/core_cases.ts";
import {
  failbackIsDue,
  FLAPPING_WINDOW_MS,
  peerIsIdleTooLong,
  readyPeerHadItsTurn,
  stableNeededMs,
  unfitForLong,
} from "./guards.ts";
import type { Context } from "./rule.ts";
import { assess } from "./situation.ts";
import type { NodeState } from "./state.ts";
import type { CoreConfig, Observation } from "./types.ts";

function context(
  state: Partial<NodeState>,
  { seen = {}, failback = {} }: {
    readonly seen?: Partial<Observation>;
    readonly failback?: Partial<CoreConfig["failback"]>;
  } = {},
): Context {
  const config = { ...BALANCED, failback: { ...BALANCED.failback, ...failback } };
  const memory = stateCase(state);
  const observation = seenCase(seen);
  return {
    state: memory,
    seen: observation,
    s: assess(memory, observation, NOW, config),
    now: NOW,
    config,
  };
}

Deno.test("stableNeededMs() doubles for each takeover of ten minutes beyond the first, to sixteenfold", () => {
  const needed = (count: number): number =>
    stableNeededMs(context({ takeovers: Array.from({ length: count }, () => NOW - 1000) }));
  assert.deepEqual([0, 1, 2, 3, 4, 5, 6, 8].map(needed), [
    30_000,
    30_000,
    60_000,
    120_000,
    240_000,
    480_000,
    480_000,
    480_000,
  ]);
});

Deno.test("stableNeededMs() forgets takeovers after ten minutes", () => {
  const takeovers = [NOW - FLAPPING_WINDOW_MS, NOW - 1000];
  assert.equal(stableNeededMs(context({ takeovers })), 30_000);
});

Deno.test("failbackIsDue() waits for idle until the deadline (S2)", () => {
  const due = (readyMs: number, idle: boolean | null): boolean =>
    failbackIsDue(context({ peerReadySince: NOW - readyMs }, {
      seen: { idle },
      failback: { idleDeadlineMs: 600_000 },
    }));
  assert.equal(due(30_000, false), false);
  assert.equal(due(30_000, null), false);
  assert.equal(due(30_000, true), true);
  assert.equal(due(29_999, true), false);
  assert.equal(due(629_999, false), false);
  assert.equal(due(630_000, false), true);
});

Deno.test("failbackIsDue() obeys an operator against policy, but not without a ready master", () => {
  const manual = { failback: { mode: "manual" } } as const;
  const asked = { failbackAskedAt: NOW };
  assert.equal(failbackIsDue(context({ peerReadySince: NOW - 3_600_000 }, manual)), false);
  assert.equal(failbackIsDue(context({ peerReadySince: NOW, ...asked }, manual)), true);
  assert.equal(failbackIsDue(context({ peerReadySince: null, ...asked }, manual)), false);
});

Deno.test("failbackIsDue() is held after a planned switchover and outside the window", () => {
  const ready = { peerReadySince: NOW - 3_600_000 };
  assert.equal(failbackIsDue(context(ready)), true);
  assert.equal(failbackIsDue(context({ ...ready, failbackHeld: true })), false);
  const closed = { seen: { failbackWindowOpen: false } };
  assert.equal(failbackIsDue(context(ready, closed)), false);
});

Deno.test("peerIsIdleTooLong() counts five times dead_after_ms from when both were idle", () => {
  const state = { since: NOW - 15_000, peerIdleSince: NOW - 60_000 };
  assert.equal(peerIsIdleTooLong(context(state)), true);
  assert.equal(peerIsIdleTooLong(context({ ...state, since: NOW - 14_999 })), false);
  assert.equal(peerIsIdleTooLong(context({ ...state, peerIdleSince: null })), false);
});

Deno.test("readyPeerHadItsTurn() waits dead_after_ms for one that is ready, and for no other one", () => {
  const turn = (peerReadySince: number | null): boolean =>
    readyPeerHadItsTurn(context({ peerReadySince }));
  assert.equal(turn(NOW), false);
  assert.equal(turn(NOW - 2999), false);
  assert.equal(turn(NOW - 3000), true);
  assert.equal(turn(null), true);
});

Deno.test("unfitForLong() believes a dead network sooner than ill services", () => {
  assert.equal(unfitForLong(context({ networkUnfitSince: NOW - 3000 })), true);
  assert.equal(unfitForLong(context({ networkUnfitSince: NOW - 2999 })), false);
  assert.equal(unfitForLong(context({ servicesUnfitSince: NOW - 9999 })), false);
  assert.equal(unfitForLong(context({ servicesUnfitSince: NOW - 10_000 })), true);
});

Deno.test("a peer that says it serves is no ready peer, whatever it says of being ready", () => {
  const c = context({}, { seen: { peer: peerCase({ state: "active", serving: true }) } });
  assert.match(c.s.peerCannotTake ?? "", /in state active/);
});
