/**
 * A raw ICMP or ICMPv6 socket that hears echo replies only and sends each request with its own source
 * address and, for hosts on our own networks, without routers.
 *
 * @module
 */

import { type ControlMessage, sendMessage } from "../os/datagram.ts";
import { formatIp, ipBytes } from "../os/ip_bytes.ts";
import { decodeSocketAddress, encodeSocketAddress, SOCKADDR_MAX } from "../os/socket_address.ts";
import * as os from "../os/socket.ts";
import { type Family, icmpOfIpv4Packet } from "./icmp_frame.ts";

// Option levels and names: <linux/in.h>, <linux/in6.h>, <linux/icmp.h>, <linux/icmpv6.h>.
const IPPROTO_IP = 0;
const IPPROTO_ICMP = 1;
const IPPROTO_IPV6 = 41;
const IPPROTO_ICMPV6 = 58;
const SOL_RAW = 255;
const ICMP_FILTER = 1;
const ICMPV6_FILTER = 1;
const IP_PKTINFO = 8;
const IPV6_PKTINFO = 50;
const IPV6_HOPLIMIT = 52;

const ECHO_REPLY = 0;
const ECHO_REPLY_V6 = 129;

/** How a request leaves. */
export interface SendOptions {
  /**
   * The address is on one of our own networks: never send through a router. Otherwise, while the link is
   * down, a default route elsewhere could carry the request to the host by another path, and its answer
   * would be false evidence that the link works.
   */
  readonly onLink: boolean;
  /** Source address, one of this host's own; null: the kernel's choice. */
  readonly source: string | null;
}

/** A message that arrived. `message` is valid until the next call of `receive`. */
export interface Received {
  readonly source: string;
  readonly message: Uint8Array;
}

/** One raw socket of one IP version. */
export class IcmpSocket {
  readonly fd: number;
  readonly #buffer = new Uint8Array(new ArrayBuffer(2048));
  readonly #from = new Uint8Array(new ArrayBuffer(SOCKADDR_MAX));

  /** @throws {SocketError} e.g. `EPERM` without CAP_NET_RAW, `EAFNOSUPPORT` without IPv6 */
  constructor(readonly family: Family) {
    this.fd = os.openSocket({
      domain: family === 4 ? os.AF_INET : os.AF_INET6,
      type: os.SOCK_RAW,
      protocol: family === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
    }, family === 4 ? "ICMP" : "ICMPv6");
    try {
      os.setSocketOption(this.fd, echoReplyFilter(family), "the ICMP filter");
      os.packetAgeMs(this.fd);
    } catch (error) {
      os.closeSocket(this.fd);
      throw error;
    }
  }

  /** Sends an ICMP message. Returns 0, or the errno of the failure (e.g. ENETUNREACH). */
  send(address: string, message: Uint8Array, options: SendOptions): number {
    const v4 = this.family === 4;
    const flags = v4 && options.onLink ? os.MSG_DONTROUTE : 0;
    return sendMessage(this.fd, {
      payload: message,
      to: encodeSocketAddress({ address: ipBytes(address), port: 0 }),
      control: v4 ? control4(options) : control6(options),
      flags,
    });
  }

  /** Takes one message without waiting; null: nothing waits; "garbage": something unusable was taken. */
  receive(): Received | "garbage" | null {
    const length = os.receiveFrom(this.fd, this.#buffer, this.#from);
    if (length === os.NOTHING) return null;
    if (length < 0) return "garbage";
    const bytes = this.#buffer.subarray(0, length);
    const message = this.family === 6 ? bytes : icmpOfIpv4Packet(bytes);
    if (message === null) return "garbage";
    return { source: formatIp(decodeSocketAddress(this.#from).address), message };
  }

  /** Milliseconds since the message that was taken last arrived in the kernel; 0 when not known. */
  ageMs(): number {
    return os.packetAgeMs(this.fd) ?? 0;
  }

  /** Closes the descriptor. */
  close(): void {
    os.closeSocket(this.fd);
  }
}

/** The socket option that lets echo replies through and nothing else (a set bit blocks a type). */
function echoReplyFilter(
  family: Family,
): { level: number; name: number; value: Uint8Array<ArrayBuffer> } {
  if (family === 4) {
    const value = new Uint8Array(4).fill(0xff);
    new DataView(value.buffer).setUint32(0, ~(1 << ECHO_REPLY) >>> 0, true);
    return { level: SOL_RAW, name: ICMP_FILTER, value };
  }
  const value = new Uint8Array(32).fill(0xff);
  const word = (ECHO_REPLY_V6 >> 5) * 4;
  new DataView(value.buffer).setUint32(word, ~(1 << (ECHO_REPLY_V6 & 31)) >>> 0, true);
  return { level: IPPROTO_ICMPV6, name: ICMPV6_FILTER, value };
}

/** IPv4: the source through `struct in_pktinfo { int ifindex; in_addr spec_dst; in_addr addr; }`. */
function control4({ source }: SendOptions): ControlMessage[] {
  if (source === null) return [];
  const data = new Uint8Array(12);
  data.set(ipBytes(source), 4);
  return [{ level: IPPROTO_IP, type: IP_PKTINFO, data }];
}

/**
 * IPv6: the source through `struct in6_pktinfo { in6_addr addr; unsigned ifindex; }`. Linux knows no
 * MSG_DONTROUTE here; hop limit 1 does the same work, as the first router on the way drops the packet.
 */
function control6({ source, onLink }: SendOptions): ControlMessage[] {
  const control: ControlMessage[] = [];
  if (source !== null) {
    const data = new Uint8Array(20);
    data.set(ipBytes(source), 0);
    control.push({ level: IPPROTO_IPV6, type: IPV6_PKTINFO, data });
  }
  if (onLink) {
    const data = new Uint8Array(4);
    data[0] = 1;
    control.push({ level: IPPROTO_IPV6, type: IPV6_HOPLIMIT, data });
  }
  return control;
}
