/**
 * Changes of files that can be taken back: each remembers what was there. Every file is replaced as a
 * whole (written aside, flushed, renamed), so a power cut leaves the old or the new content.
 *
 * @module
 */

import { dirname } from "node:path";
import { messageOf } from "../os/errors.ts";
import { removeIfThere, syncPath, writeFileAtomically } from "../os/durable_file.ts";

interface Undo {
  readonly path: string;
  readonly run: () => Promise<void>;
}

/** A file as it is found. */
interface Found {
  readonly text: string;
  readonly mode: number;
}

/** What was changed on this host since the last {@linkcode FileChanges.keep}. */
export class FileChanges {
  readonly #undo: Undo[] = [];

  /** Something was changed. */
  get pending(): boolean {
    return this.#undo.length > 0;
  }

  /** Makes a folder and those above it that are missing; the new ones get `mode`. */
  async makeFolder(path: string, mode: number): Promise<void> {
    if (await exists(path)) return;
    if (dirname(path) !== path) await this.makeFolder(dirname(path), 0o755);
    await Deno.mkdir(path, { mode });
    this.#remember(path, async () => await Deno.remove(path));
  }

  /**
   * Replaces the file by `text`. A symbolic link is followed, as sshd does.
   *
   * @throws {Error} what the disk says
   */
  async write(path: string, text: string, mode: number): Promise<void> {
    const target = await realPath(path);
    const before = await read(target);
    await writeFileAtomically(target, text, before === null ? mode : before.mode & mode);
    this.#remember(target, () => restore(target, before));
  }

  /** Removes the file; its absence is fine. */
  async remove(path: string): Promise<void> {
    const target = await realPath(path);
    const before = await read(target);
    if (before === null) return;
    await Deno.remove(target);
    this.#remember(target, () => restore(target, before));
    await syncPath(dirname(target));
  }

  /** Remembers a file that somebody else (ssh-keygen) has made. */
  made(path: string): void {
    this.#remember(path, () => removeIfThere(path));
  }

  /** The changes stay: they are forgotten here. */
  keep(): void {
    this.#undo.length = 0;
  }

  /**
   * Takes the changes back, the last one first.
   *
   * @returns what could not be taken back, in words; empty: all is as it was
   */
  async undo(): Promise<readonly string[]> {
    const failed: string[] = [];
    for (let last; (last = this.#undo.pop()) !== undefined;) {
      try {
        await last.run();
      } catch (cause) {
        failed.push(`Cannot put ${last.path} back as it was: ${messageOf(cause)}`);
      }
    }
    return failed;
  }

  #remember(path: string, run: () => Promise<void>): void {
    this.#undo.push({ path, run });
  }
}

async function restore(path: string, before: Found | null): Promise<void> {
  if (before === null) return await removeIfThere(path);
  await writeFileAtomically(path, before.text, before.mode);
}

async function read(path: string): Promise<Found | null> {
  try {
    const text = await Deno.readTextFile(path);
    const { mode } = await Deno.stat(path);
    return { text, mode: (mode ?? 0o600) & 0o777 };
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return null;
    throw cause;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return false;
    throw cause;
  }
}

async function realPath(path: string): Promise<string> {
  try {
    return await Deno.realPath(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return path;
    throw cause;
  }
}
