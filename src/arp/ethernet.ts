/**
 * Ethernet II headers: destination, source, type.
 *
 * @module
 */

import { macBytes } from "./mac.ts";

/** Bytes of the header. */
export const ETHERNET_HEADER = 14;
/** Ethernet type of ARP (RFC 826). */
export const ETHERTYPE_ARP = 0x0806;
/** Ethernet type of IPv6 (RFC 2464). */
export const ETHERTYPE_IPV6 = 0x86dd;

/** Puts the header before `payload`. */
export function ethernetFrame(
  header: { readonly destination: string; readonly source: string; readonly type: number },
  payload: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(ETHERNET_HEADER + payload.length);
  frame.set(macBytes(header.destination), 0);
  frame.set(macBytes(header.source), 6);
  new DataView(frame.buffer).setUint16(12, header.type);
  frame.set(payload, ETHERNET_HEADER);
  return frame;
}
