/**
 * A schedule of faults: everything that is drawn is drawn here, from one seed, before anything runs.
 *
 * @module
 */

import { type GoalOptions, goalSteps, type StepName } from "../../src/core/goals.ts";
import type { GoalName } from "../../src/core/types.ts";
import { Random } from "../sim/random.ts";
import { KIND_FACTS, REAL_KINDS, type RealKind } from "./kinds.ts";

/** Whom a fault hits: known only when it happens, as roles move. */
export type Victim = "serving" | "standby";

/** Where a daemon is killed: so many system calls of its main thread after the step began. */
export interface KillPoint {
  readonly goal: GoalName;
  /** Number of the step in its goal, from 0. */
  readonly number: number;
  readonly step: StepName;
  readonly systemCalls: number;
}

/** A move that an operator asks for while the fault is there. */
export interface Move {
  readonly verb: "switchover" | "failback";
  /** Where the verb is typed. */
  readonly at: Victim;
  readonly afterMs: number;
}

/** One fault. */
export interface PlannedFault {
  /** From 1. */
  readonly number: number;
  readonly kind: RealKind;
  readonly victim: Victim;
  /** Quiet time before it. */
  readonly gapMs: number;
  readonly lastsMs: number;
  /** Three numbers from 0, below 1, for what only this kind has. */
  readonly dice: readonly [number, number, number];
  readonly kill: KillPoint | null;
  readonly move: Move | null;
}

/** The whole run. */
export interface Schedule {
  readonly seed: number;
  readonly preset: "fast" | "balanced";
  /** More than fit into any run; a run takes from the front. */
  readonly faults: readonly PlannedFault[];
}

/** A fault, its rest and the gap take longer than this on average: so many are planned. */
const SHORTEST_MS = 3_000;
const GAP_MS = [200, 2_500] as const;
const SYSTEM_CALLS_MAX = 40;

const GOALS: Partial<Record<RealKind, GoalName>> = {
  "kill-in-takeover": "take",
  "kill-in-hand-over": "hand-over",
  "kill-in-taking-back": "take",
  "kill-in-join": "join",
};

/** What is drawn from; default: every kind. */
export interface ScheduleOptions {
  readonly seed: number;
  readonly minutes: number;
  readonly kinds?: readonly RealKind[];
  readonly preset?: Schedule["preset"];
}

/** Draws the schedule of a seed. The same seed and kinds give the same faults, however long the run is. */
export function drawSchedule({ seed, minutes, kinds, preset }: ScheduleOptions): Schedule {
  const dice = new Random(seed);
  // Most runs at the preset in which everything is tight.
  const drawn = dice.chance(0.8) ? "fast" : "balanced";
  const count = Math.ceil(minutes * 60_000 / SHORTEST_MS);
  const faults: PlannedFault[] = [];
  let bag: RealKind[] = [];
  while (faults.length < count) {
    if (bag.length === 0) bag = shuffled(kinds ?? REAL_KINDS, dice);
    faults.push(drawFault(bag.pop()!, faults.length + 1, dice));
  }
  return { seed, preset: preset ?? drawn, faults };
}

function drawFault(kind: RealKind, number: number, dice: Random): PlannedFault {
  const { lastsS, moves } = KIND_FACTS[kind];
  const lastsMs = Math.round(dice.between(lastsS[0], lastsS[1]) * 1000);
  // Twice out of three times it hits the one that matters.
  const victim: Victim = dice.chance(0.67) ? "serving" : "standby";
  const gapMs = Math.round(dice.between(...GAP_MS));
  const own = [dice.unit(), dice.unit(), dice.unit()] as const;
  const moving = dice.chance(moves);
  const move: Move = {
    verb: dice.chance(0.75) ? "switchover" : "failback",
    at: dice.chance(0.7) ? "serving" : "standby",
    afterMs: Math.round(dice.between(0, lastsMs / 2)),
  };
  const kill = drawKill(kind, dice);
  return { number, kind, victim, gapMs, lastsMs, dice: own, kill, move: moving ? move : null };
}

function drawKill(kind: RealKind, dice: Random): KillPoint | null {
  const goal = GOALS[kind];
  if (goal === undefined) return null;
  const names = stepNames(goal);
  const number = dice.below(names.length);
  return { goal, number, step: names[number]!, systemCalls: dice.below(SYSTEM_CALLS_MAX) };
}

/** The steps of a goal as they stand in src/core/goals.ts: a new one is killed at, too. */
export function stepNames(
  goal: GoalName,
  options: GoalOptions = { fetch: false, urgent: false },
): readonly StepName[] {
  return goalSteps(goal, options).map(({ name }) => name);
}

function shuffled<T>(from: readonly T[], dice: Random): T[] {
  const left = [...from];
  for (let i = left.length - 1; i > 0; i--) {
    const other = dice.below(i + 1);
    [left[i], left[other]] = [left[other]!, left[i]!];
  }
  return left;
}

/** One line for people. */
export function describeFault({ number, kind, victim, lastsMs, kill, move }: PlannedFault): string {
  const parts = [
    `#${number} ${kind} at the one that is ${victim}, ${(lastsMs / 1000).toFixed(1)} s`,
  ];
  if (kill !== null) {
    parts.push(`at ${kill.goal}/${kill.number} ${kill.step} + ${kill.systemCalls} calls`);
  }
  if (move !== null) parts.push(`${move.verb} typed at ${move.at} after ${move.afterMs} ms`);
  return parts.join(", ");
}
