/**
 * Who has the astdb open: a replaced file makes every later write of a running Asterisk fail, and a unit
 * that is stopped does not prove that none runs (started by hand, in a screen, under another unit).
 *
 * @module
 */

import { readKernelFile } from "../os/kernel_file.ts";
import { run } from "../os/process.ts";

/** A process that has the file open. */
export interface Holder {
  readonly pid: number;
  /** Its name, e.g. `asterisk`. */
  readonly name: string;
}

const DEADLINE_MS = 3000;
/** All of `/proc` but `/proc/<pid>/fd`. */
const ELSEWHERE = ["/proc/[^0-9][^/]*", "/proc/[0-9]+/([^f][^/]*|f[^d][^/]*|fd[^/]+)"] as const;

/**
 * Looks through `/proc/<pid>/fd` of every process for the file by its name: some 10 ms on a host with a few
 * hundred processes. `find` looks, as Deno opens nothing in `/proc` with narrow permissions. To see into
 * processes of other users it needs CAP_SYS_PTRACE (packaging/systemd/relais.service); what it may not look
 * into is passed over.
 *
 * @returns the first one found; null: nobody that can be seen, or there is no file
 */
export async function findHolder(path: string): Promise<Holder | null> {
  const real = await Deno.realPath(path).catch(() => null);
  if (real === null) return null;
  const name = real.replaceAll(/[\\*?[]/g, "\\$&");
  const { stdout } = await run([
    "find",
    "/proc",
    "-maxdepth",
    "3",
    "-regextype",
    "posix-extended",
    "(",
    "-regex",
    ELSEWHERE[0],
    "-o",
    "-regex",
    ELSEWHERE[1],
    ")",
    "-prune",
    "-o",
    "-regex",
    "/proc/[0-9]+/fd/[0-9]+",
    "-lname",
    name,
    "-print",
    "-quit",
  ], { deadlineMs: DEADLINE_MS, env: { LC_ALL: "C" } }); // Status 1: some process ended meanwhile.
  const pid = Number(/^\/proc\/([0-9]+)\/fd\//m.exec(stdout)?.[1] ?? 0);
  return pid === 0 ? null : { pid, name: nameOf(pid) };
}

function nameOf(pid: number): string {
  try {
    return readKernelFile(`/proc/${pid}/comm`).trim();
  } catch {
    return "a process that has just ended";
  }
}
