/**
 * What an nftables ruleset does with a packet. Reads what `nft -j list ruleset` prints (libnftables-json(5))
 * and walks it as the kernel does: every base chain of the hook in turn, a drop in any of them is final.
 * Expressions that are not understood make the answer unknown, never good. Pure.
 *
 * @module
 */

import { z } from "zod";
import {
  allOf,
  anyOf,
  isInPrefix,
  type Judgement,
  not,
  type Packet,
  type Truth,
} from "./packet.ts";

type Json = unknown;
type Statement = Readonly<Record<string, Json>>;

const chain = z.object({
  family: z.string(),
  table: z.string(),
  name: z.string(),
  type: z.string().optional(),
  hook: z.string().optional(),
  prio: z.number().optional(),
  policy: z.string().optional(),
});
const rule = z.object({
  family: z.string(),
  table: z.string(),
  chain: z.string(),
  expr: z.array(z.record(z.string(), z.unknown())),
});
const set = z.object({
  family: z.string(),
  table: z.string(),
  name: z.string(),
  elem: z.array(z.unknown()).optional(),
});
const document = z.object({ nftables: z.array(z.record(z.string(), z.unknown())) });

/** A ruleset, taken apart. */
export interface Ruleset {
  readonly chains: readonly z.infer<typeof chain>[];
  readonly rules: readonly z.infer<typeof rule>[];
  readonly sets: readonly z.infer<typeof set>[];
}

/** Jumps within jumps that are followed; the kernel allows 16. */
const MAX_DEPTH = 16;
/** Rules that are looked at: chains that jump to each other (the kernel refuses loops) would have no end. */
const MAX_RULES = 50_000;

/**
 * Reads what `nft -j list ruleset` prints.
 *
 * @throws {Error} when it is not that
 */
export function parseRuleset(json: string): Ruleset {
  const { nftables } = document.parse(JSON.parse(json));
  const pick = <T>(key: string, schema: z.ZodType<T>): T[] =>
    nftables.flatMap((entry) => entry[key] === undefined ? [] : [schema.parse(entry[key])]);
  return {
    chains: pick("chain", chain),
    rules: pick("rule", rule),
    sets: [...pick("set", set), ...pick("map", set)],
  };
}

/** Whether iptables made rules of a table that nft cannot show; `iptables -S` can. */
export function isOfIptables({ rules }: Ruleset, family: string, table: string): boolean {
  return rules.some((each) =>
    each.family === family && each.table === table &&
    each.expr.some((statement) => "xt" in statement)
  );
}

/** What the chains of the input path do with the packet, without the tables that `except` names. */
export function judgeNft(
  ruleset: Ruleset,
  packet: Packet,
  except: (family: string, table: string) => boolean = () => false,
): Judgement {
  const hooks = packet.family === "arp" ? ["input"] : ["prerouting", "input"];
  const bases = ruleset.chains.filter(({ family, hook, table, type }) =>
    hook !== undefined && hooks.includes(hook) && type !== "nat" && !except(family, table) &&
    (family === packet.family || (family === "inet" && packet.family !== "arp"))
  );
  const byPriority = bases.toSorted((a, b) =>
    hooks.indexOf(a.hook ?? "") - hooks.indexOf(b.hook ?? "") || (a.prio ?? 0) - (b.prio ?? 0)
  );
  let doubt: Judgement | null = null;
  for (const base of byPriority) {
    const judgement = new Walk(ruleset, packet, base).judge();
    if (judgement.fate === "drop") return judgement;
    if (judgement.fate === "unknown") doubt ??= judgement;
  }
  return doubt ?? { fate: "accept", by: "" };
}

/** What a statement does; null: it is no verdict. */
type Verdict =
  | "accept"
  | "drop"
  | "return"
  | "unknown"
  | { readonly chain: string; readonly goto: boolean }
  | null;

/** One base chain and what it jumps to. */
class Walk {
  readonly #ruleset: Ruleset;
  readonly #packet: Packet;
  readonly #base: z.infer<typeof chain>;
  /** Rules of the base chain's table, by chain. */
  readonly #rules: ReadonlyMap<string, readonly z.infer<typeof rule>[]>;
  /** The first rule that may drop the packet and cannot be judged; and the same for accepting it. */
  #mayDrop: string | null = null;
  #mayAccept: string | null = null;
  #left = MAX_RULES;

