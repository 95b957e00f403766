import assert from "node:assert/strict";
import {
  BALANCED,
  linkCase,
  NOW,
  peerCase,
  seenCase,
  stateCase,
  vipCase,
} from "../../tests/support/core_cases.ts";
import type { GoalState, NodeState } from "./state.ts";
import { HAND_OVER_RETRY_MS, TAKEOVERS_KEPT } from "./state.ts";
import { EPOCH_JUMP_MAX, step, type StepResult, WISH_EXPIRES_MS } from "./step.ts";
import type { CoreConfig, CoreEvent, Observation } from "./types.ts";

const MASTER: CoreConfig = { ...BALANCED, role: "master" };
const DEAD = { links: [linkCase({ lastIcmpAt: NOW - 3000, lastHttpAt: NOW - 3000 })], peer: null };
/** The peer serves, so that a slave in standby has nothing to do. */
const SERVED = {
  peer: peerCase({ state: "active", serving: true, ready: false }),
  vips: [vipCase({ lastAnswerBy: "peer", lastAnswerAt: NOW, unansweredProbes: 0 })],
};
/** What an active node sees of itself. */
const SERVING = {
  services: { running: "all", healthy: true },
  vips: [vipCase({ heldByMe: true })],
} as const;

interface Given {
  readonly state?: Partial<NodeState>;
  readonly seen?: Partial<Observation>;
  readonly config?: CoreConfig;
  readonly now?: number;
}

function decide({ state = {}, seen = {}, config = BALANCED, now = NOW }: Given): StepResult {
  return step(stateCase(state), seenCase(seen), now, config);
}

function running(name: GoalState["name"], id = 7): GoalState {
  return { id, name, startedAt: NOW - 100, outcome: "running", failedStep: null, error: null };
}

function types({ actions }: StepResult): string[] {
  return actions.map((action) => action.type === "start-goal" ? action.goal : action.type);
}

function notice(kind: "yours" | "leaving", epoch = 3): CoreEvent {
  return { type: "notice", notice: { kind, epoch, reason: "" } };
}

Deno.test("step() does not change what it was given", () => {
  const state = stateCase();
  const copy = structuredClone(state);
  step(state, seenCase({ ...DEAD, events: [notice("leaving")] }), NOW, BALANCED);
  assert.deepEqual(state, copy);
});

Deno.test("step() without a matching row does nothing", () => {
  const result = decide({ seen: SERVED });
  assert.equal(result.decision, null);
  assert.deepEqual(result.actions, []);
  assert.equal(result.state.name, "standby");
});

Deno.test("step() takes over from a dead master and says how long it was silent (S1, B3)", () => {
  const result = decide({ seen: DEAD });
  assert.deepEqual(result.decision, {
    rule: "S-TAKE",
    from: "standby",
    to: "taking-over",
    why: "the master is dead: silent on all links, by ICMP and by HTTP, and on its VIPs",
    detail: "silent for 3000 ms",
  });
  assert.deepEqual(types(result), ["take"]);
  assert.deepEqual(result.state.takeovers, [NOW]);
});

Deno.test("step() takes over without any VIP configured (B3)", () => {
  assert.equal(decide({ seen: { ...DEAD, vips: [] } }).decision?.rule, "S-TAKE");
});

Deno.test("step() does not take over while the master's MAC answers for a VIP (M1, S1)", () => {
  const result = decide({ seen: { ...SERVED, ...DEAD } });
  assert.equal(result.decision?.rule, "S-HOLD");
  assert.equal(result.state.name, "standby");
  assert.deepEqual(types(result), ["alert"]);
});

Deno.test("step() repeats an alert after its pause only", () => {
  const first = decide({ seen: { ...SERVED, ...DEAD } }).state;
  const links = DEAD.links.map((link) => ({ ...link, lastWitnessAt: NOW + 60_000 }));
  const seen = seenCase({ ...SERVED, ...DEAD, links });
  assert.equal(step(first, seen, NOW + 59_999, BALANCED).decision, null);
  assert.equal(step(first, seen, NOW + 60_000, BALANCED).decision?.rule, "S-HOLD");
});

Deno.test("step() of a slave that just booted waits for a master that it never heard", () => {
  const never = { links: [linkCase({ lastIcmpAt: null, lastHttpAt: null })], peer: null };
  assert.equal(decide({ seen: { ...never, hostUptimeMs: 11_999 } }).decision, null);
  assert.equal(decide({ seen: { ...never, hostUptimeMs: 12_000 } }).decision?.rule, "S-TAKE");
});

