/**
 * An exclusive lock on a file, flock(2): the kernel gives it back when the process is gone, however it
 * went. `Deno.FsFile.lock` would do so too; but this descriptor is also inherited by the programs that are
 * started while the lock is held, so that what a killed process left behind (an rsync that still writes)
 * holds it until it is gone as well.
 *
 * @module
 */

import { lastErrno, libc } from "./libc.ts";
import { errnoName } from "./socket.ts";

/** O_CREAT | O_RDWR of <asm-generic/fcntl.h>; without O_CLOEXEC. */
const OPEN_FLAGS = 0o100 | 0o2;
const MODE = 0o600;
/** LOCK_EX | LOCK_NB of flock(2). */
const EXCLUSIVE_NOW = 2 | 4;
const EINTR = 4;
/** EWOULDBLOCK. */
const EAGAIN = 11;

/** A lock that is held. */
export class FileLock {
  readonly #fd: number;
  #released = false;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * Takes the lock without waiting. The file is made if it is not there (mode 0600, empty) and stays: to
   * remove it would let two hold locks on two files of one name.
   *
   * @returns null: somebody else holds it
   * @throws {Error} when the file can't be opened or locked, e.g. its folder does not exist
   */
  static tryTake(path: string): FileLock | null {
    const { open, flock, close } = libc();
    const fd = open(new TextEncoder().encode(`${path}\0`), OPEN_FLAGS, MODE);
    if (fd < 0) throw new Error(`Cannot open ${path} as the kernel says ${errnoName(lastErrno())}`);
    let errno: number;
    do {
      if (flock(fd, EXCLUSIVE_NOW) === 0) return new FileLock(fd);
      errno = lastErrno();
    } while (errno === EINTR);
    close(fd);
    if (errno === EAGAIN) return null;
    throw new Error(`Cannot lock ${path} as the kernel says ${errnoName(errno)}`);
  }

  /** Gives the lock back as far as this process holds it; idempotent. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    libc().close(this.#fd);
  }
}
