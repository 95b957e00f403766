/**
 * Who may read the health pages: the configured networks, nobody beyond (docs/http.md); and from where the
 * peer speaks. Pure.
 *
 * @module
 */

import { contains, parseCidr, parseIp } from "../config/address.ts";
import type { LocalConfig, NetworkConfig } from "../config/types.ts";

/** Whether an address, as plain text without zone, lies in one of the networks. */
export function isOnNetworks(
  address: string,
  networks: readonly Pick<NetworkConfig, "master" | "prefix">[],
): boolean {
  const asked = parseIp(address);
  return asked !== null && networks.some(({ master, prefix }) => {
    const subnet = parseCidr(`${master}/${prefix}`);
    return subnet !== null && contains(subnet, asked);
  });
}

/**
 * Whether the peer may speak from an address (plain text without zone): one of its own, or a VIP, which
 * its routes may have it speak from while it serves.
 */
export function isPeersAddress(
  address: string,
  { role, networks }: {
    readonly role: LocalConfig["role"];
    readonly networks: readonly Pick<NetworkConfig, "master" | "slave" | "vips">[];
  },
): boolean {
  const asked = parseIp(address);
  if (asked === null) return false;
  return networks.some(({ master, slave, vips }) =>
    [role === "master" ? slave : master, ...vips].some((text) => {
      const known = parseIp(text);
      return known !== null && known.family === asked.family && known.value === asked.value;
    })
  );
}
