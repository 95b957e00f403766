/**
 * The two HTTP sides of a node: the health pages and the peer's messages on the node's own addresses, and
 * the control socket.
 *
 * @module
 */

import type { LocalConfig } from "../config/types.ts";
import { createApp } from "../health/app.ts";
import { createControlApp, type ReloadResult } from "../health/control_app.ts";
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
  /** The node that decides now, with what belongs to its configuration: another one after each reload. */
  readonly current: () => Served;
  /** Reads the configuration again. */
  readonly reload: () => Promise<ReloadResult>;
  readonly paths: Paths;
  /** Our own instance id. */
  readonly instanceId: string;
}

/** What is served. */
export interface Served {
  readonly node: Node;
  readonly config: LocalConfig;
  readonly replicator: Replicator | null;
  /** Null: no cluster key, every message of the peer is refused. */
  readonly verifier: MessageVerifier | null;
}

/** Makes both servers; they listen once they are started, and outlive every node. */
export function createServers(
  options: ServersOptions,
): { readonly control: ControlServer; readonly health: HealthServer } {
  const { current, paths, reload } = options;
  const onGarbage = (): void => {
    current().node.counters.httpGarbage++;
  };
  const app = createApp({
    health: () => current().node.reporter.health(),
    status: () => current().node.reporter.status(),
    loopAgeMs: () => current().node.loop.ageMs,
    allow: (address) => isOnNetworks(address, current().config.networks),
    message: createMessageTaker(current),
    onGarbage,
    onRefused: () => {
      current().node.counters.httpRefused++;
    },
    onError: (error) => log.error(error.stack ?? error.message),
  });
  const health = new HealthServer({
    app,
    addresses: ownAddressesIn(current().config),
    isPeer: (address) => current().node.links.views.some((view) => view.peerAddress === address),
    port: current().config.heartbeat.httpPort,
    onError: (error) => current().node.alerts.raise(error.message),
    onGarbage,
  });
  const control = new ControlServer({
    app: { fetch: (request) => controlApp(current(), reload).fetch(request) },
    path: controlSocket(paths),
    onError: (error) => log.error(error.stack ?? error.message),
  });
  return { control, health };
}

/** The addresses that the health pages are served on. */
export function ownAddressesIn(config: LocalConfig): readonly string[] {
  return config.networks.map((network) => network[config.role]);
}

/** One app for each node: a request that is being answered stays with the node that it was asked of. */
const controlApps = new WeakMap<Served, ReturnType<typeof createControlApp>>();

function controlApp(
  served: Served,
  reload: ServersOptions["reload"],
): ReturnType<typeof createControlApp> {
  let app = controlApps.get(served);
  if (app === undefined) {
    app = createControlApp({ ...createControl(served), reload });
    controlApps.set(served, app);
  }
  return app;
}

/** Makes the verifier of what the peer posts; it remembers counters across changes of the key. */
export function createVerifier(options: {
  readonly keys: readonly Uint8Array[];
  readonly instanceId: string;
  readonly current: () => Served;
}): MessageVerifier {
  const { keys, instanceId, current } = options;
  return new MessageVerifier({
    keys,
    instanceId,
    peerInstanceId: () => current().node.links.report?.body.instanceId ?? null,
  });
}

/** Takes what the peer posts: counted, verified, handed to the node. */
function createMessageTaker(
  current: () => Served,
): Parameters<typeof createApp>[0]["message"] {
  return (headers, method, path, body) => {
    const { node, verifier } = current();
    const refuse = (text: string): Promise<{ status: 403; body: { text: string } }> => {
      node.counters.messagesRefused++;
      return Promise.resolve({ status: 403, body: { text } });
    };
    if (verifier === null) return refuse("this node has no cluster key: it acts on silence only");
    const verified = verifier.verify({ headers, method, path, body });
    if (!verified.ok) return refuse(verified.why);
    node.counters.messagesAccepted++;
    const taken = node.peerLine.take(verified.notice);
    return Promise.resolve({ status: taken.accepted ? 200 : 409, body: taken });
  };
}
