/**
 * One reception per set at a time on a host. The daemon's permission can't tell: it says what the node is,
 * not who else is at work, and forgets with its process.
 *
 * @module
 */

import { join } from "node:path";
import type { DataSetName } from "../core/types.ts";
import type { Clock } from "../os/clock.ts";
import { FileLock } from "../os/file_lock.ts";
import { RefusedError } from "./receive_gate.ts";

/** The one before may be in its last moments, when its sender gave up and tries again at once. */
const WAIT_MS = 500;
const LOOK_EVERY_MS = 25;

/**
 * Runs `work` as the only reception of the set: no other process receives it, and nothing that a killed
 * one had started still writes.
 *
 * @throws {RefusedError} when another one goes on, after half a second; what `work` throws
 */
export async function underLock<T>(
  set: DataSetName,
  options: { readonly stateDir: string; readonly clock: Clock; readonly signal: AbortSignal },
  work: () => Promise<T>,
): Promise<T> {
  const lock = await take(set, options);
  try {
    return await work();
  } finally {
    lock.release();
  }
}

async function take(
  set: DataSetName,
  { stateDir, clock, signal }: Parameters<typeof underLock>[1],
): Promise<FileLock> {
  const folder = join(stateDir, "spool");
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, `${set}.lock`);
  for (const endMs = clock.nowMs() + WAIT_MS;; await clock.sleep(LOOK_EVERY_MS, signal)) {
    const lock = FileLock.tryTake(path);
    if (lock !== null) return lock;
    if (clock.nowMs() >= endMs) {
      throw new RefusedError(
        `Cannot take in the ${set} as another copy of it is being received here: wait for its end ` +
          `(lslocks shows the process that holds ${path})`,
      );
    }
  }
}
