/**
 * What `relais receive` says to the host that called it: JSON lines on standard output, the last of
 * which is the result. Exit status and last line must both say that all went well.
 *
 * @module
 */

import { z } from "zod";
import { DATA_SET_NAMES, STATE_NAMES } from "../core/types.ts";
import type { Role, StateName } from "../core/types.ts";
import type { AstdbStamp } from "./astdb_newer.ts";
import { type FactsAnswer, factsSchema } from "./host_facts.ts";
import { type ReturnOutcome, returnOutcomeSchema } from "./return/return_types.ts";
import type { SetDetail, SetProgress } from "./set_header.ts";
import { type FileSums, fileSumsSchema } from "./verify/file_sums_protocol.ts";

/** Exit status of `relais receive` (sysexits.h where it has a word for it). */
export const RECEIVE_EXIT = {
  ok: 0,
  /** The data were not whole and sound (EX_DATAERR). */
  badData: 65,
  /** Something failed on this host: disk full, PostgreSQL down (EX_IOERR). */
  failed: 74,
  /** This host does not want it now, or it is not a thing that a peer may ask for (EX_NOPERM). */
  refused: 77,
} as const;

/** The longest line that is read, in bytes. */
export const MAX_RESULT_LINE_BYTES = 65_536;

const wholeNumber = z.number().int().min(0);
const stamp: z.ZodType<AstdbStamp> = z.object({
  epoch: wholeNumber,
  origin: z.enum(["master", "slave"]),
  snapshotWallMs: z.number(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  size: wholeNumber,
});

const receivedSet = z.object({
  snapshotWallMs: z.number().nullable(),
  epoch: wholeNumber.nullable(),
  lastError: z.string().nullable(),
});

/** Answer to `hello`. */
export const helloSchema = z.object({
  ok: z.literal(true),
  role: z.enum(["master", "slave"]),
  fingerprint: z.string(),
  /** Null: the daemon of that host does not answer. */
  daemon: z.object({
    state: z.enum(STATE_NAMES),
    epoch: wholeNumber,
    serving: z.boolean(),
  }).nullable(),
  astdb: z.object({
    live: stamp.nullable(),
    received: stamp.nullable(),
    /** Which of the two `get astdb` gives. */
    newest: z.enum(["live", "received"]).nullable(),
    /** Why there is no `live`. */
    fault: z.string().nullable(),
  }),
  received: z.partialRecord(z.enum(DATA_SET_NAMES), receivedSet),
});

/** What the peer has, and what it is. */
export interface Hello extends z.infer<typeof helloSchema> {}

/** State of the daemon on the receiving host. */
export interface DaemonSelf {
  readonly role: Role;
  readonly state: StateName;
  readonly epoch: number;
  readonly serving: boolean;
}

/** Last line of `put` and `rsync`-free verbs that went well. */
export interface PutResult {
  readonly size: number;
  readonly sha256: string;
  readonly detail: SetDetail;
}

const progressLine = z.object({
  progress: z.object({
    phase: z.string(),
    bytes: z.number(),
    totalBytes: z.number().nullable(),
    tablesDone: z.number().optional(),
    tablesTotal: z.number().optional(),
  }),
});
const failureLine = z.object({
  ok: z.literal(false),
  kind: z.enum(["refused", "failed", "badData"]),
  reason: z.string(),
});
const putLine = z.object({
  ok: z.literal(true),
  size: wholeNumber,
  sha256: z.string(),
  detail: z.record(z.string(), z.union([z.string(), z.number()])),
});

/** One line of the protocol. */
export type RemoteLine =
  | { readonly progress: SetProgress }
  | { readonly ok: false; readonly kind: "refused" | "failed" | "badData"; readonly reason: string }
  | ({ readonly ok: true } & PutResult)
  | FactsAnswer
  /** Answer to `return database`. */
  | { readonly ok: true; readonly returned: ReturnOutcome }
  /** Answer to `stream`; what it must be depends on the request. */
  | { readonly ok: true; readonly stream: object }
  /** Answer to `key`. */
  | { readonly ok: true; readonly key: object }
  | FileSums
  | Hello;

const returnedLine = z.object({ ok: z.literal(true), returned: returnOutcomeSchema });
const keyLine = z.object({ ok: z.literal(true), key: z.looseObject({}) });
const streamLine = z.object({ ok: z.literal(true), stream: z.looseObject({}) });

const lineSchema = z.union([
  progressLine,
  failureLine,
  returnedLine,
  streamLine,
  keyLine,
  helloSchema,
  factsSchema,
  fileSumsSchema,
  putLine,
]);

/**
 * Parses one line.
 *
 * @throws {SyntaxError} or a zod error when it is not a line of the protocol
 */
export function parseRemoteLine(line: Uint8Array): RemoteLine {
  return lineSchema.parse(JSON.parse(new TextDecoder().decode(line)));
}

/** One line as bytes, with its line feed. */
export function encodeRemoteLine(line: RemoteLine): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(line) + "\n");
}
