/**
 * The seam between the copying of data sets (`replicator.ts`, `receive.ts`) and PostgreSQL
 * (`database.ts`).
 *
 * @module
 */

import type { Manifest } from "./database_manifest.ts";
import type { OnProgress, SetDetail } from "./set_header.ts";

/** A dump in progress. */
export interface DatabaseDump {
  /** Goes into the stream header: schema version, server version, number of tables… */
  readonly detail: SetDetail;
  /** The dump; the sender adds length, digest and trailer. Errors when the dump fails midway. */
  readonly payload: ReadableStream<Uint8Array>;
  /**
   * Settles after `payload` ended: resolves when every process of the pipe exited with 0, rejects
   * otherwise. The trailer is only sent after it resolved. Never rejects unobserved (the sender
   * attaches a handler at once).
   */
  readonly done: Promise<void>;
}

/** Options of {@linkcode DatabaseSource.dump}. */
export interface DatabaseDumpOptions {
  /** Aborting ends every process of the dump and errors `payload`. */
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress;
  /** Logical slot to make; the dump is what the database was where its stream begins. */
  readonly slot?: string;
}

/** What a restored database was proved against; its number stays when it is renamed. */
export interface DatabaseProof {
  readonly manifest: Manifest;
  readonly databaseOid: number;
}

/** Options of {@linkcode DatabaseSource.install}. */
export interface DatabaseInstallOptions {
  /**
   * The payload as it arrives; it may pause. Errors when it is cut or is not what its digest says; ends
   * only when it is whole. Cancelled when the installation fails.
   */
  readonly payload: ReadableStream<Uint8Array>;
  /**
   * Resolves once the whole payload went through and its length, digest and trailer were right; rejects as
   * `payload` errors. Awaited before anything restored is believed, let alone swapped in.
   */
  readonly whole: Promise<unknown>;
  /** What {@linkcode DatabaseDump.detail} said on the other host. */
  readonly detail: SetDetail;
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress;
  /**
   * Asks the daemon again whether this host may still be overwritten; awaited directly before the
   * swap. Rejects when it may not: the standby database must then stay as it was.
   */
  readonly confirm: () => Promise<void>;
  /** The new database is equal to its source; awaited before the swap. What it rejects with ends the copy. */
  readonly onProved?: (proof: DatabaseProof) => Promise<void>;
}

/** What `database.ts` gives. */
export interface DatabaseSource {
  /** @throws when the dump cannot begin (no server, tool missing, version differs) */
  dump(options: DatabaseDumpOptions): Promise<DatabaseDump>;
  /**
   * Restores into a new database, verifies it, swaps it in. All or nothing.
   *
   * @returns facts for the result and the log (tables, rows, milliseconds of the swap)
   */
  install(options: DatabaseInstallOptions): Promise<{ readonly detail: SetDetail }>;
  /** Removes what an interrupted install left behind (half-restored databases); idempotent. */
  cleanupLeftovers(): Promise<void>;
}
