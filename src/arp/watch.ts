/**
 * Who speaks for the VIPs of one network: keeps what was heard, tells the peer from strangers, and
 * counts probes without answer. No I/O, no clock: times come in.
 *
 * @module
 */

import type { VipEvidence } from "../core/types.ts";
import { ProbeCount } from "./probe.ts";
import type { Claim } from "./protocol.ts";

/** Ethernet addresses of the peer that are kept: a host may answer through several interfaces. */
const MAX_PEER_MACS = 8;
/** While a foreign holder keeps speaking for a VIP that we hold, it is reported once in this, ms. */
const REPORT_EVERY_MS = 100;

/** Somebody else speaks for a VIP that we hold. */
export interface ForeignAnswer {
  readonly vip: string;
  readonly mac: string;
  readonly by: "peer" | "stranger";
  readonly atMs: number;
}

/** {@linkcode VipEvidence} without what only the kernel's address list tells. */
export type VipAnswers = Omit<VipEvidence, "heldByMe">;

/** What was heard of one VIP. */
interface VipRecord {
  readonly probes: ProbeCount;
  answer: { readonly mac: string; readonly atMs: number } | null;
  reported: { readonly mac: string; readonly atMs: number } | null;
}

/** What a watch is for. Addresses in canonical text, MACs in lower case. */
export interface VipWatchOptions {
  readonly network: string;
  readonly vips: readonly string[];
  readonly peerAddress: string;
  /** All Ethernet addresses of this host: their frames are no evidence. */
  readonly ownMacs: readonly string[];
}

/** The memory of one network's VIPs. */
export class VipWatch {
  readonly #network: string;
  readonly #peerAddress: string;
  readonly #ownMacs: ReadonlySet<string>;
  readonly #records: ReadonlyMap<string, VipRecord>;
  /** In the order in which they were last heard. */
  readonly #peerMacs = new Set<string>();
  #held: ReadonlySet<string> = new Set();

  constructor(options: VipWatchOptions) {
    this.#network = options.network;
    this.#peerAddress = options.peerAddress;
    this.#ownMacs = new Set(options.ownMacs);
    this.#records = new Map(
      options.vips.map((vip) => [vip, { probes: new ProbeCount(), answer: null, reported: null }]),
    );
  }

  /** The VIPs that this host has mounted. */
  get held(): ReadonlySet<string> {
    return this.#held;
  }

  /** The VIPs to ask for: those that this host has not mounted. */
  get notHeld(): readonly string[] {
    return [...this.#records.keys()].filter((vip) => !this.#held.has(vip));
  }

  /** The Ethernet address from which the peer was last heard; null before. */
  get peerMac(): string | null {
    return [...this.#peerMacs].at(-1) ?? null;
  }

  /** Says which VIPs this host has mounted. Probes sent before a change say nothing after it. */
  setHeld(vips: ReadonlySet<string>): void {
    for (const [vip, record] of this.#records) {
      if (vips.has(vip) === this.#held.has(vip)) continue;
      record.probes.reset();
      record.reported = null;
    }
    this.#held = new Set(vips);
  }

  /** A probe for `vip` was sent. */
  probed(vip: string, atMs: number): void {
    this.#records.get(vip)?.probes.sent(atMs);
  }

  /**
   * A claim was heard. Returns what is to be reported: somebody else speaks for a VIP that we hold. Our
   * own claims come back through loops and are "own".
   */
  heard({ address, mac }: Claim, atMs: number): ForeignAnswer | "own" | null {
    if (this.#ownMacs.has(mac)) return "own";
    if (address === this.#peerAddress) this.#learnPeer(mac);
    const record = this.#records.get(address);
    if (record === undefined) return null;
    record.answer = { mac, atMs };
    record.probes.reset();
    if (!this.#held.has(address)) return null;
    const { reported } = record;
    if (reported?.mac === mac && atMs - reported.atMs < REPORT_EVERY_MS) return null;
    record.reported = { mac, atMs };
    return { vip: address, mac, by: this.#classify(mac), atMs };
  }

  /** What is known at `nowMs`. Who an answer came from is judged now: the peer may be known by now. */
  evidence(nowMs: number): readonly VipAnswers[] {
    return Array.from(this.#records, ([vip, { answer, probes }]) => ({
      vip,
      network: this.#network,
      lastAnswerBy: answer === null ? null : this.#classify(answer.mac),
      lastAnswerMac: answer?.mac ?? null,
      lastAnswerAt: answer?.atMs ?? null,
      unansweredProbes: probes.unanswered(nowMs),
    }));
  }

  /** Forgets answers and probes; the peer's addresses stay known. */
  discard(): void {
    for (const record of this.#records.values()) {
      record.answer = null;
      record.reported = null;
      record.probes.reset();
    }
  }

  #learnPeer(mac: string): void {
    this.#peerMacs.delete(mac);
    this.#peerMacs.add(mac);
    const [oldest] = this.#peerMacs;
    if (this.#peerMacs.size > MAX_PEER_MACS) this.#peerMacs.delete(oldest!);
  }

  #classify(mac: string): "peer" | "stranger" {
    return this.#peerMacs.has(mac) ? "peer" : "stranger";
  }
}
