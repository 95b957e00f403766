/**
 * The packet that a firewall is asked about, and three-valued answers. Pure.
 *
 * @module
 */

import { ipBytes, parseIp } from "../os/ip_bytes.ts";

/** A packet that opens a conversation with this host. */
export interface Packet {
  readonly family: "ip" | "ip6" | "arp";
  /** Interface that it comes in by. */
  readonly iif: string;
  readonly source: string;
  readonly destination: string;
  /** Null for ARP. `icmp` is echo-request of either IP version. */
  readonly protocol: "tcp" | "udp" | "icmp" | null;
  /** Null unless tcp or udp. */
  readonly port: number | null;
}

/** What a firewall does with a packet. */
export interface Judgement {
  /** `unknown`: a rule that cannot be judged here may drop it. */
  readonly fate: "accept" | "drop" | "unknown";
  /** The rule or policy that decides, in words; empty when accepted. */
  readonly by: string;
}

/** Null: cannot be judged. */
export type Truth = boolean | null;

/** All of them; null if one is not known and none is false. */
export function allOf(parts: readonly Truth[]): Truth {
  if (parts.includes(false)) return false;
  return parts.includes(null) ? null : true;
}

/** One of them; null if one is not known and none is true. */
export function anyOf(parts: readonly Truth[]): Truth {
  if (parts.includes(true)) return true;
  return parts.includes(null) ? null : false;
}

/** The opposite. */
export function not(truth: Truth): Truth {
  return truth === null ? null : !truth;
}

/** Whether an address is in `prefix/length`: not if that is of another IP version, null if it is no prefix. */
export function isInPrefix(address: string, prefix: string, length: number): Truth {
  const [a, b] = [ipBytes(address), parseIp(prefix)];
  if (b === null || !(length >= 0 && length <= 8 * b.length)) return null;
  if (a.length !== b.length) return false;
  for (let bit = 0; bit < length; bit++) {
    const mask = 0x80 >> bit % 8;
    if (((a[bit >> 3] ?? 0) & mask) !== ((b[bit >> 3] ?? 0) & mask)) return false;
  }
  return true;
}
