/**
 * Puts an astdb in place. Only while Asterisk is stopped: under a running one every later write fails.
 *
 * @module
 */

import { createHash } from "node:crypto";
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fsyncSync,
  lstatSync,
  openSync,
  readFileSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { detectFormat, findBerkeleyFault, findCorruption } from "./astdb_format.ts";
import { findHolder } from "./astdb_holders.ts";
import { removeIfThere, syncPath } from "../os/durable_file.ts";

/** The copy was not put in place; the live file is as it was. */
export class AstdbInstallError extends Error {
  override readonly name = "AstdbInstallError";
}

/** Options of {@linkcode installAstdb}. */
export interface AstdbInstallOptions {
  /** The live file. */
  readonly path: string;
  /** A whole copy in a directory of our own (a spool generation). */
  readonly from: string;
  /** Hex SHA-256 that `from` must have. */
  readonly sha256: string;
  /** Owner if there is no live file; default: the owner of its directory. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/**
 * Replaces the live astdb by `from`: temporary file beside it, flushed, journal of the old one removed,
 * rename. Owner and mode of the old file stay.
 *
 * @throws {AstdbInstallError} when the copy is not sound, the place not fit, or a process has the astdb open
 */
export async function installAstdb(options: AstdbInstallOptions): Promise<void> {
  const { path, from } = options;
  const bytes = soundCopy(options);
  const directory = dirname(path);
  const place = ownerAndMode(options, directory);
  await refuseWhileOpen(path);
  await removeLeftovers(path);
  const temporary = join(directory, `${temporaryPrefix(path)}${crypto.randomUUID()}`);
  try {
    writeExclusively(temporary, bytes, place);
    if (digest(readNoFollow(temporary)) !== options.sha256) {
      throw new AstdbInstallError(`Cannot install ${from} as it was not written to disk unchanged`);
    }
    await refuseWhileOpen(path); // It may have been started meanwhile.
    // A journal that a crash left would be rolled back into the new file. It goes first: a cut between
    // here and the rename leaves the old file, and the copy is installed at the next attempt.
    for (const suffix of ["-journal", "-wal", "-shm"]) await removeIfThere(`${path}${suffix}`);
    await syncPath(directory);
    await Deno.rename(temporary, path);
  } catch (cause) {
    await removeIfThere(temporary);
    throw cause;
  }
  await syncPath(directory);
}

/** Whatever the unit says: a running Asterisk would lose every later write. */
async function refuseWhileOpen(path: string): Promise<void> {
  const holder = await findHolder(path);
  if (holder === null) return;
  throw new AstdbInstallError(
    `Cannot install the astdb as ${holder.name} (process ${holder.pid}) has it open: stop it first`,
  );
}

/** Removes temporary files of an installation that was killed. */
async function removeLeftovers(path: string): Promise<void> {
  const prefix = temporaryPrefix(path);
  for await (const entry of Deno.readDir(dirname(path))) {
    if (entry.name.startsWith(prefix)) await removeIfThere(join(dirname(path), entry.name));
  }
}

function temporaryPrefix(path: string): string {
  return `.${basename(path)}.relais-`;
}

function soundCopy({ from, sha256 }: AstdbInstallOptions): Uint8Array {
  const bytes = readNoFollow(from);
  const format = detectFormat(bytes);
  const fault = digest(bytes) !== sha256
    ? "its digest differs"
    : format === null
    ? "it is neither SQLite nor Berkeley DB"
    : format === "sqlite"
    ? findCorruption(from)
    : findBerkeleyFault(bytes, bytes.length);
  if (fault === null) return bytes;
  throw new AstdbInstallError(`Cannot install ${from} as ${fault}: the astdb in place is kept`);
}

interface OwnerAndMode {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

function ownerAndMode({ path, owner }: AstdbInstallOptions, directory: string): OwnerAndMode {
  try {
    const info = lstatSync(path);
    if (!info.isFile()) {
      throw new AstdbInstallError(
        `Cannot install the astdb as ${path} is not a regular file: remove it`,
      );
    }
    return { uid: info.uid, gid: info.gid, mode: info.mode & 0o777 };
  } catch (cause) {
    if ((cause as { readonly code?: unknown }).code !== "ENOENT") throw cause;
  }
  try {
    const { uid, gid } = owner ?? lstatSync(directory);
    return { uid, gid, mode: 0o644 };
  } catch (cause) {
    throw new AstdbInstallError(
      `Cannot install the astdb as ${directory} can't be read: is Asterisk installed here?`,
      { cause },
    );
  }
}

/** O_EXCL and descriptors throughout: the asterisk user owns the directory and must not redirect us. */
function writeExclusively(path: string, bytes: Uint8Array, place: OwnerAndMode): void {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const fd = openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
    // The mode while the file is ours: of another's it needs CAP_FOWNER, which the daemon has not.
    fchmodSync(fd, place.mode);
    fchownSync(fd, place.uid, place.gid);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function readNoFollow(path: string): Uint8Array {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
