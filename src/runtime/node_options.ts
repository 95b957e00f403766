/**
 * What a node is made of: its configuration, what lives as long as the process, and what acts for it.
 *
 * @module
 */

import type { LocalConfig } from "../config/types.ts";
import type { Fencer } from "../fencing/fencer.ts";
import type { Addressee } from "../heartbeat/addressee.ts";
import type { Keyring } from "../heartbeat/keyring.ts";
import type { PeerMessenger } from "../heartbeat/notice.ts";
import type { Clock } from "../os/clock.ts";
import type { Poller } from "../os/poller.ts";
import type { Replicator } from "../replication/replicator.ts";
import type { ServiceDriver } from "../services/driver.ts";
import type { Gate } from "../services/gate.ts";
import type { Shield } from "../services/shield.ts";
import type { VipManager } from "../vip/manager.ts";
import type { BeatClock } from "./beat.ts";
import type { ConfigNews } from "./config_news.ts";
import type { Memory } from "./memory.ts";
import type { Node } from "./node.ts";
import type { Paths } from "./paths.ts";
import type { NodePorts } from "./ports.ts";
import type { Identity } from "./status.ts";

/** What {@linkcode Node} is made of. */
export interface NodeOptions {
  readonly config: LocalConfig;
  readonly clock: Clock;
  /** For what is done about once a second; driven by the node's turns. */
  readonly beat: BeatClock;
  readonly poller: Poller;
  readonly identity: Identity;
  readonly stateDir: string;
  readonly memory: Memory;
  readonly vips: VipManager;
  readonly driver: ServiceDriver;
  readonly gate: Gate;
  readonly shield: Shield;
  readonly replicator: Replicator | null;
  /** Null or absent: fencing is not configured. */
  readonly fencer?: Fencer | null;
  /** Null: no cluster key, nothing can be agreed with the peer. */
  readonly messenger: PeerMessenger | null;
  /** Cluster keys; while there is one, the peer's answers must prove that it has it. Default: none. */
  readonly keyring?: Keyring;
  /** The name that the peer is told for its messages; default: the instance id. */
  readonly addressee?: Addressee;
  /** Reasons why this host could not serve, found at start (a missing tool). */
  readonly localFaults: readonly string[];
  /** `PATH`, where the programs of hooks are looked up. */
  readonly path: string | undefined;
  /** Told at each turn, for systemd's watchdog and status line. */
  readonly onTurn: (sentence: string) => void;
  readonly configNews: ConfigNews;
  /** Where everything is, for what runs relais again; absent: nothing does. */
  readonly paths?: Paths;
  /** The node with the configuration before this one, which this node is to follow; null at the start. */
  readonly former: Node | null;
  /** Default: the real ones. */
  readonly ports?: NodePorts;
}
