import assert from "node:assert/strict";
import { poll } from "../../tests/support/poll.ts";
import type { StepName } from "../core/goals.ts";
import type { CoreEvent } from "../core/types.ts";
import { systemClock } from "../os/clock.ts";
import { GoalRunner, type StepPerformer } from "./goal_runner.ts";

const LONG_MS = 60_000;
const PLAIN = { fetch: false, urgent: false };

interface Place {
  readonly runner: GoalRunner;
  /** Steps that began, and events, in order. */
  readonly seen: string[];
}

/** A runner whose steps do what `perform` does, with nothing configured for `without`. */
function make(perform: StepPerformer, without: readonly StepName[] = []): Place {
  const seen: string[] = [];
  const runner = new GoalRunner({
    clock: systemClock,
    perform: (step, context) => {
      seen.push(step);
      return perform(step, context);
    },
    deadlineMs: () => LONG_MS,
    undo: () => Promise.resolve(),
    hasWork: (step) => !without.includes(step),
    onEvent: (event: CoreEvent) =>
      seen.push("goalId" in event ? `${event.type} ${event.goalId}` : event.type),
    onStep: () => {},
  });
  return { runner, seen };
}

/** Hangs in one step until it is aborted. */
function hangIn(name: StepName): StepPerformer {
  return (step, { signal }) => {
    if (step !== name) return Promise.resolve();
    return new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  };
}

async function untilSeen({ seen }: Place, what: string): Promise<void> {
  await poll(() => seen.includes(what), { deadlineMs: LONG_MS, what, instead: () => seen.join() });
}

Deno.test("GoalRunner tells that a goal is done before it runs what comes afterwards", async () => {
  const { runner, seen } = make(() => Promise.resolve());
  runner.start("take", 5, PLAIN);
  await runner.settled();
  assert.deepEqual(seen.slice(-3), ["announce", "goal-done 5", "hooks-after-takeover"]);
  assert.equal(seen.filter((what) => what.startsWith("goal-done")).length, 1, "told once");
});

Deno.test("GoalRunner leaves out steps without work, and is done all the same", async () => {
  const { runner, seen } = make(() => Promise.resolve(), [
    "hooks-before-handback",
    "hooks-after-handback",
  ]);
  runner.start("hand-over", 6, PLAIN);
  await runner.settled();
  assert.deepEqual(seen.slice(-3), ["tell-yours", "lower-shield", "goal-done 6"]);
  assert.ok(!seen.some((what) => what.startsWith("hooks-")));
});

Deno.test("GoalRunner.finish() lets what comes after a done goal end", async () => {
  const hooks = Promise.withResolvers<void>();
  const place = make((step) => step === "hooks-after-handback" ? hooks.promise : Promise.resolve());
  place.runner.start("hand-over", 7, PLAIN);
  await untilSeen(place, "hooks-after-handback");
  assert.equal(place.runner.current?.step, "hooks-after-handback");
  let isOver = false;
  const finished = place.runner.finish().then(() => isOver = true);
  await untilSeen(place, "goal-done 7");
  assert.equal(isOver, false);
  hooks.resolve();
  await finished;
  assert.equal(place.runner.current, null);
});

Deno.test("GoalRunner.finish() cancels a goal that is not done", async () => {
  const place = make(hangIn("start-services"));
  place.runner.start("take", 8, PLAIN);
  await untilSeen(place, "start-services");
  await place.runner.finish();
  await place.runner.settled();
  assert.equal(place.seen.at(-1), "start-services", "nothing after it, and no event");
});

Deno.test("GoalRunner.start() of a newer goal ends the hooks behind the former one", async () => {
  const place = make(hangIn("hooks-after-takeover"));
  place.runner.start("take", 9, PLAIN);
  await untilSeen(place, "hooks-after-takeover");
  place.runner.start("join", 10, PLAIN);
  await place.runner.settled();
  assert.equal(place.seen.at(-1), "goal-done 10");
  const after = place.seen.slice(place.seen.indexOf("hooks-after-takeover") + 1);
  assert.equal(after[0], "drop-vips", "the newer goal's first step comes next");
});
