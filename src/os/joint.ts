/**
 * Joins two programs directly: a pipe of the kernel whose ends become the output of the one and the input
 * of the other, so that what flows between them does not pass through relais.
 *
 * @module
 */

import { closeSync, constants, openSync } from "node:fs";
import { lstat, mkdtemp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "./clock.ts";
import { runOk } from "./process.ts";

/** The two ends of a pipe; whoever gets them must close them. */
export interface Joint {
  /** Output of the first program, for {@linkcode Deno.CommandOptions} (see {@linkcode asStdio}). */
  readonly writer: number;
  /** Input of the second program. */
  readonly reader: number;
  /**
   * Closes both here, once the programs have them: only then does the reader see the end of what the
   * writer says, and the writer that nobody reads any more. Does nothing the second time.
   */
  close(): void;
}

const PREFIX = "relais-joint-";

/** How long `mkfifo` may take, in milliseconds. */
const MKFIFO_DEADLINE_MS = 5000;

/** A directory of this age was left behind by a relais that was killed, in milliseconds. */
const LEFT_BEHIND_MS = 60_000;

/**
 * Makes a pipe. It has a name only for a moment, in a private directory below `parent`: both ends are
 * opened here (an end that reads and writes first: opening then waits for nobody), and the name is removed
 * before any program starts. What a killed relais left is removed by the next call.
 *
 * @throws {ToolMissingError | ToolFailedError | ToolTimeoutError} when `mkfifo` fails
 * @throws {Error} when `parent` cannot be written to
 */
export async function openJoint(parent = "/tmp"): Promise<Joint> {
  await removeLeftBehind(parent);
  const directory = await mkdtemp(join(parent, PREFIX));
  try {
    const path = join(directory, "pipe");
    await runOk(["mkfifo", "-m", "600", path], { deadlineMs: MKFIFO_DEADLINE_MS });
    const opened: number[] = [];
    try {
      const open = (mode: number): number => {
        const end = openSync(path, mode);
        opened.push(end);
        return end;
      };
      const both = open(constants.O_RDWR);
      const reader = open(constants.O_RDONLY);
      const writer = open(constants.O_WRONLY);
      opened.splice(0, 1);
      closeSync(both);
      return { reader, writer, close: () => opened.splice(0).forEach((end) => closeSync(end)) };
    } catch (error) {
      for (const end of opened) closeSync(end);
      throw error;
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/**
 * An end of a joint where `Deno.CommandOptions` wants "piped" or "null". Deno takes the number of an open
 * file there (its `node:child_process` rests on it), but does not say so in its types; joint_test.ts holds
 * the pinned Deno to it.
 */
export function asStdio(end: number): "piped" {
  return end as unknown as "piped";
}

/** Only what is ours and old: a sticky /tmp keeps others from putting anything in its place. */
async function removeLeftBehind(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.startsWith(PREFIX)) continue;
    const path = join(parent, name);
    const found = await lstat(path).catch(() => null); // Another relais has just removed it.
    if (found === null || !found.isDirectory() || found.uid !== Deno.uid()) continue;
    if (systemClock.wallMs() - found.mtimeMs < LEFT_BEHIND_MS) continue;
    await rm(path, { recursive: true, force: true });
  }
}
