/**
 * IP addresses and prefixes as exact values: containment, and what an address may be used for. Text is
 * read and written by `os/ip_bytes.ts`; nothing lax is accepted (no `10.1`, `010.0.0.1`, `0x10`, spaces,
 * zone `%eth0`). Pure.
 *
 * @module
 */

import {
  formatIp as formatBytes,
  ipFromValue,
  ipToValue,
  parseIp as parseBytes,
} from "../os/ip_bytes.ts";

/** One address as a number; the family says how wide. */
export interface IpAddress {
  readonly family: 4 | 6;
  /** 32 or 128 bits, unsigned. */
  readonly value: bigint;
}

/** An address with a prefix length, e.g. `10.20.0.0/24`. */
export interface Cidr {
  readonly address: IpAddress;
  readonly prefix: number;
}

/** What an address may be used for. Only `unicast` can be a host, a VIP or a gateway here. */
export type AddressKind =
  | "unicast"
  | "unspecified"
  | "loopback"
  | "link-local"
  | "multicast"
  | "broadcast"
  | "mapped"
  | "reserved";

/** Width of an address in bits. */
export function bitsOf(family: 4 | 6): 32 | 128 {
  return family === 4 ? 32 : 128;
}

/** Parses strict dotted IPv4 or RFC 4291 IPv6 text; null when it is neither. */
export function parseIp(text: string): IpAddress | null {
  const bytes = parseBytes(text);
  return bytes === null ? null : { family: bytes.length === 4 ? 4 : 6, value: ipToValue(bytes) };
}

/** Canonical text: dotted decimal, or RFC 5952. */
export function formatIp(address: IpAddress): string {
  return formatBytes(ipFromValue(address.value, address.family));
}

/** Parses `ADDRESS/PREFIX` (the address may have host bits set); null when it is not that. */
export function parseCidr(text: string): Cidr | null {
  const slash = text.indexOf("/");
  if (slash < 0) return null;
  const address = parseIp(text.slice(0, slash));
  const length = text.slice(slash + 1);
  if (address === null || !/^(0|[1-9][0-9]{0,2})$/.test(length)) return null;
  const prefix = Number(length);
  return prefix > bitsOf(address.family) ? null : { address, prefix };
}

/** `ADDRESS/PREFIX`, canonical. */
export function formatCidr(cidr: Cidr): string {
  return `${formatIp(cidr.address)}/${cidr.prefix}`;
}

function hostMask(cidr: Cidr): bigint {
  return (1n << BigInt(bitsOf(cidr.address.family) - cidr.prefix)) - 1n;
}

/** The first address of the prefix (all host bits zero). */
export function networkAddress(cidr: Cidr): IpAddress {
  return { family: cidr.address.family, value: cidr.address.value & ~hostMask(cidr) };
}

/** The last address of the prefix (all host bits one): the broadcast address in IPv4. */
export function broadcastAddress(cidr: Cidr): IpAddress {
  return { family: cidr.address.family, value: cidr.address.value | hostMask(cidr) };
}

/** Whether `address` lies in the prefix of `cidr` (never across families). */
export function contains(cidr: Cidr, address: IpAddress): boolean {
  if (cidr.address.family !== address.family) return false;
  const shift = BigInt(bitsOf(address.family) - cidr.prefix);
  return cidr.address.value >> shift === address.value >> shift;
}

/** Prefixes that are not plain unicast. First match wins. */
const SPECIAL: readonly { readonly cidr: Cidr; readonly kind: AddressKind }[] = [
  ["0.0.0.0/32", "unspecified"],
  ["0.0.0.0/8", "reserved"],
  ["127.0.0.0/8", "loopback"],
  ["169.254.0.0/16", "link-local"],
  ["224.0.0.0/4", "multicast"],
  ["255.255.255.255/32", "broadcast"],
  ["240.0.0.0/4", "reserved"],
  ["::/128", "unspecified"],
  ["::1/128", "loopback"],
  ["::ffff:0:0/96", "mapped"],
  ["::/96", "reserved"],
  ["fe80::/10", "link-local"],
  ["ff00::/8", "multicast"],
].map(([text, kind]) => {
  const cidr = parseCidr(text ?? "");
  if (cidr === null) throw new TypeError(`Cannot build the table of special prefixes: ${text}`);
  return { cidr, kind: kind as AddressKind };
});

/** What `address` may be used for (IANA special-purpose registries, RFC 6890, RFC 4291). */
export function kindOf(address: IpAddress): AddressKind {
  return SPECIAL.find((row) => contains(row.cidr, address))?.kind ?? "unicast";
}
