/**
 * Echo request and reply of ICMP (RFC 792) and ICMPv6 (RFC 4443 section 4): bytes only, no I/O. Both
 * have the same form: type, code, checksum, identifier, sequence number, data.
 *
 * @module
 */

import { internetChecksum } from "../os/internet_checksum.ts";

/** IP version. */
export type Family = 4 | 6;

const ECHO_TYPES = {
  4: { request: 8, reply: 0 },
  6: { request: 128, reply: 129 },
} as const satisfies Record<Family, { request: number; reply: number }>;

const HEADER = 8;
const IPPROTO_ICMP = 1;

/** The fields of an echo message that are ours to choose. */
export interface Echo {
  /** Tells our requests from those of other programs, 0–65535. */
  readonly identifier: number;
  /** Tells our requests from each other, 0–65535. */
  readonly sequence: number;
  readonly payload: Uint8Array;
}

/** A decoded echo message. */
export interface DecodedEcho extends Echo {
  readonly kind: "request" | "reply";
}

/**
 * An echo request. For IPv4 with its checksum; for IPv6 the checksum is 0, as the kernel fills it in on
 * raw ICMPv6 sockets (RFC 3542 section 3.1).
 */
export function encodeEchoRequest(family: Family, echo: Echo): Uint8Array<ArrayBuffer> {
  return encode(family, ECHO_TYPES[family].request, echo);
}

/** An echo reply, as {@linkcode encodeEchoRequest}. relais itself never sends one: for tests. */
export function encodeEchoReply(family: Family, echo: Echo): Uint8Array<ArrayBuffer> {
  return encode(family, ECHO_TYPES[family].reply, echo);
}

/**
 * Decodes an ICMP message (without IP header); null when it is anything but an echo message with code 0,
 * or (IPv4) its checksum is wrong. The kernel has checked ICMPv6 checksums before a raw socket sees them.
 */
export function decodeEcho(family: Family, message: Uint8Array): DecodedEcho | null {
  if (message.length < HEADER || message[1] !== 0) return null;
  const types = ECHO_TYPES[family];
  const kind = message[0] === types.reply
    ? "reply"
    : message[0] === types.request
    ? "request"
    : null;
  if (kind === null) return null;
  if (family === 4 && internetChecksum(message) !== 0) return null;
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  return {
    kind,
    identifier: view.getUint16(4),
    sequence: view.getUint16(6),
    payload: message.subarray(HEADER),
  };
}

/**
 * The ICMP message inside an IPv4 packet (raw IPv4 sockets deliver the IP header too, raw(7)); null when
 * the packet is not whole, not IPv4, not ICMP, or a fragment.
 */
export function icmpOfIpv4Packet(packet: Uint8Array): Uint8Array | null {
  if (packet.length < 20) return null;
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const first = view.getUint8(0);
  const headerLength = (first & 0x0f) * 4;
  const totalLength = view.getUint16(2);
  if (first >> 4 !== 4 || headerLength < 20 || view.getUint8(9) !== IPPROTO_ICMP) return null;
  // More-fragments flag or a fragment offset: RFC 791 section 3.1.
  if ((view.getUint16(6) & 0x3fff) !== 0) return null;
  if (totalLength < headerLength || totalLength > packet.length) return null;
  return packet.subarray(headerLength, totalLength);
}

function encode(family: Family, type: number, echo: Echo): Uint8Array<ArrayBuffer> {
  const message = new Uint8Array(HEADER + echo.payload.length);
  const view = new DataView(message.buffer);
  message[0] = type;
  view.setUint16(4, echo.identifier);
  view.setUint16(6, echo.sequence);
  message.set(echo.payload, HEADER);
  if (family === 4) view.setUint16(2, internetChecksum(message));
  return message;
}
