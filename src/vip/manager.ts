/**
 * Mounts, renews and drops the VIPs and routes of this host, one change at a time.
 *
 * @module
 */

import type { NetworkConfig } from "../config/types.ts";
import type { Role } from "../core/types.ts";
import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import {
  type BatchResult,
  canonicalAddress,
  type FailedLine,
  type InterfaceInfo,
  IpRoute,
  MAIN_TABLE,
  type Observed,
} from "./iproute.ts";
import { LifetimeExtender } from "./extend.ts";
import { isOurAddress, labelFor, VIP_LIFETIME_S } from "./mark.ts";
import { type Desired, desiredOf, interfaceOf } from "./desired.ts";
import { routeText } from "./lines.ts";
import type { Operation } from "./operation.ts";
import {
  DropError,
  MountError,
  notDone,
  type Repair,
  toRepair,
  VipLapsedError,
} from "./outcome.ts";
import { correctionLines, type Plan, plan, type PlanContext, renewalLines } from "./plan.ts";
import { resolveTables } from "./tables.ts";

export { DropError, MountError, type Repair, VipLapsedError } from "./outcome.ts";

/** The kernel may drop a VIP this much before its lifetime ends (measured: 2.5 to 3 s of 3 s). */
const LIFETIME_SLACK_MS = 500;

/** How often `relais cleanup` tries to read a kernel that it can't read (`ip` hangs). */
const CLEANUP_TRIES = 3;

/** Options of {@linkcode VipManager}. */
export interface VipManagerOptions {
  readonly networks: readonly NetworkConfig[];
  readonly role: Role;
  readonly clock: Clock;
  readonly log?: (level: "info" | "warning", text: string) => void;
  /** How to call `ip`; default `["ip"]`. Tests enter a namespace with it. */
  readonly ipCommand?: readonly string[];
  /** Seconds; default {@linkcode VIP_LIFETIME_S}. Renew three times as often. */
  readonly lifetimeS?: number;
  /**
   * VIPs that the configuration before this one had: such as are still mounted are ours too, and go.
   * IPv6 addresses cannot be recognised by anything else.
   */
  readonly formerVips?: readonly string[];
}

/** The VIPs and routes of this host. Calls are executed one after the other; `drop` goes first. */
export class VipManager {
  readonly #networks: readonly NetworkConfig[];
  readonly #role: Role;
  readonly #clock: Clock;
  readonly #log: (level: "info" | "warning", text: string) => void;
  readonly #ip: IpRoute;
  readonly #lifetimeS: number;
  readonly #context: PlanContext;
  readonly #tables: ReadonlyMap<string, number>;
  readonly #destinations: readonly string[];

  /** What the kernel held when it was last read; null: never read. */
  #observed: Observed | null = null;
  #held: ReadonlySet<string> = new Set();
  #problems: readonly string[] = [];
  /** What the last renewal tried in vain, as sentences. */
  #undone: readonly string[] = [];
  /** The VIPs shall be held: renewals put back what is missing. */
  #wanted = false;
  #renewedAt = 0;
  readonly #extender = new LifetimeExtender();
  /** Raised by each drop: what was asked for before it is void. */
  #generation = 0;
  #tail: Promise<unknown> = Promise.resolve();
  #running: AbortController | null = null;
  /** What runs is a {@linkcode refresh}: it gives way, as it changes nothing. */
  #reading = false;

