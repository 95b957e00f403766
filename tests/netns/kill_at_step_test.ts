// kill -9 of the daemon at each step of a takeover and of a hand-back, as they stand in src/core/goals.ts: the
// real program is traced from outside and killed in the step, started again as systemd would, and an observer
// outside measures that nobody answers twice and that the pair comes to rest (tests/faults).
import assert from "node:assert/strict";
import { stepHasWork } from "../../src/runtime/steps.ts";
import { Random } from "../sim/random.ts";
import type { RealKind } from "../faults/kinds.ts";
import { playFault } from "../faults/play.ts";
import { tableRow } from "../faults/report.ts";
import { type PlannedFault, stepNames } from "../faults/schedule.ts";
import { World } from "../faults/world.ts";
import { STEADY } from "./stage.ts";

/** A move that is refused (a slow ssh, say) comes to no step: so often it is tried. */
const TRIES = 4;
const SYSTEM_CALLS_MAX = 40;

const GOALS = {
  "kill-in-takeover": "take",
  "kill-in-hand-over": "hand-over",
  "kill-in-taking-back": "take",
} as const satisfies Partial<Record<RealKind, string>>;

Deno.test("kill -9 at each step of a takeover and of a hand-back: one serves, one stands by, never two", async (t) => {
  // With a database that comes back, so that every step has work; at figures that a busy machine can keep.
  const databaseMore = [
    'return = "tables"',
    'return_tables = ["userfeatures", "extensions", "append:cel"]',
  ];
  const { heartbeat } = STEADY;
  const world = await World.create({
    preset: "balanced",
    config: { database: true, databaseMore, ...(heartbeat === undefined ? {} : { heartbeat }) },
  });
  const dice = new Random(1);
  let number = 0;
  try {
    for (
      const [kind, goal] of Object.entries(GOALS) as [keyof typeof GOALS, "take" | "hand-over"][]
    ) {
      for (const [i, step] of stepNames(goal).entries()) {
        const slave = world.configOf(world.cluster.slave);
        // Steps of parts that this pair does not have (fencing, an arbiter): nothing runs, nothing to kill in.
        if (!stepHasWork(step, slave)) continue;
        await t.step(`${kind}, ${i}: ${step}`, async () => {
          for (let tried = 1;; tried++) {
            const fault: PlannedFault = {
              number: ++number,
              kind,
              victim: "serving",
              gapMs: 0,
              lastsMs: 3_000,
              dice: [dice.unit(), 0, 0],
              kill: { goal, number: i, step, systemCalls: dice.below(SYSTEM_CALLS_MAX) },
              move: null,
            };
            const result = await playFault(world, fault);
            console.log(tableRow(result));
            assert.deepEqual(result.violations, []);
            if (result.notes.some((note) => note.startsWith("killed in"))) break;
            assert.ok(tried < TRIES, `it came to the step ${step}: ${result.notes}`);
          }
        });
      }
    }
  } finally {
    await world.close();
  }
});
