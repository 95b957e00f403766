/**
 * Desired against observed: what `ip` must be told. Pure. Compares exact address, prefix and interface.
 *
 * @module
 */

import type { NetworkConfig } from "../config/types.ts";
import type { Role } from "../core/types.ts";
import {
  type AddressInfo,
  canonicalAddress,
  canonicalDestination,
  type InterfaceInfo,
  MAIN_TABLE,
  type Observed,
  type RouteInfo,
} from "./iproute.ts";
import { isOurAddress, isOurRoute, labelFor, ROUTE_PROTOCOL } from "./mark.ts";

/** A VIP that this host should hold. */
export interface DesiredVip {
  readonly network: string;
  readonly family: 4 | 6;
  readonly address: string;
  /** Null: its interface is absent or down now. */
  readonly dev: string | null;
}

/** A route that goes with the VIPs of its network. */
export interface DesiredRoute {
  readonly network: string;
  readonly family: 4 | 6;
  /** As {@linkcode RouteInfo.to}. */
  readonly to: string;
  readonly via: string | null;
  readonly src: string | null;
  readonly table: number;
  /** Null: the best there is. */
  readonly metric: number | null;
  readonly dev: string | null;
}

/** What should be there. */
export interface Desired {
  readonly vips: readonly DesiredVip[];
  readonly routes: readonly DesiredRoute[];
}

/** What all plans of one host have in common. */
export interface PlanContext {
  /** Every VIP of the configuration. */
  readonly vips: ReadonlySet<string>;
  readonly lifetimeS: number;
}

/** One line for `ip -batch`. */
export interface Operation {
  readonly kind: "add-address" | "add-route" | "delete-address" | "delete-route";
  readonly line: string;
  /** For people, e.g. `10.20.0.10/32 on eth0`. */
  readonly what: string;
  /** Null: of a network that is not configured any more. */
  readonly network: string | null;
  /** The address that is concerned; for routes their source. */
  readonly vip: string | null;
  /** Null for addresses. */
  readonly route: RouteInfo | null;
}

/** What to do, and what stands in the way. */
export interface Plan {
  /** In this order. */
  readonly operations: readonly Operation[];
  /** Whole sentences: these things can't be mounted, an operator must look or an interface come up. */
  readonly problems: readonly string[];
  /** Those of the problems that are wrong on a host that does not serve, too: VIPs of something else. */
  readonly foreign: readonly string[];
  /** Whole sentences: mounted, but not as it should be. */
  readonly warnings: readonly string[];
  /** Our addresses that are there and shall stay: their lifetime is to be renewed. */
  readonly present: readonly { readonly vip: DesiredVip; readonly dev: string }[];
  /** The same for IPv6 routes, which expire too. */
  readonly presentRoutes: readonly RouteInfo[];
}

/**
 * The interface of a network: the configured one, else the first that is up and carries `own`; null
 * while it is absent or down.
 */
export function interfaceOf(
  network: NetworkConfig,
  role: Role,
  interfaces: readonly InterfaceInfo[],
): InterfaceInfo | null {
  const own = canonicalAddress(network[role]);
  const found = interfaces.find((candidate) =>
    candidate.up &&
    (network.interface === null
      ? candidate.addresses.some((address) => address.address === own)
      : candidate.name === network.interface)
  );
  return found ?? null;
}

/** Everything that a host which serves should hold. */
export function desiredOf(networks: readonly NetworkConfig[], options: {
  readonly role: Role;
  readonly interfaces: readonly InterfaceInfo[];
  /** Number of a routing table; null in the configuration means `main`. */
  readonly tableOf: (name: string | null) => number;
}): Desired {
  const vips: DesiredVip[] = [];
  const routes: DesiredRoute[] = [];
  for (const network of networks) {
    const dev = interfaceOf(network, options.role, options.interfaces)?.name ?? null;
    for (const vip of network.vips) {
      const address = canonicalAddress(vip);
      vips.push({ network: network.name, family: familyOf(address), address, dev });
    }
    for (const route of network.routes) {
      const family = familyOf(route.via ?? (route.to === "default" ? network.master : route.to));
      const src = route.src ?? network.vips.find((vip) => familyOf(vip) === family) ?? null;
      routes.push({
        network: network.name,
        family,
        to: canonicalDestination(route.to, family),
        via: route.via === null ? null : canonicalAddress(route.via),
        src: src === null ? null : canonicalAddress(src),
        table: options.tableOf(route.table),
        metric: route.metric,
        dev,
      });
    }
  }
  return { vips, routes };
}

