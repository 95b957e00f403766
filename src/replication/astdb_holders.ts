/**
 * Who has the astdb open: a replaced file makes every later write of a running Asterisk fail, and a unit
 * that is stopped does not prove that none runs (started by hand, in a screen, under another unit).
 *
 * @module
 */

import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** A process that has the file open. */
export interface Holder {
  readonly pid: number;
  /** Its name, e.g. `asterisk`. */
  readonly name: string;
}

/**
 * Looks through `/proc/<pid>/fd` of every process but this one for the file (device and inode). Takes a few
 * milliseconds on a host with some hundred processes. Processes of other users that this one may not look
 * into are passed over: relais runs as root.
 *
 * @returns the first one found; null: nobody, or there is no file
 */
export function findHolder(path: string, proc = "/proc"): Holder | null {
  const file = identity(path);
  if (file === null) return null;
  for (const entry of names(proc)) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid <= 0 || pid === Deno.pid) continue;
    for (const fd of names(join(proc, entry, "fd"))) {
      if (identity(join(proc, entry, "fd", fd)) === file) return { pid, name: nameOf(proc, pid) };
    }
  }
  return null;
}

function identity(path: string): string | null {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return null; // Gone, or a descriptor of another kind.
  }
}

function names(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // It has ended, or is not ours to look into.
  }
}

function nameOf(proc: string, pid: number): string {
  try {
    return Deno.readTextFileSync(join(proc, String(pid), "comm")).trim();
  } catch {
    return "a process that has just ended";
  }
}
