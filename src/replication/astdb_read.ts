/**
 * Takes a snapshot of a live astdb without ever taking SQLite's lock: Asterisk has no busy timeout and
 * rolls back the registrations of the last second when its commit finds the file locked. So: two plain
 * reads that agree, no commit seen meanwhile, `integrity_check` on the copy.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readSync,
} from "node:fs";
import { join } from "node:path";
import type { Clock } from "../os/clock.ts";
import {
  type AstdbFormat,
  detectFormat,
  findBerkeleyFault,
  findCorruption,
  isHotJournal,
  recoverCopy,
} from "./astdb_format.ts";

/** An astdb is read into memory; larger files are refused. */
export const MAX_ASTDB_BYTES = 128 * 1024 * 1024;

/** Between the two reads: longer than the writing of a commit's pages. */
const SETTLE_MS = 10;
/** Tries of a live read; each waits longer than the last, together about 4 s. */
const MAX_TRIES = 30;

/** A sound copy in memory. */
export interface AstdbSnapshot {
  readonly bytes: Uint8Array;
  readonly format: AstdbFormat;
  /** Hex SHA-256 of `bytes`. */
  readonly sha256: string;
  /** When reading began, on this host's wall clock. */
  readonly snapshotWallMs: number;
  /** Time of the file's last change, on this host's wall clock. */
  readonly changedWallMs: number;
  /** {@linkcode astdbSignature} of the file as it was read. */
  readonly signature: string;
}

/** Why there is no snapshot. */
export type AstdbFault =
  /** There is no file. */
  | "missing"
  /** Not a regular file, too large, or neither SQLite nor Berkeley DB (empty files too). */
  | "unusable"
  /** The copy fails `integrity_check` each time. */
  | "corrupt"
  /** It changed during each of the tries. */
  | "unsettled";

/** A snapshot, or why not, in words. */
export type AstdbReadResult =
  | { readonly ok: true; readonly snapshot: AstdbSnapshot }
  | { readonly ok: false; readonly fault: AstdbFault; readonly reason: string };

/** Options of {@linkcode readAstdb}. */
export interface AstdbReadOptions {
  /** The live file. It is only ever read. */
  readonly path: string;
  /** Directory of our own (0700) for the copy that is checked. */
  readonly workDir: string;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  /**
   * The caller knows that the services are stopped: a journal that a crash left behind is applied to
   * the copy, so that the snapshot is what Asterisk would see when it starts.
   */
  readonly atRest: boolean;
}

/** Changes whenever the file does (inode, size, nanoseconds of change); null: there is no file. */
export function astdbSignature(path: string): string | null {
  try {
    const info = lstatSync(path, { bigint: true });
    return `${info.ino}:${info.size}:${info.mtimeNs}`;
  } catch (cause) {
    if ((cause as { readonly code?: unknown }).code === "ENOENT") return null;
    throw cause;
  }
}

/**
 * Takes one snapshot.
 *
 * @throws when the file or `workDir` can't be read or written (permissions, disk), or on abort
 */
export async function readAstdb(options: AstdbReadOptions): Promise<AstdbReadResult> {
  await Deno.mkdir(options.workDir, { recursive: true, mode: 0o700 });
  let last: AstdbReadResult = unsettled(options.path);
  for (let attempt = 1; attempt <= MAX_TRIES; attempt++) {
    last = await readOnce(options);
    if (last.ok || last.fault === "missing" || last.fault === "unusable") return last;
    if (last.fault === "corrupt" && attempt >= 5) return last; // A torn read heals in a try or two.
    await options.clock.sleep(Math.min(7 * attempt, 250), options.signal);
  }
  return last;
}

