/**
 * Ethernet addresses: six bytes in frames, `02:00:5e:10:00:01` (lower case) everywhere else.
 *
 * @module
 */

/** The address that every host on a link hears. */
export const BROADCAST_MAC = "ff:ff:ff:ff:ff:ff";
/** "Not known" in ARP fields (RFC 826, RFC 5227). */
export const ZERO_MAC = "00:00:00:00:00:00";

/** The six bytes of a MAC in text form (either case); null when it is none. */
export function parseMac(text: string): Uint8Array<ArrayBuffer> | null {
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(text)) return null;
  return Uint8Array.fromHex(text.replaceAll(":", ""));
}

/**
 * Like {@linkcode parseMac}, for addresses that the kernel or the program made.
 *
 * @throws {TypeError} when `text` is no MAC
 */
export function macBytes(text: string): Uint8Array<ArrayBuffer> {
  const bytes = parseMac(text);
  if (bytes === null) throw new TypeError(`Cannot use "${text}" as it is not an Ethernet address`);
  return bytes;
}

/** Text of six bytes, lower case. */
export function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** Whether a host can own this address: not a group address (IEEE 802 I/G bit), not all zeros. */
export function isHostMac(bytes: Uint8Array): boolean {
  return ((bytes[0] ?? 1) & 1) === 0 && bytes.some((byte) => byte !== 0);
}
