/**
 * What the replicator is given and what it says of itself.
 *
 * @module
 */

import type { LocalConfig } from "../config/types.ts";
import type { DataSetName } from "../core/types.ts";
import type { Clock } from "../os/clock.ts";
import type { DatabaseSource } from "./database_port.ts";
import type { StreamSeam } from "./logical/create_stream.ts";
import type { ReturnDatabase } from "./return/return_database.ts";
import type { ReturnKeeperOptions } from "./return/return_keeper.ts";
import type { SetProgress } from "./set_header.ts";
import type { SetState } from "./set_state.ts";
import type { TableSource } from "./tables_port.ts";

/** May this node be read from now (active and healthy)? */
export type MayRead =
  | { readonly ok: true; readonly epoch: number }
  | { readonly ok: false; readonly reason: string };

/** One line of status. */
export interface DataSetStatus {
  readonly set: DataSetName;
  /** From this host to the peer. */
  readonly sent: SetState;
  /** From the peer to this host. */
  readonly received: SetState;
  /** Milliseconds since the last good copy from this host was taken; null: none. */
  readonly sentAgeMs: number | null;
  /** Milliseconds since the last good copy of the peer was taken; null: none. */
  readonly receivedAgeMs: number | null;
  /** Null: nothing is being sent. */
  readonly running: { readonly progress: SetProgress; readonly forMs: number } | null;
  /** Milliseconds to the next scheduled copy (0: now); null: this host is not the source now. */
  readonly nextInMs: number | null;
  /** Failures to send since the last success. */
  readonly failures: number;
  /** An older last good copy is an alarm; null: no age is. */
  readonly maxAgeMs: number | null;
}

/** Settings of {@linkcode Replicator}. */
export interface ReplicatorOptions {
  readonly config: LocalConfig;
  readonly stateDir: string;
  readonly runDir: string;
  readonly clock: Clock;
  readonly log: (
    level: "debug" | "info" | "warn" | "error",
    message: string,
    fields: Readonly<Record<string, unknown>>,
  ) => void;
  /** Best first. */
  readonly peerAddresses: () => readonly string[];
  readonly mayRead: () => MayRead;
  readonly database: DatabaseSource | null;
  /** Single tables of it, and whether something changed; null: only the whole is copied. */
  readonly tables: TableSource | null;
  /** The way back of the database; default: there is none. */
  readonly returning?: ReturnDatabase | null;
  /** What happens to what goes back, for log, history and alerts. */
  readonly onReturn?: ReturnKeeperOptions["onEvent"];
  /** What the stream needs of the node; default: there is no stream. */
  readonly stream?: StreamSeam;
}
