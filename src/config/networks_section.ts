/**
 * `[[networks]]`: addresses, VIPs, routes and witnesses, and the rules among them, within one network and
 * across all of them.
 *
 * @module
 */

import {
  broadcastAddress,
  type Cidr,
  contains,
  formatCidr,
  type IpAddress,
  networkAddress,
  parseIp,
} from "./address.ts";
import { BOUNDS, LIMITS } from "./defaults.ts";
import { type Read, readTable } from "./fields.ts";
import { asText, type IssueList } from "./issues.ts";
import { readRoutes, type RouteTyped } from "./routes_section.ts";
import { NETWORK_SHAPE } from "./schema.ts";
import type { NetworkConfig } from "./types.ts";

/** One network as far as it could be read, with its place in the file. */
interface NetworkTyped {
  readonly key: string;
  readonly typed: Read<typeof NETWORK_SHAPE>;
  readonly vips: readonly { readonly key: string; readonly text: string }[];
  readonly routes: readonly RouteTyped[];
  /** Null: master or prefix could not be read. */
  readonly subnet: Cidr | null;
}

/** Reads `[[networks]]`; what was wrong is in `issues` and the result is then not to be used. */
export function readNetworks(section: unknown, issues: IssueList): readonly NetworkConfig[] {
  if (!Array.isArray(section) || section.length === 0 || section.length > LIMITS.networks) {
    issues.add("networks", `must be 1 to ${LIMITS.networks} [[networks]] tables`, section);
    return [];
  }
  const list = section.map((value, index) => readNetwork(value, `networks[${index}]`, issues));
  checkAcross(list, issues);
  return list.flatMap((network) => resolve(network) ?? []);
}

function readNetwork(value: unknown, key: string, issues: IssueList): NetworkTyped {
  const typed = readTable(NETWORK_SHAPE, value, key, issues);
  if (typed.vip !== undefined && typed.vips !== undefined) {
    issues.add(`${key}.vips`, "must not be given together with vip: list all in vips", typed.vips);
  }
  const vips = [
    ...(typed.vip === undefined ? [] : [{ key: `${key}.vip`, text: typed.vip }]),
    ...(typed.vips ?? []).map((text, i) => ({ key: `${key}.vips[${i}]`, text })),
  ];
  const master = typed.master === undefined ? null : parseIp(typed.master);
  const subnet = master === null ? null : readSubnet(master, typed.prefix, key, issues);
  for (const [name, text] of [["master", typed.master], ["slave", typed.slave]] as const) {
    if (text !== undefined && subnet !== null) checkInside(subnet, text, `${key}.${name}`, issues);
  }
  for (const vip of vips) {
    if (subnet !== null) checkInside(subnet, vip.text, vip.key, issues);
  }
  for (const [index, witness] of (typed.witnesses ?? []).entries()) {
    if (master === null || parseIp(witness)?.family === master.family) continue;
    issues.add(
      `${key}.witnesses[${index}]`,
      `must be IPv${master.family} as the hosts are`,
      witness,
    );
  }
  const hosts = [typed.master, typed.slave].filter((text) => text !== undefined);
  const routes = readRoutes({
    value: typed.routes,
    key: `${key}.routes`,
    subnet,
    hosts,
    vips: vips.map((vip) => vip.text),
  }, issues);
  return { key, typed, vips, routes, subnet };
}

function readSubnet(
  master: IpAddress,
  prefix: number | undefined,
  key: string,
  issues: IssueList,
): Cidr | null {
  if (prefix === undefined) return null;
  const bounds = master.family === 4 ? BOUNDS.prefix4 : BOUNDS.prefix6;
  if (prefix >= bounds.min && prefix <= bounds.max) return { address: master, prefix };
  const rule =
    `must be a prefix length from ${bounds.min} to ${bounds.max} for IPv${master.family}`;
  issues.add(`${key}.prefix`, rule, prefix);
  return null;
}

