/**
 * What an outside observer sees of the laboratory: ping and SIP from the phone's place, the phone's own
 * ARP table, and (apart from the phone, whose table that must not refresh) who claims a VIP.
 *
 * @module
 */

import { ArpEar } from "../support/arp_ear.ts";
import { Observer, type Summary } from "../support/observer.ts";
import { poll } from "../support/poll.ts";
import { INTERFACE, type NetworkName } from "./lab_host.ts";
import type { Laboratory } from "./laboratory.ts";

/** What is asked all the time; by these names in reports. */
export const TARGETS = ["vip", "data", "sip"] as const;
/** `vip`, `data`: ping of the VIP of network voip, data. `sip`: OPTIONS to Asterisk on the first. */
export type TargetName = typeof TARGETS[number];

/** How often, in milliseconds. */
const PING_EVERY_MS = 10;
const SIP_EVERY_MS = 100;
/** How often the watcher asks who holds the first VIP, in milliseconds. */
export const ARP_EVERY_MS = 20;

/** What the phone lived through since a mark, for the test and for `lab.json`. */
export interface Seen {
  /**
   * Longest time without an answer that began in the phase, in milliseconds (an upper bound, by one
   * sending interval). One that goes on since before the mark is not in it, but in `lost`.
   */
  readonly outageMs: Readonly<Record<TargetName, number>>;
  /** Requests without an answer. */
  readonly lost: Readonly<Record<TargetName, number>>;
  /** Requests of each target that were sent: how much the rest is worth. */
  readonly sent: Readonly<Record<TargetName, number>>;
  /** SIP requests that were refused in words (port unreachable) instead of being dropped. */
  readonly sipRefused: number;
  /** ARP requests for the first VIP that two hosts answered. */
  readonly answeredByTwo: number;
  /** Longest pause of the pings' sender: how far the ruler itself can be trusted. */
  readonly maxSendGapMs: number;
}

/** All observers of a laboratory. */
export class Outside implements AsyncDisposable {
  /** From the phone's place: {@linkcode TARGETS}. */
  readonly phone: Observer;
  /** From the watcher's place: target `arp`, answered by MAC. */
  readonly watcher: Observer;
  /** Gratuitous ARP on network voip, heard at the watcher's. */
  readonly ear: ArpEar;
  readonly #laboratory: Laboratory;

  private constructor(
    laboratory: Laboratory,
    { phone, watcher, ear }: { phone: Observer; watcher: Observer; ear: ArpEar },
  ) {
    this.#laboratory = laboratory;
    this.phone = phone;
    this.watcher = watcher;
    this.ear = ear;
  }

  /** Starts to ask and to listen. The VIPs need not be there yet. */
  static async start(laboratory: Laboratory): Promise<Outside> {
    const ping = (name: string, network: NetworkName) => ({
      name,
      kind: "icmp" as const,
      address: laboratory.vip(network),
      interfaceName: INTERFACE[network],
      everyMs: PING_EVERY_MS,
    });
    const first = { address: laboratory.vip(), interfaceName: INTERFACE.voip };
    const phone = await Observer.start(laboratory.beside("phone"), [
      ping("vip", "voip"),
      ping("data", "data"),
      { ...first, name: "sip", kind: "sip", everyMs: SIP_EVERY_MS },
    ]);
    const watcher = await Observer.start(laboratory.beside("watcher"), [
      { ...first, name: "arp", kind: "arp", everyMs: ARP_EVERY_MS },
    ]);
    const ear = await ArpEar.start(laboratory.beside("watcher"));
    return new Outside(laboratory, { phone, watcher, ear });
  }

  /** A new phase begins, in all observers. */
  async mark(phase: string): Promise<void> {
    await Promise.all([this.phone.mark(phase), this.watcher.mark(phase)]);
  }

  /** Sums of a phase (the last of that name). */
  async seen(phase: string): Promise<Seen> {
    const phases = await this.phone.report();
    const targets = phases.findLast((each) => each.phase === phase)?.targets;
    if (targets === undefined) throw new Error(`Cannot find phase "${phase}" as it was not marked`);
    const of = (value: (summary: Summary) => number): Record<TargetName, number> => ({
      vip: value(targets["vip"]!),
      data: value(targets["data"]!),
      sip: value(targets["sip"]!),
    });
    const { answeredByTwo } = await this.watcher.summary(phase, "arp");
    return {
      outageMs: of(({ longestOutageMs }) => Math.round(longestOutageMs)),
      lost: of(({ lost }) => lost),
      sent: of(({ sent }) => sent),
      sipRefused: targets["sip"]!.refused,
      answeredByTwo,
      maxSendGapMs: Math.round(targets["vip"]!.maxSendGapMs),
    };
  }

  /** Waits until `host` answers ping on the VIP of a network, as the phone sees it. */
  async untilHolder(
    host: "master" | "slave",
    { network = "voip", deadlineMs }: {
      readonly network?: NetworkName;
      readonly deadlineMs: number;
    },
  ): Promise<void> {
    const target: TargetName = network === "voip" ? "vip" : "data";
    const holder = this.#laboratory.mac(host, network);
    await this.phone.untilUp(target, { deadlineMs, holder });
  }

  /** Waits until Asterisk answers on the first VIP. */
  async untilSip(deadlineMs: number): Promise<void> {
    await this.phone.untilUp("sip", { deadlineMs });
  }

  /** Waits until the phone's ARP table has the VIP of a network at `host`. */
  async untilPhoneArp(
    host: "master" | "slave",
    { network = "voip", deadlineMs }: {
      readonly network?: NetworkName;
      readonly deadlineMs: number;
    },
  ): Promise<void> {
    let seen: string | null = null;
    await poll(
      async () => (seen = await this.phoneArp(network)) === this.#laboratory.mac(host, network),
      {
        deadlineMs,
        everyMs: 100,
        what: `the VIP at ${host} in the phone's ARP table`,
        instead: () => `${seen} (${this.#laboratory.hostOf(seen) ?? "nobody"})`,
      },
    );
  }

  /** MAC address that the phone's ARP table has for a VIP; null: no (valid) entry. */
  async phoneArp(network: NetworkName = "voip"): Promise<string | null> {
    const show = ["ip", "-json", "neigh", "show", this.#laboratory.vip(network)];
    const text = await this.#laboratory.phone.read([...show, "dev", INTERFACE[network]]);
    const [entry] = JSON.parse(text || "[]") as { readonly lladdr?: string }[];
    return entry?.lladdr ?? null;
  }

  /** Ends all observers; harmless when repeated. */
  async close(): Promise<void> {
    await Promise.all([this.phone.close(), this.watcher.close(), this.ear.close()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