Deno.test("step() gives the daemon of a master whose host answers the same boot grace", () => {
  const seen = { links: [linkCase({ lastHttpAt: null })], peer: null };
  assert.equal(decide({ seen: { ...seen, hostUptimeMs: 11_999 } }).decision, null);
  assert.equal(decide({ seen: { ...seen, hostUptimeMs: 12_000 } }).decision?.rule, "S-LOST");
});

Deno.test("step() believes the word `yours` at once, unless it is cut off by now", () => {
  const seen = { ...SERVED, events: [notice("yours")] };
  assert.equal(decide({ seen }).decision?.rule, "S-NOTICE");
  const cut = { ...seen, links: [linkCase({ carrier: false })] };
  assert.equal(decide({ seen: cut }).decision, null);
});

Deno.test("step() forgets a word and a wish after ten seconds", () => {
  const at = NOW - WISH_EXPIRES_MS;
  const { state } = decide({
    seen: SERVED,
    state: {
      name: "rejoining",
      notice: { kind: "yours", epoch: 3, reason: "", at },
      switchoverAskedAt: at,
      failbackAskedAt: at + 1,
    },
  });
  assert.equal(state.notice, null);
  assert.equal(state.switchoverAskedAt, null);
  assert.equal(state.failbackAskedAt, at + 1);
});

Deno.test("step() raises the epoch beyond every epoch it knows when it takes over", () => {
  const report = peerCase({ epoch: 8 });
  const given = decide({ seen: { peer: report, events: [notice("yours", 5)] } });
  assert.equal(given.state.epoch, 9);
  assert.equal(decide({ seen: { events: [notice("yours", 11)] } }).state.epoch, 12);
  assert.equal(decide({ seen: DEAD }).state.epoch, 4);
});

Deno.test("step() learns no epoch that is out of all proportion, from no report and no notice", () => {
  const own = decide({ seen: DEAD }).state.epoch - 1;
  for (const far of [own + EPOCH_JUMP_MAX + 1, 2 ** 50, Number.MAX_SAFE_INTEGER]) {
    const peer = peerCase({ state: "active", serving: true, epoch: far });
    assert.equal(decide({ seen: { ...SERVED, peer } }).state.epoch, own);
    const resting = peerCase({ epoch: far });
    const { state } = decide({ seen: { peer: resting, events: [notice("yours", far)] } });
    assert.deepEqual([state.name, state.epoch], ["taking-over", own + 1]);
    const yielded = { ...SERVING, peer: peerCase({ epoch: far, state: "rejoining" }) };
    const active = { name: "active", epoch: own } as const;
    assert.equal(decide({ state: active, seen: yielded, config: MASTER }).state.epoch, own);
  }
  const near = peerCase({ state: "active", serving: true, epoch: own + EPOCH_JUMP_MAX });
  assert.equal(decide({ seen: { ...SERVED, peer: near } }).state.epoch, own + EPOCH_JUMP_MAX);
});

Deno.test("step() learns a newer epoch at rest and never unlearns one", () => {
  const peer = (epoch: number): Partial<Observation> => ({
    ...SERVED,
    peer: peerCase({ state: "active", serving: true, epoch }),
  });
  assert.equal(decide({ seen: peer(8) }).state.epoch, 8);
  assert.equal(decide({ seen: peer(1) }).state.epoch, 3);
});

Deno.test("step() of the node that goes on serving overtakes the epoch of the one that yielded", () => {
  const state = { name: "active" } as const;
  const yielded = { ...SERVING, peer: peerCase({ epoch: 8, state: "rejoining" }) };
  assert.equal(decide({ state, seen: yielded, config: MASTER }).state.epoch, 9);
});

Deno.test("step() believes only the goal in progress", () => {
  const state = { name: "taking-over", goal: running("take", 7) } as const;
  const done = (goalId: number): Partial<Observation> => ({
    ...SERVING,
    events: [{ type: "goal-done", goalId }],
  });
  assert.equal(decide({ state, seen: done(6) }).decision, null);
  assert.equal(decide({ state, seen: done(7) }).decision?.rule, "N-ACTIVE");
});

