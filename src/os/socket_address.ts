/**
 * `struct sockaddr_in` and `struct sockaddr_in6` as bytes: ip(7), ipv6(7).
 *
 * @module
 */

import { AF_INET, AF_INET6 } from "./socket.ts";

/** The larger of the two, bytes. */
export const SOCKADDR_MAX = 28;

/** An IP address of 4 or 16 bytes and a port, 0 where there is none. */
export interface SocketAddress {
  readonly address: Uint8Array;
  readonly port: number;
}

/** The structure for `address`; scope, flow and padding are 0. */
export function encodeSocketAddress({ address, port }: SocketAddress): Uint8Array<ArrayBuffer> {
  const v4 = address.length === 4;
  const bytes = new Uint8Array(v4 ? 16 : SOCKADDR_MAX);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, v4 ? AF_INET : AF_INET6, true);
  view.setUint16(2, port);
  bytes.set(address, v4 ? 4 : 8);
  return bytes;
}

/**
 * Reads what the kernel wrote.
 *
 * @throws {TypeError} when it is of another family, or cut
 */
export function decodeSocketAddress(bytes: Uint8Array): SocketAddress {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const family = bytes.length < 2 ? 0 : view.getUint16(0, true);
  if (family !== AF_INET && family !== AF_INET6) {
    throw new TypeError(`Cannot read the address of a socket as its family is ${family}`);
  }
  const needed = family === AF_INET ? 8 : 24;
  if (bytes.length < needed) {
    throw new TypeError(`Cannot read the address of a socket as it has ${bytes.length} bytes`);
  }
  const address = family === AF_INET ? bytes.slice(4, 8) : bytes.slice(8, 24);
  return { address, port: view.getUint16(2) };
}
