/**
 * What the kernel's settings of an interface mean for VIPs. Pure. Source: ip-sysctl of the kernel.
 *
 * @module
 */

import { failure, good, type Said, warning } from "./finding.ts";

/** Judges the effective `rp_filter` of each interface: 0 off, 1 strict, 2 loose. */
export function judgeReversePath(
  settings: readonly { readonly name: string; readonly value: number }[],
): readonly Said[] {
  const id = "addresses.rp_filter";
  return settings.map(({ name, value }) => {
    if (value !== 1) return good(id, `${name}: ${value === 0 ? "off" : "loose"}`);
    const mend = `sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.${name}.rp_filter=2`;
    // With one network nothing can come in by another way than it leaves.
    return settings.length === 1
      ? good(id, `${name}: strict, the only network`)
      : warning(id, `${name}: strict, and there are ${settings.length} networks`, mend);
  });
}

/** Judges the effective ARP settings of one interface. */
export function judgeArp({ name, ignore, announce, filter, sharesWith }: {
  readonly name: string;
  readonly ignore: number;
  readonly announce: number;
  readonly filter: number;
  /** Other interfaces of this host with an address of the same network. */
  readonly sharesWith: readonly string[];
}): readonly Said[] {
  const id = "addresses.arp";
  const set = (key: string, value: number): string =>
    `sysctl -w net.ipv4.conf.all.${key}=0 net.ipv4.conf.${name}.${key}=${value}`;
  const shown = `arp_ignore ${ignore}, arp_announce ${announce}, arp_filter ${filter}`;
  if (ignore >= 3) {
    const text = `${name}: arp_ignore ${ignore} keeps this host from answering for a VIP`;
    return [failure(id, text, set("arp_ignore", 1))];
  }
  const problems: Said[] = [];
  if (filter !== 0) {
    const text = `${name}: arp_filter lets the routing decide whether ARP is answered`;
    problems.push(warning(id, text, set("arp_filter", 0)));
  }
  if (sharesWith.length > 0 && ignore === 0) {
    const text = `${name} and ${sharesWith.join(", ")} are in one network, and arp_ignore is 0: ` +
      "either may answer for the VIP";
    problems.push(warning(id, text, set("arp_ignore", 1)));
  }
  return problems.length > 0 ? problems : [good(id, `${name}: ${shown}`)];
}
