/**
 * Keeps the right to serve: a key in etcd that hangs on a lease. Everything that goes out is paced by the
 * turns of the loop, so that a host that stood still asks for nothing before it has looked.
 *
 * How long the lease holds is counted from *before* the question that renewed it was sent, on this node's
 * monotonic clock, and ends a margin before etcd's count can: docs/design/arbiter.md.
 *
 * @module
 */

import {
  ARBITER_HURRY_MS,
  ARBITER_POLL_MS,
  arbiterMarginMs,
  promiseMs,
} from "../config/arbiter_timing.ts";
import type { ArbiterConfig } from "../config/types.ts";
import type { ArbiterEvidence, Role } from "../core/types.ts";
import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import type { Etcd, EtcdCluster, Kept } from "./etcd.ts";
import { isMine, readHolder, type RightHolder } from "./holder.ts";

/** An answer counts for so many polls: what it said of somebody else's right is older then. */
const FRESH_POLLS = 3;
/** A claim is two writes to the disks of etcd and a reading: so many times what a question may take. */
const CLAIM_PATIENCE = 3;
/** Pause between two tries of a step. */
const RETRY_MS = 200;

/** What {@linkcode RightKeeper} needs. */
export interface RightKeeperOptions {
  readonly config: ArbiterConfig;
  readonly cluster: EtcdCluster;
  readonly clock: Clock;
  readonly role: Role;
  /** This host's own address, for people. */
  readonly host: string;
  readonly instanceId: string;
  readonly deadAfterMs: number;
}

/** The node that a keeper serves; after a reload it is another one. */
export interface RightOwner {
  /** The epoch that is served under. */
  readonly epoch: () => number;
  /** The right changed: look. */
  readonly onNews: () => void;
}

/** What the keeper is told after each turn. */
export interface RightNeeds {
  /** This node serves, or finds out whether it goes on with what its previous daemon held. */
  readonly serves: boolean;
  /** No VIP is mounted here any more. */
  readonly vipsGone: boolean;
  /** The right may fall free at any moment, and it matters. */
  readonly hurry: boolean;
}

/** For status and metrics. */
export interface RightReport {
  readonly lastAnswerAt: number | null;
  readonly lastError: string | null;
  readonly answers: number;
  readonly failures: number;
  readonly holder: RightHolder | null;
}

interface Lease {
  readonly id: string;
  /** What etcd may count from at the earliest, and what it lives from then on. */
  readonly validUntil: number;
}

/** See the module. */
export class RightKeeper {
  readonly #options: RightKeeperOptions;
  #owner: RightOwner = { epoch: () => 0, onNews: () => {} };
  #lease: Lease | null = null;
  /** A lease whose claim was sent and not answered. */
  #unsure: Lease | null = null;
  /** This node means to have the right. */
  #wanted = false;
  #kept: Kept | null = null;
  #reaches = false;
  #lastAnswerAt: number | null = null;
  #lastError: string | null = null;
  #answers = 0;
  #failures = 0;
  #askedAt = -Infinity;
  #busy: Promise<void> = Promise.resolve();
  #isBusy = false;
  #closed = false;
  #promisedUntil: number | null = null;

  constructor(options: RightKeeperOptions) {
    this.#options = options;
    // The daemon before this one may have given its consent a moment ago.
    if (options.config.policy === "hold") {
      this.#promisedUntil = options.clock.nowMs() + promiseMs(options.deadAfterMs);
    }
  }

  /** Belongs to that node from now on. */
  attach(owner: RightOwner): void {
    this.#owner = owner;
  }

  /** For the core. */
  evidence(now: number): ArbiterEvidence {
    const lease = this.#lease;
    const isValid = lease !== null && now < lease.validUntil;
    return {
      right: isValid ? "mine" : this.#others(now),
      validUntil: isValid ? lease.validUntil : null,
      reaches: this.#reaches,
      promisedUntil: this.#promisedUntil,
    };
  }

  /** For people. */
  get report(): RightReport {
    return {
      lastAnswerAt: this.#lastAnswerAt,
      lastError: this.#lastError,
      answers: this.#answers,
      failures: this.#failures,
      holder: this.#kept === null ? null : readHolder(this.#kept.value),
    };
  }

