import assert from "node:assert/strict";
import { type GoalOptions, goalSteps, type StepName, STEPS_AFTER_LETTING_GO } from "./goals.ts";
import type { GoalName } from "./types.ts";

const PLAIN: GoalOptions = { fetch: false, urgent: false };
const GOALS: readonly GoalName[] = ["join", "take", "hand-over", "repair"];

function names(goal: GoalName, options: Partial<GoalOptions> = {}): StepName[] {
  return goalSteps(goal, { ...PLAIN, ...options }).map(({ name }) => name);
}

/** The steps up to the end of the goal, without what comes afterwards. */
function untilDone(goal: GoalName): StepName[] {
  return goalSteps(goal, PLAIN).filter(({ afterDone }) => afterDone !== true)
    .map(({ name }) => name);
}

/** `first` stands before `then`. */
function assertOrder(steps: readonly StepName[], first: StepName, then: StepName): void {
  assert.ok(steps.includes(first) && steps.includes(then), steps.join());
  assert.ok(steps.indexOf(first) < steps.indexOf(then), `${first} before ${then}: ${steps.join()}`);
}

Deno.test("goalSteps() of each goal say why each step stands at its place", () => {
  for (const goal of GOALS) {
    for (const { why } of goalSteps(goal, { fetch: true, urgent: false })) {
      assert.ok(why.length > 3);
      assert.doesNotMatch(why, /\.$/);
    }
  }
});

Deno.test("goalSteps(join) drop the VIPs before they stop the services (B2, S2)", () => {
  assert.deepEqual(names("join"), ["drop-vips", "close-gate", "stop-services"]);
  assert.deepEqual(names("join", { fetch: true }).at(-1), "fetch-astdb");
});

Deno.test("goalSteps(take) persist the epoch before anything is served", () => {
  assert.ok(names("take").indexOf("mount-vips") < names("take").indexOf("persist-epoch"));
  assert.ok(names("take").indexOf("persist-epoch") < names("take").indexOf("start-services"));
});

Deno.test("goalSteps(take) mount and announce first, services last (M1, S1, B3)", () => {
  const steps = names("take");
  assertOrder(steps, "mount-vips", "announce");
  assertOrder(steps, "announce", "start-services");
  assertOrder(steps, "start-services", "check-health");
  assert.equal(untilDone("take").at(-1), "announce");
});

Deno.test("goalSteps(take) fetch and install the astdb before services read it (M3, M4)", () => {
  const steps = names("take", { fetch: true });
  assertOrder(steps, "fetch-astdb", "install-astdb");
  assertOrder(steps, "install-astdb", "start-services");
  assert.ok(!names("take").includes("fetch-astdb"));
});

Deno.test("goalSteps(take) let no failed data step and no full disk stand in the way of the service", () => {
  for (const { name, onFailure } of goalSteps("take", { fetch: true, urgent: false })) {
    const mayFail = name.endsWith("astdb") || name === "announce" || name === "persist-epoch";
    if (mayFail) assert.equal(onFailure, "go-on", name);
  }
});

Deno.test("goalSteps(hand-over) prove the transport before they stop anything", () => {
  assert.equal(names("hand-over")[0], "check-transport");
});

Deno.test("goalSteps() close the gate before services stop, and open it before they start", () => {
  for (const goal of ["join", "hand-over"] as const) {
    assertOrder(names(goal), "close-gate", "stop-services");
    assert.ok(!names(goal).includes("open-gate"));
  }
  for (const goal of ["take", "repair"] as const) {
    assertOrder(names(goal), "open-gate", "start-services");
    assert.ok(!names(goal).includes("close-gate"));
  }
});

Deno.test("goalSteps() raise the shield before a phone can be refused, and lower it before they end", () => {
  const take = names("take");
  assertOrder(take, "raise-shield", "mount-vips");
  assertOrder(take, "check-health", "lower-shield");
  assertOrder(take, "lower-shield", "flush-conntrack");
  assertOrder(names("hand-over"), "raise-shield", "stop-services");
  assertOrder(names("hand-over"), "tell-yours", "lower-shield");
  for (const goal of ["join", "repair"] as const) {
    assert.ok(!names(goal).includes("raise-shield"), goal);
  }
});

Deno.test("goalSteps() let neither gate nor shield nor conntrack stand in the way of the service", () => {
  for (const { name, onFailure } of GOALS.flatMap((goal) => goalSteps(goal, PLAIN))) {
    if (/-(gate|shield|conntrack)$/.test(name)) assert.equal(onFailure, "go-on", name);
  }
});

Deno.test("goalSteps(hand-over) send data at rest, drop the VIPs, then give the word (S2, M4, L2)", () => {
  const steps = names("hand-over");
  for (const data of ["send-astdb", "send-files"] as const) {
    assertOrder(steps, "stop-services", data);
    assertOrder(steps, data, "tell-yours");
  }
  assertOrder(steps, "drop-vips", "tell-yours");
  assert.deepEqual(untilDone("hand-over").slice(-2), ["tell-yours", "lower-shield"]);
});

Deno.test("goalSteps(hand-over) when urgent go also if data cannot travel", () => {
  const urgent = goalSteps("hand-over", { fetch: false, urgent: true });
  assert.ok(!urgent.some(({ name }) => name === "check-transport"));
  const astdb = (steps: typeof urgent): string | undefined =>
    steps.find(({ name }) => name === "send-astdb")?.onFailure;
  assert.equal(astdb(urgent), "go-on");
  assert.equal(astdb(goalSteps("hand-over", PLAIN)), "fail");
});

Deno.test("goalSteps(take) run hooks when the VIPs answer, and those afterwards behind the end", () => {
  const steps = names("take", { fetch: true });
  assertOrder(steps, "announce", "hooks-before-takeover");
  assertOrder(steps, "install-astdb", "ready-database");
  assertOrder(steps, "ready-database", "hooks-before-takeover");
  assertOrder(steps, "hooks-before-takeover", "start-services");
  assert.equal(steps.at(-1), "hooks-after-takeover");
});

Deno.test("goalSteps(hand-over) run hooks while the telephones work, and those afterwards behind the end", () => {
  const steps = names("hand-over");
  assertOrder(steps, "check-transport", "hooks-before-handback");
  assertOrder(steps, "hooks-before-handback", "raise-shield");
  assertOrder(steps, "hooks-before-handback", "stop-services");
  assert.equal(steps.at(-1), "hooks-after-handback");
});

Deno.test("goalSteps() of each goal let no hook stop a move, and put only hooks behind the end", () => {
  for (const goal of GOALS) {
    for (const { name, onFailure, afterDone } of goalSteps(goal, PLAIN)) {
      if (name.startsWith("hooks-")) assert.equal(onFailure, "go-on", name);
      assert.equal(afterDone ?? false, name.startsWith("hooks-after-"), name);
    }
  }
  assert.ok(![...names("join"), ...names("repair")].some((name) => name.startsWith("hooks-")));
});

Deno.test("STEPS_AFTER_LETTING_GO are the end of hand-over, from drop-vips on", () => {
  const steps = untilDone("hand-over");
  const rest = goalSteps("hand-over", PLAIN).slice(steps.indexOf("drop-vips"));
  const mayFail = rest.filter(({ onFailure }) => onFailure === "fail").map(({ name }) => name);
  assert.deepEqual(mayFail, [...STEPS_AFTER_LETTING_GO]);
});

Deno.test("goalSteps(repair) touch no VIP and no data", () => {
  assert.deepEqual(names("repair"), ["open-gate", "start-services", "check-health"]);
});
