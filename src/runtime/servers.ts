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
import type { RefusalReason } from "../health/types.ts";
import type { Addressee } from "../heartbeat/addressee.ts";
import { proveAnswer } from "../heartbeat/answer_proof.ts";
import type { Keyring } from "../heartbeat/keyring.ts";
import { MessageVerifier } from "../heartbeat/message.ts";
import { getLog } from "../os/log.ts";
import type { Replicator } from "../replication/replicator.ts";
import { isOnNetworks, isPeersAddress } from "./allow_list.ts";
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
  readonly keyring: Keyring;
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
    prove: (answer) => proveAnswer(options.keyring.keys, answer),
    onGarbage,
    onRefused: () => {
      current().node.counters.httpRefused++;
    },
    onError: (error) => log.error(error.stack ?? error.message),
  });
  const health = new HealthServer({
    app,
    addresses: ownAddressesIn(current().config),
    isPeer: (address) => isPeersAddress(address, current().config),
    port: current().config.heartbeat.httpPort,
    onError: (error) => current().node.alerts.raise(error.message),
    onGarbage,
    onPaced: () => {
      current().node.counters.httpPaced++;
    },
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
  readonly keyring: Keyring;
  readonly instanceId: string;
  readonly addressee: Addressee;
  readonly current: () => Served;
}): MessageVerifier {
  const { current, ...known } = options;
  return new MessageVerifier({
    ...known,
    peerInstanceId: () => current().node.links.report?.body.instanceId ?? null,
  });
}

/** Reasons that no peer in order gives cause for: an operator should look. The others come with restarts. */
const ALARMING: readonly RefusalReason[] = ["mac", "own", "late", "replay", "malformed", "address"];

/** Takes what the peer posts: counted, verified, handed to the node. */
function createMessageTaker(
  current: () => Served,
): Parameters<typeof createApp>[0]["message"] {
  return ({ remoteAddress, ...message }) => {
    const { node, config, verifier } = current();
    const refuse = (
      reason: RefusalReason,
      text: string,
    ): Promise<{ status: 403; body: { accepted: false; text: string } }> => {
      node.counters.messagesRefused++;
      node.counters.refusals[reason]++;
      log.warn(text, { event: "message-refused", rule: reason, from: remoteAddress });
      if (ALARMING.includes(reason)) node.alerts.raise(alarm(reason));
      return Promise.resolve({ status: 403, body: { accepted: false, text } });
    };
    // Before anything is computed for him; who takes the peer's address still needs its key.
    if (!isPeersAddress(remoteAddress, config)) {
      return refuse(
        "address",
        "Cannot accept a message as it does not come from the peer's address",
      );
    }
    if (verifier === null) {
      return refuse("no-key", "this node has no cluster key: it acts on silence only");
    }
    const verified = verifier.verify(message);
    if (!verified.ok) return refuse(verified.reason, verified.why);
    node.counters.messagesAccepted++;
    const taken = node.peerLine.take(verified.notice);
    return Promise.resolve({ status: taken.accepted ? 200 : 409, body: taken });
  };
}

/** One text for each reason, whoever sends: alerts are bounded, and must not be crowded out. */
function alarm(reason: RefusalReason): string {
  const why = reason === "mac"
    ? "the hosts have different cluster keys, or somebody forges them"
    : "somebody sends forged or recorded ones";
  return `Messages in the peer's name are refused (${reason}): ${why}; the log says from where, ` +
    "relais_messages_refused_total counts them";
}