/** What turns `observed` into `desired`, leaving alone all that is not ours. */
export function plan(desired: Desired, observed: Observed, context: PlanContext): Plan {
  const addresses = planAddresses(desired.vips, observed.interfaces, context);
  const routes = planRoutes(desired, observed, {
    blocked: addresses.blocked,
    lifetimeS: context.lifetimeS,
  });
  return {
    // New before old: what is moved is never missing. Routes leave before the addresses they use.
    operations: [
      ...addresses.add,
      ...routes.add,
      ...routes.remove,
      ...addresses.remove,
    ],
    problems: [...addresses.foreign, ...addresses.problems, ...routes.problems],
    foreign: addresses.foreign,
    warnings: [...addresses.warnings, ...routes.warnings],
    present: addresses.present,
    presentRoutes: routes.present,
  };
}

/** Extends the lifetimes of what a {@linkcode Plan} found present. */
export function renewalLines(
  found: Pick<Plan, "present" | "presentRoutes">,
  lifetimeS: number,
): string[] {
  return [
    ...found.present.map(({ vip, dev }) => addressLine("replace", vip, { dev, lifetimeS })),
    ...found.presentRoutes.map((route) => routeLine("replace", route, lifetimeS)),
  ];
}

/**
 * Lines that give back the lifetimes of addresses that something else has put in the place of ours just
 * before we renewed ours.
 */
export function givenBackLines(
  renewed: Pick<Plan, "present">,
  observed: Observed,
  context: PlanContext,
): string[] {
  return renewed.present.flatMap(({ vip, dev }) => {
    const address = observed.interfaces.find((link) => link.name === dev)?.addresses
      .find((candidate) =>
        candidate.address === vip.address && candidate.prefix === hostPrefix(vip.family)
      );
    if (address === undefined || isOurAddress(address, context)) return [];
    return [
      `address replace ${address.address}/${address.prefix} dev ${dev} ` +
      `valid_lft ${address.validS ?? "forever"} preferred_lft ${address.preferredS ?? "forever"}`,
    ];
  });
}

function planAddresses(
  vips: readonly DesiredVip[],
  interfaces: readonly InterfaceInfo[],
  context: PlanContext,
): Pick<Plan, "problems" | "foreign" | "warnings" | "present"> & {
  add: Operation[];
  remove: Operation[];
  /** VIPs that can't be mounted now. */
  blocked: ReadonlySet<string>;
} {
  const add: Operation[] = [];
  const remove: Operation[] = [];
  const problems: string[] = [];
  const warnings: string[] = [];
  const foreign: string[] = [];
  const present: { vip: DesiredVip; dev: string }[] = [];
  const blocked = new Set<string>();
  const all = interfaces.flatMap((link) =>
    link.addresses.map((address) => ({ dev: link.name, address }))
  );
  const ours = all.filter(({ address }) => isOurAddress(address, context));
  const keep = new Set<AddressInfo>();
  for (const vip of vips) {
    const other = all.find(({ address }) =>
      address.address === vip.address && !isOurAddress(address, context)
    );
    const mounted = ours.find(({ dev, address }) =>
      address.address === vip.address && address.prefix === hostPrefix(vip.family) &&
      (vip.dev === null || dev === vip.dev)
    );
    if (other !== undefined) {
      foreign.push(foreignSentence(other.dev, other.address));
      blocked.add(vip.address);
    } else if (mounted !== undefined) {
      present.push({ vip, dev: mounted.dev });
      keep.add(mounted.address);
      if (vip.dev === null) warnings.push(absentSentence(vip.network, `serve on ${vip.address}`));
    } else if (vip.dev === null) {
      problems.push(absentSentence(vip.network, `mount ${vip.address}`));
      blocked.add(vip.address);
    } else {
      const { dev } = vip;
      add.push({
        kind: "add-address",
        line: addressLine("add", vip, { dev, lifetimeS: context.lifetimeS }),
        what: `${vip.address}/${hostPrefix(vip.family)} on ${dev}`,
        network: vip.network,
        vip: vip.address,
        route: null,
      });
    }
  }
  for (const { dev, address } of ours) {
    if (keep.has(address)) continue;
    remove.push({
      kind: "delete-address",
      // The kernel compares the label too, so that this can hit nothing but ours.
      line: `address del ${address.address}/${address.prefix} dev ${dev}` +
        (address.label === null ? "" : ` label ${address.label}`),
      what: `${address.address}/${address.prefix} on ${dev}`,
      network: vips.find((vip) => vip.address === address.address)?.network ?? null,
      vip: address.address,
      route: null,
    });
  }
  return { add, remove, problems, foreign, warnings, present, blocked };
}

