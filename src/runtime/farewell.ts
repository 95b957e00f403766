/**
 * The end of a node: the last words go out and the addresses go away before the process does; bounded.
 *
 * @module
 */

import type { Clock } from "../os/clock.ts";
import type { Replicator } from "../replication/replicator.ts";
import type { AlertHooks } from "./alert_hooks.ts";
import type { GoalRunner } from "./goal_runner.ts";
import type { Performer } from "./performer.ts";

/** A leaving node waits this long for its last words to arrive and its addresses to go. */
export const FAREWELL_MS = 2000;

/** What ends, in this order. */
export interface FarewellOptions {
  readonly clock: Clock;
  /** Nothing is said and nothing is let go: the next daemon of this boot adopts. */
  readonly forRestart: boolean;
  /** Waits for a service whose start a shutdown of the host cut off; bounded by the driver. */
  readonly seeOff: () => Promise<void> | undefined;
  readonly runner: Pick<GoalRunner, "cancel" | "finish" | "settled">;
  readonly performer: Pick<Performer, "settled">;
  /** The loop turns until then (it decides nothing any more): systemd's watchdog is fed by it. */
  readonly stopTurning: () => void;
  /** The arbiter has the right back; bounded. */
  readonly endRight: () => Promise<void>;
  /** Services, links: all that waits. */
  readonly close: () => void;
  readonly replicator: Pick<Replicator, "stop"> | null;
  readonly alertHooks: AlertHooks;
}

/** Hooks behind a hand-over end first, and so does a service that is still being seen off. */
export async function farewell(options: FarewellOptions): Promise<void> {
  const { clock, forRestart, runner, performer, replicator, alertHooks } = options;
  if (forRestart) {
    options.stopTurning();
    runner.cancel();
  }
  const told = forRestart ? Promise.resolve() : performer.settled();
  if (!forRestart) {
    await runner.finish();
    await options.seeOff();
  }
  options.stopTurning();
  // With the goal the shield goes.
  await Promise.race([Promise.all([told, runner.settled()]), clock.sleep(FAREWELL_MS)]);
  await options.endRight();
  options.close();
  const last = Promise.all([replicator?.stop(), alertHooks.settled()]);
  await Promise.race([last, clock.sleep(FAREWELL_MS)]);
  alertHooks.close();
}
