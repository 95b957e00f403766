/**
 * IPv6 neighbour solicitations and advertisements (RFC 4861 sections 4.3, 4.4) as whole Ethernet frames:
 * bytes only, no I/O. Whole frames, because the kernel would not send them from an address that is not
 * mounted (probe) or let us choose the destination's Ethernet address (announcement).
 *
 * @module
 */

import { icmpv6Checksum, IPPROTO_ICMPV6 } from "../os/internet_checksum.ts";
import { formatIp, ipBytes } from "../os/ip_bytes.ts";
import { ETHERNET_HEADER, ethernetFrame, ETHERTYPE_IPV6 } from "./ethernet.ts";
import { formatMac, isHostMac, macBytes } from "./mac.ts";

const IPV6_HEADER = 40;
const ND_HOP_LIMIT = 255;
const TYPES = { solicitation: 135, advertisement: 136 } as const;
const OPTION_SOURCE_LINK_LAYER = 1;
const OPTION_TARGET_LINK_LAYER = 2;
const FLAG_SOLICITED = 0x40;
const FLAG_OVERRIDE = 0x20;
const UNSPECIFIED = "::";
const ALL_NODES = "ff02::1";
/** Type, code, checksum, flags or reserved, target address. */
const MESSAGE_LENGTH = 24;

/** Where `Next Header` of the IPv6 header is in a frame, for packet filters. */
export const NEXT_HEADER_OFFSET = ETHERNET_HEADER + 6;
/** Where the ICMPv6 type is in a frame without extension headers, for packet filters. */
export const ICMPV6_TYPE_OFFSET = ETHERNET_HEADER + IPV6_HEADER;
/** ICMPv6 types of neighbour solicitation and advertisement, for packet filters. */
export const ND_TYPES: readonly number[] = Object.values(TYPES);

/** A decoded neighbour message. */
export interface NeighbourMessage {
  readonly kind: keyof typeof TYPES;
  /** IPv6 source; `::` in a probe (duplicate address detection). */
  readonly source: string;
  readonly destination: string;
  readonly target: string;
  /** The link-layer address option if there is one, else the Ethernet source. */
  readonly mac: string;
  /** False in solicitations. */
  readonly solicited: boolean;
  /** False in solicitations. */
  readonly override: boolean;
}

/** An Ethernet and an IPv6 address. */
export interface NeighbourEnd {
  readonly mac: string;
  readonly ip: string;
}

/** Solicited-node multicast address of `ip` (RFC 4291 section 2.7.1): ff02::1:ffXX:XXXX. */
export function solicitedNode(ip: string): string {
  const group = ipBytes("ff02::1:ff00:0");
  group.set(ipBytes(ip).subarray(13), 13);
  return formatIp(group);
}

/** Ethernet address of an IPv6 multicast group (RFC 2464 section 7): 33:33 and its last four bytes. */
export function multicastMac(group: string): string {
  return formatMac(Uint8Array.of(0x33, 0x33, ...ipBytes(group).subarray(12)));
}

/** Probe as in duplicate address detection (RFC 4862 section 5.4.2): from `::`, without options. */
export function neighbourProbe({ mac, ip }: NeighbourEnd): Uint8Array<ArrayBuffer> {
  const group = solicitedNode(ip);
  return encode({ mac, ip: UNSPECIFIED }, { mac: multicastMac(group), ip: group }, {
    type: TYPES.solicitation,
    flags: 0,
    target: ip,
    option: null,
  });
}

/** Neighbour solicitation (RFC 4861 section 7.2.2): `from` asks who has `target`. */
export function neighbourSolicitation(
  from: NeighbourEnd,
  target: string,
): Uint8Array<ArrayBuffer> {
  const group = solicitedNode(target);
  return encode(from, { mac: multicastMac(group), ip: group }, {
    type: TYPES.solicitation,
    flags: 0,
    target,
    option: OPTION_SOURCE_LINK_LAYER,
  });
}

/**
 * Unsolicited neighbour advertisement with the override flag (RFC 4861 section 7.2.6): `from.ip` is at
 * `from.mac`; to all nodes, or to one neighbour.
 */
export function neighbourAdvertisement(
  from: NeighbourEnd,
  to: NeighbourEnd = { mac: multicastMac(ALL_NODES), ip: ALL_NODES },
): Uint8Array<ArrayBuffer> {
  return encode(from, to, {
    type: TYPES.advertisement,
    flags: FLAG_OVERRIDE,
    target: from.ip,
    option: OPTION_TARGET_LINK_LAYER,
  });
}

