/**
 * What one fault cost, beside what it may cost. Pure.
 *
 * @module
 */

import type { RealBound, RealKind } from "./kinds.ts";
import { lengths, type Span, type VipRecord } from "./ruler.ts";

/** A row of the results. All times in milliseconds. */
export interface FaultResult {
  readonly number: number;
  readonly kind: RealKind;
  readonly host: string;
  /** It served when the fault began. */
  readonly served: boolean;
  /** Wall clock, ISO 8601. */
  readonly at: string;
  readonly lasted_ms: number;
  /** Both answered, in sum, while it was there and after it had ended; the worse one of the VIPs. */
  readonly double_ms: number;
  readonly bound_double_ms: number;
  readonly double_during_ms: number;
  /** Null: not claimed. */
  readonly bound_double_during_ms: number | null;
  /** Longest time in which nobody answered. */
  readonly none_ms: number;
  /** Null: not claimed. */
  readonly bound_none_ms: number | null;
  /** Pings of the client to the VIP (each 5 ms) and SIP requests (each 50 ms) without an answer. */
  readonly lost: number;
  readonly sip_lost: number;
  /** The client's ARP entry was another host's than the one that answered. */
  readonly stale_arp_ms: number;
  readonly bound_stale_arp_ms: number | null;
  /** From its end to one that serves and one that stands by. */
  readonly rest_ms: number | null;
  readonly bound_rest_ms: number;
  /** Gratuitous ARP that reached the watcher. */
  readonly announced: { readonly requests: number; readonly replies: number };
  /** How late this machine was, at worst, and what is added to each bound for it. */
  readonly machine_late_ms: number;
  readonly allowance_ms: number;
  /** How long a daemon's loop stood still by its own word, at worst. */
  readonly daemon_late_ms: number;
  /** Why "nobody answered" was not judged although it is claimed; null: it was. */
  readonly none_excused: string | null;
  readonly notes: readonly string[];
  readonly violations: readonly string[];
}

/** What was measured of a fault. */
export interface Measured {
  readonly number: number;
  readonly kind: RealKind;
  readonly host: string;
  readonly served: boolean;
  readonly bound: RealBound;
  /** From before it was done until before it was undone. */
  readonly during: Span;
  /** From there to rest. */
  readonly after: Span;
  /** How long the undoing took. */
  readonly undoMs: number;
  readonly restMs: number | null;
  readonly vips: readonly VipRecord[];
  readonly stalledMs: number;
  readonly daemonLateMs: number;
  readonly staleArpMs: number;
  readonly lost: number;
  readonly sipLost: number;
  readonly notes: readonly string[];
  readonly broken: readonly string[];
}

/** The observer asks each 10 ms: a span may seem longer by a question at each end. */
const RULER_MS = 20;
/** A takeover waits for the processor three times: the turn that decides, `ip`, the announcement. */
const WAITS = 3;

/** What is added to a bound for a machine that was late by so much. */
export function allowanceMs(lateMs: number): number {
  return RULER_MS + WAITS * lateMs;
}

/**
 * A daemon that the machine does not let run for `isolated_after_ms` drops its VIPs, and shall: that is the
 * kind "a loop that stalls", for which nothing is claimed of "nobody". Two holders are judged all the same.
 */
function excuseOf({ bound, daemonLateMs }: Measured, lateMs: number): string | null {
  const { isolated, interval } = bound;
  if (daemonLateMs >= isolated) return `a daemon stood still for ${daemonLateMs} ms`;
  return lateMs >= isolated - interval ? `this machine was ${lateMs} ms late` : null;
}

/** Compares. */
export function judge(measured: Measured): FaultResult {
  const { bound, during, after, vips, restMs } = measured;
  const whole = { from: during.from, to: after.to };
  const pauseMs = Math.max(...vips.map((vip) => vip.longestPause(whole)));
  const lateMs = Math.round(Math.max(measured.stalledMs, pauseMs - RULER_MS / 2));
  const allowance = allowanceMs(lateMs);
  const worst = (of: (vip: VipRecord) => number): number => Math.round(Math.max(...vips.map(of)));
  const doubleDuring = worst((vip) => lengths(vip.doubles(during)).total);
  const doubleAfter = worst((vip) => lengths(vip.doubles(after)).total);
  const none = worst((vip) =>
    lengths(vip.nones(bound.noneUntil === "end" ? during : whole)).longest
  );
  const violations = [...measured.broken];
  const check = (what: string, ms: number, limit: number | null, more = 0): void => {
    if (limit === null || ms <= limit + allowance + more) return;
    violations.push(`${what}: ${ms} ms, bound ${limit} + ${allowance + more} ms`);
  };
  check("two hosts answered during the fault", doubleDuring, bound.doubleDuring);
  check("two hosts answered after the fault", doubleAfter, bound.doubleAfter, measured.undoMs);
  const excused = bound.none === null ? null : excuseOf(measured, lateMs);
  if (excused === null) check("nobody answered", none, bound.none);
  check("stale ARP entry of the client", measured.staleArpMs, bound.stale);
  if (restMs === null) violations.push(`no rest within ${bound.rest} ms`);
  const announced = vips.flatMap((vip) => vip.announced)
    .filter(({ at }) => at >= during.from && at < during.to);
  const count = (operation: string): number =>
    announced.filter((each) => each.operation === operation).length;
  const requests = count("request"), replies = count("reply");
  // The fault itself must be what it is called: a frame that is swallowed is not seen.
  if (measured.kind === "no-arp-requests" && requests > 0) violations.push("requests passed");
  if (measured.kind === "no-arp-replies" && replies > 0) violations.push("replies passed");
  return {
    number: measured.number,
    kind: measured.kind,
    host: measured.host,
    served: measured.served,
    at: new Date(during.from).toISOString(),
    lasted_ms: Math.round(during.to - during.from),
    double_ms: doubleAfter,
    bound_double_ms: bound.doubleAfter,
    double_during_ms: doubleDuring,
    bound_double_during_ms: bound.doubleDuring,
    none_ms: none,
    bound_none_ms: bound.none,
    lost: measured.lost,
    sip_lost: measured.sipLost,
    stale_arp_ms: Math.round(measured.staleArpMs),
    bound_stale_arp_ms: bound.stale,
    rest_ms: restMs === null ? null : Math.round(restMs),
    bound_rest_ms: bound.rest,
    announced: { requests, replies },
    machine_late_ms: lateMs,
    allowance_ms: allowance,
    daemon_late_ms: measured.daemonLateMs,
    none_excused: excused,
    notes: measured.notes,
    violations,
  };
}
