/**
 * Every frame in which one host speaks for a VIP, as another machine hears it.
 *
 * @module
 */

import { Ear, type EarHost } from "./ear.ts";

/** Frames that are kept; the newest are dropped beyond it. */
const KEPT_MAX = 200_000;

/** A frame of the host for the VIP. */
export interface Heard {
  /** `announcement`: ARP, unasked; `arp`: an answer or a question from the VIP; `ip`: a packet from it. */
  readonly kind: "announcement" | "arp" | "ip";
  /** Milliseconds since 1970, by the clock of the machine that all of the test runs on. */
  readonly atMs: number;
}

/** What to hear. */
export interface VipEarOptions {
  readonly interfaceName: string;
  /** Of the host. */
  readonly mac: string;
  /** IPv4. */
  readonly vip: string;
  /** IPv4 address of the machine that hears. */
  readonly own: string;
  /** Ask the host itself for the VIP this often, by ARP and by ping; 0: only listen. */
  readonly everyMs: number;
}

/** Now, on the clock of {@linkcode Heard.atMs}. */
export function earNowMs(): number {
  return performance.timeOrigin + performance.now();
}

/** A running ear. */
export class VipEar implements AsyncDisposable {
  private constructor(readonly ear: Ear<Heard>) {}

  /** Starts to ask and to listen; returns when it does. */
  static async start(
    host: EarHost,
    { interfaceName, mac, vip, own, everyMs }: VipEarOptions,
  ): Promise<VipEar> {
    const words = [interfaceName, mac, vip, own, String(everyMs)];
    return new VipEar(await Ear.start<Heard>(host, "vip_ear_main.ts", words, KEPT_MAX));
  }

  /** What was heard from a moment on ({@linkcode earNowMs}), oldest first. */
  since(atMs: number): readonly Heard[] {
    return this.ear.heard.filter((each) => each.atMs >= atMs);
  }

  /** Ends it; harmless when repeated. */
  async close(): Promise<void> {
    await this.ear.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
