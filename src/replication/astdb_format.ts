/**
 * What kind of file an astdb is and whether it is sound. SQLite since Asterisk 10, Berkeley DB 1.85
 * before; the latter is copied as an opaque file.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import { messageOf } from "../os/errors.ts";

/** `berkeley`: Asterisk 1.8 and older. */
export type AstdbFormat = "sqlite" | "berkeley";

const SQLITE_MAGIC = new TextEncoder().encode("SQLite format 3\0");
/** Magic numbers of Berkeley DB 1.85 (db.h: BTREEMAGIC, HASHMAGIC), in either byte order. */
const BERKELEY_MAGICS: readonly number[] = [0x053162, 0x061561];
/** Magic of an SQLite rollback journal whose pages may be in the database file (fileformat2, 3). */
const JOURNAL_MAGIC = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];

/** The format by its first bytes; null: neither (an empty file is neither). */
export function detectFormat(bytes: Uint8Array): AstdbFormat | null {
  if (SQLITE_MAGIC.every((byte, at) => bytes[at] === byte)) return "sqlite";
  if (bytes.length < 4) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = [view.getUint32(0, false), view.getUint32(0, true)];
  return found.some((magic) => BERKELEY_MAGICS.includes(magic)) ? "berkeley" : null;
}

/**
 * What can be said of a Berkeley DB without its library: a B-tree (what Asterisk makes) says its page size in
 * its first page (btree.h of 1.85: magic, version, psize) and consists of whole pages.
 *
 * @param head first 12 bytes
 * @param size of the whole file
 * @returns null when nothing is wrong, otherwise what is
 */
export function findBerkeleyFault(head: Uint8Array, size: number): string | null {
  if (head.length < 12) return "it is cut in its first page";
  const view = new DataView(head.buffer, head.byteOffset, 12);
  const little = view.getUint32(0, true) === BERKELEY_MAGICS[0];
  if (!little && view.getUint32(0, false) !== BERKELEY_MAGICS[0]) return null; // No B-tree.
  const page = view.getUint32(8, little);
  const isSize = page >= 512 && page <= 65_536 && (page & (page - 1)) === 0;
  if (!isSize) return `its pages cannot have ${page} bytes`;
  return size >= page && size % page === 0
    ? null
    : `it is cut in the middle of a page of ${page} bytes`;
}

/**
 * Whether a rollback journal starts like one whose transaction was being written into the database
 * file: SQLite fills in the magic only after the journal is on disk and before it touches the file.
 *
 * @param head first 12 bytes (fewer: not hot)
 */
export function isHotJournal(head: Uint8Array): boolean {
  if (head.length < 12 || !JOURNAL_MAGIC.every((byte, at) => head[at] === byte)) return false;
  const records = new DataView(head.buffer, head.byteOffset, 12).getUint32(8, false);
  return records !== 0 && records !== 0xffffffff; // The latter: synchronous = off, always there.
}

/**
 * `PRAGMA integrity_check` on a file that nobody else has open. Blocks this thread (about 3 ms per
 * megabyte), so only for files of the size of an astdb.
 *
 * @returns null when sound, otherwise what is wrong
 */
export function findCorruption(path: string): string | null {
  let database: DatabaseSync | null = null;
  try {
    database = new DatabaseSync(path, { readOnly: true });
    const rows = database.prepare("PRAGMA integrity_check(5)").all();
    const found = rows.map((row) => String(row["integrity_check"])).join("; ");
    return found === "ok" ? null : found.slice(0, 500);
  } catch (cause) {
    return messageOf(cause);
  } finally {
    database?.close();
  }
}

/**
 * Lets SQLite roll back a hot journal (or take in a write-ahead log) that lies beside a *copy*.
 *
 * @returns null when done, otherwise why it can't be
 */
export function recoverCopy(path: string): string | null {
  let database: DatabaseSync | null = null;
  try {
    database = new DatabaseSync(path);
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    database.prepare("SELECT count(*) FROM sqlite_master").get();
    return null;
  } catch (cause) {
    return messageOf(cause);
  } finally {
    database?.close();
  }
}