  constructor(ruleset: Ruleset, packet: Packet, base: z.infer<typeof chain>) {
    this.#ruleset = ruleset;
    this.#packet = packet;
    this.#base = base;
    const { family, table } = base;
    this.#rules = Map.groupBy(
      ruleset.rules.filter((each) => each.family === family && each.table === table),
      (each) => each.chain,
    );
  }

  judge(): Judgement {
    const end = this.#chain(this.#base.name, 0);
    const policy = this.#base.policy === "drop" ? "drop" : "accept";
    const fate = end?.fate ?? policy;
    if (fate === "drop") {
      const by = end?.by ?? `policy drop of ${this.#name(this.#base.name)}`;
      return { fate: this.#mayAccept === null ? "drop" : "unknown", by };
    }
    return this.#mayDrop === null
      ? { fate: "accept", by: "" }
      : { fate: "unknown", by: this.#mayDrop };
  }

  /** The end that a chain comes to; null: it was left without a verdict. */
  #chain(name: string, depth: number): Judgement | null {
    if (depth > MAX_DEPTH) return null;
    for (const { expr } of this.#rules.get(name) ?? []) {
      if (this.#left-- <= 0) {
        this.#mayDrop ??= "too many rules";
        this.#mayAccept ??= "too many rules";
        return null;
      }
      const end = this.#rule(expr, name, depth);
      if (end === "return") return null;
      if (end !== null) return end;
    }
    return null;
  }

  #rule(expr: readonly Statement[], name: string, depth: number): Judgement | "return" | null {
    const truth = allOf(expr.map((statement) => this.#matches(statement)));
    if (truth === false) return null;
    const where = `${this.#name(name)}: ${describe(expr)}`;
    for (const statement of expr) {
      const verdict = this.#verdict(statement);
      if (verdict === null) continue;
      if (verdict === "unknown" || truth === null) {
        // Whether it accepts or drops, what follows is no longer sure.
        if (verdict !== "accept") this.#mayDrop ??= where;
        if (verdict !== "drop") this.#mayAccept ??= where;
        return null;
      }
      if (verdict === "accept") return { fate: "accept", by: "" };
      if (verdict === "drop") return { fate: "drop", by: where };
      if (verdict === "return") return "return";
      const end = this.#chain(verdict.chain, depth + 1);
      if (end !== null) return end;
      if (verdict.goto) return "return";
    }
    return null;
  }

  #verdict(
    statement: Statement,
  ): Verdict {
    if ("accept" in statement) return "accept";
    if ("drop" in statement || "reject" in statement) return "drop";
    if ("return" in statement) return "return";
    const target = (statement.jump ?? statement.goto) as { target?: unknown } | undefined;
    if (typeof target?.target === "string") {
      return { chain: target.target, goto: "goto" in statement };
    }
    if ("vmap" in statement) return this.#vmap(statement.vmap as Record<string, Json>);
    // Made by iptables: `iptables -S` is asked about those.
    if ("xt" in statement || "queue" in statement) return "unknown";
    return null;
  }

  #vmap({ key, data }: Record<string, Json>): Verdict {
    const pairs = (data as { set?: unknown } | undefined)?.set;
    if (!Array.isArray(pairs)) return "unknown";
    let sure = true;
    for (const pair of pairs) {
      const [value, verdict] = Array.isArray(pair) ? pair as Json[] : [null, null];
      const truth = this.#equals(key, value);
      if (truth === true && typeof verdict === "object" && verdict !== null) {
        return sure ? this.#verdict(verdict as Statement) : "unknown";
      }
      if (truth === null) sure = false;
    }
    return sure ? null : "unknown";
  }

  #matches(statement: Statement): Truth {
    if ("xt" in statement) return null;
    if ("limit" in statement || "connlimit" in statement || "quota" in statement) return null;
    const match = statement.match as { op?: unknown; left?: Json; right?: Json } | undefined;
    if (match === undefined) return true;
    const { op, left, right } = match;
    if (op !== "==" && op !== "in" && op !== "!=") return null;
    const truth = this.#equals(left, right);
    return op === "!=" ? not(truth) : truth;
  }

  /** Whether what `left` stands for in our packet is `right`: a value, a list, a range, a set. */
  #equals(left: Json, right: Json): Truth {
    const value = this.#value(left);
    return value === undefined ? null : value === null ? false : this.#isOneOf(value, right);
  }

  #isOneOf(value: string | number, right: Json): Truth {
    if (typeof right === "string" && right.startsWith("@")) {
      const named = this.#ruleset.sets.find(({ name, table, family }) =>
        name === right.slice(1) && table === this.#base.table && family === this.#base.family
      );
      return named === undefined ? null : this.#isOneOf(value, { set: named.elem ?? [] });
    }
    if (typeof right === "string" || typeof right === "number") return isSame(value, right);
    if (Array.isArray(right)) return anyOf(right.map((each) => this.#isOneOf(value, each)));
    if (typeof right !== "object" || right === null) return null;
    const { set, prefix, range, elem } = right as Record<string, Json>;
    if (Array.isArray(set)) return anyOf(set.map((each) => this.#isOneOf(value, each)));
    if (elem !== undefined) return this.#isOneOf(value, (elem as { val?: Json }).val);
    if (prefix !== undefined) return isPrefixOf(value, prefix);
    if (Array.isArray(range)) return isInRange(value, range);
    return null;
  }

  /** The packet's own value; null: it has none (no port), undefined: not understood. */
  #value(left: Json): string | number | null | undefined {
    if (typeof left !== "object" || left === null) return undefined;
    const { payload, meta, ct } = left as Record<string, Record<string, unknown> | undefined>;
    if (payload !== undefined) return this.#payload(payload);
    if (ct?.key === "state") return "new";
    if (meta === undefined) return undefined;
    const { family, iif, protocol } = this.#packet;
    switch (meta.key) {
      case "iif":
      case "iifname":
        return iif;
      case "l4proto":
        return protocol === "icmp" && family === "ip6" ? "ipv6-icmp" : protocol;
      case "nfproto":
        return family === "ip" ? "ipv4" : "ipv6";
      case "protocol":
        return family;
      default:
        return undefined;
    }
  }

  #payload({ protocol, field }: Record<string, unknown>): string | number | null | undefined {
    const { family, source, destination, port } = this.#packet;
    const own = this.#packet.protocol;
    if (protocol === "ip" || protocol === "ip6") {
      if (protocol !== family) return null;
      if (field === "saddr") return source;
      if (field === "daddr") return destination;
      if (field === "protocol" || field === "nexthdr") {
        return own === "icmp" && family === "ip6" ? "ipv6-icmp" : own;
      }
      return undefined;
    }
    if (protocol === "arp") {
      if (family !== "arp") return null;
      if (field === "operation") return "request";
      if (field === "daddr ip" || field === "daddr") return destination;
      if (field === "saddr ip" || field === "saddr") return source;
      return undefined;
    }
    if (protocol === "icmp" || protocol === "icmpv6") {
      const fits = own === "icmp" && (protocol === "icmp") === (family === "ip");
      return !fits ? null : field === "type" ? "echo-request" : undefined;
    }
    if (protocol === "tcp" || protocol === "udp" || protocol === "th") {
      if (own === null || own === "icmp" || (protocol !== "th" && protocol !== own)) return null;
      return field === "dport" ? port : undefined;
    }
    return ["sctp", "dccp", "esp", "ah", "vlan"].includes(String(protocol)) ? null : undefined;
  }

  #name(chainName: string): string {
    return `${this.#base.family} ${this.#base.table} ${chainName}`;
  }
}