interface Message {
  readonly type: number;
  readonly flags: number;
  readonly target: string;
  /** Type of the link-layer address option; it carries the sender's Ethernet address. */
  readonly option: number | null;
}

function encode(from: NeighbourEnd, to: NeighbourEnd, message: Message): Uint8Array<ArrayBuffer> {
  const length = MESSAGE_LENGTH + (message.option === null ? 0 : 8);
  const packet = new Uint8Array(IPV6_HEADER + length);
  const view = new DataView(packet.buffer);
  const [source, destination] = [ipBytes(from.ip), ipBytes(to.ip)];
  packet[0] = 0x60; // version 6, traffic class 0, flow label 0
  view.setUint16(4, length);
  packet[6] = IPPROTO_ICMPV6;
  packet[7] = ND_HOP_LIMIT;
  packet.set(source, 8);
  packet.set(destination, 24);
  const body = packet.subarray(IPV6_HEADER);
  body[0] = message.type;
  body[4] = message.flags;
  body.set(ipBytes(message.target), 8);
  if (message.option !== null) {
    body[24] = message.option;
    body[25] = 1; // in units of 8 bytes
    body.set(macBytes(from.mac), 26);
  }
  view.setUint16(IPV6_HEADER + 2, icmpv6Checksum({ source, destination }, body));
  return ethernetFrame({ destination: to.mac, source: from.mac, type: ETHERTYPE_IPV6 }, packet);
}

/**
 * Decodes an Ethernet frame (padding allowed); null when it is anything but an untagged neighbour
 * solicitation or advertisement that passes the checks of RFC 4861 sections 7.1.1 and 7.1.2.
 */
export function decodeNeighbour(frame: Uint8Array): NeighbourMessage | null {
  const packet = frame.subarray(ETHERNET_HEADER);
  if (packet.length < IPV6_HEADER + MESSAGE_LENGTH) return null;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (view.getUint16(12) !== ETHERTYPE_IPV6 || packet[0]! >> 4 !== 6) return null;
  if (packet[6] !== IPPROTO_ICMPV6 || packet[7] !== ND_HOP_LIMIT) return null;
  const length = view.getUint16(ETHERNET_HEADER + 4);
  if (length < MESSAGE_LENGTH || IPV6_HEADER + length > packet.length) return null;
  const source = packet.subarray(8, 24);
  const destination = packet.subarray(24, 40);
  const body = packet.subarray(IPV6_HEADER, IPV6_HEADER + length);
  if (body[1] !== 0 || icmpv6Checksum({ source, destination }, body) !== 0) return null;
  return decodeBody({ frame, source, destination, body });
}

interface Parts {
  readonly frame: Uint8Array;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly body: Uint8Array;
}

function decodeBody({ frame, source, destination, body }: Parts): NeighbourMessage | null {
  const advertises = body[0] === TYPES.advertisement;
  if (!advertises && body[0] !== TYPES.solicitation) return null;
  const wanted = advertises ? OPTION_TARGET_LINK_LAYER : OPTION_SOURCE_LINK_LAYER;
  const option = linkLayerOption(body.subarray(MESSAGE_LENGTH), wanted);
  const target = body.subarray(8, 24);
  const fromNobody = source.every((byte) => byte === 0);
  if (option === "malformed" || target[0] === 0xff || source[0] === 0xff) return null;
  const solicited = advertises && (body[4]! & FLAG_SOLICITED) !== 0;
  // A solicited advertisement goes to one host; a probe names no link-layer address.
  if (solicited && destination[0] === 0xff) return null;
  if (!advertises && fromNobody && option !== null) return null;
  if (advertises && fromNobody) return null;
  const mac = option ?? frame.subarray(6, 12);
  if (!isHostMac(mac)) return null;
  return {
    kind: advertises ? "advertisement" : "solicitation",
    source: formatIp(source),
    destination: formatIp(destination),
    target: formatIp(target),
    mac: formatMac(mac),
    solicited,
    override: advertises && (body[4]! & FLAG_OVERRIDE) !== 0,
  };
}

/** The Ethernet address in the first option of type `wanted` (RFC 4861 section 4.6.1). */
function linkLayerOption(options: Uint8Array, wanted: number): Uint8Array | null | "malformed" {
  let found: Uint8Array | null = null;
  let at = 0;
  while (at < options.length) {
    const length = (options[at + 1] ?? 0) * 8;
    if (length === 0 || at + length > options.length) return "malformed";
    if (options[at] === wanted && length === 8) found ??= options.subarray(at + 2, at + 8);
    at += length;
  }
  return found;
}
