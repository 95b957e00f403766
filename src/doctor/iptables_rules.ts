/**
 * What iptables rules do with a packet: reads what `iptables -S` prints (iptables(8)). Options that are not
 * understood make the answer unknown, never good. Pure.
 *
 * @module
 */

import { allOf, isInPrefix, type Judgement, not, type Packet, type Truth } from "./packet.ts";

/** Targets that let a packet go on to the next rule. */
const PASSING = new Set(["LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", "TRACE", "CT", "SET"]);
const MAX_DEPTH = 16;
/** Rules that are looked at: chains that jump to each other (the kernel refuses loops) would have no end. */
const MAX_RULES = 50_000;

/** The first rule that cannot be judged and may drop, or accept, the packet. */
interface Doubts {
  drop: string | null;
  accept: string | null;
  /** Rules that may still be looked at. */
  left: number;
}

interface Reading {
  readonly truth: Truth;
  readonly target: string | null;
  readonly goto: boolean;
}

interface Rules {
  readonly policy: string;
  /** Chain → its rules, each as words. */
  readonly chains: ReadonlyMap<string, readonly (readonly string[])[]>;
}

/** What the table `filter` does with the packet on its way in. */
export function judgeIptables(listing: string, packet: Packet): Judgement {
  const rules = parse(listing);
  const doubts: Doubts = { drop: null, accept: null, left: MAX_RULES };
  const end = walk({ rules, chain: "INPUT", packet, doubts, depth: 0, read: new Map() });
  if (end === "accept" || (end === null && rules.policy !== "DROP")) {
    return doubts.drop === null ? { fate: "accept", by: "" } : { fate: "unknown", by: doubts.drop };
  }
  const by = end ?? "iptables policy of INPUT: DROP";
  return { fate: doubts.accept === null ? "drop" : "unknown", by };
}

function parse(listing: string): Rules {
  let policy = "ACCEPT";
  const chains = new Map<string, string[][]>();
  for (const line of listing.split("\n")) {
    const words = [...line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(([, a, b]) => a ?? b ?? "");
    const [command, chain = "", ...rest] = words;
    if (command === "-P" && chain === "INPUT") policy = rest[0] ?? "ACCEPT";
    if (command !== "-A") continue;
    const rules = chains.get(chain);
    if (rules === undefined) chains.set(chain, [rest]);
    else rules.push(rest);
  }
  return { policy, chains };
}

/** `accept`, the rule that drops, `return`, or null: the chain was left without a verdict. */
function walk({ rules, chain, packet, doubts, depth, read }: {
  readonly rules: Rules;
  /** Rules that were read for this packet. */
  readonly read: Map<readonly string[], Reading>;
  readonly chain: string;
  readonly packet: Packet;
  readonly doubts: Doubts;
  readonly depth: number;
}): string | null {
  if (depth > MAX_DEPTH) return null;
  for (const words of rules.chains.get(chain) ?? []) {
    if (doubts.left-- <= 0) {
      doubts.drop ??= "too many rules";
      doubts.accept ??= "too many rules";
      return null;
    }
    const known = read.get(words) ?? readRule(words, packet);
    read.set(words, known);
    const { truth, target, goto } = known;
    if (truth === false || target === null || PASSING.has(target)) continue;
    const where = (): string => `iptables -A ${chain} ${words.join(" ")}`.slice(0, 200);
    if (target === "RETURN" && truth === true) return null;
    if (truth === null) {
      if (target !== "ACCEPT") doubts.drop ??= where();
      if (target !== "DROP" && target !== "REJECT") doubts.accept ??= where();
      continue;
    }
    if (target === "ACCEPT") return "accept";
    if (target === "DROP" || target === "REJECT") return where();
    if (!rules.chains.has(target)) {
      // A target of some module: what it does is not known.
      doubts.drop ??= where();
      doubts.accept ??= where();
      continue;
    }
    const end = walk({ rules, chain: target, packet, doubts, depth: depth + 1, read });
    if (end !== null) return end;
    if (goto) return null;
  }
  return null;
}

function readRule(
  words: readonly string[],
  packet: Packet,
): Reading {
  const truths: Truth[] = [];
  let target: string | null = null;
  let goto = false;
  for (let at = 0; at < words.length; at++) {
    const negated = words[at] === "!";
    if (negated) at++;
    const option = words[at] ?? "";
    const value = words[at + 1] ?? "";
    if (option === "-j" || option === "-g") {
      target = value;
      goto = option === "-g";
      break; // What follows belongs to the target.
    }
    if (option === "-m" && !negated) {
      at++; // A module: its options are judged one by one.
      continue;
    }
    const truth = judgeOption(option, value, packet);
    truths.push(negated ? not(truth) : truth);
    // Options without a value (--syn, --update) are followed by the next option.
    if (!/^(-|!$)/.test(value)) at++;
  }
  return { truth: allOf(truths), target, goto };
}

function judgeOption(option: string, value: string, packet: Packet): Truth {
  const { protocol, family } = packet;
  switch (option) {
    case "-p": {
      const names = family === "ip" ? ["icmp"] : ["ipv6-icmp", "icmpv6"];
      return value === "all" || value === protocol ||
        (protocol === "icmp" && names.includes(value));
    }
    case "-i":
      return value.endsWith("+") ? packet.iif.startsWith(value.slice(0, -1)) : packet.iif === value;
    case "-s":
      return isIn(packet.source, value);
    case "-d":
      return isIn(packet.destination, value);
    case "--dport":
    case "--dports":
      return packet.port !== null && value.split(",").some((part) => {
        const [from = NaN, to = from] = part.split(":").map(Number);
        return packet.port! >= from && packet.port! <= to;
      });
    case "--icmp-type":
      return value === "8" || value === "any" || value === "echo-request" || value === "255";
    case "--icmpv6-type":
      return value === "128" || value === "echo-request";
    case "--state":
    case "--ctstate":
      return value.split(",").includes("NEW");
    case "--syn":
      return protocol === "tcp";
    case "--comment":
      return true;
    default:
      return null;
  }
}

function isIn(address: string, value: string): Truth {
  const [prefix = "", length] = value.split("/");
  const bits = length === undefined ? (prefix.includes(":") ? 128 : 32) : Number(length);
  return Number.isInteger(bits) ? isInPrefix(address, prefix, bits) : null;
}
