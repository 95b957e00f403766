/**
 * What is written in front of and behind every copy of a data set: who took it, when, under which epoch
 * (docs/design/data.md).
 *
 * @module
 */

import { z } from "zod";
import { DATA_SET_NAMES } from "../core/types.ts";
import type { DataSetName, Role } from "../core/types.ts";

/** Longest header or trailer line, in bytes without its line feed. */
export const MAX_LINE_BYTES = 16_384;

/** Facts that belong to one kind of set (schema version, number of tables…): short and flat. */
export type SetDetail = Readonly<Record<string, string | number>>;

/** First line of a set stream. */
export interface SetHeader {
  readonly version: 1;
  readonly set: DataSetName;
  /** Epoch under which the origin served when it took the snapshot. */
  readonly epoch: number;
  /** Role of the host whose data these are. */
  readonly origin: Role;
  /** When the snapshot was taken: milliseconds since 1970 on the *origin's* wall clock. */
  readonly snapshotWallMs: number;
  /** Fingerprint of the origin's configuration (`Config.fingerprint`). */
  readonly fingerprint: string;
  readonly detail: SetDetail;
}

/** Last line of a set stream: proves that the whole payload went through. */
export interface SetTrailer {
  /** Bytes of payload. */
  readonly size: number;
  /** SHA-256 of the payload, 64 hex digits. */
  readonly sha256: string;
}

const wholeNumber = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
/** Printable text without control characters: it goes into logs and file names. */
// deno-lint-ignore no-control-regex
const shortText = z.string().max(1024).regex(/^[^\x00-\x1f\x7f]*$/);
const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/);

/** Checks a parsed header line. */
export const setHeaderSchema: z.ZodType<SetHeader> = z.strictObject({
  version: z.literal(1),
  set: z.enum(DATA_SET_NAMES),
  epoch: wholeNumber,
  origin: z.enum(["master", "slave"]),
  snapshotWallMs: wholeNumber,
  fingerprint: shortText.max(128),
  detail: z.record(shortText.max(64), z.union([shortText, z.number()]))
    .refine((detail) => Object.keys(detail).length <= 64, "at most 64 entries"),
});

/** Checks a parsed trailer line. */
export const setTrailerSchema: z.ZodType<SetTrailer> = z.strictObject({
  size: wholeNumber,
  sha256: sha256Hex,
});

/** How far a copy has come, for `status` and `sync`. */
export interface SetProgress {
  /** In a word or two: `dump`, `send`, `receive`, `restore`, `verify`, `swap`, `install`. */
  readonly phase: string;
  /** Bytes done in this phase. */
  readonly bytes: number;
  /** Bytes to do; null when unknown. */
  readonly totalBytes: number | null;
  /** Tables whose rows have arrived, and how many there are; absent where there are none. */
  readonly tablesDone?: number | undefined;
  readonly tablesTotal?: number | undefined;
  /** Added by the sender's runner: rate of the last seconds; null or absent: not known. */
  readonly bytesPerSecond?: number | null | undefined;
  /** Added by the sender's runner: an estimate of the rest of this phase in milliseconds. */
  readonly remainingMs?: number | null | undefined;
}

/** Called often; must be cheap and must not throw. */
export type OnProgress = (progress: SetProgress) => void;
