/**
 * What a fault in the laboratory cost, as the outside observers measured it, beside what it may cost. Pure.
 *
 * @module
 */

import type { LocalConfig } from "../../src/config/types.ts";
import { boundOf, livenessMs } from "../sim/bounds.ts";
import { LAB_FAULTS, type PlannedLabFault } from "./faults_schedule.ts";
import { ARP_EVERY_MS, type Seen } from "./outside.ts";

/** A takeover waits for the processor three times: the turn that decides, `ip`, the announcement. */
const WAITS = 3;

/** What was measured of one fault. */
export interface MeasuredLabFault {
  readonly fault: PlannedLabFault;
  readonly host: "master" | "slave";
  /** While it was there. */
  readonly during: Seen;
  /** From the moment at which it was undone to rest. */
  readonly after: Seen;
  /** From there to one that serves and one that stands by, and SIP answers; null: not within the bound. */
  readonly restMs: number | null;
  /** The longest time for which a daemon said that it could not run. */
  readonly daemonLateMs: number;
  readonly notes: readonly string[];
  /** What was seen to be wrong besides. */
  readonly broken: readonly string[];
}

/** A row of `lab_faults.json`. All times in milliseconds. */
export interface LabFaultResult {
  readonly number: number;
  readonly kind: string;
  readonly host: string;
  readonly lasted_ms: number;
  /** Two hosts answered ARP for the VIP, in sum. */
  readonly double_ms: number;
  readonly bound_double_ms: number;
  /** Longest time in which the VIP did not answer, of those that began while it was there. */
  readonly none_ms: number;
  /** Null: not claimed. */
  readonly bound_none_ms: number | null;
  /** Longest time in which no SIP server answered. */
  readonly sip_ms: number;
  readonly lost: number;
  readonly sip_lost: number;
  readonly rest_ms: number | null;
  readonly bound_rest_ms: number;
  /** How late the observers' or the daemons' machine was: added to the bounds. */
  readonly machine_late_ms: number;
  /** Why "nobody answered" was not judged although it is claimed; null: it was. */
  readonly none_excused: string | null;
  readonly notes: readonly string[];
  readonly violations: readonly string[];
}

/** Compares. */
export function judgeLabFault(measured: MeasuredLabFault, config: LocalConfig): LabFaultResult {
  const { fault, during, after, restMs, daemonLateMs } = measured;
  const { like, claimsNone } = LAB_FAULTS[fault.kind];
  const bound = boundOf(like, config);
  const lateMs = Math.max(during.maxSendGapMs, after.maxSendGapMs, daemonLateMs);
  const allowance = WAITS * lateMs + 2 * ARP_EVERY_MS;
  const double = (during.answeredByTwo + after.answeredByTwo) * ARP_EVERY_MS;
  const none = Math.max(during.outageMs.vip, during.outageMs.data);
  const noneBound = claimsNone && fault.victim === "serving" ? bound.none : null;
  const excused = noneBound !== null && lateMs >= config.heartbeat.isolatedAfterMs
    ? `this machine was ${lateMs} ms late`
    : null;
  const violations = [...measured.broken];
  if (double > bound.double + allowance) {
    violations.push(`two hosts answered for ${double} ms, bound ${bound.double} + ${allowance} ms`);
  }
  if (noneBound !== null && excused === null && none > noneBound + allowance) {
    violations.push(`nobody answered for ${none} ms, bound ${noneBound} + ${allowance} ms`);
  }
  const restBound = livenessMs(config);
  if (restMs === null) violations.push(`no rest within ${restBound} ms`);
  return {
    number: fault.number,
    kind: fault.kind,
    host: measured.host,
    lasted_ms: fault.lastsMs,
    double_ms: double,
    bound_double_ms: bound.double,
    none_ms: none,
    bound_none_ms: noneBound,
    sip_ms: Math.max(during.outageMs.sip, after.outageMs.sip),
    lost: during.lost.vip + after.lost.vip,
    sip_lost: during.lost.sip + after.lost.sip,
    rest_ms: restMs === null ? null : Math.round(restMs),
    bound_rest_ms: restBound,
    machine_late_ms: lateMs,
    none_excused: excused,
    notes: measured.notes,
    violations,
  };
}
