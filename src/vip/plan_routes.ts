/**
 * The routes of a plan. Pure.
 *
 * @module
 */

import type { Desired, DesiredRoute } from "./desired.ts";
import type { Observed, RouteInfo } from "./iproute.ts";
import { routeLine, routeText } from "./lines.ts";
import { isOurRoute, ROUTE_PROTOCOL } from "./mark.ts";
import { absentSentence, type Operation } from "./operation.ts";

/** What is to be done about routes. */
export interface RoutePlan {
  readonly add: readonly Operation[];
  readonly remove: readonly Operation[];
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
  /** IPv6 routes that are there and shall stay: they expire unless renewed. */
  readonly present: readonly RouteInfo[];
}

/** What turns the routes of `observed` into those of `desired`, leaving alone all that are not ours. */
export function planRoutes(desired: Desired, observed: Observed, options: {
  /** VIPs that can't be mounted now: nor can the routes from them. */
  readonly blocked: ReadonlySet<string>;
  readonly lifetimeS: number;
}): RoutePlan {
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

function sameRoute(a: RouteInfo, b: RouteInfo): boolean {
  return a.family === b.family && a.to === b.to && a.via === b.via && a.dev === b.dev &&
    a.src === b.src && a.table === b.table && a.metric === b.metric && a.protocol === b.protocol;
}

function unique(routes: readonly RouteInfo[]): RouteInfo[] {
  return routes.filter((route, at) => routes.findIndex((other) => sameRoute(other, route)) === at);
}
