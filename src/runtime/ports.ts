/**
 * The doors of a node to the outside that are not options of their own: sockets, programs, the history's
 * file. The daemon uses {@linkcode SYSTEM_PORTS}; the simulation (tests/sim) puts its own world there and
 * leaves everything else of the node as it is.
 *
 * @module
 */

import { Endpoints } from "../arbiter/endpoints.ts";
import type { EtcdCluster } from "../arbiter/etcd.ts";
import { VipLink, type VipLinkOptions } from "../arp/vip_link.ts";
import type { ArbiterConfig, LocalConfig } from "../config/types.ts";
import type { StepTrace } from "../core/invariants.ts";
import { HttpProbe, type HttpProbeOptions } from "../heartbeat/http_probe.ts";
import { IcmpPinger } from "../heartbeat/icmp.ts";
import type { Clock } from "../os/clock.ts";
import { flushFlows } from "../services/flows.ts";
import { askPeer } from "./ask_peer.ts";
import { History } from "./history.ts";

/** See the module. */
export interface NodePorts {
  readonly history: (options: ConstructorParameters<typeof History>[0]) => History;
  /** Echoes to the peer and the witnesses; read when the loop looks. */
  readonly pinger: (options: { readonly clock: Clock }) => IcmpPinger;
  readonly http: (options: HttpProbeOptions) => HttpProbe;
  readonly vipLink: (options: VipLinkOptions) => VipLink;
  /** The etcd of `[arbiter]`. */
  readonly arbiter: (arbiter: ArbiterConfig, config: LocalConfig) => EtcdCluster;
  readonly askPeer: typeof askPeer;
  readonly flushFlows: typeof flushFlows;
  /** Sees each step of the core as it was made; null: nobody looks. */
  readonly onStep: ((trace: StepTrace) => void) | null;
}

/** The real ones. */
export const SYSTEM_PORTS: NodePorts = {
  history: (options) => new History(options),
  pinger: ({ clock }) => new IcmpPinger({ poller: null, clock }),
  http: (options) => new HttpProbe(options),
  vipLink: (options) => new VipLink(options),
  arbiter: (arbiter, config) => new Endpoints(arbiter, config),
  askPeer,
  flushFlows,
  onStep: null,
};
