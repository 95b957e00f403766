/**
 * The operations of the database worker that belong to the way back; part of the closed set of
 * `database_protocol.ts`.
 *
 * @module
 */

import type {
  Decisions,
  ReturnOutcome,
  ReturnSummary,
  RowChange,
  SequenceState,
} from "./return_types.ts";

/** Name of the slot that the slave makes at a takeover (`return = "all"`). */
export const RETURN_SLOT = "relais_return";

/** What the slave kept at its takeover. */
export interface ReturnBase {
  readonly mode: "tables" | "all";
  /** It was there already: the same service goes on. */
  readonly already: boolean;
  readonly tables: number;
  /** Rows kept (`tables`). */
  readonly rows: number;
  /** Sequences that were raised, so that the numbers of the two hosts never meet. */
  readonly sequences: number;
  /** What can't go back, each as a sentence. */
  readonly notes: readonly string[];
}

/** How far the slot was read. */
export interface CatchUp {
  readonly changes: number;
  /** Bytes of log that the slot still holds. */
  readonly heldBytes: number;
}

/** See the module. */
export interface ReturnOperations {
  /** Slave, services at rest: keeps what is needed to tell later what was gained. */
  "return-prepare": {
    readonly args: {
      readonly mode: "tables" | "all";
      /** `return_tables` as typed. */
      readonly tables: readonly string[];
      readonly localTables: readonly string[];
      /** What an earlier service left behind is not continued. */
      readonly fresh: boolean;
    };
    readonly result: ReturnBase;
  };
  /** Slave: reads the slot as far as it is written, so that it holds no log (`all`). */
  "return-catch-up": { readonly args: Record<never, never>; readonly result: CatchUp };
  /** Slave: finds what was gained; it is then read with `return-read`. Null: nothing was prepared. */
  "return-open": {
    readonly args: Record<never, never>;
    readonly result: ReturnSummary | null;
  };
  /** Slave: changes from number `from` on, a bounded number; none: that was all. */
  "return-read": {
    readonly args: { readonly from: number };
    readonly result: { readonly changes: readonly RowChange[] };
  };
  /** Slave: of what was found, only history is read from here on; it goes ahead of the hand-back. */
  "return-ahead": {
    readonly args: Record<never, never>;
    readonly result: { readonly rows: number };
  };
  /** Slave: the master has it. */
  "return-ahead-done": { readonly args: Record<never, never>; readonly result: null };
  /** Slave: it is over; slot and schema go. */
  "return-done": { readonly args: Record<never, never>; readonly result: null };
  /** Slave, `return = "none"`: rows inserted, updated and deleted in this database so far. */
  "return-counters": {
    readonly args: Record<never, never>;
    readonly result: ReturnCounters;
  };
  /** Master: opens the one transaction. */
  "return-apply-begin": {
    readonly args: { readonly tables: readonly string[] };
    readonly result: null;
  };
  "return-apply": {
    readonly args: { readonly changes: readonly RowChange[]; readonly decisions: Decisions };
    readonly result: null;
  };
  "return-apply-end": {
    readonly args: {
      readonly decisions: Decisions;
      readonly sequences: readonly SequenceState[];
      /** `trial`: nothing is changed; `if-clean`: unless conflicts are open; `without`: in any case. */
      readonly commit: "trial" | "if-clean" | "without";
    };
    readonly result: ReturnOutcome;
  };
}

/** PostgreSQL's statistics of changed rows. */
export interface ReturnCounters {
  /** The database's own number: another one, other counters. */
  readonly database: string;
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
}
