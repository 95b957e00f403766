/**
 * The Internet checksum (RFC 1071), and over the pseudo-header of IPv6 (RFC 8200 section 8.1).
 *
 * @module
 */

/** One's complement sum of `bytes` as 16-bit big-endian words, complemented. 0 over a good message. */
export function internetChecksum(...parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) {
    for (let i = 0; i + 1 < part.length; i += 2) {
      sum += ((part[i] ?? 0) << 8) | (part[i + 1] ?? 0);
    }
    if (part.length % 2 === 1) sum += (part[part.length - 1] ?? 0) << 8;
    // Fold now: parts are packets, so the sum stays far below 2^53.
    sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Next header value of ICMPv6 (RFC 4443). */
export const IPPROTO_ICMPV6 = 58;

/**
 * Checksum of an ICMPv6 message with its IPv6 pseudo-header; 0 when the message carries a good one.
 *
 * @param ends 16-byte addresses
 */
export function icmpv6Checksum(
  ends: { readonly source: Uint8Array; readonly destination: Uint8Array },
  message: Uint8Array,
): number {
  const pseudo = new Uint8Array(40);
  pseudo.set(ends.source, 0);
  pseudo.set(ends.destination, 16);
  new DataView(pseudo.buffer).setUint32(32, message.length);
  pseudo[39] = IPPROTO_ICMPV6;
  return internetChecksum(pseudo, message);
}
