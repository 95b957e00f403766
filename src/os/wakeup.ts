/**
 * An eventfd(2): a descriptor that becomes readable when somebody calls {@linkcode Wakeup.wake}. Ends a
 * poll(2) that runs on another thread.
 *
 * @module
 */

import { lastErrno, libc } from "./libc.ts";
import { SocketError } from "./socket.ts";

const EFD_NONBLOCK = 0x800;
const EFD_CLOEXEC = 0x80000;

/** A bell that poll(2) can hear. */
export class Wakeup {
  readonly fd: number;
  readonly #one = new BigUint64Array([1n]);
  readonly #count = new BigUint64Array(1);

  /** @throws {SocketError} when the kernel gives no descriptor */
  constructor() {
    this.fd = libc().eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (this.fd < 0) throw new SocketError("open an eventfd", lastErrno());
  }

  /** Makes {@linkcode fd} readable until {@linkcode clear}. */
  wake(): void {
    libc().write(this.fd, this.#one, 8n);
  }

  /** Takes all waits back. */
  clear(): void {
    libc().read(this.fd, this.#count, 8n);
  }

  /** Closes the descriptor. */
  close(): void {
    libc().close(this.fd);
  }
}
