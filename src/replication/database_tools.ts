/**
 * Finds PostgreSQL's client programs. On Debian several versions stand side by side; the one of the
 * server's own major version is used, because an older pg_dump refuses a newer server and an older
 * pg_restore cannot read a newer archive.
 *
 * @module
 */

import { stat } from "node:fs/promises";
import { ToolMissingError } from "../os/process.ts";

/** Where Debian puts them, below the major version. */
export const DEBIAN_BIN = "/usr/lib/postgresql";

/** Where programs are looked for, in this order, after {@linkcode DEBIAN_BIN}. */
export const PATH_DIRECTORIES: readonly string[] = ["/usr/local/bin", "/usr/bin", "/bin"];

/**
 * Full path of a program.
 *
 * @throws {ToolMissingError} when it is in none of `directories`
 */
export async function findTool(tool: string, directories: readonly string[]): Promise<string> {
  for (const directory of directories) {
    const path = `${directory}/${tool}`;
    const found = await stat(path).catch(() => null);
    if (found?.isFile()) return path;
  }
  throw new ToolMissingError(tool);
}

/** Where the programs of a server version (e.g. 150018) are, then the usual places. */
export function toolDirectories(serverVersionNum: number): string[] {
  return [`${DEBIAN_BIN}/${majorVersion(serverVersionNum)}/bin`, ...PATH_DIRECTORIES];
}

/** Major version of `server_version_num` (PostgreSQL 10 and later). */
export function majorVersion(serverVersionNum: number): number {
  return Math.floor(serverVersionNum / 10_000);
}

/** As people write it: 150018 is 15.18. */
export function versionText(serverVersionNum: number): string {
  return `${majorVersion(serverVersionNum)}.${serverVersionNum % 10_000}`;
}
