/**
 * The way back in words and as a document. Pure.
 *
 * @module
 */

import type { ReturnCounters } from "./return_protocol.ts";
import type {
  Decisions,
  ReturnMode,
  ReturnOutcome,
  ReturnSummary,
  RowChange,
} from "./return_types.ts";

/** Answer to `relais return --dry-run` and `relais return conflicts`. */
export interface ReturnReport {
  readonly mode: ReturnMode;
  /** When this host took over, ISO 8601; null: nothing is to go back. */
  readonly since: string | null;
  /** Why the service stays here; null: nothing known is against a hand-back. */
  readonly blocked: string | null;
  readonly decisions: Decisions;
  /** Null: nothing is followed, or it could not be read. */
  readonly summary: ReturnSummary | null;
  /** The first rows, a bounded number; `summary.total` counts all. */
  readonly changes: readonly RowChange[];
  /** What the master would make of them; null: it could not be asked. */
  readonly outcome: ReturnOutcome | null;
  /** Why something is missing above. */
  readonly trouble: string | null;
}

/** What became of the rows, as a sentence. */
export function outcomeSentence(outcome: ReturnOutcome): string {
  const { inserted, updated, deleted, renumbered, same, leftByDecision, conflictCount } = outcome;
  const parts = [
    `${inserted} new`,
    `${updated} changed`,
    `${deleted} deleted`,
    ...(renumbered > 0 ? [`${renumbered} new under another number`] : []),
    ...(same > 0 ? [`${same} there already`] : []),
    ...(leftByDecision > 0 ? [`${leftByDecision} left by decision`] : []),
    ...(conflictCount > 0 ? [`${conflictCount} left as both hosts changed them`] : []),
  ];
  return `rows brought back to the master: ${parts.join(", ")}`;
}

/** `return = "none"`: what is lost, as far as PostgreSQL counted. */
export function discardedSentence(then: ReturnCounters | null, now: ReturnCounters | null): string {
  const tail = 'stay behind (return = "none") and are replaced by the next copy';
  if (then === null || now === null || then.database !== now.database) {
    return `rows changed in the database while this host served ${tail}`;
  }
  const gained = (name: "inserted" | "updated" | "deleted"): number =>
    Math.max(0, now[name] - then[name]);
  return `rows of the database (${gained("inserted")} new, ${gained("updated")} changed, ` +
    `${gained("deleted")} deleted while this host served) ${tail}`;
}
