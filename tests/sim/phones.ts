/**
 * Two telephones on the first network. Each keeps one entry of an ARP table for the VIP, which ages as
 * Linux' does: reachable for 15 to 45 s, then stale, then (when used) a delay of 5 s, three probes by
 * unicast, one a second, and a question to all. An entry that was just written is locked for a second.
 *
 * @module
 */

import { CLIENT, CLIENTS } from "./network.ts";
import type { World } from "./world.ts";

const LOCKTIME_MS = 1000;
const DELAY_MS = 5000;
const PROBES_MS = 3000;
/** A telephone speaks that often. */
const TALK_EVERY_MS = 1000;

interface Entry {
  /** Whose MAC; null: nobody answered. */
  host: 0 | 1 | null;
  writtenAt: number;
  confirmedAt: number;
  reachableMs: number;
  /** Since when it gets no answer; null while it does. */
  unservedSince: number | null;
}

/** See the module. */
export class Phones {
  readonly entries: readonly Entry[];

  constructor(readonly world: World) {
    this.entries = Array.from({ length: CLIENTS }, () => ({
      host: null,
      writtenAt: -Infinity,
      confirmedAt: -Infinity,
      reachableMs: world.random.between(15_000, 45_000),
      unservedSince: 0,
    }));
    world.time.after(0, () => this.#talk());
  }

  /** The host answers this telephone for the VIP. */
  isAnsweredBy(phone: number, index: 0 | 1): boolean {
    const { hosts, networks, vip } = this.world;
    const host = hosts[index];
    return host.answers && host.vips.has(vip) && networks[0]!.isJoined(CLIENT + phone, index);
  }

  /** Every telephone speaks with services that run. */
  allServed(): boolean {
    return this.entries.every(({ unservedSince }) => unservedSince === null);
  }

  /** A gratuitous request or reply of a host went out. */
  announced(host: 0 | 1): void {
    const { time, networks } = this.world;
    for (const [n, entry] of this.entries.entries()) {
      const ms = networks[0]!.transit(host, CLIENT + n);
      if (ms === null) continue;
      time.after(ms, () => this.#write(entry, host));
      if (networks[0]!.isDoubled(host, CLIENT + n)) {
        time.after(ms + 1, () => this.#write(entry, host));
      }
    }
  }

  /** Quiet time was jumped over. */
  jumped(): void {
    for (const entry of this.entries) entry.confirmedAt = this.world.time.now;
  }

  #write(entry: Entry, host: 0 | 1): void {
    const { now } = this.world.time;
    if (entry.host !== host && now - entry.writtenAt < LOCKTIME_MS) return;
    entry.host = host;
    entry.writtenAt = now;
  }

  #talk(): void {
    const { time, hosts } = this.world;
    for (const [n, entry] of this.entries.entries()) {
      const { now } = time;
      const answers = entry.host !== null && this.isAnsweredBy(n, entry.host);
      if (answers) entry.confirmedAt = now;
      const silent = now - entry.confirmedAt;
      if (!answers && (entry.host === null || silent > entry.reachableMs + DELAY_MS + PROBES_MS)) {
        this.#askAll(n, entry);
      }
      const served = answers && hosts[entry.host!].running === "all";
      entry.unservedSince = served ? null : entry.unservedSince ?? now;
    }
    time.after(TALK_EVERY_MS, () => this.#talk());
  }

  /** Whoever answers first is believed; the lock keeps the second answer out. */
  #askAll(n: number, entry: Entry): void {
    const { time, networks } = this.world;
    for (const host of [0, 1] as const) {
      if (!this.isAnsweredBy(n, host)) continue;
      const ms = networks[0]!.roundTrip(CLIENT + n, host);
      if (ms !== null) time.after(ms, () => this.#write(entry, host));
    }
  }
}
