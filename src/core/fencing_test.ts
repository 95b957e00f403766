import assert from "node:assert/strict";
import { BALANCED, linkCase, peerCase, seenCase } from "../../tests/support/core_cases.ts";
import { CONFIRM_VALID_MS, FENCE_AGAIN_MS } from "./fencing.ts";
import { findBroken } from "./invariants.ts";
import { initialState, isFencing, type NodeState } from "./state.ts";
import { step, type StepResult } from "./step.ts";
import type { CoreConfig, FencingMode, Observation, PeerReport, Role } from "./types.ts";

const NOW = 10_000_000;

function configOf(role: Role, fencing: FencingMode | null): CoreConfig {
  return { ...BALANCED, role, fencing };
}

/** The peer is silent for long, the witness answers, nobody answers for the VIP. */
function silence(now = NOW): Observation {
  const heard = { lastIcmpAt: now - 60_000, lastHttpAt: now - 60_000, lastWitnessAt: now };
  return seenCase({ links: [linkCase(heard)], peer: null });
}

/** The peer speaks: it is in that state. */
function heard(state: PeerReport["state"], now = NOW): Observation {
  const at = { lastIcmpAt: now, lastHttpAt: now, lastWitnessAt: now };
  const words = { serving: state === "active", ready: state === "standby" };
  return seenCase({
    links: [linkCase(at)],
    peer: peerCase({ receivedAt: now, state, ...words }),
  });
}

function standby(parts: Partial<NodeState> = {}): NodeState {
  return {
    ...initialState(NOW - 100_000, { epoch: 3, failbackHeld: false }),
    name: "standby",
    ...parts,
  };
}

function decide(
  state: NodeState,
  seen: Observation,
  config: CoreConfig,
  now = NOW,
): StepResult {
  const result = step(state, seen, now, config);
  assert.deepEqual(findBroken({ before: state, seen, now, config, result }), []);
  return result;
}

/** The fence of the goal that a step starts; undefined: it starts none. */
function fenceOf({ actions }: StepResult): FencingMode | null | undefined {
  const started = actions.find((action) => action.type === "start-goal");
  return started?.type === "start-goal" ? started.fence : undefined;
}

for (const mode of ["required", "best-effort", null] as const) {
  Deno.test(`step() fences a dead peer as configured (${mode}): S-TAKE, M-SERVE, N-LAST-RESORT`, () => {
    const taken = decide(standby(), silence(), configOf("slave", mode));
    assert.equal(taken.decision?.rule, "S-TAKE");
    assert.equal(fenceOf(taken), mode);
    assert.equal(isFencing(taken.state), mode !== null);
    const served = decide(standby(), silence(), configOf("master", mode));
    assert.equal(served.decision?.rule, "M-SERVE");
    assert.equal(fenceOf(served), mode);
    const failed = standby({ name: "failed", since: NOW - 60_000 });
    const resort = decide(failed, silence(), configOf("slave", mode));
    assert.equal(resort.decision?.rule, "N-LAST-RESORT");
    assert.equal(fenceOf(resort), mode);
  });
}

Deno.test("step() fences a host that answers echoes without its relais (S-LOST)", () => {
  const seen = silence();
  const links = seen.links.map((link) => ({ ...link, lastIcmpAt: NOW }));
  const result = decide(standby(), { ...seen, links }, configOf("slave", "required"));
  assert.equal(result.decision?.rule, "S-LOST");
  assert.equal(fenceOf(result), "required");
});

Deno.test("step() returning from isolation fences a silent peer, not one that says it rests (N-RETURN)", () => {
  const isolated = standby({ name: "isolated" });
  const running = { running: "all", healthy: true } as const;
  const alone = decide(
    isolated,
    { ...silence(), services: running },
    configOf("master", "required"),
  );
  assert.equal(alone.decision?.rule, "N-RETURN");
  assert.equal(fenceOf(alone), "required");
  const beside = decide(
    isolated,
    { ...heard("standby"), services: running },
    configOf("master", "required"),
  );
  assert.equal(beside.decision?.rule, "N-RETURN");
  assert.equal(fenceOf(beside), null);
});

Deno.test("step() fences nobody who agreed: S-NOTICE, S-LEFT, M-BACK, M-SERVE beside a slave at rest", () => {
  const notice = { kind: "yours", epoch: 3, reason: "N-SWITCH: planned", at: NOW } as const;
  const cases: [string, Role, NodeState, Observation][] = [
    ["S-NOTICE", "slave", standby({ notice }), heard("standby")],
    ["M-BACK", "master", standby({ notice }), heard("standby")],
    ["S-LEFT", "slave", standby({ peerLeftAt: NOW - 500 }), silence()],
    ["M-SERVE", "master", standby({ peerLeftAt: NOW - 500 }), silence()],
    ["M-SERVE", "master", standby(), heard("standby")],
  ];
  for (const [rule, role, state, seen] of cases) {
    const result = decide(state, seen, configOf(role, "required"));
    assert.equal(result.decision?.rule, rule);
    assert.equal(fenceOf(result), null, rule);
  }
});

Deno.test("step() of a master that just booted gives the slave its time to boot before it is fenced", () => {
  const seen = { ...silence(), hostUptimeMs: 1000 };
  const booting = standby({ evidenceSince: NOW - 100_000 });
  const never = {
    ...seen,
    links: seen.links.map((link) => ({ ...link, lastIcmpAt: null, lastHttpAt: null })),
  };
  assert.equal(decide(booting, never, configOf("master", "required")).decision, null);
  assert.equal(decide(booting, never, configOf("master", null)).decision?.rule, "M-SERVE");
});

