/**
 * When a copy is too old; pure. Ages are measured on this host's own clock (from the end of a copy, less
 * what it took), so that two hosts whose clocks differ never show a wrong or negative one.
 *
 * @module
 */

import type { NodeState } from "../core/state.ts";
import type { Role } from "../core/types.ts";
import type { StatusDocument } from "../health/types.ts";
import { formatAge } from "./data_sets.ts";

type Entry = StatusDocument["dataSets"][number];

/** A node that has just begun to serve or to stand by has this long for the first copy, in ms. */
const FIRST_COPY_PATIENCE_MS = 300_000;

/** What the judgement looks at. */
export interface AgeSituation {
  readonly role: Role;
  readonly state: Pick<NodeState, "name" | "since">;
  /** Monotonic ms. */
  readonly now: number;
}

/**
 * Says whether the copy is too old. Only where it should be fresh: what this node sends while it serves,
 * what it receives while it stands by. The master receives the astdb only.
 */
export function withAlarm(entry: Entry, { role, state, now }: AgeSituation): Entry {
  const { maxAgeMs, ageMs, set, direction, nextRunInMs } = entry;
  const expected = direction === "sent"
    ? state.name === "active" && nextRunInMs !== null
    : state.name === "standby" && (role === "slave" || set === "astdb");
  if (!expected || maxAgeMs === null) return entry;
  const forMs = now - state.since;
  const patienceMs = Math.min(FIRST_COPY_PATIENCE_MS, maxAgeMs);
  const tooOld = forMs >= patienceMs && (ageMs ?? Infinity) > maxAgeMs;
  return { ...entry, tooOld };
}

/** The alarm as a sentence. The age is not in it: each minute would be another alarm. */
export function oldCopyText({ set, direction, maxAgeMs, ageMs }: Entry): string {
  const limit = `max_age ${formatAge(maxAgeMs ?? 0)}`;
  const what = ageMs === null ? "There is no copy" : "The last good copy";
  const rest = ageMs === null ? "" : " is too old";
  return `${what} of the ${set} (${direction})${rest} (${limit}): look at its last error, ` +
    "then run on the host that serves: relais sync " + set;
}
