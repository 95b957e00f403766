/**
 * What the master makes of its stream: is it well, and if not, does it need a new seed; pure.
 *
 * @module
 */

import type { SourceState, TargetState } from "./operations.ts";
import { currentSlot } from "./source_sql.ts";

/** Over this the stream is no longer "nearly nothing lost", and an alert says so, in milliseconds. */
export const LAG_ALERT_MS = 10_000;

/** Errors of applying since the last progress after which the slave is taken to be stuck. */
const STUCK_ERRORS = 2;

/** Words for the state of the stream, in status and metrics. */
const STREAM_STATES = [
  /** Not armed: `relais stream setup` has not run here. */
  "off",
  /** PostgreSQL is not ready for it. */
  "unprepared",
  /** A whole copy is on its way, or due. */
  "seeding",
  /** The slave follows. */
  "streaming",
  /** The slave is connected and more than {@linkcode LAG_ALERT_MS} behind. */
  "behind",
  /** The slave is not connected. */
  "broken",
] as const;

/** See {@linkcode STREAM_STATES}. */
export type StreamStateName = typeof STREAM_STATES[number];

/** What is known at a look. */
export interface StreamSight {
  readonly source: SourceState;
  /** What the slave said last; null: nothing since the last seed. */
  readonly target: TargetState | null;
  /** Errors that it had told before. */
  readonly errorsAtProgress: number;
  /** Digest of the schema of the seed. */
  readonly seededSchema: string | null;
  /** Digest of the schema here; null: not looked at yet. */
  readonly schema: string | null;
  readonly lagMs: number;
}

/** What to do, and what to tell. */
export interface StreamVerdict {
  readonly state: StreamStateName;
  /** A sentence; empty when all is well. */
  readonly why: string;
  /** Only a new copy mends it. */
  readonly seed: boolean;
}

/** Judges one look. */
export function judge(sight: StreamSight): StreamVerdict {
  const { source, target } = sight;
  if (source.walLevel !== "logical") {
    const why = `wal_level is ${source.walLevel}: run relais stream setup, and restart PostgreSQL`;
    return { state: "unprepared", why, seed: false };
  }
  const slot = currentSlot(source.slots);
  const seed = (why: string): StreamVerdict => ({ state: "seeding", why, seed: true });
  if (slot === null) return seed("there is no slot yet");
  if (slot.walStatus === "lost") {
    return seed("the slave was away for so long that the log it needs is gone");
  }
  if (target !== null) {
    const { subscription } = target;
    if (subscription === null) return seed("the slave has no subscription");
    if (subscription.slot !== slot.name) return seed("the slave follows another slot");
    if (!subscription.enabled) return seed("the slave's subscription is disabled");
    const errors = subscription.applyErrors - sight.errorsAtProgress;
    if (errors >= STUCK_ERRORS) {
      return seed(`the slave cannot apply the changes (${errors} errors, see its PostgreSQL log)`);
    }
  }
  if (sight.schema !== null && sight.seededSchema !== null && sight.schema !== sight.seededSchema) {
    return seed("the structure of the database was changed here");
  }
  if (source.sender === null || !slot.active) {
    return { state: "broken", why: "the slave is not connected", seed: false };
  }
  if (sight.lagMs > LAG_ALERT_MS) {
    const why = `the slave is ${Math.round(sight.lagMs / 1000)} s behind`;
    return { state: "behind", why, seed: false };
  }
  return { state: "streaming", why: "", seed: false };
}

/** Shortest time between two seeds that were made for a fault, by their number in a row. */
export function seedPauseMs(inARow: number): number {
  return inARow === 0 ? 0 : Math.min(3_600_000, 30_000 * 2 ** (inARow - 1));
}