Deno.test("step() numbers goals so that none is taken for another", () => {
  const result = decide({ state: { nextGoalId: 41 }, seen: DEAD });
  const [action] = result.actions;
  assert.ok(action?.type === "start-goal");
  assert.equal(action.goalId, 41);
  assert.equal(result.state.nextGoalId, 42);
  assert.equal(result.state.goal?.id, 41);
});

Deno.test("step() drops the VIPs before anything else when it is cut off (S1, M1)", () => {
  for (const config of [BALANCED, MASTER]) {
    for (const name of ["active", "taking-over", "handing-back"] as const) {
      const seen = { ...SERVING, links: [linkCase({ carrier: false })] };
      const result = decide({ state: { name, goal: running("take") }, seen, config });
      assert.equal(result.state.name, "isolated");
      assert.deepEqual(types(result), ["drop-vips", "cancel-goal", "discard-evidence"]);
      assert.equal(result.state.goal, null);
      assert.equal(result.state.evidenceSince, NOW);
    }
  }
});

Deno.test("step() drops the VIPs when the loop stood still for isolated_after_ms, not for less", () => {
  const stalled = (stalledMs: number): StepResult =>
    decide({
      state: { name: "active" },
      seen: { ...SERVING, events: [{ type: "stalled", stalledMs }] },
    });
  assert.equal(stalled(1499).decision, null);
  assert.equal(stalled(1499).state.evidenceSince, NOW);
  assert.equal(stalled(1500).decision?.rule, "S-ISOLATE");
  assert.match(stalled(1500).decision?.detail ?? "", /stood still for 1500 ms/);
});

Deno.test("step() of a slave that stood still does not believe its own silence", () => {
  const seen = { ...DEAD, events: [{ type: "stalled", stalledMs: 5000 }] } as const;
  const { decision, situation } = decide({ seen });
  assert.equal(decision, null);
  assert.equal(situation.verdict, "unknown");
});

Deno.test("step() keeps what it learnt about who died first across a short stall", () => {
  const seen = {
    ...SERVING,
    ...DEAD,
    events: [{ type: "stalled", stalledMs: 400 }],
  } as const;
  assert.equal(
    decide({ state: { name: "active", peerDiedFirst: true }, seen }).state.peerDiedFirst,
    true,
  );
  const heard = decide({ state: { name: "active", peerDiedFirst: true }, seen: SERVING });
  assert.equal(heard.state.peerDiedFirst, false);
});

Deno.test("step() of a slave yields to a master that serves, also while handing back (S2)", () => {
  const seen = {
    vips: [vipCase({ heldByMe: true, lastAnswerBy: "peer", lastAnswerAt: NOW })],
    services: SERVING.services,
  } as const;
  for (const name of ["active", "taking-over", "handing-back"] as const) {
    const result = decide({ state: { name, goal: running("hand-over") }, seen });
    assert.equal(result.decision?.rule, "S-YIELD");
    assert.deepEqual(types(result), ["cancel-goal", "drop-vips", "join"]);
  }
  const master = decide({ state: { name: "active" }, seen, config: MASTER });
  assert.equal(master.decision?.rule, "M-DEFEND");
});

Deno.test("step() hands back when the master was stable for stable_s (S2)", () => {
  const state = (ms: number): Partial<NodeState> => ({ name: "active", peerReadySince: NOW - ms });
  assert.equal(decide({ state: state(29_999), seen: SERVING }).decision, null);
  assert.equal(decide({ state: state(30_000), seen: SERVING }).decision?.rule, "S-BACK");
});

Deno.test("step() begins to count anew when the master was not ready in between", () => {
  const seen = { ...SERVING, peer: peerCase({ state: "rejoining", ready: false }) };
  const { state } = decide({ state: { name: "active", peerReadySince: NOW - 29_000 }, seen });
  assert.equal(state.peerReadySince, null);
});

Deno.test("step() without a cluster key lets go silently instead of handing back (S2)", () => {
  const result = decide({
    state: { name: "active", peerReadySince: NOW - 30_000 },
    seen: { ...SERVING, hasKey: false },
  });
  assert.equal(result.decision?.rule, "S-BACK-SILENT");
  assert.deepEqual(types(result), ["drop-vips", "join"]);
});

