/**
 * What the configuration wants to be on this host while it serves. Pure.
 *
 * @module
 */

import { contains, parseCidr, parseIp } from "../config/address.ts";
import type { NetworkConfig } from "../config/types.ts";
import type { Role } from "../core/types.ts";
import { canonicalAddress, canonicalDestination, type InterfaceInfo } from "./iproute.ts";

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
    const ownWay = wayToPeer(network, options.role);
    for (const route of network.routes) {
      const family = familyOf(route.via ?? (route.to === "default" ? network.master : route.to));
      const src = route.src ?? network.vips.find((vip) => familyOf(vip) === family) ?? null;
      const table = options.tableOf(route.table);
      // Before it, so that no moment is without it.
      if (ownWay.isNeededFor(route.to) && !routes.some((one) => isTo(one, ownWay.route, table))) {
        routes.push({ network: network.name, ...ownWay.route, table, metric: null, dev });
      }
      routes.push({
        network: network.name,
        family,
        to: canonicalDestination(route.to, family),
        via: route.via === null ? null : canonicalAddress(route.via),
        src: src === null ? null : canonicalAddress(src),
        table,
        metric: route.metric,
        dev,
      });
    }
  }
  return { vips, routes };
}

/**
 * A route from a VIP to the hosts' own network would also take what the two daemons say to each other, and
 * cut it when the VIP goes: the way to the peer keeps this host's own address.
 */
function wayToPeer(network: NetworkConfig, role: Role): {
  readonly route: Pick<DesiredRoute, "family" | "to" | "via" | "src">;
  readonly isNeededFor: (to: string) => boolean;
} {
  const peer = canonicalAddress(network[role === "master" ? "slave" : "master"]);
  const family = familyOf(peer);
  const address = parseIp(peer);
  return {
    route: {
      family,
      to: canonicalDestination(peer, family),
      via: null,
      src: canonicalAddress(network[role]),
    },
    // A shorter prefix loses against the kernel's own route to the network.
    isNeededFor: (to) => {
      const prefix = parseCidr(to);
      return prefix !== null && address !== null && prefix.prefix >= network.prefix &&
        contains(prefix, address);
    },
  };
}

function isTo(
  route: DesiredRoute,
  { family, to }: Pick<DesiredRoute, "family" | "to">,
  table: number,
): boolean {
  return route.family === family && route.to === to && route.table === table;
}

/** The family that a literal address or prefix belongs to. */
function familyOf(address: string): 4 | 6 {
  return address.includes(":") ? 6 : 4;
}
