/**
 * What a proof of the copies finds.
 *
 * @module
 */

import type { DataSetName } from "../../core/types.ts";

/**
 * `equal`: looked at and right; `different`: looked at and wrong; `unchecked`: should have been looked at
 * and could not be; `skipped`: nothing to compare with, by design (the text says why).
 */
export type ProofResult = "equal" | "different" | "unchecked" | "skipped";

/** One thing that was looked at. */
export interface ProofFinding {
  readonly set: DataSetName;
  readonly result: ProofResult;
  /** One sentence without its period. */
  readonly text: string;
}

/** All of them in one word: the worst. */
export function overall(findings: readonly ProofFinding[]): "equal" | "different" | "unchecked" {
  if (findings.some(({ result }) => result === "different")) return "different";
  return findings.some(({ result }) => result === "unchecked") ? "unchecked" : "equal";
}

/** All of them in a sentence, the worst first; bounded. */
export function summary(findings: readonly ProofFinding[]): string {
  const worst = overall(findings);
  if (worst === "equal") return "all copies are equal to their sources";
  const texts = findings.filter(({ result }) => result === worst)
    .map(({ set, text }) => `${set}: ${text}`);
  return texts.join("; ").slice(0, 2000);
}
