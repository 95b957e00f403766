/**
 * Makes conflicts and finds what was decided about them. Pure.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type {
  Decisions,
  ReturnChoice,
  ReturnConflict,
  RowChange,
  RowValues,
} from "./return_types.ts";

/** The conflict of a change with the master's row. */
export function conflictOf(
  change: RowChange,
  kind: ReturnConflict["kind"],
  master: RowValues | null,
  trouble = "",
): ReturnConflict {
  const { table, key, before, after } = change;
  const facts = JSON.stringify([table, sorted(key), sorted(before), sorted(after), sorted(master)]);
  return {
    id: createHash("sha256").update(`${kind}${facts}`).digest("hex").slice(0, 8),
    table,
    key,
    kind,
    why: kind === "changed" ? whyChanged(before, after, master) : trouble,
    before,
    slave: after,
    master,
  };
}

/** What was decided about it, by its own name or for all. */
export function decided(id: string, decisions: Decisions): ReturnChoice | undefined {
  return decisions[id] ?? decisions["all"];
}

function whyChanged(
  before: RowValues | null,
  after: RowValues | null,
  master: RowValues | null,
): string {
  if (before === null) return "both hosts made a row of this key";
  if (master === null) return "the slave changed it, the master deleted it";
  if (after === null) return "the slave deleted it, the master changed it";
  return "both hosts changed it";
}

function sorted(row: RowValues | null): readonly (readonly [string, string | null])[] | null {
  return row && Object.entries(row).sort(([one], [other]) => one < other ? -1 : 1);
}