  /**
   * Whether this node consents, in the answer that it is about to give, that its peer serves on without the
   * arbiter. If so it does not take the service for a while (DESIGN: as Patroni's failsafe mode).
   *
   * @param peerReaches what the peer said last; null: not known
   */
  consent(
    now: number,
    { serves, vipsGone, peerReaches }: {
      readonly serves: boolean;
      readonly vipsGone: boolean;
      readonly peerReaches: boolean | null;
    },
  ): boolean {
    const { config, deadAfterMs } = this.#options;
    const isMissed = !this.#reaches || peerReaches === false;
    if (config.policy !== "hold" || serves || !vipsGone || !isMissed) return false;
    this.#promisedUntil = now + promiseMs(deadAfterMs);
    return true;
  }

  /**
   * First look, before the first turn: whether what a previous daemon held may go on. `wants`: it served.
   * Resolves when etcd has answered or could not be asked. Never rejects.
   */
  async begin({ wants }: { readonly wants: boolean }): Promise<void> {
    this.#wanted = wants;
    await this.#exclusively(() => this.#round());
  }

  /** After each turn: asks what is due. */
  pace(now: number, { serves, vipsGone, hurry }: RightNeeds): void {
    const letsGo = !serves && vipsGone;
    if (letsGo) this.#wanted = false;
    if (this.#closed || this.#isBusy) return;
    const hurries = letsGo ? this.#isLeftOver() || hurry : hurry && this.#lease === null;
    const isDue = now - this.#askedAt >= (hurries ? ARBITER_HURRY_MS : ARBITER_POLL_MS);
    if (letsGo && this.#lease !== null) void this.#exclusively(() => this.#letGo());
    else if (isDue) {
      void this.#exclusively(() => this.#isLeftOver() ? this.#letGo() : this.#round());
    }
  }

  /**
   * The step `acquire-right`: until the right is had.
   *
   * @param mayHold the peer consents that this node serves without the arbiter
   * @param patient wait for a right that the peer still has: it said that it lets go
   * @returns how, in words
   * @throws {Error} why not, when the peer has it or `signal` aborts
   */
  async acquire(
    { mayHold, patient, signal }: {
      readonly mayHold: () => boolean;
      readonly patient: boolean;
      readonly signal: AbortSignal;
    },
  ): Promise<string> {
    const { clock } = this.#options;
    for (;;) {
      this.#wanted = true;
      await this.#exclusively(() => this.#round());
      if (this.evidence(clock.nowMs()).right === "mine") return "the right is this node's";
      if (mayHold()) return "without the arbiter, as the peer consents";
      const holder = this.report.holder;
      const isPeers = this.#others(clock.nowMs()) === "peer";
      const why = isPeers
        ? `the ${holder?.role ?? "other node"} has the right to serve`
        : `the arbiter gives no right: ${this.#lastError ?? "it did not answer"}`;
      if (isPeers && !patient) {
        this.#wanted = false;
        throw new Error(why);
      }
      try {
        signal.throwIfAborted();
        await clock.sleep(RETRY_MS, signal);
      } catch (cause) {
        this.#wanted = false;
        throw new Error(why, { cause });
      }
    }
  }

  /** The step `release-right`, and the end of the daemon: the VIPs are gone. @throws when etcd does not take it */
  async release(): Promise<void> {
    this.#wanted = false;
    await this.#exclusively(() => this.#letGo());
    if (this.#lastError !== null && this.#isLeftOver()) {
      throw new Error(`Cannot give the right back, it ends with its lease: ${this.#lastError}`);
    }
  }

  /** Nothing is asked any more; the lease stays until its end, for the next daemon. */
  close(): void {
    this.#closed = true;
    this.#options.cluster.close();
  }

  /** Whose it is, if not this node's. */
  #others(now: number): "peer" | "free" | "unknown" {
    const at = this.#lastAnswerAt;
    if (!this.#reaches || at === null || now - at >= FRESH_POLLS * ARBITER_POLL_MS) {
      return "unknown";
    }
    return this.#kept === null || isMine(this.#kept.value, this.#options.role) ? "free" : "peer";
  }

  /** The key is this node's, and it does not mean to have it: of an earlier daemon, or a late answer. */
  #isLeftOver(): boolean {
    return !this.#wanted && this.#kept !== null && this.#kept.leaseId !== "0" &&
      isMine(this.#kept.value, this.#options.role);
  }

  /** One after the other: what was asked is answered, or given up, before the next question. */
  #exclusively(work: () => Promise<void>): Promise<void> {
    this.#isBusy = true;
    this.#askedAt = this.#options.clock.nowMs();
    const before = this.#state;
    const mine = this.#busy.then(async () => {
      if (this.#closed) return;
      try {
        await work();
        this.#reaches = true;
        this.#answers++;
        this.#lastError = null;
        this.#lastAnswerAt = this.#options.clock.nowMs();
      } catch (error) {
        this.#reaches = false;
        this.#failures++;
        this.#lastError = messageOf(error).slice(0, 1000);
      }
    }).finally(() => {
      if (this.#busy === mine) this.#isBusy = false;
      if (this.#state !== before) this.#owner.onNews();
    });
    return this.#busy = mine;
  }

  /** What the core looks at, as a text that tells whether it changed. */
  get #state(): string {
    const { right, reaches } = this.evidence(this.#options.clock.nowMs());
    return `${right} ${reaches}`;
  }

  async #round(): Promise<void> {
    if (this.#lease !== null) await this.#renew(this.#lease);
    else await this.#look();
    if (this.#wanted && this.#lease === null) await this.#claim();
  }

  /**
   * Renews, then reads the key at the same endpoint: the reading is confirmed by the majority, so if the
   * term is the same, the leader that renewed was still the leader (an old one may not know that it no
   * longer is).
   */
  async #renew(lease: Lease): Promise<void> {
    const { cluster, clock, config } = this.#options;
    const sentAt = clock.nowMs();
    const { alive, seen } = await cluster.attempt(async (etcd, signal) => ({
      alive: await etcd.keepAlive(lease.id, signal),
      seen: await etcd.read(config.rightKey, signal),
    }));
    this.#kept = seen.value;
    if (alive.value > 0 && seen.value?.leaseId === lease.id) {
      if (alive.term === seen.term) this.#lease = this.#leaseFrom(lease.id, sentAt, alive.value);
    } else this.#lease = null;
  }

  async #look(): Promise<void> {
    const { cluster, config, clock } = this.#options;
    const seen = await cluster.attempt((etcd, signal) => etcd.read(config.rightKey, signal));
    this.#kept = seen.value;
    const unsure = this.#unsure;
    this.#unsure = null;
    // The answer to a claim was lost, the claim was not.
    if (this.#wanted && unsure !== null && seen.value?.leaseId === unsure.id) {
      if (clock.nowMs() < unsure.validUntil) this.#lease = unsure;
    }
  }

