import assert from "node:assert/strict";
import { sampleStatus } from "../../tests/support/health_sample.ts";
import type { StatusDocument } from "../health/types.ts";
import { systemClock } from "../os/clock.ts";
import { DEFAULT_PATHS } from "./paths.ts";
import { VerifySchedule } from "./verify_schedule.ts";

const DAY = 86_400_000;
const HOUR = 3_600_000;

interface Scheduled {
  /** Lets the schedule look at that time; answers how many proofs were started so far. */
  readonly at: (now: number, standsBy?: boolean) => Promise<number>;
  readonly state: {
    last: StatusDocument["verification"];
    proofs: number;
    error: string | null;
  };
  readonly told: string[];
}

function schedule(everyMs: number | null): Scheduled {
  const told: string[] = [];
  const state: Scheduled["state"] = {
    last: sampleStatus().verification,
    proofs: 0,
    error: null as string | null,
  };
  const verify = new VerifySchedule({
    clock: { ...systemClock, nowMs: () => 0 },
    everyMs,
    paths: DEFAULT_PATHS,
    last: () => state.last,
    tell: (rule, text) => told.push(`${rule} ${text}`),
    prove: () => {
      state.proofs++;
      return state.error === null ? Promise.resolve() : Promise.reject(new Error(state.error));
    },
  });
  const at = async (now: number, standsBy = true): Promise<number> => {
    verify.pace(now, standsBy);
    await new Promise((resolve) => setTimeout(resolve, 0));
    return state.proofs;
  };
  return { at, state, told };
}

Deno.test("VerifySchedule proves a standby whose last proof is old, and tells the result", async () => {
  const { at, state, told } = schedule(7 * DAY);
  assert.equal(await at(HOUR), 0, "the last one is a day old");
  state.last = { ...state.last!, ageMs: 8 * DAY };
  assert.equal(await at(2 * HOUR, false), 0, "it does not stand by");
  assert.equal(await at(3 * HOUR), 1);
  assert.deepEqual(told, [
    "VERIFY the copies here are equal: all copies are equal to their sources",
  ]);
});

Deno.test("VerifySchedule lets a daemon that has just started work first, and never runs with 0", async () => {
  const early = schedule(7 * DAY);
  early.state.last = null;
  assert.equal(await early.at(599_000), 0);
  assert.equal(await early.at(700_000), 1);
  const never = schedule(null);
  never.state.last = null;
  assert.equal(await never.at(DAY), 0);
});

Deno.test("VerifySchedule tries again after an hour when it could not check", async () => {
  const { at, state, told } = schedule(7 * DAY);
  state.last = { ...state.last!, result: "unchecked", ageMs: 1000 };
  assert.equal(await at(HOUR), 1);
  assert.equal(await at(HOUR + 120_000), 1);
  state.error = "killed";
  assert.equal(await at(2 * HOUR + 1), 2);
  assert.match(told.at(-1) ?? "", /could not be proved: killed/);
});