/** Taking over, with the agent at work since a second. */
function fencing(parts: Partial<NodeState> = {}): NodeState {
  const { state } = step(standby(), silence(NOW - 1000), NOW - 1000, configOf("slave", "required"));
  assert.equal(state.name, "taking-over");
  return { ...state, ...parts };
}

Deno.test("step() spares a peer that speaks, leaves or answers for a VIP while it is being fenced", () => {
  const config = configOf("slave", "required");
  for (const seen of [heard("standby"), heard("starting"), heard("isolated")]) {
    const result = decide(fencing(), seen, config);
    assert.equal(result.decision?.rule, "N-SPARE");
    assert.deepEqual(
      result.actions.map(({ type }) => type),
      ["cancel-goal", "drop-vips", "start-goal"],
    );
  }
  assert.equal(
    decide(fencing({ peerLeftAt: NOW - 10 }), silence(), config).decision?.rule,
    "N-SPARE",
  );
  const seen = silence();
  const vips = seen.vips.map((vip) => ({
    ...vip,
    lastAnswerBy: "peer" as const,
    lastAnswerAt: NOW,
    unansweredProbes: 0,
  }));
  assert.equal(decide(fencing(), { ...seen, vips }, config).decision?.rule, "N-SPARE");
});

Deno.test("step() spares nobody once the peer is off: what is heard then is its next boot", () => {
  const state = fencing();
  const over = { type: "fencing-over", goalId: state.goal!.id } as const;
  const result = decide(
    state,
    { ...heard("starting"), events: [over] },
    configOf("slave", "required"),
  );
  assert.equal(result.decision, null);
  assert.equal(isFencing(result.state), false);
});

Deno.test("step() of a node that is cut off ends the fencing, also when the peer fell silent first", () => {
  const seen = silence();
  const links = seen.links.map((link) => ({ ...link, lastWitnessAt: NOW - 60_000 }));
  const config = configOf("slave", "required");
  const result = decide(fencing({ peerDiedFirst: true }), { ...seen, links }, config);
  assert.equal(result.decision?.rule, "S-ISOLATE");
  assert.ok(result.actions.some(({ type }) => type === "cancel-goal"));
});

/** The agent has failed. */
function failed(): NodeState {
  const state = fencing();
  const event = {
    type: "goal-failed",
    goalId: state.goal!.id,
    step: "fence-peer",
    error: "fence_x, off of the master: it exited with 1",
  } as const;
  const result = decide(state, { ...silence(), events: [event] }, configOf("slave", "required"));
  assert.equal(result.decision?.rule, "N-FENCE-FAILED");
  assert.equal(result.state.name, "failed");
  const alert = result.actions.find(({ type }) => type === "alert");
  assert.match(alert?.type === "alert" ? alert.text : "", /it exited with 1.*relais fence confirm/);
  assert.ok(
    !result.actions.some((action) => action.type === "start-goal" && action.goal === "take"),
  );
  return result.state;
}

Deno.test("step() tries a failed fencing again after a rest, at once at an operator's word", () => {
  const config = configOf("slave", "required");
  const rested: NodeState = { ...failed(), goal: null };
  const soon = NOW + FENCE_AGAIN_MS - 1;
  assert.equal(decide(rested, silence(soon), config, soon).decision, null);
  const later = NOW + FENCE_AGAIN_MS;
  const again = decide(rested, silence(later), config, later);
  assert.equal(again.decision?.rule, "N-LAST-RESORT");
  assert.equal(fenceOf(again), "required");
  const confirm = { type: "command", command: "fence-confirm" } as const;
  const said = decide(rested, { ...silence(NOW + 1), events: [confirm] }, config, NOW + 1);
  assert.equal(said.decision?.rule, "N-LAST-RESORT");
  assert.equal(fenceOf(said), null);
});

Deno.test("step() lets a takeover go on at an operator's word while the agent hangs", () => {
  const confirm = { type: "command", command: "fence-confirm" } as const;
  const seen = { ...silence(), events: [confirm] };
  const result = decide(fencing(), seen, configOf("slave", "required"));
  assert.equal(result.decision?.rule, "N-CONFIRMED");
  assert.equal(result.state.name, "taking-over");
  assert.equal(fenceOf(result), null);
  assert.equal(isFencing(result.state), false);
});

Deno.test("step() forgets an operator's word when the peer is heard, and after five minutes", () => {
  const config = configOf("slave", "required");
  const said = standby({ name: "rejoining", peerOffSaidAt: NOW - 1000 });
  assert.equal(decide(said, silence(), config).state.peerOffSaidAt, NOW - 1000);
  assert.equal(decide(said, heard("starting"), config).state.peerOffSaidAt, null);
  const late = NOW - 1000 + CONFIRM_VALID_MS;
  assert.equal(decide(said, silence(late), config, late).state.peerOffSaidAt, null);
});

Deno.test("nobody is fenced before a witness has outlived the peer by isolated_after_ms: one cut silences both", () => {
  const calm = { isolatedAfterMs: 6000, deadAfterMs: 10_000 };
  const seen = (witnessAgoMs: number): Observation => {
    const quiet = silence();
    const links = quiet.links.map((link) => ({
      ...link,
      lastIcmpAt: NOW - 10_000,
      lastHttpAt: NOW - 10_000,
      lastWitnessAt: NOW - witnessAgoMs,
    }));
    return { ...quiet, links };
  };
  const rule = (witnessAgoMs: number, fencing: FencingMode | null): string | undefined =>
    decide(standby(), seen(witnessAgoMs), { ...configOf("slave", fencing), ...calm }).decision
      ?.rule;
  assert.equal(rule(5000, null), "S-TAKE");
  assert.equal(rule(5000, "required"), undefined);
  assert.equal(rule(5000, "best-effort"), undefined);
  assert.equal(rule(1000, "required"), "S-TAKE");
});
