/**
 * The words of the way back: what a slave gained in its database while it served, row by row, and what
 * became of it on the master (docs/design/return.md). Values are PostgreSQL's own text of each column.
 *
 * @module
 */

import { z } from "zod";

/** How much of the database goes back at a hand-back. */
export type ReturnMode = "none" | "tables" | "all";

/** What an operator may decide about a conflict. */
export const RETURN_CHOICES = ["master", "slave", "both"] as const;

/** `master`: its row stays; `slave`: the slave's replaces it; `both`: see docs/design/return.md. */
export type ReturnChoice = (typeof RETURN_CHOICES)[number];

const rowSchema = z.record(z.string(), z.string().nullable());

/** Column → text of its value; null: SQL's NULL. */
export type RowValues = Readonly<Record<string, string | null>>;

/** One row that the slave made, changed or deleted since its takeover. */
export const rowChangeSchema = z.object({
  /** `schema.table`, quoted where PostgreSQL needs it. */
  table: z.string().max(300),
  /** Rows of history: never a conflict, a new number if theirs is taken. */
  append: z.boolean(),
  /** The columns of the primary key; of a table without one, all. */
  key: rowSchema,
  /** The row at the takeover; null: there was none. */
  before: rowSchema.nullable(),
  /** The row now; null: it was deleted. */
  after: rowSchema.nullable(),
  /** What the master was given before and may have: as good as `before`. */
  sent: rowSchema.nullable().optional(),
});
/** See the schema. */
export interface RowChange extends Readonly<z.infer<typeof rowChangeSchema>> {}

/** Two hosts want different things of the same row; an operator decides. */
export const returnConflictSchema = z.object({
  /** Eight hexadecimal digits, made of all values below: other values, another conflict. */
  id: z.string().regex(/^[0-9a-f]{8}$/),
  table: z.string(),
  key: rowSchema,
  /** `changed`: the same row; `unique`: another row with the same unique value; `refused`: see why. */
  kind: z.enum(["changed", "unique", "refused"]),
  /** A sentence. */
  why: z.string(),
  before: rowSchema.nullable(),
  slave: rowSchema.nullable(),
  master: rowSchema.nullable(),
});
/** See the schema. */
export interface ReturnConflict extends Readonly<z.infer<typeof returnConflictSchema>> {}

/** What the master made of it. */
export const returnOutcomeSchema = z.object({
  /** False: nothing was changed (a trial, or conflicts are open). */
  committed: z.boolean(),
  inserted: z.number(),
  updated: z.number(),
  deleted: z.number(),
  /** Rows of history that got a new number. */
  renumbered: z.number(),
  /** The master had them already. */
  same: z.number(),
  /** Changes that an operator's decision left on the slave. */
  leftByDecision: z.number(),
  /** Rows of the master that a decision replaced, as they were. */
  replaced: z.array(z.object({ table: z.string(), row: rowSchema })),
  /** Open ones, at most as many as a line holds. */
  conflicts: z.array(returnConflictSchema),
  /** All open ones. */
  conflictCount: z.number(),
});
/** See the schema. */
export interface ReturnOutcome extends Readonly<z.infer<typeof returnOutcomeSchema>> {}

/** Decisions by conflict; `all` stands for every one that has none of its own. */
export const decisionsSchema = z.record(
  z.string().regex(/^([0-9a-f]{8}|all)$/),
  z.enum(RETURN_CHOICES),
);
/** See the schema. */
export type Decisions = Readonly<Record<string, ReturnChoice>>;

/** Changes of one table, counted. */
export interface TableCounts {
  readonly table: string;
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
}

/** A sequence of the slave that went on. */
export interface SequenceState {
  readonly name: string;
  readonly value: string;
}

/** What the slave gained, before it is read row by row. */
export interface ReturnSummary {
  readonly mode: "tables" | "all";
  readonly total: number;
  readonly tables: readonly TableCounts[];
  readonly sequences: readonly SequenceState[];
  /** New and changed rows of history among them. */
  readonly history: number;
  /** What can't go back, each as a sentence. */
  readonly notes: readonly string[];
}

/** A table of `return_tables` as typed: `[append:|replace:]name`. */
export interface ReturnTableName {
  readonly pattern: string;
  readonly append: boolean;
}

/** Tables of history by name: their rows are appended unless the configuration says `replace:`. */
const HISTORY = /^(public\.)?(cel|queue_log|call_log.*|stat_.*)$/;

/** Takes an entry of `return_tables` apart. */
export function parseReturnTable(entry: string): ReturnTableName {
  const [, kind, pattern = entry] = /^(append|replace):(.+)$/.exec(entry) ?? [];
  return { pattern, append: kind === undefined ? isHistory(pattern) : kind === "append" };
}

/** Whether a table holds call records. */
export function isHistory(table: string): boolean {
  return HISTORY.test(table);
}
