/**
 * What the stream is told of the node, what it needs, and what it shows of itself.
 *
 * @module
 */

import type { LocalConfig } from "../../config/types.ts";
import type { Clock } from "../../os/clock.ts";
import type { Transport } from "../transport.ts";
import type { StreamStateName } from "./decide.ts";
import type { StreamDatabase } from "./stream_database.ts";

/** What the node is at this moment. */
export interface StreamSelf {
  readonly epoch: number;
  readonly serving: boolean;
  readonly state: string;
}

/** For status, metrics and the peer. */
export interface StreamStatus {
  readonly state: StreamStateName;
  /** A sentence; empty when all is well. */
  readonly why: string;
  readonly lagMs: number | null;
  readonly lagBytes: number | null;
  readonly slot: string | null;
  /** Commits wait for the slave at this moment. */
  readonly synchronous: boolean;
  /** Seeds that a fault made necessary since the daemon started. */
  readonly reseeds: number;
}

/** What {@linkcode Stream} needs. */
export interface StreamOptions {
  readonly config: LocalConfig;
  readonly stateDir: string;
  readonly runDir: string;
  readonly clock: Clock;
  /** A connection of its own: behind a bulk copy the stream would wait. */
  readonly transport: Transport;
  /** For the looks; nothing that takes long. */
  readonly watch: StreamDatabase;
  /** For everything else. */
  readonly work: StreamDatabase;
  /** Role of the tunnel. */
  readonly role: string;
  /** Null: the node has not started. */
  readonly self: () => StreamSelf | null;
  /** This node is the source now. */
  readonly isSource: () => boolean;
  /** A whole copy is wanted. */
  readonly requestSeed: () => void;
  /** Something that an operator should find in the history. */
  readonly onEvent: StreamEvent;
  /** Shortest time between two seeds for a fault, by their number in a row. */
  readonly seedPauseMs: (inARow: number) => number;
}

/** Tells the log (`debug`), the history too (`info`), an alert too (`warn`). */
export type StreamEvent = (level: "debug" | "info" | "warn", text: string) => void;
