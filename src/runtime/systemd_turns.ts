/**
 * Tells systemd, turn by turn, that the loop lives and what the node does.
 *
 * @module
 */

import type { Clock } from "../os/clock.ts";
import { type Notifier, watchdogIntervalMs } from "../os/notify.ts";

/** The status line changes at most this often. */
export const STATUS_LINE_EVERY_MS = 1000;

/**
 * Feeds systemd's watchdog from the loop itself, at half the time that it allows, and its status line
 * when the sentence changes.
 *
 * @param options.watchdogMs how often systemd wants to hear of us; default: what it says in the
 * environment, null: never
 * @returns to be called at each turn with the sentence of the moment
 */
export function systemdTurns({ notifier, clock, watchdogMs = watchdogIntervalMs() }: {
  readonly notifier: Notifier;
  readonly clock: Clock;
  readonly watchdogMs?: number | null;
}): (sentence: string) => void {
  let nextWatchdog = 0;
  let nextStatus = 0;
  let said = "";
  return (sentence) => {
    const now = clock.nowMs();
    if (watchdogMs !== null && now >= nextWatchdog) {
      nextWatchdog = now + watchdogMs / 2;
      notifier.notify({ watchdog: true });
    }
    if (sentence !== said && now >= nextStatus) {
      said = sentence;
      nextStatus = now + STATUS_LINE_EVERY_MS;
      notifier.notify({ status: sentence });
    }
  };
}
