/**
 * Makes the links of a node, and says what the peer's answers over them must prove.
 *
 * @module
 */

import type { HealthTrust } from "../heartbeat/http_probe.ts";
import { getLog } from "../os/log.ts";
import { Links } from "./links.ts";
import type { NodeOptions } from "./node_options.ts";
import type { NodePorts } from "./ports.ts";

const log = getLog("links");

/** Makes them; nothing is sent yet. */
export function createLinks(
  options: Pick<NodeOptions, "config" | "clock" | "memory" | "keyring" | "identity">,
  { ports, onNews }: { readonly ports: NodePorts; readonly onNews: () => void },
): Links {
  const { config, clock, memory } = options;
  return new Links({
    config,
    clock,
    knownWitnesses: memory.load()?.witnesses ?? [],
    onNews,
    ports,
    trust: healthTrust(options),
    onUnproved: (network, detail) => log.warn(detail, { event: "health-unproved", network }),
  });
}

/** Undefined: nothing, as there are no keys to prove anything with. */
export function healthTrust(
  { keyring, identity }: Pick<NodeOptions, "keyring" | "identity">,
): HealthTrust | undefined {
  return keyring === undefined ? undefined : { keyring, instanceId: identity.instanceId };
}
