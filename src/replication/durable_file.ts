/**
 * Files that survive a power cut whole: written aside, flushed, renamed, and the directory flushed.
 *
 * @module
 */

import { dirname } from "node:path";
import { writeAll } from "../os/write_all.ts";

/**
 * Replaces `path` by `text`: readers see the old or the new content, never a mixture.
 *
 * @param mode of the new file, whatever the umask is; default: its owner only
 * @throws {Deno.errors.NotFound} when the directory does not exist, and what the disk says when full
 */
export async function writeFileAtomically(
  path: string,
  text: string,
  mode = 0o600,
): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  try {
    const file = await Deno.open(temporary, { write: true, createNew: true, mode: 0o600 });
    try {
      await writeAll(file, new TextEncoder().encode(text));
      if (mode !== 0o600) await Deno.chmod(temporary, mode);
      await file.sync();
    } finally {
      file.close();
    }
    await Deno.rename(temporary, path);
  } catch (cause) {
    await removeIfThere(temporary);
    throw cause;
  }
  await syncPath(dirname(path));
}

/** Flushes a directory, so that a rename in it survives a power cut; or a file that another program wrote. */
export async function syncPath(path: string): Promise<void> {
  const opened = await Deno.open(path, { read: true });
  try {
    await opened.sync();
  } finally {
    opened.close();
  }
}

/** Removes a file; its absence is fine, any other failure is an error. */
export async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
  }
}
