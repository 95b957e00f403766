/**
 * Who may read the health pages: the configured networks, nobody beyond (docs/http.md). Pure.
 *
 * @module
 */

import { contains, parseCidr, parseIp } from "../config/address.ts";
import type { NetworkConfig } from "../config/types.ts";

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
