/**
 * Files that survive a power cut whole: written aside, flushed, renamed, and the directory flushed.
 *
 * @module
 */

import { dirname } from "node:path";
import { writeAll } from "./write_all.ts";

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

/**
 * As {@linkcode writeFileAtomically}, at once, for small files that have one writer: what a crash leaves aside
 * is written over by the next call.
 *
 * @param options.sync whether it must survive a power cut; without, it is atomic for readers only
 * @param options.mode of the new file, less the umask; default: its owner only
 * @throws what the disk says
 */
export function writeSmallFile(
  path: string,
  text: string,
  { sync, mode = 0o600 }: { readonly sync: boolean; readonly mode?: number },
): void {
  const temporary = `${path}.tmp`;
  const file = Deno.openSync(temporary, { write: true, create: true, truncate: true, mode });
  try {
    const bytes = new TextEncoder().encode(text);
    for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
    if (sync) file.syncDataSync();
  } finally {
    file.close();
  }
  Deno.renameSync(temporary, path);
  if (!sync) return;
  const directory = Deno.openSync(dirname(path), { read: true });
  try {
    directory.syncSync();
  } finally {
    directory.close();
  }
}

/** The name beside a file under which what was there before is kept: `FILE.20261130T120000.old`. */
export function oldName(path: string, wallMs: number): string {
  const stamp = new Date(wallMs).toISOString().replaceAll(/[-:]|\..*/g, "");
  return `${path}.${stamp}.old`;
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
