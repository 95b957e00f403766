/**
 * Who announced which address on a network, as another machine there hears it.
 *
 * @module
 */

import { Ear, type EarHost } from "./ear.ts";

/** Announcements that are kept. */
const KEPT_MAX = 10_000;

/** One gratuitous ARP frame. */
export interface Announcement {
  readonly ip: string;
  readonly mac: string;
  /** 1: request, 2: reply. */
  readonly operation: number;
}

/** Hears gratuitous ARP on `eth0` of a machine. */
export class ArpEar implements AsyncDisposable {
  private constructor(readonly ear: Ear<Announcement>) {}

  /** Starts to listen; returns when it does. */
  static async start(host: EarHost): Promise<ArpEar> {
    return new ArpEar(await Ear.start<Announcement>(host, "arp_ear_main.ts", ["eth0"], KEPT_MAX));
  }

  /** Announcements so far. */
  get count(): number {
    return this.ear.heard.length;
  }

  /** Those of an address by a MAC, from number `from` on. */
  announcements(ip: string, mac: string, from = 0): readonly Announcement[] {
    return this.ear.heard.slice(from).filter((each) => each.ip === ip && each.mac === mac);
  }

  /** Ends it; harmless when repeated. */
  async close(): Promise<void> {
    await this.ear.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
