/**
 * The order in which a node ends, each part within its time.
 *
 * @module
 */

import type { Clock } from "../os/clock.ts";

/** A leaving node waits this long for its last words to arrive and its addresses to go. */
export const FAREWELL_MS = 2000;

/** What ends. */
export interface FarewellParts {
  readonly clock: Clock;
  /** The last words have gone out and the addresses have gone away. */
  readonly told: Promise<void>;
  /** What comes behind a goal that is done, such as its hooks, has ended. */
  readonly hooks: Promise<void>;
  /** Nothing is decided any more. */
  readonly stopTurning: () => void;
  /** The goal in progress has ended, and the shield with it. */
  readonly goals: () => Promise<void>;
  /** The arbiter has the right back. */
  readonly right: () => Promise<void>;
  readonly close: () => void;
  readonly copies: () => Promise<void> | undefined;
}

/**
 * The last words go out and the addresses go away before the process does; bounded. Hooks behind a
 * hand-over end first, and the loop turns meanwhile (it decides nothing any more): systemd's watchdog
 * is fed by it. Rejects as `goals` or `copies` do.
 */
export async function sayFarewell(parts: FarewellParts): Promise<void> {
  const { clock, told, hooks, stopTurning, goals, right, close, copies } = parts;
  await hooks;
  stopTurning();
  await Promise.race([Promise.all([told, goals()]), clock.sleep(FAREWELL_MS)]);
  await right();
  close();
  await Promise.race([copies(), clock.sleep(FAREWELL_MS)]);
}
