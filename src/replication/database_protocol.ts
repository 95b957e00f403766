/**
 * What relais and its database worker (`relais database-worker`, run as the system user of the database)
 * say to each other: JSON lines on standard input and output. The operations are a closed set; the worker
 * takes no SQL.
 *
 * @module
 */

import type {
  DatabaseLocale,
  DatabaseProperties,
  Manifest,
  TableSum,
} from "./database_manifest.ts";
import type { DatabaseAddress } from "./database_connection.ts";
import type { DatabaseRights } from "./host_facts.ts";
import type { ReturnOperations } from "./return/return_protocol.ts";
import type { StreamOperations } from "./logical/operations.ts";

/** Longest line, in bytes: a manifest fits. */
export const MAX_WORKER_LINE_BYTES = 32 * 1024 * 1024;

/** Which rows are not copied. */
export interface TableSelection {
  readonly localTables: readonly string[];
  readonly excludeTableData: readonly string[];
}

/** What a host has for an installation. */
export interface InstallFacts {
  readonly serverVersionNum: number;
  readonly liveExists: boolean;
  readonly missingRoles: readonly string[];
  /** Extensions whose package is not installed here. */
  readonly missingExtensions: readonly string[];
  /** Logical replication slots and subscriptions of the live database: they would hold it. */
  readonly holders: readonly string[];
  /** Free space of the file system of the data directory. */
  readonly freeBytes: number;
  readonly maxWalBytes: number;
}

/** What was found in a restored database. */
export type Inspection = Pick<Manifest, "rows" | "largeObjects" | "schema"> & {
  /** What the database keeps when it is renamed. */
  readonly databaseOid?: number;
};

/** What was found in the live database by a proof. */
export interface LiveFacts extends Inspection {
  readonly databaseOid: number;
  readonly serverVersionNum: number;
  /** In the order asked for; null: there is no such table or key. */
  readonly sums: readonly (Pick<TableSum, "rows" | "sum"> | null)[];
  /** Tables that no copy of the configuration alone changes (history). */
  readonly history: readonly string[];
}

/** Change signatures: equal ones mean that nothing was changed in between. */
export interface Signatures {
  /** Of the structure alone (`database_schema.ts`). */
  readonly schema: string;
  /** Schema, settings, large objects and every copied table. */
  readonly all: string;
  /** The same without tables of history (`cel`, `queue_log`, call logs, statistics). */
  readonly configuration: string;
}

/** Every operation: what it is given and what it answers. */
export interface WorkerOperations extends StreamOperations, ReturnOperations {
  /** Opens the snapshot, counts in it, begins to guard. */
  "dump-open": {
    readonly args: TableSelection & {
      readonly appName: string;
      /** Make a logical slot of that name and read in its snapshot: the stream then begins where the copy ends. */
      readonly slot?: string;
    };
    readonly result: { readonly snapshot: string; readonly manifest: Manifest };
  };
  /** pg_dump has taken the snapshot over: its first session may end. */
  "dump-release": { readonly args: Record<never, never>; readonly result: null };
  /** Looks at version, rights and room; takes no lock and changes nothing. */
  "rights": { readonly args: Record<never, never>; readonly result: DatabaseRights };
  /** Whether the live database is there. */
  "exists": { readonly args: Record<never, never>; readonly result: boolean };
  /** Reads the live database as a whole, in one read-only transaction; changes nothing. */
  "verify-live": {
    readonly args: { readonly excluded: readonly string[]; readonly sums: readonly TableSum[] };
    readonly result: LiveFacts;
  };
  "signatures": { readonly args: TableSelection; readonly result: Signatures };
  /** Takes the lock of installations and looks round. */
  "install-facts": {
    readonly args: { readonly roles: readonly string[]; readonly extensions: readonly string[] };
    readonly result: InstallFacts;
  };
  /** Makes the new, empty database; drops what is left of an earlier one. */
  "create-new": {
    readonly args: { readonly locale: DatabaseLocale; readonly owner: string };
    readonly result: null;
  };
  /** Carries this host's own tables from the live database into the new one. */
  "carry-local": {
    readonly args: { readonly localTables: readonly string[] };
    readonly result: { readonly tables: readonly string[] };
  };
  "inspect-new": {
    readonly args: { readonly excluded: readonly string[] };
    readonly result: Inspection;
  };
  /** Gives the new database its settings, privileges and comment; answers what it then has. */
  "set-properties": { readonly args: DatabaseProperties; readonly result: DatabaseProperties };
  /** Renames live → old and new → live in one transaction. */
  "swap": { readonly args: Record<never, never>; readonly result: { readonly swapMs: number } };
  "drop-old": { readonly args: Record<never, never>; readonly result: null };
  "drop-new": { readonly args: Record<never, never>; readonly result: null };
  /** After a crash: exactly one complete live database remains. Answers what was done, in words. */
  "cleanup": { readonly args: Record<never, never>; readonly result: readonly string[] };
}

/** Names of the operations. */
export type WorkerOperation = keyof WorkerOperations;

/** One line to the worker. */
export interface WorkerRequest<Op extends WorkerOperation = WorkerOperation> {
  readonly id: number;
  readonly op: Op;
  readonly args: WorkerOperations[Op]["args"];
  readonly deadlineMs: number;
}

/** One line from the worker. */
export type WorkerMessage =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: string }
  /** Somebody waited behind the dump, which was ended for that. */
  | { readonly event: "guard"; readonly reason: string };

/** Command line of the worker, read back by {@linkcode parseWorkerArguments}. */
export function workerArguments(address: DatabaseAddress): string[] {
  return ["database-worker", JSON.stringify(address)];
}

/**
 * Reads the arguments after `database-worker`.
 *
 * @throws {TypeError} when they are not what {@linkcode workerArguments} writes
 */
export function parseWorkerArguments(args: readonly string[]): DatabaseAddress {
  const value = args.length === 1 ? parseJson(args[0] ?? "") : null;
  if (typeof value === "object" && value !== null) {
    const { socketDir, port, role, database } = value as Record<string, unknown>;
    if (
      typeof socketDir === "string" && typeof port === "number" && Number.isInteger(port) &&
      typeof role === "string" &&
      typeof database === "string"
    ) return { socketDir, port, role, database };
  }
  throw new TypeError("Cannot start the database worker by hand: relais starts it itself");
}

/** Null: it is no JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Name of the database that is being restored. */
export function newDatabaseName(live: string): string {
  return `${live}_relais_new`;
}

/** Name of the database that was live until the swap. */
export function oldDatabaseName(live: string): string {
  return `${live}_relais_old`;
}
