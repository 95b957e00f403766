/**
 * Makes all checks, each by itself and within its time: one that throws or is late is a finding.
 *
 * @module
 */

import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { CATALOGUE, type CheckId, GROUPS } from "./catalogue.ts";
import { type Check, completed, type Finding, type Said, unchecked } from "./finding.ts";

/** Longest time of everything together, in milliseconds. */
const EXAMINATION_MS = 30_000;

/** Most findings of one check that are kept. */
const MAX_FINDINGS = 50;

/** What `relais doctor` found. */
export interface Examination {
  /** In the order of the catalogue. */
  readonly findings: readonly Finding[];
  /** Checks that do not apply to this configuration or host. */
  readonly notApplicable: readonly CheckId[];
}

/**
 * Makes the checks at once.
 *
 * @param options.stop aborted when the time is over, so that what still runs is killed
 */
export async function examine(checks: readonly Check[], options: {
  readonly clock: Clock;
  readonly deadlineMs?: number;
  readonly stop: AbortController;
}): Promise<Examination> {
  const { clock, stop, deadlineMs = EXAMINATION_MS } = options;
  const timer = new AbortController();
  const late = clock.sleep(deadlineMs, timer.signal).then(
    () => "late" as const,
    () => "over" as const,
  );
  const results = await Promise.all(checks.map((check) => lookWithin(check, late, deadlineMs)));
  timer.abort();
  stop.abort(new Error("the time of the examination is over"));
  const order = Object.keys(CATALOGUE) as CheckId[];
  const rank = (id: CheckId): number =>
    GROUPS.indexOf(CATALOGUE[id].group) * order.length + order.indexOf(id);
  const findings = results.flat().map(completed).sort((a, b) => rank(a.id) - rank(b.id));
  const seen = new Set(findings.map(({ id }) => id));
  const asked = checks.flatMap(({ ids }) => ids);
  return { findings, notApplicable: order.filter((id) => asked.includes(id) && !seen.has(id)) };
}

async function lookWithin(
  check: Check,
  late: Promise<"late" | "over">,
  deadlineMs: number,
): Promise<readonly Said[]> {
  const looked = (async (): Promise<readonly Said[]> => await check.look())();
  try {
    const said = await Promise.race([looked, late]);
    if (typeof said !== "string") return said.slice(0, MAX_FINDINGS);
    looked.catch(() => {}); // It ends when its tools are killed; nobody waits for that.
    return check.ids.map((id) => unchecked(id, `it took longer than ${deadlineMs / 1000} s`));
  } catch (error) {
    return check.ids.map((id) => unchecked(id, messageOf(error)));
  }
}

/** Exit status for monitoring: 0 all green, 1 warnings, 2 failures. */
export function verdictOf(findings: readonly Finding[]): 0 | 1 | 2 {
  if (findings.some(({ severity }) => severity === "failure")) return 2;
  return findings.some(({ severity }) => severity === "warning") ? 1 : 0;
}