/** `text` must be an address that a host of `subnet` can have. */
function checkInside(subnet: Cidr, text: string, key: string, issues: IssueList): void {
  const address = parseIp(text);
  if (address === null) return;
  const first = networkAddress(subnet);
  const shown = formatCidr({ address: first, prefix: subnet.prefix });
  if (!contains(subnet, address)) {
    const rule = address.family === subnet.address.family
      ? `must be inside its network ${shown} (the master's address and the prefix)`
      : `must be IPv${subnet.address.family}, the family of its network ${shown}`;
    return issues.add(key, rule, text);
  }
  // RFC 3021 and RFC 6164: a network of two addresses has neither of these.
  if (subnet.prefix >= (subnet.address.family === 4 ? 31 : 127)) return;
  if (address.value === first.value) {
    issues.add(key, `must not be the address of the network ${shown} itself`, text);
  } else if (subnet.address.family === 4 && address.value === broadcastAddress(subnet).value) {
    issues.add(key, `must not be the broadcast address of ${shown}`, text);
  }
}

/** Rules over all networks: one owner for each address, one name and one subnet for each network. */
function checkAcross(list: readonly NetworkTyped[], issues: IssueList): void {
  const owners = new Map<string, { readonly key: string; readonly vip: boolean }>();
  const claim = (text: string | undefined, key: string, vip: boolean): void => {
    if (text === undefined) return;
    const owner = owners.get(text);
    if (owner === undefined) owners.set(text, { key, vip });
    else issues.add(key, whyTaken({ vip, owner }), text);
  };
  for (const { key, typed } of list) {
    claim(typed.master, `${key}.master`, false);
    claim(typed.slave, `${key}.slave`, false);
  }
  for (const vip of list.flatMap((network) => network.vips)) claim(vip.text, vip.key, true);
  for (const { key, typed } of list) {
    for (const [index, witness] of (typed.witnesses ?? []).entries()) {
      const owner = owners.get(witness);
      if (owner === undefined) continue;
      const rule = `must be another machine than the two hosts, but it is ${owner.key}`;
      issues.add(`${key}.witnesses[${index}]`, rule, witness);
    }
  }
  checkNamesAndSubnets(list, issues);
  checkRoutesOnce(list, issues);
}

function whyTaken(options: {
  readonly vip: boolean;
  readonly owner: { readonly key: string; readonly vip: boolean };
}): string {
  const { vip, owner } = options;
  if (vip && !owner.vip) return `must differ from the hosts' own addresses, but it is ${owner.key}`;
  return vip
    ? `must be mounted once only, but it is also ${owner.key}`
    : `must be the address of one host on one network, but it is also ${owner.key}`;
}

function checkNamesAndSubnets(list: readonly NetworkTyped[], issues: IssueList): void {
  const names = new Map<string, string>();
  const subnets = new Map<string, string>();
  for (const { key, typed, subnet } of list) {
    if (typed.name !== undefined) {
      const other = names.get(typed.name);
      if (other === undefined) names.set(typed.name, key);
      else issues.add(`${key}.name`, `must be unique, but ${other} has it too`, typed.name);
    }
    if (subnet === null) continue;
    const text = formatCidr({ address: networkAddress(subnet), prefix: subnet.prefix });
    const other = subnets.get(text);
    if (other === undefined) subnets.set(text, key);
    else {
      const rule = `must be another network than ${other}: two of them on one subnet are one path`;
      issues.add(key, rule, asText(text));
    }
  }
}

function checkRoutesOnce(list: readonly NetworkTyped[], issues: IssueList): void {
  const seen = new Map<string, string>();
  for (const route of list.flatMap((network) => network.routes)) {
    const { to, table, metric, family } = route;
    const identity = JSON.stringify([family, to, table ?? "main", metric]);
    const other = seen.get(identity);
    if (other === undefined) seen.set(identity, route.key);
    else {
      const rule = `must differ from ${other} in to, table or metric: the kernel keeps one of them`;
      issues.add(route.key, rule, asText(`to = "${to}"`));
    }
  }
}

function resolve(network: NetworkTyped): NetworkConfig | null {
  const { typed, subnet, vips, routes } = network;
  const { name, master, slave, prefix } = typed;
  if (name === undefined || master === undefined || slave === undefined) return null;
  if (prefix === undefined || subnet === null) return null;
  const texts = vips.map((vip) => vip.text);
  const gateways = [...new Set(routes.flatMap((route) => route.via ?? []))];
  return {
    name,
    master,
    slave,
    family: subnet.address.family,
    prefix,
    vips: texts,
    routes: routes.map(({ to, via, src, table, metric }) => ({
      to,
      via,
      src: src ?? texts[0] ?? null,
      table,
      metric,
    })),
    witnesses: typed.witnesses ?? gateways,
    interface: typed.interface ?? null,
  };
}
