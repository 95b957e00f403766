/**
 * The results for people (a line for each fault, the worst of each kind) and for programs
 * (dist/results/faults.json).
 *
 * @module
 */

import { KIND_FACTS, REAL_KINDS } from "./kinds.ts";
import type { FaultResult } from "./verdict.ts";

/** `dist/results/faults.json`. */
export interface Results {
  readonly commit: string;
  readonly seed: number;
  readonly minutes: number;
  readonly preset: string;
  readonly faults: readonly FaultResult[];
  readonly violations: readonly string[];
}

const COLUMNS = [4, 20, 16, 7, 15, 15, 13, 6, 6, 11, 7, 6] as const;

/** The first line of the table. */
export function tableHead(): string {
  return row([
    "#",
    "fault",
    "host",
    "lasts",
    "two during",
    "two after",
    "none",
    "lost",
    "SIP",
    "stale ARP",
    "rest",
    "late",
  ]) + "\n" + "(measured/bound in ms; - = not claimed; late = this machine, at worst)";
}

/** The line of a fault. */
export function tableRow(result: FaultResult): string {
  const of = (ms: number, bound: number | null): string => `${ms}/${bound ?? "-"}`;
  const line = row([
    `${result.number}`,
    result.kind,
    `${result.host}, ${result.served ? "serving" : "standby"}`,
    `${(result.lasted_ms / 1000).toFixed(1)} s`,
    of(result.double_during_ms, result.bound_double_during_ms),
    of(result.double_ms, result.bound_double_ms),
    of(result.none_ms, result.bound_none_ms),
    `${result.lost}`,
    `${result.sip_lost}`,
    of(result.stale_arp_ms, result.bound_stale_arp_ms),
    result.rest_ms === null ? "never" : `${(result.rest_ms / 1000).toFixed(1)} s`,
    `${result.machine_late_ms}`,
  ]);
  const { none_excused: excused } = result;
  const said = [
    ...result.notes,
    ...(excused === null ? [] : [`"nobody" is not judged: ${excused}`]),
  ];
  const notes = said.length === 0 ? [] : [`     ${said.join("; ")}`];
  return [line, ...notes, ...result.violations.map((each) => `     VIOLATION ${each}`)].join("\n");
}

/** The worst of each kind. */
export function worstOfKinds(results: readonly FaultResult[]): string {
  const lines = REAL_KINDS.flatMap((kind) => {
    const those = results.filter((each) => each.kind === kind);
    const first = those[0];
    if (first === undefined) return [];
    const worst = (of: (each: FaultResult) => number): number => Math.max(...those.map(of));
    const during = `${worst((each) => each.double_during_ms)}/${
      first.bound_double_during_ms ?? "-"
    }`;
    const after = `${worst((each) => each.double_ms)}/${first.bound_double_ms}`;
    const none = `${worst((each) => each.none_ms)}/${first.bound_none_ms ?? "-"}`;
    const rest = (worst((each) => each.rest_ms ?? Infinity) / 1000).toFixed(1);
    return [
      `${kind.padEnd(20)} ${`${those.length}`.padStart(3)} x  two during ${during.padEnd(10)}` +
      ` after ${after.padEnd(10)} none ${none.padEnd(11)} rest ${rest} s  ${KIND_FACTS[kind].what}`,
    ];
  });
  return lines.join("\n");
}

function row(cells: readonly string[]): string {
  return cells.map((cell, i) => cell.padEnd(COLUMNS[i] ?? 0)).join(" ").trimEnd();
}
