/**
 * Acting as another system user for a moment, where the kernel looks at the process and a child would cost
 * a whole program: `connect(2)` on a Unix socket, whose listener reads the caller's uid (SO_PEERCRED).
 *
 * @module
 */

import { lastErrno, libc } from "./libc.ts";

/**
 * Runs `work` with the effective uid of another user, in every thread of this process (glibc sees to that),
 * and returns to root. Only for a process that does nothing else meanwhile: `relais receive`, never the
 * daemon.
 *
 * @throws {Error} when the kernel refuses; what `work` throws
 */
export async function asEffectiveUser<T>(uid: number, work: () => Promise<T>): Promise<T> {
  if (uid === Deno.uid()) return await work();
  change(uid);
  try {
    return await work();
  } finally {
    change(0);
  }
}

function change(uid: number): void {
  if (libc().seteuid(uid) !== 0) {
    throw new Error(`Cannot act as the user ${uid}: seteuid failed with errno ${lastErrno()}`);
  }
}
