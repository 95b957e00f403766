/**
 * Extends the lifetime of mounted IPv4 VIPs through rtnetlink(7), without starting a program: the one
 * thing that relais does each second for as long as it serves must neither cost a fork nor depend on one
 * (a host short of memory or processes would lose its VIPs). Everything else is `ip`'s (`manager.ts`).
 *
 * @module
 */

import { ipBytes } from "../os/ip_bytes.ts";
import {
  bindSocket,
  closeSocket,
  openSocket,
  receiveFrom,
  sendTo,
  SOCK_RAW,
} from "../os/socket.ts";

// <linux/netlink.h>, <linux/rtnetlink.h>, <linux/if_addr.h>
const AF_NETLINK = 16;
const NETLINK_ROUTE = 0;
const RTM_NEWADDR = 20;
const NLMSG_ERROR = 2;
const NLM_F_REQUEST = 0x1;
const NLM_F_ACK = 0x4;
const NLM_F_REPLACE = 0x100;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_LABEL = 3;
const IFA_CACHEINFO = 6;
const AF_INET = 2;
const HEADER_SIZE = 16;
const IFADDRMSG_SIZE = 8;

/** One mounted address and how long it shall live from now. */
export interface Lifetime {
  /** Index of the interface. */
  readonly index: number;
  /** IPv4, mounted as /32. */
  readonly address: string;
  readonly label: string;
  readonly seconds: number;
}

/** An RTM_NEWADDR message that replaces the lifetime of an address: rtnetlink(7). Pure. */
export function encodeLifetime(lifetime: Lifetime, sequence: number): Uint8Array<ArrayBuffer> {
  const address = ipBytes(lifetime.address);
  const label = new TextEncoder().encode(`${lifetime.label}\0`);
  // struct ifa_cacheinfo { ifa_prefered; ifa_valid; cstamp; tstamp; }
  const cache = new Uint8Array(new Uint32Array([lifetime.seconds, lifetime.seconds, 0, 0]).buffer);
  const attributes = [
    attribute(IFA_LOCAL, address),
    attribute(IFA_ADDRESS, address),
    attribute(IFA_LABEL, label),
    attribute(IFA_CACHEINFO, cache),
  ];
  const length = HEADER_SIZE + IFADDRMSG_SIZE +
    attributes.reduce((sum, bytes) => sum + bytes.length, 0);
  const message = new Uint8Array(length);
  const view = new DataView(message.buffer);
  // struct nlmsghdr { len; type; flags; seq; pid; }
  view.setUint32(0, length, true);
  view.setUint16(4, RTM_NEWADDR, true);
  view.setUint16(6, NLM_F_REQUEST | NLM_F_ACK | NLM_F_REPLACE, true);
  view.setUint32(8, sequence, true);
  // struct ifaddrmsg { family; prefixlen; flags; scope; index; }
  view.setUint8(HEADER_SIZE, AF_INET);
  view.setUint8(HEADER_SIZE + 1, 32);
  view.setUint32(HEADER_SIZE + 4, lifetime.index, true);
  let at = HEADER_SIZE + IFADDRMSG_SIZE;
  for (const bytes of attributes) {
    message.set(bytes, at);
    at += bytes.length;
  }
  return message;
}

/** The error number in an acknowledgement of `sequence`, 0 for success; null when it is none. Pure. */
export function decodeAcknowledgement(bytes: Uint8Array, sequence: number): number | null {
  if (bytes.length < HEADER_SIZE + 4) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint16(4, true) !== NLMSG_ERROR || view.getUint32(8, true) !== sequence) return null;
  return 0 - view.getInt32(HEADER_SIZE, true);
}

/** A netlink socket that is kept open. */
export class LifetimeExtender {
  #fd: number | null = null;
  #sequence = 0;

  /**
   * Extends one lifetime; the kernel answers before this returns.
   *
   * @returns false when the kernel refused or gave no answer
   * @throws {SocketError} when no netlink socket can be had
   */
  extend(lifetime: Lifetime): boolean {
    const fd = this.#fd ??= open();
    const sequence = this.#sequence = (this.#sequence + 1) >>> 0;
    const kernel = new Uint8Array(12);
    new DataView(kernel.buffer).setUint16(0, AF_NETLINK, true);
    if (sendTo(fd, encodeLifetime(lifetime, sequence), { address: kernel }) !== 0) return false;
    const answer = new Uint8Array(256);
    const length = receiveFrom(fd, answer);
    return length > 0 && decodeAcknowledgement(answer.subarray(0, length), sequence) === 0;
  }

  /** Closes the socket. */
  close(): void {
    if (this.#fd !== null) closeSocket(this.#fd);
    this.#fd = null;
  }
}

function open(): number {
  const spec = { domain: AF_NETLINK, type: SOCK_RAW, protocol: NETLINK_ROUTE };
  const fd = openSocket(spec, "netlink");
  const self = new Uint8Array(12);
  new DataView(self.buffer).setUint16(0, AF_NETLINK, true);
  try {
    bindSocket(fd, self, "netlink");
  } catch (error) {
    closeSocket(fd);
    throw error;
  }
  return fd;
}

/** A `struct rtattr` with its data, padded to 4 bytes. */
function attribute(type: number, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array((4 + data.length + 3) & ~3);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 4 + data.length, true);
  view.setUint16(2, type, true);
  bytes.set(data, 4);
  return bytes;
}
