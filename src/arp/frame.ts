/**
 * ARP packets for IPv4 on Ethernet (RFC 826), with the forms of RFC 5227 (probe, announcement): bytes
 * only, no I/O. Fields have the names of RFC 826: `sha`/`spa` are the sender's Ethernet and IPv4
 * address, `tha`/`tpa` the target's.
 *
 * @module
 */

import { formatIp, ipBytes } from "../os/ip_bytes.ts";
import { ETHERNET_HEADER, ethernetFrame, ETHERTYPE_ARP } from "./ethernet.ts";
import { BROADCAST_MAC, formatMac, isHostMac, macBytes, ZERO_MAC } from "./mac.ts";

const HRD_ETHERNET = 1;
const PRO_IPV4 = 0x0800;
const PACKET_LENGTH = 28;
const OPERATIONS = { request: 1, reply: 2 } as const;

/** Offset of `ar$spa` in an Ethernet frame, for packet filters. */
export const SPA_OFFSET = ETHERNET_HEADER + 14;
/** Bytes of an ARP packet with its Ethernet header, without padding. */
export const ARP_FRAME_LENGTH = ETHERNET_HEADER + PACKET_LENGTH;

/** The fields of an ARP packet that vary. */
export interface ArpPacket {
  readonly op: "request" | "reply";
  readonly sha: string;
  readonly spa: string;
  readonly tha: string;
  readonly tpa: string;
}

/** An ARP packet in an Ethernet frame from `sha` to `destination`. */
export function encodeArp(packet: ArpPacket, destination: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(PACKET_LENGTH);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, HRD_ETHERNET); // ar$hrd
  view.setUint16(2, PRO_IPV4); // ar$pro
  bytes[4] = 6; // ar$hln
  bytes[5] = 4; // ar$pln
  view.setUint16(6, OPERATIONS[packet.op]); // ar$op
  bytes.set(macBytes(packet.sha), 8);
  bytes.set(ipBytes(packet.spa), 14);
  bytes.set(macBytes(packet.tha), 18);
  bytes.set(ipBytes(packet.tpa), 24);
  return ethernetFrame({ destination, source: packet.sha, type: ETHERTYPE_ARP }, bytes);
}

/** Who asks or speaks: our Ethernet address and an IPv4 address. */
export interface ArpSpeaker {
  readonly mac: string;
  readonly ip: string;
}

/**
 * ARP probe (RFC 5227 section 2.1.1): who has `ip`? The sender address is 0.0.0.0, so that no neighbour
 * takes us for its holder.
 */
export function arpProbe({ mac, ip }: ArpSpeaker): Uint8Array<ArrayBuffer> {
  const packet = { op: "request", sha: mac, spa: "0.0.0.0", tha: ZERO_MAC, tpa: ip } as const;
  return encodeArp(packet, BROADCAST_MAC);
}

/** ARP request (RFC 826): `from` asks everybody who has `tpa`. */
export function arpRequest(from: ArpSpeaker, tpa: string): Uint8Array<ArrayBuffer> {
  const packet = { op: "request", sha: from.mac, spa: from.ip, tha: ZERO_MAC, tpa } as const;
  return encodeArp(packet, BROADCAST_MAC);
}

/** Gratuitous ARP as a request: the ARP announcement of RFC 5227 section 2.3 (spa = tpa, tha = 0). */
export function gratuitousRequest({ mac, ip }: ArpSpeaker): Uint8Array<ArrayBuffer> {
  return encodeArp({ op: "request", sha: mac, spa: ip, tha: ZERO_MAC, tpa: ip }, BROADCAST_MAC);
}

/**
 * Gratuitous ARP as a reply (RFC 5944 section 4.6: spa = tpa, and "ARP Target Hardware Address … set to
 * the link-layer address to which this cache entry should be updated", so tha = our own). With any other
 * tha Linux does not see it as gratuitous (`arp_is_garp()` in net/ipv4/arp.c) and locktime applies.
 */
export function gratuitousReply({ mac, ip }: ArpSpeaker): Uint8Array<ArrayBuffer> {
  return encodeArp({ op: "reply", sha: mac, spa: ip, tha: mac, tpa: ip }, BROADCAST_MAC);
}

/** ARP reply to one neighbour (RFC 826), also unasked: `from.ip` is at `from.mac`. */
export function arpReplyTo(from: ArpSpeaker, neighbour: ArpSpeaker): Uint8Array<ArrayBuffer> {
  const { mac: tha, ip: tpa } = neighbour;
  return encodeArp({ op: "reply", sha: from.mac, spa: from.ip, tha, tpa }, tha);
}

/**
 * Decodes an Ethernet frame (padding allowed); null when it is anything but a whole untagged
 * Ethernet/IPv4 ARP request or reply from an address that a host can own.
 */
export function decodeArp(frame: Uint8Array): ArpPacket | null {
  if (frame.length < ARP_FRAME_LENGTH) return null;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const at = ETHERNET_HEADER;
  if (view.getUint16(12) !== ETHERTYPE_ARP) return null;
  if (view.getUint16(at) !== HRD_ETHERNET || view.getUint16(at + 2) !== PRO_IPV4) return null;
  if (frame[at + 4] !== 6 || frame[at + 5] !== 4) return null;
  const op = view.getUint16(at + 6);
  if (op !== OPERATIONS.request && op !== OPERATIONS.reply) return null;
  const sha = frame.subarray(at + 8, at + 14);
  if (!isHostMac(sha)) return null;
  return {
    op: op === OPERATIONS.request ? "request" : "reply",
    sha: formatMac(sha),
    spa: formatIp(frame.subarray(at + 14, at + 18)),
    tha: formatMac(frame.subarray(at + 18, at + 24)),
    tpa: formatIp(frame.subarray(at + 24, at + 28)),
  };
}
