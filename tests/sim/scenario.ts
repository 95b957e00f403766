/**
 * One seed, one story: a pair, its faults, and the quiet between them.
 *
 * @module
 */

import {
  ARBITER_KINDS,
  FENCING_KINDS,
  type Kind,
  KINDS,
  livenessMs,
  TRANSITIONS_MAX,
} from "./bounds.ts";
import { serves, type Worst } from "./checkers.ts";
import {
  ARBITER_FAULTS,
  type Fault,
  FAULTS,
  FENCING_FAULTS,
  mend,
  switchOn,
  TAKEOVER_KINDS,
  type Undo,
} from "./faults.ts";
import { Random } from "./random.ts";
import { World, type WorldOptions } from "./world.ts";

/** How a seed ended. */
export interface Outcome {
  readonly seed: number;
  readonly simulatedMs: number;
  readonly violations: readonly string[];
  /** The last lines of the story. */
  readonly lines: readonly string[];
  readonly worst: ReadonlyMap<string, Worst>;
  readonly options: WorldOptions;
  readonly events: number;
}

/** Seeds from here on have an arbiter. */
export const ARBITER_FROM = 1_000_000;

const EPISODES = 8;
const HOUR_MS = 3_600_000;

/** Seeds from here to {@linkcode ARBITER_FROM} play pairs that switch each other off: the stories of the others stay what they are. */
export const FENCED_FROM = 900_001;

/** Plays a seed. Never throws: what breaks is a violation. */
export function play(seed: number): Outcome {
  const dice = new Random(seed * 2 + 1);
  const arbiter = seed < ARBITER_FROM ? null : {
    policy: dice.pick(["hold", "hold", "release"] as const),
    ttlS: dice.pick([6, 6, 10, 20]),
  };
  const options: WorldOptions = {
    arbiter,
    preset: dice.pick(["fast", "balanced", "balanced", "calm"] as const),
    networks: dice.chance(0.6) ? 2 : 1,
    witness: dice.chance(0.8),
    hasKey: dice.chance(0.9),
    failback: dice.chance(0.75) ? "auto" : "manual",
    stableS: dice.pick([2, 5, 30]),
    twoVips: dice.chance(0.5),
    startDeadlineS: dice.pick([20, 20, 20, 400]),
    fencing: seed < FENCED_FROM || seed >= ARBITER_FROM
      ? null
      : new Random(seed).pick(["required", "required", "required", "best-effort"] as const),
  };
  const world = new World(seed, options);
  try {
    tell(world, dice);
  } catch (error) {
    world.checkers.fail(`the simulation broke: ${error instanceof Error ? error.stack : error}`);
  } finally {
    world.close();
  }
  return {
    seed,
    simulatedMs: world.time.now,
    violations: world.checkers.violations,
    lines: world.lines,
    worst: world.checkers.worst,
    options,
    events: world.time.events,
  };
}

function tell(world: World, dice: Random): void {
  const { checkers, time } = world;
  const broken = (): boolean => checkers.violations.length > 0;
  world.log(`the pair starts: ${JSON.stringify(world.options)}`);
  checkers.begin("operator");
  world.startDaemon(dice.below(2) as 0 | 1);
  time.runUntil(time.now + dice.between(0, 3000), broken);
  for (const index of [0, 1] as const) world.startDaemon(index);
  settle(world, broken);
  for (let n = 0; n < EPISODES && !broken(); n++) {
    const mixed = dice.chance(0.25);
    const kind = mixed ? "mixed" : dice.pick(kindsOf(world));
    episode(world, kind, dice, broken);
    if (broken()) return;
    settle(world, broken);
    if (broken()) return;
    // Hours of quiet, then some seconds to be somewhere in the middle of it.
    world.jump(dice.between(0.2, 4) * HOUR_MS);
    time.runUntil(time.now + dice.between(3000, 12_000), broken);
  }
}

function kindsOf({ etcd, options }: World): Kind[] {
  const kinds: Kind[] = KINDS.filter((name) => name !== "mixed");
  // Most of what is of interest there is about the third opinion.
  if (etcd !== null) return [...kinds, ...Array(4).fill(ARBITER_KINDS).flat()];
  return options.fencing === null ? kinds : [...kinds, ...Array(4).fill(FENCING_KINDS).flat()];
}

function faultsOf({ etcd, options }: World): Readonly<Record<string, Fault>> {
  if (etcd !== null) return { ...FAULTS, ...ARBITER_FAULTS };
  return options.fencing === null ? FAULTS : { ...FAULTS, ...FENCING_FAULTS };
}

