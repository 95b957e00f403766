/**
 * Counts what was brought in. Pure.
 *
 * @module
 */

import type { ReturnConflict, ReturnOutcome, RowValues } from "./return_types.ts";

/** Conflicts and replaced rows must fit into one line of the protocol between the hosts. */
const MAX_CONFLICT_CHARS = 40_000;
const MAX_REPLACED_CHARS = 15_000;
/** A longer value is shown by its beginning. */
const MAX_VALUE_CHARS = 500;

/** See the module. */
export class ReturnCount {
  inserted = 0;
  updated = 0;
  deleted = 0;
  renumbered = 0;
  same = 0;
  leftByDecision = 0;
  conflictCount = 0;
  readonly #conflicts: ReturnConflict[] = [];
  readonly #replaced: ReturnOutcome["replaced"][number][] = [];
  #conflictChars = 0;
  #replacedChars = 0;

  /** One that is open. */
  conflict(conflict: ReturnConflict): void {
    this.conflictCount++;
    const { key, before, slave, master } = conflict;
    const shown = {
      ...conflict,
      key: shorten(key),
      before: before && shorten(before),
      slave: slave && shorten(slave),
      master: master && shorten(master),
    };
    const chars = JSON.stringify(shown).length;
    if (this.#conflictChars + chars > MAX_CONFLICT_CHARS) return;
    this.#conflictChars += chars;
    this.#conflicts.push(shown);
  }

  /** A change that stays on the slave because somebody said so. */
  leave(): void {
    this.leftByDecision++;
  }

  /** A row of the master that goes because somebody said so. */
  replace(table: string, row: RowValues): void {
    const entry = { table, row: shorten(row) };
    const chars = JSON.stringify(entry).length;
    if (this.#replacedChars + chars > MAX_REPLACED_CHARS) return;
    this.#replacedChars += chars;
    this.#replaced.push(entry);
  }

  /** The whole. */
  outcome(committed: boolean): ReturnOutcome {
    const { inserted, updated, deleted, renumbered, same, leftByDecision, conflictCount } = this;
    return {
      committed,
      inserted,
      updated,
      deleted,
      renumbered,
      same,
      leftByDecision,
      replaced: this.#replaced,
      conflicts: this.#conflicts,
      conflictCount,
    };
  }
}

function shorten(row: RowValues): RowValues {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      value !== null && value.length > MAX_VALUE_CHARS
        ? `${value.slice(0, MAX_VALUE_CHARS)}… (${value.length} characters)`
        : value,
    ]),
  );
}