function planRoutes(desired: Desired, observed: Observed, options: {
  /** VIPs that can't be mounted now: nor can the routes from them. */
  readonly blocked: ReadonlySet<string>;
  readonly lifetimeS: number;
}): Pick<Plan, "problems" | "warnings"> & {
  add: Operation[];
  remove: Operation[];
  present: RouteInfo[];
} {
  const add: Operation[] = [];
  const problems: string[] = [];
  const warnings: string[] = [];
  const present: RouteInfo[] = [];
  const ours = unique(observed.routes.filter(isOurRoute));
  const keep = new Set<RouteInfo>();
  for (const route of desired.routes) {
    // Its VIP is reported already.
    if (route.src !== null && options.blocked.has(route.src)) continue;
    if (route.dev === null) {
      problems.push(absentSentence(route.network, `route to ${route.to}`));
      continue;
    }
    const rivals = observed.routes.filter((other) =>
      other.family === route.family && other.table === route.table && other.to === route.to
    );
    const metric = metricFor(route, rivals);
    if (metric === null) {
      problems.push(
        `Cannot route to ${route.to} from ${route.src} as another route to it has the best metric: ` +
          `give that route a metric above 1`,
      );
      continue;
    }
    const wanted: RouteInfo = { ...route, metric, protocol: ROUTE_PROTOCOL };
    const mounted = ours.find((other) => sameRoute(other, wanted));
    const first = rivals.find((other) => other.metric === metric);
    const overtaken = mounted !== undefined && first !== undefined && !sameRoute(first, mounted);
    const shadow = rivals.find((other) => other.metric < metric && !isOurRoute(other));
    if (shadow !== undefined) {
      warnings.push(
        `Cannot use the route to ${route.to} from ${route.src} as ${
          routeText(shadow)
        } goes before ` +
          `it: leave out "metric" in its configuration, or give it one below ${shadow.metric}`,
      );
    }
    if (mounted !== undefined) keep.add(mounted);
    if (mounted !== undefined && !overtaken) {
      if (route.family === 6) present.push(mounted);
      continue;
    }
    if (mounted !== undefined) add.push(deleteRoute(mounted, route.network));
    // IPv6: one of ours in the same place (the kernel strips `src` from it with the address).
    const changed = ours.find((other) =>
      route.family === 6 && other.table === route.table && other.to === route.to &&
      other.metric === metric
    );
    if (changed !== undefined) keep.add(changed);
    const { network } = route;
    add.push(
      addRoute(wanted, { network, lifetimeS: options.lifetimeS, replace: changed !== undefined }),
    );
  }
  const remove = ours.filter((route) => !keep.has(route))
    .map((route) => deleteRoute(route, null));
  return { add, remove, problems, warnings, present };
}

/**
 * The metric that puts our route before every other without touching them. IPv4: the kernel keeps any
 * number of routes of one metric and uses the first, and ours is put first (`ip route prepend`).
 * IPv6 makes equal metrics one multipath route and counts from 1: ours goes one better than an equal.
 */