function episode(world: World, kind: Kind, dice: Random, broken: () => boolean): void {
  const { checkers, time } = world;
  const serving = world.daemons.findIndex(serves);
  const target = (dice.chance(0.7) && serving >= 0 ? serving : dice.below(2)) as 0 | 1;
  checkers.begin(kind);
  const other = world.daemons[1 - target];
  const fences = world.power.begin(kind);
  checkers.expectsTakeover = fences && TAKEOVER_KINDS.includes(kind) && target === serving &&
    other?.alive === true && other.node.loop.state.name === "standby";
  if (["power", "alone-ill", "stuck"].includes(kind)) operatorConfirms(world, kind, target);
  const undo: Undo[] = [];
  const faults = faultsOf(world);
  const begin = (name: string, at: 0 | 1): void => {
    world.log(`FAULT ${name} at the ${world.hosts[at].role}`);
    undo.push(faults[name]!(world, at));
  };
  if (kind !== "mixed") {
    begin(kind, target);
    const lasts = kind === "stuck" && world.options.startDeadlineS > 300
      ? dice.between(600_000, 700_000)
      : dice.pick([
        dice.between(50, 1500),
        dice.between(1000, 8000),
        dice.between(5000, 40_000),
      ]);
    time.runUntil(time.now + lasts, broken);
  } else {
    const names = Object.keys(faults);
    const count = 2 + dice.below(3);
    for (let n = 0; n < count; n++) {
      begin(dice.pick(names), dice.below(2) as 0 | 1);
      time.runUntil(time.now + dice.pick([dice.between(0, 400), dice.between(0, 6000)]), broken);
      if (dice.chance(0.3)) undo.shift()?.();
      if (dice.chance(0.3)) {
        const command = dice.pick(["switchover", "failback"] as const);
        world.type(dice.below(2) as 0 | 1, command);
      }
    }
    time.runUntil(time.now + dice.between(100, 20_000), broken);
  }
  if (broken()) return;
  checkers.expectsTakeover = false;
  world.log("the fault ends");
  for (const end of undo) end();
  mend(world);
}

/** Somebody sees that a host is without power, and that the other one cannot switch it off for certain. */
function operatorConfirms(world: World, kind: Kind, target: 0 | 1): void {
  if (world.options.fencing === null) return;
  const dead = kind === "power" ? target : (1 - target) as 0 | 1;
  const { power, time } = world;
  time.after(power.random.between(1000, 25_000), () => {
    if (!world.hosts[dead].powered) world.type((1 - dead) as 0 | 1, "fence-confirm");
  });
}

/** From the last fault to rest, within the bound; and no flapping. */
function settle(world: World, broken: () => boolean): void {
  const { checkers, time } = world;
  const from = time.now;
  const limit = livenessMs(world.configs[0]);
  checkers.transitions.fill(0);
  let quietSince: number | null = null;
  const offSince: [number | null, number | null] = [null, null];
  while (!broken()) {
    time.runUntil(time.now + 500, broken);
    for (const [n, daemon] of world.daemons.entries()) {
      const state = daemon?.alive === true ? daemon.node.loop.state : null;
      // The operator sees that it was not heard, and types it again.
      if (state?.name === "maintenance" && daemon!.nodeNow() - state.since > 10_000) {
        world.type(n as 0 | 1, "maintenance-off");
      }
    }
    for (const host of world.hosts) {
      // One that was fenced stays off until somebody switches it on.
      if (host.powered) offSince[host.index] = null;
      else if ((offSince[host.index] ??= time.now) + 30_000 < time.now) {
        offSince[host.index] = time.now;
        switchOn(world, host.index);
      }
    }
    if (world.isQuiet()) quietSince ??= time.now;
    else quietSince = null;
    checkers.look();
    if (quietSince !== null && time.now - quietSince >= 12_000) break;
    if (quietSince === null && time.now - from > limit) {
      const states = world.daemons.map((daemon) =>
        daemon?.alive === true ? daemon.node.loop.state.name : "no daemon"
      );
      return checkers.fail(
        `liveness: ${(limit / 1000).toFixed(0)} s after the last fault: ${states.join(", ")}`,
      );
    }
  }
  if (broken() || quietSince === null) return;
  checkers.settled(quietSince - from);
  for (const [n, count] of checkers.transitions.entries()) {
    if (count > TRANSITIONS_MAX) {
      checkers.fail(
        `liveness: ${count} state changes of the ${world.hosts[n]!.role} after the last fault`,
      );
    }
  }
}
