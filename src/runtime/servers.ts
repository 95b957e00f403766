/**
 * The two HTTP sides of a node: the health pages and the peer's messages on the node's own addresses, and
 * the control socket.
 *
 * @module
 */

import type { LocalConfig } from "../config/types.ts";
import { createApp } from "../health/app.ts";
import { createControlApp } from "../health/control_app.ts";
import { ControlServer } from "../health/control_server.ts";
import { HealthServer } from "../health/server.ts";
import { MessageVerifier } from "../heartbeat/message.ts";
import { getLog } from "../os/log.ts";
import type { Replicator } from "../replication/replicator.ts";
import { isOnNetworks } from "./allow_list.ts";
import { createControl } from "./control.ts";
import type { Node } from "./node.ts";
import { controlSocket, type Paths } from "./paths.ts";

const log = getLog("daemon");

/** What {@linkcode createServers} joins. */
export interface ServersOptions {
  readonly node: Node;
  readonly config: LocalConfig;
  readonly paths: Paths;
  readonly replicator: Replicator | null;
  /** Null: no cluster key, every message of the peer is refused. */
  readonly keys: readonly Uint8Array[] | null;
  /** Our own instance id. */
  readonly instanceId: string;
}

/** Makes both servers; they listen once they are started. */
export function createServers(
  options: ServersOptions,
): { readonly control: ControlServer; readonly health: HealthServer } {
  const { node, config, paths, replicator } = options;
  const onGarbage = (): void => {
    node.counters.httpGarbage++;
  };
  const app = createApp({
    health: () => node.reporter.health(),
    status: () => node.reporter.status(),
    loopAgeMs: () => node.loop.ageMs,
    allow: (address) => isOnNetworks(address, config.networks),
    message: createMessageTaker(options),
    onGarbage,
    onRefused: () => {
      node.counters.httpRefused++;
    },
    onError: (error) => log.error(error.stack ?? error.message),
  });
  const health = new HealthServer({
    app,
    addresses: config.networks.map((network) => network[config.role]),
    peerAddresses: node.links.views.map(({ peerAddress }) => peerAddress),
    port: config.heartbeat.httpPort,
    onError: (error) => node.alerts.raise(error.message),
    onGarbage,
  });
  const control = new ControlServer({
    app: createControlApp(createControl({ node, config, replicator })),
    path: controlSocket(paths),
    onError: (error) => log.error(error.stack ?? error.message),
  });
  return { control, health };
}

/** Takes what the peer posts: counted, verified, handed to the node. */
function createMessageTaker(
  { node, keys, instanceId }: ServersOptions,
): Parameters<typeof createApp>[0]["message"] {
  const verifier = keys === null ? null : new MessageVerifier({
    keys,
    instanceId,
    peerInstanceId: () => node.links.report?.body.instanceId ?? null,
  });
  const refuse = (text: string): Promise<{ status: 403; body: { text: string } }> => {
    node.counters.messagesRefused++;
    return Promise.resolve({ status: 403, body: { text } });
  };
  return (headers, method, path, body) => {
    if (verifier === null) return refuse("this node has no cluster key: it acts on silence only");
    const verified = verifier.verify({ headers, method, path, body });
    if (!verified.ok) return refuse(verified.why);
    node.counters.messagesAccepted++;
    const taken = node.peerLine.take(verified.notice);
    return Promise.resolve({ status: taken.accepted ? 200 : 409, body: taken });
  };
}
