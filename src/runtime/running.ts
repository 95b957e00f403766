/**
 * What depends on the configuration: the node and its companions. A reload makes another one and lets it
 * take the place of this one.
 *
 * @module
 */

import type { LocalConfig } from "../config/types.ts";
import type { Fencer } from "../fencing/fencer.ts";
import type { MessageVerifier } from "../heartbeat/message.ts";
import type { PeerMessenger } from "../heartbeat/notice.ts";
import type { Replicator } from "../replication/replicator.ts";
import type { ServiceDriver } from "../services/driver.ts";
import type { Node } from "./node.ts";

/** See the module. */
export interface Running {
  readonly node: Node;
  readonly config: LocalConfig;
  /** Null: no cluster key. */
  readonly keys: readonly Uint8Array[] | null;
  readonly replicator: Replicator | null;
  /** Null: fencing is not configured. */
  readonly fencer: Fencer | null;
  /** Both outlive a reload, as the peer remembers what this process has sent and used. */
  readonly messenger: PeerMessenger | null;
  readonly verifier: MessageVerifier | null;
  readonly driver: ServiceDriver;
  /** Sentences: tools that this configuration needs and this host does not have. */
  readonly missing: readonly string[];
}
