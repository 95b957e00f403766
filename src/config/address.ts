/**
 * IP addresses and prefixes as exact values: strict parsing, canonical text, containment. Nothing lax is
 * accepted (no `10.1`, `010.0.0.1`, `0x10`, spaces, zone `%eth0`), since two readings of one address
 * on two hosts would be two different clusters. Pure.
 *
 * @module
 */

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
  if (text.length > 45) return null;
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

function parseIpv4(text: string): IpAddress | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  let value = 0n;
  for (const part of parts) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part)) return null;
    const octet = Number(part);
    if (octet > 255) return null;
    value = (value << 8n) | BigInt(octet);
  }
  return { family: 4, value };
}

function parseIpv6(text: string): IpAddress | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const head = groupsOf(halves[0] ?? "", halves.length === 1);
  const tail = halves.length === 2 ? groupsOf(halves[1] ?? "", true) : [];
  if (head === null || tail === null) return null;
  const given = head.length + tail.length;
  // RFC 4291 section 2.2: "::" stands for one or more groups of zeros.
  if (halves.length === 1 ? given !== 8 : given > 7) return null;
  const groups = [...head, ...new Array<number>(8 - given).fill(0), ...tail];
  return { family: 6, value: groups.reduce((sum, group) => (sum << 16n) | BigInt(group), 0n) };
}

/** The 16-bit groups of `text`; a dotted IPv4 tail is allowed only where the address ends. */
function groupsOf(text: string, atEnd: boolean): number[] | null {
  if (text === "") return [];
  const parts = text.split(":");
  const groups: number[] = [];
  for (const [index, part] of parts.entries()) {
    if (part.includes(".")) {
      const v4 = atEnd && index === parts.length - 1 ? parseIpv4(part) : null;
      if (v4 === null) return null;
      groups.push(Number(v4.value >> 16n), Number(v4.value & 0xffffn));
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return null;
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups;
}

/** Canonical text: dotted decimal, or RFC 5952 (what `ip -json` prints). */
export function formatIp(address: IpAddress): string {
  if (address.family === 4) return formatIpv4(address.value);
  if (address.value >> 32n === 0xffffn) return `::ffff:${formatIpv4(address.value & 0xffffffffn)}`;
  const groups = Array.from({ length: 8 }, (_, i) => {
    return Number((address.value >> BigInt(112 - 16 * i)) & 0xffffn);
  });
  const run = longestZeroRun(groups);
  const hex = (part: readonly number[]): string => part.map((g) => g.toString(16)).join(":");
  if (run.length < 2) return hex(groups);
  return `${hex(groups.slice(0, run.start))}::${hex(groups.slice(run.start + run.length))}`;
}

function formatIpv4(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 0xffn)).join(".");
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (let i = 0; i < groups.length; i++) {
    if (groups[i] !== 0) start = i + 1;
    else if (i + 1 - start > best.length) best = { start, length: i + 1 - start };
  }
  return best;
}

/** Canonical text of `text`; null when it is no address. */
export function canonicalIp(text: string): string | null {
  const address = parseIp(text);
  return address === null ? null : formatIp(address);
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
