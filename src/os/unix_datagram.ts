/**
 * Sends datagrams to Unix sockets (systemd's notify socket, the journal) with libc. Deno's own
 * `listenDatagram` is unstable, must be bound to a file and can't reach abstract sockets (`@name`);
 * this needs neither, never blocks and leaves nothing behind.
 *
 * @module
 */

import { closeSocket, openSocket, sendTo, SOCK_DGRAM } from "./socket.ts";

/** Address family of Unix sockets, unix(7). */
export const AF_UNIX = 1;
/** `sun_path` of unix(7), in bytes. */
const SUN_PATH_BYTES = 108;
const EBADF = 9;

/**
 * `struct sockaddr_un` for a path, or for the abstract name after a leading `@`.
 *
 * @throws {RangeError} when the name is empty or longer than 107 bytes
 */
export function encodeUnixAddress(name: string): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length === 0 || bytes.length >= SUN_PATH_BYTES) {
    throw new RangeError(
      `Cannot address the Unix socket "${name}" as its name has ${bytes.length} bytes: 1 to 107 fit`,
    );
  }
  const abstract = bytes[0] === 0x40;
  if (abstract) bytes[0] = 0;
  // A path ends in a zero byte; an abstract name ends where the length says, and may hold zeros.
  const address = new Uint8Array(2 + bytes.length + (abstract ? 0 : 1));
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(bytes, 2);
  return address;
}

/**
 * A sender of datagrams to one Unix socket; the socket is looked up anew for each datagram, so its owner
 * may restart.
 */
export class UnixDatagramSender {
  readonly #address: Uint8Array<ArrayBuffer>;
  readonly #fd: number;
  #closed = false;

  /**
   * @param name path of the socket, or `@name` for an abstract one
   * @throws {RangeError} when the name does not fit
   * @throws {SocketError} when the kernel gives no socket
   */
  constructor(name: string) {
    this.#address = encodeUnixAddress(name);
    this.#fd = openSocket({ domain: AF_UNIX, type: SOCK_DGRAM, protocol: 0 }, name);
  }

  /** Sends one datagram without waiting. Returns 0, or the errno of sendto(2): it was not sent. */
  send(data: Uint8Array<ArrayBuffer>): number {
    if (this.#closed) return EBADF;
    return sendTo(this.#fd, data, { address: this.#address });
  }

  /** Gives the socket back; idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSocket(this.#fd);
  }
}
