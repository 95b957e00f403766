/**
 * Random faults for the laboratory: drawn from one seed before anything runs. Each kind names the kind of the
 * simulation whose bounds it has (tests/sim/bounds.ts). Pure.
 *
 * Not among them: a wall clock that is set. Both hosts have the machine's, and may not set it
 * (CAP_SYS_TIME is dropped); the simulation and the tests in namespaces have that fault.
 *
 * @module
 */

import type { Kind as SimulatedKind } from "../sim/bounds.ts";
import { Random } from "../sim/random.ts";

interface KindFacts {
  /** The kind of the simulation that it is like. */
  readonly like: SimulatedKind;
  /** "None" is claimed: the other host is able, and knows. */
  readonly claimsNone: boolean;
  /** How long it lasts, seconds. */
  readonly lastsS: readonly [from: number, to: number];
  /** An operator may move the service meanwhile: the host is on and answers. */
  readonly moves: boolean;
  readonly what: string;
}

function facts(
  like: SimulatedKind,
  lastsS: readonly [number, number],
  what: string,
  { claimsNone = false, moves = false } = {},
): KindFacts {
  return { like, claimsNone, lastsS, moves, what };
}

/** Every kind of fault. */
export const LAB_FAULTS = {
  "power cut": facts("power", [4, 15], "power cut of a host, and power back", { claimsNone: true }),
  "powered off": facts("stop", [2, 10], "systemctl poweroff, and power back"),
  "cable voip": facts("one-cable", [2, 12], "the cable of the phones' network pulled"),
  "cable data": facts("one-cable", [2, 12], "the other cable pulled", { moves: true }),
  "cables": facts("cable", [5, 15], "both cables pulled", { claimsNone: true }),
  "asterisk killed": facts("unit-dies", [1, 4], "kill -9 of Asterisk", { moves: true }),
  "asterisk stopped": facts("unit-dies", [3, 12], "systemctl stop asterisk", { moves: true }),
  "relais killed": facts("kill", [2, 4], "kill -9 of relais", { claimsNone: true }),
  "relais stopped": facts("stop", [3, 10], "systemctl stop relais"),
  "frozen": facts("stall", [1, 15], "every process of the host stands still"),
  "disk full": facts("disk", [3, 10], "no space left on /var", { moves: true }),
  "ip hangs": facts("ip", [2, 8], "`ip` hangs", { moves: true }),
  "ssh blocked": facts("disk", [4, 12], "nft drops ssh on the host", { moves: true }),
  "postgresql stopped": facts("disk", [3, 12], "PostgreSQL stopped", { moves: true }),
  "operator": facts("operator", [2, 6], "nothing but an operator who moves the service", {
    moves: true,
  }),
} as const satisfies Readonly<Record<string, KindFacts>>;

/** See {@linkcode LAB_FAULTS}. */
export type LabFaultKind = keyof typeof LAB_FAULTS;

/** What an operator types meanwhile. */
export interface PlannedMove {
  readonly verb: "switchover" | "failback";
  readonly afterMs: number;
}

/** One fault. */
export interface PlannedLabFault {
  /** From 1. */
  readonly number: number;
  readonly kind: LabFaultKind;
  /** Whom it hits; who that is shows when it happens. */
  readonly victim: "serving" | "standby";
  readonly gapMs: number;
  readonly lastsMs: number;
  readonly move: PlannedMove | null;
}

/** Draws so many faults; each kind comes once before one comes again. The same seed, the same faults. */
export function drawLabFaults(seed: number, count: number): readonly PlannedLabFault[] {
  const dice = new Random(seed);
  const kinds = Object.keys(LAB_FAULTS) as LabFaultKind[];
  const faults: PlannedLabFault[] = [];
  let bag: LabFaultKind[] = [];
  while (faults.length < count) {
    if (bag.length === 0) bag = [...kinds];
    const [kind] = bag.splice(dice.below(bag.length), 1);
    faults.push(drawFault(kind!, faults.length + 1, dice));
  }
  return faults;
}

function drawFault(kind: LabFaultKind, number: number, dice: Random): PlannedLabFault {
  const { lastsS, moves } = LAB_FAULTS[kind];
  const lastsMs = Math.round(dice.between(...lastsS) * 1000);
  const victim = dice.chance(0.7) ? "serving" : "standby";
  const gapMs = Math.round(dice.between(500, 3_000));
  const move: PlannedMove = {
    verb: dice.chance(0.7) ? "switchover" : "failback",
    afterMs: Math.round(dice.between(0, lastsMs / 2)),
  };
  const isMoved = dice.chance(kind === "operator" ? 1 : 0.4) && moves;
  return { number, kind, victim, gapMs, lastsMs, move: isMoved ? move : null };
}

/** One line for people. */
export function describeLabFault({ number, kind, victim, lastsMs, move }: PlannedLabFault): string {
  const moved = move === null ? "" : `, ${move.verb} typed after ${move.afterMs} ms`;
  return `#${number} ${kind} (${victim}), ${(lastsMs / 1000).toFixed(1)} s${moved}`;
}
