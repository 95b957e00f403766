/**
 * The batch syntax of iproute2 for our addresses and routes, and the same for people. Pure. Source:
 * ip-address(8), ip-route(8).
 *
 * @module
 */

import { MAIN_TABLE, type RouteInfo } from "./iproute.ts";
import { labelFor, ROUTE_PROTOCOL } from "./mark.ts";

/** Mounts an address, or extends its lifetime. */
export function addressLine(
  verb: "add" | "replace",
  vip: { readonly family: 4 | 6; readonly address: string },
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

/** Sets or removes one of our routes; `lifetimeS` only for IPv6. */
export function routeLine(
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

/** VIPs are mounted as single hosts: docs/design/vip.md. */
export function hostPrefix(family: 4 | 6): 32 | 128 {
  return family === 4 ? 32 : 128;
}