  async #claim(): Promise<void> {
    const { cluster, clock, config, role } = this.#options;
    const before = this.#kept;
    if (before !== null && !isMine(before.value, role)) return;
    const sentAt = clock.nowMs();
    const value = JSON.stringify(this.#holder());
    const { rightKey: key } = config;
    const seen = await cluster.attempt(async (etcd, signal) => {
      const { leaseId, ttlMs } = await etcd.grant(config.ttlMs, signal);
      const lease = this.#leaseFrom(leaseId, sentAt, ttlMs);
      this.#unsure = lease;
      const done = await etcd.claim({ key, value, leaseId, expected: before }, signal);
      this.#unsure = null;
      if (done) this.#lease = lease;
      return (await etcd.read(key, signal)).value;
    }, { patience: CLAIM_PATIENCE });
    this.#kept = seen;
    if (before !== null && this.#lease !== null) await this.#revokeQuietly(before.leaseId);
  }

  /** The lease ends, and the key with it. */
  async #letGo(): Promise<void> {
    const { cluster, config } = this.#options;
    const ours = this.#lease?.id ?? (this.#isLeftOver() ? this.#kept?.leaseId : undefined);
    this.#lease = null;
    this.#unsure = null;
    this.#kept = await cluster.attempt(async (etcd, signal) => {
      if (ours !== undefined && ours !== "0") await etcd.revoke(ours, signal);
      return (await etcd.read(config.rightKey, signal)).value;
    });
  }

  /** The key hangs on the new lease already; an old one would only end later. */
  async #revokeQuietly(leaseId: string): Promise<void> {
    try {
      await this.#options.cluster.attempt((etcd: Etcd, signal) => etcd.revoke(leaseId, signal));
    } catch {
      // It ends by itself.
    }
  }

  #leaseFrom(id: string, sentAt: number, grantedMs: number): Lease {
    const { ttlMs } = this.#options.config;
    return { id, validUntil: sentAt + Math.min(ttlMs, grantedMs) - arbiterMarginMs(ttlMs) };
  }

  #holder(): RightHolder {
    const { role, host, instanceId } = this.#options;
    return { role, host, epoch: this.#owner.epoch(), instanceId };
  }
}
