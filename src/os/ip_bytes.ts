/**
 * IP addresses as bytes: what goes into packets. The only place that reads and writes their text; strict,
 * since two readings of one address on two hosts would be two different clusters. Pure.
 *
 * @module
 */

/** The longest text of an address: eight groups, the last two of them as dotted decimal (RFC 4291). */
const MAX_TEXT_LENGTH = 45;

/**
 * The 4 or 16 bytes of an address in text form, network order; null when it is not an address. No zone
 * (`%eth0`), no prefix length, no IPv4 with leading zeros or less than four numbers.
 */
export function parseIp(text: string): Uint8Array<ArrayBuffer> | null {
  if (text.length > MAX_TEXT_LENGTH) return null;
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

/**
 * Like {@linkcode parseIp}, for addresses that were checked before.
 *
 * @throws {TypeError} when `text` is not an address
 */
export function ipBytes(text: string): Uint8Array<ArrayBuffer> {
  const bytes = parseIp(text);
  if (bytes === null) throw new TypeError(`Cannot use "${text}" as it is not an IP address`);
  return bytes;
}

/**
 * Canonical text of an address: dotted decimal, or RFC 5952 (lower case, the longest run of zero groups
 * shortened, the first of equals, never a single group; an IPv4-mapped address ends in dotted decimal,
 * section 5). It is what `ip -json` prints.
 *
 * @throws {TypeError} when `bytes` has neither 4 nor 16 bytes
 */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.length !== 16) throw new TypeError(`Cannot format ${bytes.length} bytes as an address`);
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8) | bytes[2 * i + 1]!);
  if (groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0)) {
    return `::ffff:${bytes.subarray(12).join(".")}`;
  }
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let end = start;
    while (end < 8 && groups[end] === 0) end++;
    if (end - start > best.length) best = { start, length: end - start };
  }
  const hex = groups.map((group) => group.toString(16));
  if (best.start < 0) return hex.join(":");
  const head = hex.slice(0, best.start).join(":");
  return `${head}::${hex.slice(best.start + best.length).join(":")}`;
}

/** Canonical text of `text`; null when it is no address. */
export function canonicalIp(text: string): string | null {
  const bytes = parseIp(text);
  return bytes === null ? null : formatIp(bytes);
}

/** An address in front of a colon: IPv6 in brackets (RFC 3986 section 3.2.2, `IP-literal`). */
export function urlHost(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}

/** An address of 4 or 16 bytes as an unsigned number of 32 or 128 bits. */
export function ipToValue(bytes: Uint8Array): bigint {
  return bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

/** The bytes of an address that is given as an unsigned number of 32 or 128 bits. */
export function ipFromValue(value: bigint, family: 4 | 6): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  for (let i = bytes.length - 1, rest = value; i >= 0; i--, rest >>= 8n) {
    bytes[i] = Number(rest & 0xffn);
  }
  return bytes;
}

/** Whether two byte strings are equal. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function parseIpv4(text: string): Uint8Array<ArrayBuffer> | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  const bytes = new Uint8Array(4);
  for (const [i, part] of parts.entries()) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return null;
    bytes[i] = Number(part);
  }
  return bytes;
}

function parseIpv6(text: string): Uint8Array<ArrayBuffer> | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const head = parseGroups(halves[0] ?? "", halves.length === 1);
  const tail = parseGroups(halves[1] ?? "", true);
  if (head === null || tail === null) return null;
  const missing = 16 - head.length - tail.length;
  // "::" stands for at least one group (RFC 4291 section 2.2); without it nothing may be missing.
  if (halves.length === 2 ? missing < 2 : missing !== 0) return null;
  const bytes = new Uint8Array(16);
  bytes.set(head, 0);
  bytes.set(tail, 16 - tail.length);
  return bytes;
}

/** Bytes of colon-separated groups; dotted decimal is allowed as the last one when `last`. */
function parseGroups(text: string, last: boolean): number[] | null {
  if (text === "") return [];
  const groups = text.split(":");
  const bytes: number[] = [];
  for (const [i, group] of groups.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(group)) {
      const value = parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
      continue;
    }
    const dotted = last && i === groups.length - 1 ? parseIpv4(group) : null;
    if (dotted === null) return null;
    bytes.push(...dotted);
  }
  return bytes;
}
