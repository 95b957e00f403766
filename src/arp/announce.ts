/**
 * When a VIP is announced (DESIGN section 6): a burst after mounting, then a refresh for as long as it is
 * held. One announcement is not enough: neighbours ignore a change of an entry that is less than a second
 * old (locktime of arp(7)), frames get lost, and switches take their time after a link came up.
 *
 * @module
 */

import type { Clock } from "../os/clock.ts";

/** The burst, ms after its start. */
const BURST_AT_MS = [0, 100, 500, 1000, 2000, 5000, 10_000] as const;
/**
 * An announcement that is this late, ms, is not made by a process that went on living: whoever stood still
 * may have lost the VIP, and its frame would draw the telephones away from the host that has it now.
 */
export const LATE_MS = 250;
/** The loop turns in this time, and says whether the VIP is still held, ms. */
export const LOOK_MS = 250;
/** After the burst: one announcement in each of these, ms. */
const REFRESH_EVERY_MS = 30_000;

const LAST_OF_BURST = BURST_AT_MS.length - 1;

/** When announcement `index` (0 is the first) is due, ms after the start. */
export function announcementAtMs(index: number): number {
  const refreshes = Math.max(0, index - LAST_OF_BURST);
  return BURST_AT_MS[Math.min(index, LAST_OF_BURST)]! + refreshes * REFRESH_EVERY_MS;
}

/**
 * Which announcement comes after `index` at `elapsedMs` after the start: the next one that is not past.
 * What a stalled process missed is made up for by one announcement, not by all.
 */
export function nextAnnouncement(index: number, elapsedMs: number): number {
  let next = index + 1;
  while (next <= LAST_OF_BURST && announcementAtMs(next) < elapsedMs) next++;
  const behindMs = elapsedMs - announcementAtMs(next);
  return behindMs <= 0 ? next : next + Math.ceil(behindMs / REFRESH_EVERY_MS);
}

/** Runs the schedule, for each VIP its own. */
export class Announcer {
  readonly #clock: Clock;
  readonly #send: (vip: string) => void;
  readonly #running = new Map<string, AbortController>();

  /** @param options.send sends one announcement of a VIP; must not throw */
  constructor(options: { readonly clock: Clock; readonly send: (vip: string) => void }) {
    this.#clock = options.clock;
    this.#send = options.send;
  }

  /** The VIPs that are being announced. */
  get vips(): readonly string[] {
    return [...this.#running.keys()];
  }

  /** Starts the burst, from its beginning when it runs. The first announcement is sent at once. */
  start(vip: string): void {
    this.stop(vip);
    const abort = new AbortController();
    this.#running.set(vip, abort);
    void this.#run(vip, abort.signal);
  }

  /** Announces no more: nothing of this VIP is sent after this call. */
  stop(vip: string): void {
    this.#running.get(vip)?.abort();
    this.#running.delete(vip);
  }

  /** Stops all. */
  stopAll(): void {
    for (const vip of this.vips) this.stop(vip);
  }

  async #run(vip: string, signal: AbortSignal): Promise<void> {
    const startedAt = this.#clock.nowMs();
    let index = 0;
    while (!signal.aborted) {
      this.#send(vip);
      const elapsedMs = this.#clock.nowMs() - startedAt;
      index = nextAnnouncement(index, elapsedMs);
      await this.#sleep(announcementAtMs(index) - elapsedMs, signal);
    }
  }

  /** Sleeps, and goes on sleeping until this process has been awake for a moment. */
  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    for (let pauseMs = ms; !signal.aborted; pauseMs = LOOK_MS) {
      const dueAt = this.#clock.nowMs() + pauseMs;
      try {
        await this.#clock.sleep(pauseMs, signal);
      } catch (error) {
        if (!signal.aborted) throw error;
      }
      if (this.#clock.nowMs() - dueAt < LATE_MS) return;
    }
  }
}
