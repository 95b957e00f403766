/**
 * Desired against observed: what `ip` must be told. Pure. Compares exact address, prefix and interface.
 *
 * @module
 */

import type { Desired, DesiredVip } from "./desired.ts";
import type { AddressInfo, InterfaceInfo, Observed, RouteInfo } from "./iproute.ts";
import { addressLine, hostPrefix, routeLine } from "./lines.ts";
import { isOurAddress, labelFor } from "./mark.ts";
import { absentSentence, type Operation } from "./operation.ts";
import { planRoutes } from "./plan_routes.ts";

/** What all plans of one host have in common. */
export interface PlanContext {
  /** Every VIP of the configuration. */
  readonly vips: ReadonlySet<string>;
  readonly lifetimeS: number;
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
 * Lines that undo what a renewal did where `observed`, read just before it, no longer showed our
 * address: one that is gone was mounted again (the plan decides whether and where it shall be), and one
 * that something else put in the place of ours got our lifetime.
 */
export function correctionLines(
  renewed: Pick<Plan, "present">,
  observed: Observed,
  context: PlanContext,
): string[] {
  return renewed.present.flatMap(({ vip, dev }) => {
    const host = `${vip.address}/${hostPrefix(vip.family)} dev ${dev}`;
    const address = observed.interfaces.find((link) => link.name === dev)?.addresses
      .find((candidate) =>
        candidate.address === vip.address && candidate.prefix === hostPrefix(vip.family)
      );
    if (address === undefined) {
      return [`address del ${host}${vip.family === 4 ? ` label ${labelFor(dev)}` : ""}`];
    }
    if (isOurAddress(address, context)) return [];
    return [
      `address replace ${host} ` +
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

function foreignSentence(dev: string, address: AddressInfo): string {
  return `VIP is already configured on this host by something else: ` +
    `${address.address}/${address.prefix} on ${dev}; remove it there (/etc/network/interfaces, ` +
    `networkd, NetworkManager, keepalived), relais mounts it when this host serves`;
}