async function readOnce(options: AstdbReadOptions): Promise<AstdbReadResult> {
  const { path, clock } = options;
  const snapshotWallMs = clock.wallMs();
  const first = readWhole(path);
  if (!("bytes" in first)) return first;
  await clock.sleep(SETTLE_MS, options.signal);
  const second = readWhole(path);
  if (!("bytes" in second)) return second;
  const still = first.signature === second.signature && astdbSignature(path) === first.signature;
  if (!still || !equalBytes(first.bytes, second.bytes)) return unsettled(path);
  const format = detectFormat(first.bytes);
  if (format === null) {
    return { ok: false, fault: "unusable", reason: `${path} is neither SQLite nor Berkeley DB` };
  }
  let bytes: Uint8Array = first.bytes;
  if (format === "berkeley") {
    const fault = findBerkeleyFault(bytes, bytes.length);
    const reason = `the copy of ${path} is damaged: ${fault}`;
    if (fault !== null) return { ok: false, fault: "corrupt", reason };
  }
  if (format === "sqlite") {
    if (!options.atRest && journalIsHot(path)) return unsettled(path);
    const checked = checkCopy(bytes, options);
    if (typeof checked === "string") {
      return { ok: false, fault: "corrupt", reason: `the copy of ${path} is damaged: ${checked}` };
    }
    bytes = checked;
  }
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const { changedWallMs, signature } = first;
  return {
    ok: true,
    snapshot: { bytes, format, sha256, snapshotWallMs, changedWallMs, signature },
  };
}

interface WholeFile {
  readonly bytes: Uint8Array;
  readonly signature: string;
  readonly changedWallMs: number;
}

function readWhole(path: string): WholeFile | (AstdbReadResult & { readonly ok: false }) {
  let fd: number;
  let seen: BigIntStats;
  try {
    // The asterisk user owns the directory: a link or a pipe is no astdb. O_NOFOLLOW is not enough, as
    // Deno with narrow permissions resolves links before it opens.
    seen = lstatSync(path, { bigint: true });
    if (!seen.isFile()) return { ok: false, fault: "unusable", reason: `${path} is not a file` };
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    const code = (cause as { readonly code?: unknown }).code;
    if (code === "ENOENT") return { ok: false, fault: "missing", reason: `there is no ${path}` };
    throw cause;
  }
  try {
    const info = fstatSync(fd, { bigint: true });
    if (info.ino !== seen.ino || info.dev !== seen.dev) return unsettled(path);
    if (info.size > MAX_ASTDB_BYTES) {
      return { ok: false, fault: "unusable", reason: `${path} has ${info.size} bytes: too large` };
    }
    const bytes = new Uint8Array(Number(info.size));
    for (let at = 0; at < bytes.length;) {
      const got = readSync(fd, bytes, at, bytes.length - at, at);
      if (got === 0) return unsettled(path);
      at += got;
    }
    const signature = `${info.ino}:${info.size}:${info.mtimeNs}`;
    return { bytes, signature, changedWallMs: Number(info.mtimeNs / 1_000_000n) };
  } finally {
    closeSync(fd);
  }
}

/** Checks the copy on disk; at rest it first takes in what a crash left. Returns bytes or the fault. */
function checkCopy(bytes: Uint8Array, options: AstdbReadOptions): Uint8Array | string {
  const copy = join(options.workDir, `astdb-${crypto.randomUUID()}.sqlite3`);
  try {
    Deno.writeFileSync(copy, bytes, { createNew: true, mode: 0o600 });
    if (!options.atRest) return findCorruption(copy) ?? bytes;
    let left = false;
    for (const suffix of ["-journal", "-wal"]) {
      const beside = readWhole(`${options.path}${suffix}`);
      if (!("bytes" in beside) || beside.bytes.length === 0) continue;
      Deno.writeFileSync(`${copy}${suffix}`, beside.bytes, { createNew: true, mode: 0o600 });
      left = true;
    }
    if (!left) return findCorruption(copy) ?? bytes;
    const fault = recoverCopy(copy) ?? findCorruption(copy);
    return fault ?? Deno.readFileSync(copy);
  } finally {
    for (const suffix of ["", "-journal", "-wal", "-shm"]) removeQuietly(`${copy}${suffix}`);
  }
}

function journalIsHot(path: string): boolean {
  const journal = readWhole(`${path}-journal`);
  return "bytes" in journal && isHotJournal(journal.bytes);
}

function unsettled(path: string): AstdbReadResult & { readonly ok: false } {
  return { ok: false, fault: "unsettled", reason: `${path} changed during each reading` };
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function removeQuietly(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
  }
}