  /** @throws {Error} when a route names a routing table that this host does not know */
  constructor(options: VipManagerOptions) {
    this.#networks = options.networks;
    this.#role = options.role;
    this.#clock = options.clock;
    this.#log = options.log ?? (() => {});
    this.#ip = new IpRoute(options.ipCommand);
    this.#lifetimeS = options.lifetimeS ?? VIP_LIFETIME_S;
    this.#context = {
      vips: new Set(
        [...options.networks.flatMap(({ vips }) => vips), ...options.formerVips ?? []]
          .map(canonicalAddress),
      ),
      lifetimeS: this.#lifetimeS,
    };
    this.#tables = resolveTables(
      options.networks.flatMap(({ routes }) => routes.flatMap(({ table }) => table ?? [])),
    );
    this.#destinations = this.#desired([]).routes.map((route) => route.to);
  }

  /** VIPs of ours that were on this host when the kernel was last read. */
  get held(): ReadonlySet<string> {
    return this.#held;
  }

  /**
   * Whole sentences: what stands in the way of holding the VIPs, as of the last reading. On a host that
   * does not serve: only VIPs that something else has configured here.
   */
  get problems(): readonly string[] {
    return this.#problems;
  }

  /**
   * The interface of the network of that name, as of the last reading; null while it is absent or down.
   *
   * @throws {TypeError} for a network that is not configured
   */
  interfaceOf(name: string): InterfaceInfo | null {
    const network = this.#networks.find((candidate) => candidate.name === name);
    if (network === undefined) throw new TypeError(`Cannot find a network "${name}"`);
    return interfaceOf(network, this.#role, this.#observed?.interfaces ?? []);
  }

  /**
   * Reads the kernel. Renews nothing. It has longer than what changes something, so that a busy host is
   * not called ill; therefore it gives way: a mount or a renewal breaks it off and it begins again behind
   * them, a drop ends it.
   *
   * @throws what {@linkcode IpRoute.batch} throws
   */
  async refresh(): Promise<readonly InterfaceInfo[]> {
    for (;;) {
      const seen = await this.#serial(async (signal) => {
        this.#reading = true;
        try {
          return this.#note(await this.#batch([], { patient: true, signal })).interfaces;
        } catch (error) {
          if (error === GIVES_WAY) return null;
          // A drop goes first; it reads the kernel, too.
          if (signal.aborted && this.#observed !== null) return this.#observed.interfaces;
          throw error;
        } finally {
          this.#reading = false;
        }
      });
      if (seen !== null) return seen;
    }
  }

  /** Nothing that holds the VIPs waits for a reading, which may hang. */
  #makeWay(): void {
    if (this.#reading) this.#running?.abort(GIVES_WAY);
  }

  /**
   * Mounts all VIPs and routes and proves it by reading back: one run of `ip` if the interfaces are as
   * last read. What can be mounted is mounted even if the rest can't; {@linkcode renew} goes on trying.
   *
   * @throws {MountError} naming what is not there
   * @throws {DOMException} `AbortError` when `signal` aborts or `drop` was called; call `drop` then
   * @throws what {@linkcode IpRoute.batch} throws
   */
  mount(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const generation = this.#generation;
    this.#makeWay();
    return this.#serial(async (running) => {
      if (generation !== this.#generation) throw aborted("they were dropped meanwhile");
      const signal = options.signal === undefined
        ? running
        : AbortSignal.any([running, options.signal]);
      signal.throwIfAborted();
      const failed: FailedLine[] = [];
      const todo = await this.#mountRounds(failed, signal);
      const missing = [...todo.problems, ...todo.operations.map((op) => notDone(op, failed))];
      if (missing.length > 0) throw new MountError(missing, [...this.#held]);
    });
  }

  /**
   * Removes every address and route of ours, also such that are not configured any more. Cancels a
   * `mount` or `renew` in progress. Idempotent; one run of `ip` in the common case.
   *
   * @throws {DropError} after all was tried, if something is left or can't be known to be gone; the
   *   kernel then drops the VIPs within their lifetime, as nobody renews them any more
   */
  drop(): Promise<void> {
    this.#generation++;
    this.#wanted = false;
    this.#running?.abort(aborted("they are being dropped"));
    return this.#serial(async () => {
      await this.#removeAll();
    });
  }

  /**
   * To be called each second while VIPs are held: extends their lifetime (one run of `ip`) and puts back
   * what someone removed. Does nothing when nothing is to be held.
   *
   * @returns what was put back: announce it, and name it in the log
   * @throws {VipLapsedError} when it comes so late that the kernel dropped VIPs; they are no longer
   *   wanted then, until `mount` is called again
   * @throws what {@linkcode IpRoute.batch} throws
   */
  renew(): Promise<readonly Repair[]> {
    const generation = this.#generation;
    if (this.#wanted) this.#makeWay();
    return this.#serial(async (signal) => {
      const current = (): boolean => this.#wanted && generation === this.#generation;
      try {
        return current() ? await this.#renew(signal) : [];
      } catch (error) {
        if (signal.aborted) return [];
        throw error;
      }
    });
  }

  /**
   * Takes over what a previous daemon of this host left mounted: extends its lifetime; later renewals
   * complete it. With nothing there, nothing is wanted.
   *
   * @throws what {@linkcode IpRoute.batch} throws
   */
  adopt(): Promise<{ readonly held: readonly string[] }> {
    return this.#serial(async (signal) => {
      this.#note(await this.#batch([], { patient: true, signal }));
      if (this.#held.size > 0) {
        const startedAt = this.#clock.nowMs();
        const lines = renewalLines(this.#plan(), this.#lifetimeS);
        this.#note(await this.#batch(lines, { signal }));
        this.#renewedAt = startedAt;
        this.#wanted = this.#held.size > 0;
      }
      return { held: [...this.#held] };
    });
  }

  /**
   * Ends without dropping anything: another manager of this process goes on with what is mounted. What is
   * in progress is broken off; resolves when nothing is done any more. Never rejects.
   */
  release(): Promise<void> {
    this.#generation++;
    this.#wanted = false;
    this.#running?.abort(aborted("another configuration takes them over"));
    return this.#serial(() => Promise.resolve(this.#extender.close()));
  }

  /**
   * `relais cleanup`: what {@linkcode drop} does, told in sentences; empty when nothing of ours was there.
   *
   * @throws what {@linkcode drop} throws
   */
  cleanup(): Promise<readonly string[]> {
    this.#generation++;
    this.#wanted = false;
    this.#running?.abort(aborted("they are being dropped"));
    return this.#serial(async (signal) => {
      for (let tries = 1;; tries++) {
        try {
          this.#note(await this.#batch([], { signal }));
          break;
        } catch (error) {
          // As often as a removal is tried: nobody comes after us who would do it.
          if (tries === CLEANUP_TRIES) throw error;
        }
      }
      const before = this.#planDrop();
      await this.#removeAll();
      return before.operations.map((op) => {
        if (op.kind === "delete-address") return `Removed the VIP ${op.what}`;
        return `Removed the route ${op.what}${this.#successorOf(op)}`;
      });
    });
  }

  /** Two rounds: the second is for interfaces that are not as last read, and for lost races. */
  async #mountRounds(failed: FailedLine[], signal: AbortSignal): Promise<Plan> {
    // Unless all of it is known to have gone well or badly, nobody must complete it later.
    this.#wanted = false;
    this.#undone = [];
    if (this.#observed === null) this.#note(await this.#batch([], { patient: true, signal }));
    let todo = this.#plan();
    for (let round = 0; round < 2; round++) {
      const startedAt = this.#clock.nowMs();
      const lines = [...renewalLines(todo, this.#lifetimeS), ...todo.operations.map(lineOf)];
      const result = await this.#batch(lines, { signal });
      this.#renewedAt = startedAt;
      failed.push(...result.failed);
      this.#note(result);
      todo = this.#plan();
      if (todo.operations.length === 0) break;
    }
    this.#wanted = true;
    return todo;
  }

  /**
   * The quick form of {@linkcode renew}: extends the lifetimes at once, without starting a program. It
   * does so only when everything is as it was last read and nothing but a reading is in progress; IPv6,
   * whose routes have lifetimes too, is left to `renew`.
   *
   * @returns false: nothing was promised, call `renew`
   */
  extend(): boolean {
    const startedAt = this.#clock.nowMs();
    const overdueMs = this.#lifetimeS * 1000 - LIFETIME_SLACK_MS;
    const isBusy = this.#running !== null && !this.#reading;
    if (!this.#wanted || isBusy || startedAt - this.#renewedAt >= overdueMs) {
      return false;
    }
    const interfaces = this.#observed?.interfaces ?? [];
    const { vips } = this.#desired(interfaces);
    const present = new Set(Deno.networkInterfaces().map(({ address }) => address));
    const lifetimes = vips.map(({ address, family, dev }) => {
      const found = interfaces.find(({ name }) => name === dev);
      return family === 4 && found !== undefined && present.has(address)
        ? { index: found.index, address, label: labelFor(found.name), seconds: this.#lifetimeS }
        : null;
    });
    for (const lifetime of lifetimes) {
      if (lifetime === null || !this.#extender.extend(lifetime)) return false;
    }
    this.#renewedAt = startedAt;
    return lifetimes.length > 0;
  }

  async #renew(signal: AbortSignal): Promise<readonly Repair[]> {
    const startedAt = this.#clock.nowMs();
    const overdue = (): boolean =>
      this.#clock.nowMs() - this.#renewedAt >= this.#lifetimeS * 1000 - LIFETIME_SLACK_MS;
    // Renewing an address that is gone would mount it again. When that may be so, look first.
    const late = overdue();
    const before = this.#plan();
    const lines = late ? [] : renewalLines(before, this.#lifetimeS);
    const wasHeld = this.#held;
    const seen = this.#note(await this.#batch(lines, { readFirst: true, signal }));
    if (late || overdue()) {
      const lateMs = this.#clock.nowMs() - this.#renewedAt;
      const lapsed = [...wasHeld].filter((vip) => !this.#held.has(vip));
      if (lapsed.length > 0) {
        this.#wanted = false;
        await this.#removeAll();
        throw new VipLapsedError(lapsed, lateMs);
      }
    }
    let found = this.#plan();
    // Late, but nothing was lost: extend what is there; what was missing before waits for evidence.
    const repairs = late ? [] : found.operations;
    const follow = [
      ...(late ? renewalLines(found, this.#lifetimeS) : []),
      ...correctionLines({ present: late ? [] : before.present }, seen, this.#context),
      ...repairs.map(lineOf),
    ];
    if (follow.length > 0) {
      const result = await this.#batch(follow, { signal });
      this.#observed = result;
      found = this.#plan();
      this.#undone = late ? [] : found.operations.map((op) => notDone(op, result.failed));
      this.#note(result);
    } else {
      this.#undone = [];
    }
    this.#renewedAt = startedAt;
    const open = new Set(found.operations.map((op) => op.line));
    return repairs.filter((op) => !open.has(op.line)).flatMap(toRepair);
  }

  async #removeAll(): Promise<void> {
    const failed: FailedLine[] = [];
    let unread: unknown = null;
    // What is expected to be there first; then twice what the kernel says is left.
    let lines = this.#planDrop().operations.map(lineOf);
    for (let round = 0; round < 3; round++) {
      try {
        // Not to be cancelled: a drop is finished or has failed.
        const result = await this.#batch(lines, {});
        unread = null;
        failed.push(...result.failed);
        this.#note(result);
        const left = this.#planDrop().operations;
        if (left.length === 0) return;
        lines = left.map(lineOf);
      } catch (error) {
        unread = error;
      }
    }
    const left = unread === null
      ? this.#planDrop().operations.map((op) => notDone(op, failed)).join("; ")
      : messageOf(unread);
    throw new DropError(
      `Cannot drop the VIPs: ${left}; the kernel drops them within ${this.#lifetimeS} s`,
      { cause: unread },
    );
  }

  #desired(interfaces: readonly InterfaceInfo[]): Desired {
    return desiredOf(this.#networks, {
      role: this.#role,
      interfaces,
      tableOf: (name) => this.#tables.get(name ?? "main") ?? MAIN_TABLE,
    });
  }

  /** What is to be done so that all is mounted, judged by the last reading. */
  #plan(): Plan {
    const observed = this.#observed ?? NOTHING;
    return plan(this.#desired(observed.interfaces), observed, this.#context);
  }

  /** The same for nothing mounted. */
  #planDrop(): Plan {
    return plan({ vips: [], routes: [] }, this.#observed ?? NOTHING, this.#context);
  }

  #batch(
    lines: readonly string[],
    options: {
      readonly readFirst?: boolean;
      readonly patient?: boolean;
      readonly signal?: AbortSignal;
    },
  ): Promise<BatchResult> {
    return this.#ip.batch(lines, { ...options, destinations: this.#destinations });
  }

  /** Remembers a reading. */
  #note<T extends Observed>(observed: T): T {
    this.#observed = observed;
    const there = new Set(
      observed.interfaces.flatMap(({ addresses }) =>
        addresses.filter((address) => isOurAddress(address, this.#context))
          .map(({ address }) => address)
      ),
    );
    this.#held = new Set(
      this.#networks.flatMap(({ vips }) => vips.filter((vip) => there.has(canonicalAddress(vip)))),
    );
    const found = this.#plan();
    const problems = this.#wanted
      ? [...found.problems, ...found.warnings, ...this.#undone]
      : found.foreign;
    for (const text of problems) {
      if (!this.#problems.includes(text)) this.#log("warning", text);
    }
    this.#problems = problems;
    return observed;
  }

  /** Who carries the traffic of a route that was removed, as a half-sentence. */
  #successorOf(operation: Operation): string {
    const gone = operation.route;
    const rival = this.#observed?.routes.find((other) =>
      gone !== null && other.family === gone.family && other.table === gone.table &&
      other.to === gone.to
    );
    return rival === undefined ? "" : `; in use again: ${routeText(rival)}`;
  }

  /** Runs `work` after everything that was asked for before. */
  #serial<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const result = this.#tail.then(async () => {
      const running = new AbortController();
      this.#running = running;
      try {
        return await work(running.signal);
      } finally {
        this.#running = null;
      }
    });
    this.#tail = result.catch(() => {
      // Whoever asked for it is told; the queue goes on.
    });
    return result;
  }
}

/** Why a reading was broken off. */
const GIVES_WAY = new DOMException("A reading gives way to a change", "AbortError");

/** Before the first reading. */
const NOTHING: Observed = { interfaces: [], routes: [] };

function lineOf(operation: Operation): string {
  return operation.line;
}

function aborted(why: string): DOMException {
  return new DOMException(`Cannot mount the VIPs as ${why}`, "AbortError");
}
