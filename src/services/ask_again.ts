/**
 * A program that is asked to end while it starts may not hear it. Measured with Asterisk 16.28: SIGTERM while
 * it loads its modules is lost; it comes up, systemd waits for its end for 90 s (`TimeoutStopSec=`) and then
 * kills it. A second SIGTERM ends it within a second. So a host that was powered off just after it had
 * taken over stayed on for a minute and a half, and a hand-over at that moment took as long.
 *
 * @module
 */

import type { Clock } from "../os/clock.ts";
import { isAskedToEnd, type UnitState } from "./unit_state.ts";

/** Long enough for an end in order, so that a program that has heard is rarely asked twice. */
export const ASK_AGAIN_EVERY_MS = 2_000;
/** A unit that still starts: the stop of a shutdown comes within this time after our own, or none does. */
const STOP_COMES_WITHIN_MS = 1_500;
const LOOK_EVERY_MS = 250;

/** What {@linkcode askAgain} needs. */
export interface AskAgainOptions {
  readonly clock: Clock;
  /** The unit now; null: it cannot be read. */
  readonly look: () => Promise<UnitState | null>;
  /** Sends SIGTERM to the unit's main process. Must not reject. */
  readonly ask: () => Promise<void>;
  /** Aborts when it is over. */
  readonly signal: AbortSignal;
}

/** Asks a unit's main process to end, again and again, while systemd waits for it; until `signal` aborts. Never rejects. */
export async function askAgain({ clock, look, ask, signal }: AskAgainOptions): Promise<void> {
  const startedAt = clock.nowMs();
  let askedAt = startedAt;
  while (!signal.aborted) {
    await clock.sleep(LOOK_EVERY_MS, signal).catch(() => {});
    if (signal.aborted) return;
    const state = await look();
    if (state === null) continue;
    if (state.activeState === "activating") {
      if (clock.nowMs() - startedAt > STOP_COMES_WITHIN_MS) return;
    } else if (state.activeState !== "deactivating") {
      return;
    } else if (isAskedToEnd(state) && clock.nowMs() - askedAt >= ASK_AGAIN_EVERY_MS) {
      askedAt = clock.nowMs();
      await ask();
    }
  }
}
