/**
 * The files that pairing reads and writes on a host.
 *
 * @module
 */

import { dirname } from "node:path";
import type { TransportConfig } from "../config/types.ts";

/** Those that hold the trust between the hosts, and what they rest on. */
export interface Places {
  /** `relais.toml`. */
  readonly config: string;
  readonly key: string;
  /** The private half; the public one is beside it with `.pub`. */
  readonly identity: string;
  readonly knownHosts: string;
  readonly authorizedKeys: string;
  /** The public half of the key by which sshd here is known. */
  readonly hostKey: string;
}

/** Where these are on an installed host; tests put all of them elsewhere. */
export const SYSTEM_PLACES: Pick<Places, "authorizedKeys" | "hostKey"> = {
  authorizedKeys: "/root/.ssh/authorized_keys",
  hostKey: "/etc/ssh/ssh_host_ed25519_key.pub",
};

/** Held while one pairing works on this host. */
export const PAIR_LOCK = "/run/relais-pair.lock";

/** The places of a host with this configuration. */
export function placesOf(
  transport: Pick<TransportConfig, "identityFile" | "knownHostsFile">,
  paths: { readonly config: string; readonly key: string },
  system = SYSTEM_PLACES,
): Places {
  return {
    ...system,
    config: paths.config,
    key: paths.key,
    identity: transport.identityFile,
    knownHosts: transport.knownHostsFile,
  };
}

/** The folders that are made when they are not there, outermost first, with their mode. */
export function foldersOf(
  places: Places,
): readonly { readonly path: string; readonly mode: number }[] {
  return [
    { path: dirname(places.config), mode: 0o755 },
    { path: dirname(places.key), mode: 0o755 },
    { path: dirname(places.identity), mode: 0o700 },
    { path: dirname(places.knownHosts), mode: 0o700 },
    { path: dirname(places.authorizedKeys), mode: 0o700 },
  ];
}
