/**
 * Is a packet to a closed port refused in words, or not answered at all? That is the difference that the
 * shield makes for a phone.
 *
 * @module
 */

import { closeSocket } from "../../src/os/socket.ts";
import { ipBytes } from "../../src/os/ip_bytes.ts";
import {
  AF_INET,
  AF_INET6,
  connectSocket,
  ECONNREFUSED,
  internetAddress,
  openSocket,
  receiveFrom,
  sendTo,
  setOption,
  SOCK_DGRAM,
} from "./blocking_socket.ts";
import type { Netns } from "./netns_min.ts";

const SOCK_STREAM = 1;
const SOL_SOCKET = 1;
const SO_SNDTIMEO = 21;

/** One UDP flow from a namespace to a port where nobody listens. */
export class UdpCaller {
  readonly #fd: number;

  constructor(from: Netns, to: { readonly address: string; readonly port: number }) {
    const address = ipBytes(to.address);
    this.#fd = from.within(() => {
      const fd = openSocket(address.length === 4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0);
      connectSocket(fd, internetAddress(address, to.port));
      return fd;
    });
  }

  /** Sends a datagram. */
  call(): void {
    sendTo(this.#fd, new TextEncoder().encode("OPTIONS"), null);
  }

  /** An ICMP "port unreachable" has come since the last look. */
  wasRefused(): boolean {
    return receiveFrom(this.#fd) === ECONNREFUSED;
  }

  [Symbol.dispose](): void {
    closeSocket(this.#fd);
  }
}

/** A TCP connection to a port where nobody listens is refused, within 300 ms (else: not answered). */
export function isTcpRefused(
  from: Netns,
  to: { readonly address: string; readonly port: number },
): boolean {
  const address = ipBytes(to.address);
  return from.within(() => {
    const fd = openSocket(address.length === 4 ? AF_INET : AF_INET6, SOCK_STREAM, 0);
    try {
      const timeval = new Uint8Array(new BigInt64Array([0n, 300_000n]).buffer);
      setOption(fd, { level: SOL_SOCKET, name: SO_SNDTIMEO, value: timeval });
      connectSocket(fd, internetAddress(address, to.port));
      throw new TypeError("Cannot be: nobody listens there");
    } catch (error) {
      if (error instanceof TypeError) throw error;
      return `${error}`.includes(`errno is ${ECONNREFUSED}`);
    } finally {
      closeSocket(fd);
    }
  });
}
