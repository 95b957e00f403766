/**
 * The seam between the copying of data sets and what is done with single tables of the database: the sets
 * `config` (configuration tables) and `hot` (named tables), and the questions whether something changed
 * (docs/design/tables.md).
 *
 * @module
 */

import type { Signatures } from "./database_protocol.ts";
import type { DatabaseDump } from "./database_port.ts";
import type { OnProgress, SetDetail } from "./set_header.ts";

/** The sets that consist of single tables. */
export type TableSet = "config" | "hot";

/** What has changed, as digests; equal ones mean: nothing that PostgreSQL has reported by now. */
export interface ChangeProbe {
  /** Configuration tables, and the schema. */
  readonly config: string;
  /** The hot tables. */
  readonly hot: string;
}

/** Options of {@linkcode TableSource.applyTables}. */
export interface ApplyTablesOptions {
  readonly set: TableSet;
  /** What {@linkcode TableSource.dumpTables} gave on the other host. */
  readonly payload: ReadableStream<Uint8Array>;
  /** Resolves when the whole of it came, digest and all; nothing is committed before. */
  readonly whole: Promise<unknown>;
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress;
  /** Asks the daemon directly before the commit; rejects when this host may not be written to. */
  readonly confirm: () => Promise<void>;
}

/** What `postgres_tables.ts` gives. */
export interface TableSource {
  /** Cheap (some tens of milliseconds, no worker): asked each ten seconds. */
  probeChanges(signal?: AbortSignal): Promise<ChangeProbe>;
  /** Dear (a worker, the schema): asked when the probe differs, and before a full copy. */
  signatures(signal?: AbortSignal): Promise<Signatures>;
  /** The rows of a set's tables in one snapshot. */
  dumpTables(options: {
    readonly set: TableSet;
    readonly signal: AbortSignal;
    readonly onProgress: OnProgress;
  }): Promise<DatabaseDump>;
  /** Puts them into the standby database: one transaction, proved before its commit. */
  applyTables(options: ApplyTablesOptions): Promise<{ readonly detail: SetDetail }>;
  /** Whether the live database is there. */
  exists(signal?: AbortSignal): Promise<boolean>;
}
