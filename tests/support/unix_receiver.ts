/**
 * A real receiver of Unix datagrams for tests: a socket of the kernel's, bound to a path or to an
 * abstract name (`@name`).
 *
 * @module
 */

import {
  bindSocket,
  closeSocket,
  NOTHING,
  openSocket,
  receiveFrom,
  SOCK_DGRAM,
} from "../../src/os/socket.ts";
import { AF_UNIX, encodeUnixAddress } from "../../src/os/unix_datagram.ts";

/** Bound to its name until disposed; a path is removed then. */
export class UnixReceiver implements Disposable {
  readonly #fd: number;
  readonly #name: string;

  /** Binds to `name`: a path, or `@name` for an abstract socket. */
  constructor(name: string) {
    this.#name = name;
    this.#fd = openSocket({ domain: AF_UNIX, type: SOCK_DGRAM, protocol: 0 }, name);
    bindSocket(this.#fd, encodeUnixAddress(name), name);
  }

  /** The datagrams that wait, oldest first, as bytes. */
  takeAll(): Uint8Array[] {
    const taken: Uint8Array[] = [];
    for (;;) {
      const buffer = new Uint8Array(1 << 18);
      const count = receiveFrom(this.#fd, buffer, new Uint8Array(110));
      if (count === NOTHING) return taken;
      if (count < 0) throw new Error(`Cannot receive from ${this.#name}: errno ${-count}`);
      taken.push(buffer.slice(0, count));
    }
  }

  /** The datagrams that wait, oldest first, as text. */
  takeText(): string[] {
    return this.takeAll().map((datagram) => new TextDecoder().decode(datagram));
  }

  [Symbol.dispose](): void {
    closeSocket(this.#fd);
    if (!this.#name.startsWith("@")) Deno.removeSync(this.#name);
  }
}