function isSame(value: string | number, right: string | number): Truth {
  if (typeof right === "string" && right.endsWith("*") && typeof value === "string") {
    return value.startsWith(right.slice(0, -1));
  }
  if (typeof value === "string" && value.includes(":") && String(right).includes(":")) {
    return isPrefixOf(value, { addr: right, len: 128 });
  }
  return String(value) === String(right);
}

function isPrefixOf(value: string | number, prefix: Json): Truth {
  const { addr, len } = prefix as { addr?: unknown; len?: unknown };
  if (typeof value !== "string" || typeof addr !== "string" || typeof len !== "number") return null;
  return isInPrefix(value, addr, len);
}

function isInRange(value: string | number, [from, to]: readonly Json[]): Truth {
  if (typeof value !== "number" || typeof from !== "number" || typeof to !== "number") return null;
  return value >= from && value <= to;
}

/** A rule as it may be found in `nft list ruleset`: its matches and its verdict, in short. */
function describe(expr: readonly Statement[]): string {
  return expr.flatMap((statement) => {
    const [name = ""] = Object.keys(statement);
    if (name !== "match") return name === "counter" ? [] : [name];
    const { left, op, right } = statement.match as { left?: Json; op?: Json; right?: Json };
    const { payload, meta, ct } = (left ?? {}) as Record<string, Record<string, unknown>>;
    const what = payload !== undefined
      ? `${payload.protocol} ${payload.field}`
      : String(meta?.key ?? ct?.key ?? "?");
    const value = typeof right === "object" ? JSON.stringify(right) : String(right);
    return [`${what}${op === "!=" ? " !=" : ""} ${value}`];
  }).join(" ").slice(0, 200);
}
