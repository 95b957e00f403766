/**
 * A UDP socket that hears of its failures: IP_RECVERR of ip(7), IPV6_RECVERR of ipv6(7).
 *
 * It is not connected. connect(2) would tell of a closed port too, but it remembers one source address
 * and takes datagrams from exactly the address that was asked only. A server that listens on every
 * address answers an interface's secondary address from its primary one (tried: 127.0.0.2 is answered
 * from 127.0.0.1), which a connected socket never gets to hear; and the remembered source goes stale
 * when addresses change. Unconnected, source and route are looked up anew for every datagram.
 *
 * @module
 */

import { decodeSocketAddress, encodeSocketAddress, type SocketAddress } from "./socket_address.ts";
import {
  AF_INET,
  AF_INET6,
  bindSocket,
  closeSocket,
  openSocket,
  receiveFrom,
  receiveReturned,
  sendTo,
  setSocketOption,
  SOCK_DGRAM,
  socketName,
  takeSocketError,
} from "./socket.ts";

// <linux/in.h>, <linux/in6.h>.
const IPPROTO_IP = 0;
const IP_RECVERR = 11;
const IPPROTO_IPV6 = 41;
const IPV6_RECVERR = 25;

/** See the module. Nonblocking; give `fd` to the poller. */
export class UdpSocket {
  readonly fd: number;
  /** The port that answers come to. */
  readonly port: number;
  readonly #to: Uint8Array<ArrayBuffer>;
  #closed = false;

  /**
   * @param to whom to send to
   * @param source 4 or 16 zeros: the kernel chooses for each datagram; a loopback address: no other host
   * can reach the socket
   * @throws {SocketError} e.g. `EAFNOSUPPORT` without IPv6, `EADDRNOTAVAIL` for a foreign source
   */
  constructor(to: SocketAddress, source: Uint8Array, purpose: string) {
    const v4 = to.address.length === 4;
    const domain = v4 ? AF_INET : AF_INET6;
    this.#to = encodeSocketAddress(to);
    this.fd = openSocket({ domain, type: SOCK_DGRAM, protocol: 0 }, purpose);
    try {
      setSocketOption(this.fd, {
        level: v4 ? IPPROTO_IP : IPPROTO_IPV6,
        name: v4 ? IP_RECVERR : IPV6_RECVERR,
        value: Uint8Array.of(1, 0, 0, 0),
      }, "that errors are reported");
      bindSocket(this.fd, encodeSocketAddress({ address: source, port: 0 }), purpose);
      this.port = decodeSocketAddress(socketName(this.fd)).port;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Sends one datagram without waiting. Returns 0, or the errno of the failure: it was not sent. */
  send(bytes: Uint8Array<ArrayBuffer>): number {
    // An error that came for an earlier datagram would otherwise be told as this one's.
    takeSocketError(this.fd);
    return sendTo(this.fd, bytes, { address: this.#to });
  }

  /**
   * Takes one datagram without waiting; longer ones are cut at the end of `buffer`.
   *
   * @returns its length, `NOTHING` of `socket.ts`, or another minus errno
   */
  receive(buffer: Uint8Array<ArrayBuffer>): number {
    return receiveFrom(this.fd, buffer);
  }

  /**
   * Takes the beginning of a datagram of ours that could not be delivered: as much as the host that
   * refused it sent back (RFC 1812 section 4.3.2.3: 576 bytes less headers; never less than 8). The poller
   * tells that there are such, and why.
   *
   * @returns the length written to `buffer`; null: no more of them
   */
  takeReturned(buffer: Uint8Array<ArrayBuffer>): number | null {
    const length = receiveReturned(this.fd, buffer);
    return length < 0 ? null : length;
  }

  /** Closes the descriptor; idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSocket(this.fd);
  }
}