function metricFor(route: DesiredRoute, rivals: readonly RouteInfo[]): number | null {
  if (route.family === 4) return route.metric ?? 0;
  const taken = new Set(rivals.filter((other) => !isOurRoute(other)).map((other) => other.metric));
  let metric = Math.max(1, route.metric ?? 1);
  while (taken.has(metric)) metric -= 1;
  return metric >= 1 ? metric : null;
}

function deleteRoute(route: RouteInfo, network: string | null): Operation {
  const line = routeLine("del", route, null);
  return { kind: "delete-route", line, what: routeText(route), network, vip: route.src, route };
}

function addRoute(
  route: RouteInfo,
  options: { readonly network: string; readonly lifetimeS: number; readonly replace: boolean },
): Operation {
  const line = route.family === 4
    ? routeLine("prepend", route, null)
    // Only IPv6 routes can expire; IPv4 routes of the main table leave with their source address.
    : routeLine(options.replace ? "replace" : "add", route, options.lifetimeS);
  return {
    kind: "add-route",
    line,
    what: routeText(route),
    network: options.network,
    vip: route.src,
    route,
  };
}

function addressLine(
  verb: "add" | "replace",
  vip: DesiredVip,
  options: { readonly dev: string; readonly lifetimeS: number },
): string {
  const { dev, lifetimeS } = options;
  return vip.family === 4
    ? `address ${verb} ${vip.address}/32 dev ${dev} label ${labelFor(dev)} ` +
      `valid_lft ${lifetimeS} preferred_lft ${lifetimeS}`
    // Preferred for 0 s: never chosen as a source unless a route says so, as with IPv4.
    : `address ${verb} ${vip.address}/128 dev ${dev} nodad noprefixroute ` +
      `valid_lft ${lifetimeS} preferred_lft 0`;
}

function routeLine(
  verb: "add" | "replace" | "prepend" | "del",
  route: RouteInfo,
  lifetimeS: number | null,
): string {
  return [
    `route ${verb} ${route.to}`,
    route.via === null ? null : `via ${route.via}`,
    route.dev === null ? null : `dev ${route.dev}`,
    route.src === null ? null : `src ${route.src}`,
    `proto ${ROUTE_PROTOCOL} table ${route.table}`,
    route.metric === 0 ? null : `metric ${route.metric}`,
    lifetimeS === null ? null : `expires ${lifetimeS}`,
  ].filter((part) => part !== null).join(" ");
}

/** A route in words. */
export function routeText(route: RouteInfo): string {
  return [
    route.to === "0.0.0.0/0" || route.to === "::/0" ? "default" : route.to,
    route.via === null ? "" : ` via ${route.via}`,
    route.dev === null ? "" : ` on ${route.dev}`,
    route.src === null ? "" : ` from ${route.src}`,
    route.table === MAIN_TABLE ? "" : ` in table ${route.table}`,
    route.metric === 0 ? "" : ` metric ${route.metric}`,
  ].join("");
}

function sameRoute(a: RouteInfo, b: RouteInfo): boolean {
  return a.family === b.family && a.to === b.to && a.via === b.via && a.dev === b.dev &&
    a.src === b.src && a.table === b.table && a.metric === b.metric && a.protocol === b.protocol;
}

function unique(routes: readonly RouteInfo[]): RouteInfo[] {
  return routes.filter((route, at) => routes.findIndex((other) => sameRoute(other, route)) === at);
}

function hostPrefix(family: 4 | 6): 32 | 128 {
  return family === 4 ? 32 : 128;
}

function familyOf(address: string): 4 | 6 {
  return address.includes(":") ? 6 : 4;
}

function foreignSentence(dev: string, address: AddressInfo): string {
  return `VIP is already configured on this host by something else: ` +
    `${address.address}/${address.prefix} on ${dev}; remove it there (/etc/network/interfaces, ` +
    `networkd, NetworkManager, keepalived), relais mounts it when this host serves`;
}

function absentSentence(network: string, purpose: string): string {
  return `Cannot ${purpose} as the interface of network "${network}" is absent or down: waiting for it`;
}
