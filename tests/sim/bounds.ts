/**
 * The bounds of docs/design/safety.md, computed from the configuration of the run.
 *
 * @module
 */

import type { LocalConfig } from "../../src/config/types.ts";
import { arbiterTakeoverMs, consentMs, promiseMs } from "../../src/config/arbiter_timing.ts";
import { FAST_TURN_MS, SLOW_TURN_MAX_MS } from "../../src/runtime/loop.ts";
import { FAILED_RETRY_MS, GOAL_DEADLINE_MS } from "../../src/core/transitions_rest.ts";
import { VACANT_DEAD_TIMES } from "../../src/core/guards.ts";
import { LEASE_MS } from "./host.ts";

/** Every kind of fault; an episode has one, or is mixed. */
export const KINDS = [
  "power",
  "power-both",
  "reboot",
  "stop",
  "kill",
  "dead-for-good",
  "stall",
  "freeze",
  "pause",
  "cut",
  "cable",
  "one-cable",
  "cut-phones",
  "step-cut",
  "alone-ill",
  "stuck",
  "one-way",
  "split",
  "half",
  "witness",
  "loss",
  "one-way-loss",
  "delay",
  "services",
  "unit-dies",
  "stray",
  "disk",
  "ip",
  "clock",
  "operator",
  "mixed",
] as const;

/** What else happens where there is an arbiter. */
export const ARBITER_KINDS = [
  "etcd",
  "etcd-one",
  "etcd-slow",
  "etcd-leader",
  "partition",
  "hold-split",
] as const;

/** What else happens to pairs that switch each other off. */
export const FENCING_KINDS = ["starved-cut"] as const;

/** See {@linkcode KINDS}, {@linkcode ARBITER_KINDS} and {@linkcode FENCING_KINDS}. */
export type Kind =
  | typeof KINDS[number]
  | typeof ARBITER_KINDS[number]
  | typeof FENCING_KINDS[number];

/** What a kind may cost at most, milliseconds. */
export interface Bound {
  /** Two nodes answer one telephone. Null: no bound is claimed beyond that of the separation. */
  readonly double: number;
  /** The same while the hosts cannot talk and one of them could know that it is cut off. */
  readonly apart: number;
  /** Nobody answers, where the other node could; null: not claimed. */
  readonly none: number | null;
  /** Both run services while they can talk. */
  readonly services: number;
}

/** Longest delay of a frame that the simulation draws, and `ip` at its slowest without failing. */
export const MAX_DELAY_MS = 300;
/** A kernel that wakes removes what has lapsed meanwhile within this. */
const WAKE_MS = 20;
const IP_MS = 10;
const PROBES_MS = 3 * 40 + 25 + 2 * FAST_TURN_MS;

/** Numbers that the bounds are made of. */
export function terms(config: LocalConfig): Readonly<Record<string, number>> {
  const { intervalMs, isolatedAfterMs, deadAfterMs, httpIntervalMs } = config.heartbeat;
  const turn = Math.min(intervalMs, SLOW_TURN_MAX_MS);
  const httpDeadline = Math.min(2000, Math.max(200, deadAfterMs / 2));
  // With two links at a slow pace each is asked every second time.
  const httpEvery = httpIntervalMs >= 1000 && config.networks.length > 1
    ? 2 * httpIntervalMs
    : httpIntervalMs;
  return {
    interval: intervalMs,
    isolated: isolatedAfterMs,
    dead: deadAfterMs,
    turn,
    /** Both hear each other again: a question in flight times out, the next is asked and answered. */
    heal: httpDeadline + httpEvery + 2 * turn + IP_MS,
    lease: LEASE_MS,
    /** From the death of the one that serves to the VIP on the other one. */
    takeover: deadAfterMs + intervalMs + turn + PROBES_MS + IP_MS,
  };
}

/** Beside the agent's deadline: the look at the power, two turns. */
const FENCING_MARGIN_MS = 2500;

/** The bound of a kind. */
export function boundOf(kind: Kind, config: LocalConfig): Bound {
  const fenced = config.fencing === undefined ? 0 : config.fencing.deadlineMs + FENCING_MARGIN_MS;
  const apart = ["ip", "loss", "one-way-loss", "delay", "mixed"].includes(kind) ? Infinity : 0;
  if (config.arbiter !== null) return withArbiter(kind, config);
  const bound = ofKind(kind, config);
  return { apart, ...bound, none: bound.none === null ? null : bound.none + fenced };
}

/**
 * With an arbiter nobody serves beside the one that has the right, whatever else is broken. Only a machine
 * whose clocks stood still counts its right (or its peer's consent, and the kernel its VIPs) on from there.
 */
function withArbiter(kind: Kind, config: LocalConfig): Bound {
  const { deadAfterMs } = config.heartbeat;
  const { ttlMs } = config.arbiter!;
  const without = ofKind(kind, config);
  const paused = Math.max(ttlMs, consentMs(deadAfterMs)) + LEASE_MS;
  const double = kind === "pause" || kind === "mixed" ? paused : kind === "freeze" ? WAKE_MS : 0;
  const none = kind === "kill"
    ? 0
    : kind === "power"
    ? Math.max(without.none!, arbiterTakeoverMs(ttlMs), promiseMs(deadAfterMs)) + 500
    : null;
  return { double, apart: double, none, services: Infinity };
}

function ofKind(kind: Kind, config: LocalConfig): Omit<Bound, "apart"> {
  const t = terms(config);
  const heal = t.heal!;
  const stop = 2 * config.services.stopDeadlineMs;
  const services = heal + stop + 15_000 + 5000;
  const none = t.takeover!;
  const noDouble = { double: 0, services };
  switch (kind) {
    case "power":
      return { ...noDouble, none };
    case "kill":
      // systemd starts it again while the kernel still holds the VIPs.
      return { ...noDouble, none: 0 };
    case "cut-phones":
    case "step-cut":
    case "starved-cut":
      return { double: heal, none: null, services };
    case "cut":
    case "cable":
      // When it ends both may set out at the same instant; without a witness both serve by then.
      return { double: heal, none, services };
    case "freeze":
      return { double: heal + WAKE_MS, none, services };
    case "pause":
      return { double: heal, none, services };
    case "split":
    case "half":
    case "one-way":
      return { double: heal, none: null, services };
    case "delay":
      return { double: heal + 4 * MAX_DELAY_MS, none: null, services };
    case "loss":
    case "one-way-loss":
      return { double: lossy(heal), none: null, services: services + lossy(heal) };
    case "ip":
      return { double: heal + LEASE_MS, none: null, services };
    case "mixed":
      return {
        double: lossy(heal) + LEASE_MS + 4 * MAX_DELAY_MS,
        none: null,
        services: services + lossy(heal) + 30_000,
      };
    default:
      return { ...noDouble, none: null };
  }
}

/** From the last fault to one that serves and one that stands by. */
export function livenessMs(config: LocalConfig): number {
  const { deadAfterMs, bootGraceMs } = config.heartbeat;
  return VACANT_DEAD_TIMES * deadAfterMs + bootGraceMs + 2 * FAILED_RETRY_MS + 120_000 +
    60_000 + 3 * (config.arbiter?.ttlMs ?? 0) + 4 * config.services.startDeadlineMs +
    16 * config.failback.stableMs;
}

/** A goal that never ends is given up after this long. */
export const STUCK_MS = GOAL_DEADLINE_MS;

/** So many state changes per node from the last fault to rest, a failback included. */
export const TRANSITIONS_MAX = 14;

/** With half of all frames lost each way: twenty questions in a row find no answer once in a million. */
function lossy(heal: number): number {
  return 20 * heal;
}