Deno.test("step() waits after a failed hand-over before the next automatic one", () => {
  const state = (ago: number): Partial<NodeState> => ({
    name: "active",
    peerReadySince: NOW - 100_000,
    handOverFailedAt: NOW - ago,
  });
  assert.equal(decide({ state: state(HAND_OVER_RETRY_MS - 1), seen: SERVING }).decision, null);
  assert.equal(
    decide({ state: state(HAND_OVER_RETRY_MS), seen: SERVING }).decision?.rule,
    "S-BACK",
  );
});

Deno.test("step() of the master serves when nobody does (B1, M1)", () => {
  assert.equal(decide({ config: MASTER }).decision?.rule, "M-SERVE");
  assert.equal(decide({ config: MASTER, seen: SERVED }).decision, null);
  const relaisGone = { links: [linkCase({ lastHttpAt: null })], peer: null };
  assert.equal(decide({ config: MASTER, seen: relaisGone }).decision?.rule, "M-SERVE");
  assert.equal(
    decide({ config: MASTER, seen: { ...relaisGone, vips: [] } }).decision?.rule,
    "M-SERVE",
  );
});

Deno.test("step() asks the slave for a newer astdb before the services start (M4)", () => {
  const start = (given: Given): boolean | undefined =>
    decide(given).actions.find((action) => action.type === "start-goal")?.fetch;
  assert.equal(start({ config: MASTER }), true);
  assert.equal(start({ config: MASTER, state: { name: "starting" } }), true);
  assert.equal(start({ config: MASTER, seen: DEAD }), false);
});

Deno.test("step() returns from isolation to services that still run, also if only a host answers", () => {
  const running = { services: SERVING.services };
  const state = { name: "isolated" } as const;
  const relaisGone = { links: [linkCase({ lastHttpAt: null })], peer: null };
  for (const seen of [running, { ...running, ...DEAD }, { ...running, ...relaisGone }]) {
    assert.equal(decide({ state, seen }).decision?.rule, "N-RETURN");
  }
  const taken = { ...running, ...SERVED };
  assert.equal(decide({ state, seen: taken }).decision?.rule, "N-REJOIN");
});

Deno.test("step() acts on nothing in maintenance, and ends it at a word", () => {
  const state = { name: "maintenance" } as const;
  assert.equal(decide({ state, seen: DEAD }).decision, null);
  const off = { events: [{ type: "command", command: "maintenance-off" }] } as const;
  assert.equal(decide({ state, seen: off }).decision?.rule, "N-RESUME-REST");
  const served = { name: "maintenance", servedBeforeMaintenance: true } as const;
  assert.equal(decide({ state: served, seen: { ...SERVING, ...off } }).decision?.rule, "N-RESUME");
});

Deno.test("step() ends at a word in every state without waiting for a goal but the hand-over", () => {
  const seen = { ...DEAD, events: [{ type: "command", command: "stop" }] } as const;
  for (const name of ["starting", "standby", "taking-over", "active", "failed"] as const) {
    const result = decide({ state: { name, goal: running("take") }, seen });
    assert.equal(result.decision?.rule, "X-LEAVE", name);
    assert.deepEqual(types(result), ["cancel-goal", "drop-vips", "tell-peer", "persist", "exit"]);
    assert.equal(result.state.left, true);
    assert.equal(step(result.state, seenCase(DEAD), NOW + 9000, BALANCED).decision, null);
  }
  const handing = { name: "handing-back", goal: running("hand-over") } as const;
  assert.equal(decide({ state: handing, seen }).decision, null);
});

Deno.test("step() keeps the last takeovers only", () => {
  const takeovers = Array.from({ length: TAKEOVERS_KEPT }, (_, i) => NOW - 100 + i);
  const { state } = decide({ state: { takeovers }, seen: DEAD });
  assert.equal(state.takeovers.length, TAKEOVERS_KEPT);
  assert.equal(state.takeovers.at(-1), NOW);
});

Deno.test("step() remembers that the master leaves until it is heard ready or serving again", () => {
  const left = { peerLeftAt: NOW - 5000 };
  const ready = decide({ state: { ...left, name: "rejoining" } });
  assert.equal(ready.state.peerLeftAt, null);
  const rejoining = { peer: peerCase({ state: "rejoining", ready: false }) };
  assert.equal(
    decide({ state: { ...left, name: "rejoining" }, seen: rejoining }).state.peerLeftAt,
    NOW - 5000,
  );
  assert.equal(decide({ state: left, seen: rejoining }).decision?.rule, "S-LEFT");
});
