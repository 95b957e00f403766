/**
 * How relais recognises what it has mounted. Everything is in the kernel and nothing in a file, so that
 * a new daemon, `relais cleanup` and the kernel can never disagree (docs/design/vip.md).
 *
 * @module
 */

import type { AddressInfo, RouteInfo } from "./iproute.ts";

/** Protocol number of our routes, shown by `ip route` as `proto 173`; needs no entry in rt_protos. */
export const ROUTE_PROTOCOL = 173;

/**
 * Seconds that a mounted VIP lives without renewal. The kernel (6.18) drops it 2.5 to 3 s after the last
 * renewal; the daemon renews each second.
 */
export const VIP_LIFETIME_S = 3;

/** Longest interface name or address label that the kernel takes (IFNAMSIZ 16 with its final NUL). */
const MAX_LABEL = 15;

/**
 * The label of our IPv4 addresses on `ifname`: `eth0:relais`; `enp65s0f0:rl` where the long form does
 * not fit; `enp65s0f0np0:rl` (name cut) where even that is too long. iproute2 before 5.19 or so
 * insists that a label begins with the whole interface name, so there the last form fails.
 */
export function labelFor(ifname: string): string {
  const long = `${ifname}:relais`;
  if (long.length <= MAX_LABEL) return long;
  return `${ifname.slice(0, MAX_LABEL - ":rl".length)}:rl`;
}

/** Whether `label` is one of {@linkcode labelFor}, on whatever interface (interfaces are renamed). */
export function isOurLabel(label: string | null): boolean {
  return label !== null && /^[^:]+:(relais|rl)$/.test(label);
}

/**
 * Whether relais mounted this address. IPv4: by its label. IPv6 has no labels: one of our VIPs as /128
 * that skipped duplicate detection, has no prefix route, and that the kernel will drop within seconds.
 * Nobody configures such an address by hand, and without renewal it is gone before anyone could mind.
 */
export function isOurAddress(address: AddressInfo, options: {
  /** Every VIP of the configuration. */
  readonly vips: ReadonlySet<string>;
  readonly lifetimeS: number;
}): boolean {
  if (address.family === 4) return isOurLabel(address.label);
  return options.vips.has(address.address) && address.prefix === 128 && address.nodad &&
    address.noPrefixRoute && address.validS !== null && address.validS <= options.lifetimeS;
}

/** Whether relais set this route. */
export function isOurRoute(route: RouteInfo): boolean {
  return route.protocol === ROUTE_PROTOCOL;
}
