/**
 * `networks[].routes`: the routes that come and go with the VIPs of a network.
 *
 * @module
 */

import { type Cidr, contains, formatCidr, networkAddress, parseCidr, parseIp } from "./address.ts";
import { LIMITS } from "./defaults.ts";
import { readTable } from "./fields.ts";
import type { IssueList } from "./issues.ts";
import { ROUTE_SHAPE } from "./schema.ts";
import type { RouteConfig } from "./types.ts";

/** A route as far as it could be read, with its place in the file. */
export interface RouteTyped extends RouteConfig {
  readonly key: string;
  readonly family: 4 | 6 | null;
}

/** What the routes of one network are judged by. */
interface RouteContext {
  /** The value of `routes`; undefined: none. */
  readonly value: unknown;
  readonly key: string;
  readonly subnet: Cidr | null;
  readonly hosts: readonly string[];
  readonly vips: readonly string[];
}

/** Reads the routes of one network; problems go to `issues`. */
export function readRoutes(context: RouteContext, issues: IssueList): readonly RouteTyped[] {
  const { value, key } = context;
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length > LIMITS.routesPerNetwork) {
    issues.add(key, `must be a list of at most ${LIMITS.routesPerNetwork} routes`, value);
    return [];
  }
  if (value.length > 0 && context.vips.length === 0) {
    const rule =
      "must not be given without a VIP on the same network, as they come and go with it " +
      "(to name the gateway as a witness use witnesses)";
    issues.add(key, rule, value);
  }
  return value.map((route, index) => readRoute(route, `${key}[${index}]`, context, issues));
}

function readRoute(
  value: unknown,
  key: string,
  context: RouteContext,
  issues: IssueList,
): RouteTyped {
  const { subnet, hosts, vips } = context;
  const typed = readTable(ROUTE_SHAPE, value, key, issues);
  const family = subnet?.address.family ?? null;
  const to = typed.to === undefined ? "" : readTo(typed.to, `${key}.to`, family, issues);
  if (to === "default" && typed.via === undefined) {
    issues.add(`${key}.via`, "must be given for a default route", typed.via);
  }
  if (typed.via !== undefined) {
    const via = parseIp(typed.via);
    if (subnet !== null && via !== null && !contains(subnet, via)) {
      const network = formatCidr({ address: networkAddress(subnet), prefix: subnet.prefix });
      issues.add(`${key}.via`, `must be inside the network ${network}`, typed.via);
    } else if (hosts.includes(typed.via) || vips.includes(typed.via)) {
      issues.add(`${key}.via`, "must be another machine than the two hosts", typed.via);
    }
  }
  if (typed.src !== undefined && !vips.includes(typed.src)) {
    const rule = hosts.includes(typed.src)
      ? "must be a VIP of this network: a host's own address is not on the other host"
      : "must be a VIP of this network";
    issues.add(`${key}.src`, rule, typed.src);
  }
  return {
    key,
    family,
    to,
    via: typed.via ?? null,
    src: typed.src ?? null,
    table: typed.table === undefined ? null : String(typed.table),
    metric: typed.metric ?? null,
  };
}

/** `default` or a prefix in canonical form. */
function readTo(text: string, key: string, family: 4 | 6 | null, issues: IssueList): string {
  if (text === "default") return text;
  const cidr = parseCidr(text);
  if (cidr === null) {
    issues.add(key, 'must be "default" or a prefix such as "192.168.0.0/16"', text);
    return text;
  }
  const network = networkAddress(cidr);
  const canonical = formatCidr({ address: network, prefix: cidr.prefix });
  if (network.value !== cidr.address.value) {
    issues.add(key, `must have no host bits set, e.g. "${canonical}"`, text);
  } else if (cidr.prefix === 0) {
    issues.add(key, 'must be typed as "default"', text);
  } else if (family !== null && cidr.address.family !== family) {
    issues.add(key, `must be IPv${family}, the family of its network`, text);
  }
  return canonical;
}
