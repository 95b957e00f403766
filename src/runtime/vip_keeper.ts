/**
 * Holds the VIPs while this node serves, and nothing else: mounts, renews, announces, repairs, drops; and
 * keeps the links' interfaces and watches up to date with the kernel.
 *
 * @module
 */

import type { LocalConfig } from "../config/types.ts";
import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import type { Poller } from "../os/poller.ts";
import { MountError, VipLapsedError, type VipManager } from "../vip/manager.ts";
import type { Links, LinkView } from "./links.ts";
import { type NodePorts, SYSTEM_PORTS } from "./ports.ts";

/** VIPs live 3 s in the kernel; three renewals fit. */
const RENEW_EVERY_MS = 1000;
/** Shortly before VIPs may no longer be renewed they are renewed as late as that. */
const EDGE_MS = 250;
/** Level-triggered re-read of the kernel, in case the monitor missed something. */
const REFRESH_EVERY_MS = 5000;
/** Mounting what a new configuration adds, and dropping what it has no more, may take this long. */
const TAKE_OVER_MS = 5000;
/** Pause before a failed drop or refresh is tried again. */
const RETRY_MS = 500;

/** What {@linkcode VipKeeper} needs. */
export interface VipKeeperOptions {
  readonly config: LocalConfig;
  readonly clock: Clock;
  readonly poller: Poller;
  readonly manager: VipManager;
  readonly links: Links;
  /** Opens the ARP/ND watch of a link; default: the real socket. */
  readonly openLink?: NodePorts["vipLink"];
  /** A sentence for log and alerts. */
  readonly onTrouble: (text: string) => void;
  /** Something was put back that someone had removed. */
  readonly onRepair: (text: string) => void;
  /** The kernel dropped the VIPs because this process stood still: as bad as a stalled loop. */
  readonly onLapsed: (lateMs: number) => void;
  /** The kernel changed: look again. */
  readonly onNews: () => void;
  /** Until when VIPs that are held may be renewed (monotonic); default: for ever. */
  readonly extendUntil?: (now: number) => number;
  /** {@linkcode VipKeeper.garbage} of the keeper before this one; default 0. */
  readonly formerGarbage?: number;
}

/** See the module. */
export class VipKeeper {
  readonly #options: VipKeeperOptions;
  #wanted = false;
  #busy = false;
  /** The kernel may have changed: the next renewal reads it. */
  #mustLook = true;
  #nextRenewAt = 0;
  #nextRefreshAt = 0;
  #refreshing = false;
  #refreshAgain = false;
  #arpGarbage: number;
  /** Another keeper goes on: nothing is opened or read any more. */
  #released = false;

  constructor(options: VipKeeperOptions) {
    this.#options = options;
    this.#arpGarbage = options.formerGarbage ?? 0;
  }

  /** VIPs that are mounted and shall be. */
  get held(): ReadonlySet<string> {
    return this.#wanted ? this.#options.manager.held : new Set();
  }

  /** No VIP is on this host, as of the last reading, and none shall be. */
  get isGone(): boolean {
    return !this.#wanted && this.#options.manager.held.size === 0;
  }

  /** What stands in the way, as sentences. */
  get problems(): readonly string[] {
    return this.#options.manager.problems;
  }

  /** ARP and ND frames that were no such thing. */
  get garbage(): number {
    const open = this.#options.links.views.map((view) => view.vipLink?.counters.garbage ?? 0);
    return this.#arpGarbage + open.reduce((sum, count) => sum + count, 0);
  }

  /** Mounts VIPs and routes. Rejects as {@linkcode VipManager.mount} does. */
  async mount(signal: AbortSignal): Promise<void> {
    this.#wanted = true;
    this.#busy = true;
    try {
      await this.#options.manager.mount({ signal });
    } finally {
      this.#busy = false;
      this.#nextRenewAt = this.#options.clock.nowMs() + RENEW_EVERY_MS;
      this.#tellLinks();
    }
  }

  /** Takes over what a previous daemon left mounted. @returns whether every configured VIP is there */
  async adopt(): Promise<boolean> {
    const { held } = await this.#options.manager.adopt();
    const all = this.#options.config.networks.flatMap((network) => network.vips);
    if (held.length === 0) return false;
    this.#wanted = true;
    this.#nextRenewAt = 0;
    this.#tellLinks();
    return all.every((vip) => held.includes(vip));
  }

  /**
   * Goes on where the keeper of the former configuration is: the VIPs that both have are held from this
   * call on, those that are new are mounted, those that are gone dropped. Never rejects: what could not be
   * mounted is told, and tried again by the renewals.
   */
  async takeOver(former: VipKeeper): Promise<void> {
    const { manager, config, onTrouble, onLapsed } = this.#options;
    const ours = new Set(config.networks.flatMap(({ vips }) => vips));
    const wasHeld = [...former.held].filter((vip) => ours.has(vip));
    this.#wanted = true;
    this.#busy = true;
    this.#tellLinks();
    try {
      await former.release();
      await manager.adopt();
      if (wasHeld.some((vip) => !manager.held.has(vip))) {
        // As when a renewal comes too late: somebody else may hold them by now, so the core looks first.
        this.#wanted = false;
        onLapsed(config.heartbeat.isolatedAfterMs);
      }
      if (this.#wanted) await manager.mount({ signal: AbortSignal.timeout(TAKE_OVER_MS) });
    } catch (error) {
      for (const text of error instanceof MountError ? error.missing : [messageOf(error)]) {
        if (this.#wanted) onTrouble(text);
      }
      if (this.#wanted && !(error instanceof MountError)) await this.#adoptAgain();
    }
    // Whoever let go meanwhile did so before the former keeper had come to its end.
    if (!this.#wanted) await manager.drop().catch((error: unknown) => onTrouble(messageOf(error)));
    this.#busy = false;
    this.#nextRenewAt = this.#options.clock.nowMs() + RENEW_EVERY_MS;
    this.#tellLinks();
    this.announce();
  }

  /** A mount that was broken off leaves nobody to renew what is there. */
  async #adoptAgain(): Promise<void> {
    try {
      await this.#options.manager.adopt();
    } catch (error) {
      this.#options.onTrouble(messageOf(error));
    }
  }

  /** Ends without letting go: the keeper of the next configuration goes on. Never rejects. */
  async release(): Promise<void> {
    this.#released = true;
    await this.#options.manager.release();
  }

  /** Reads the kernel once and opens the watches, as a keeper that is to follow another one. */
  async prepare(): Promise<void> {
    await this.#options.manager.refresh();
    this.applyInterfaces();
  }

  /** Lets go, at once: announcing stops before this returns, the addresses go within milliseconds. */
  async drop(): Promise<void> {
    this.#wanted = false;
    for (const { vipLink } of this.#options.links.views) {
      vipLink?.stopAnnouncing();
      vipLink?.setHeld(new Set());
    }
    await this.#options.manager.drop();
  }

  /** (Re)starts the burst of announcements for all that is held. */
  announce(): void {
    for (const view of this.#options.links.views) {
      const vips = view.network.vips.filter((vip) => this.held.has(vip));
      if (vips.length > 0) view.vipLink?.announce(vips);
    }
  }

  /** Renews, retries, re-reads: called after each turn of the loop, so never before it has looked. */
  pace(now: number): void {
    const { manager } = this.#options;
    if (now >= this.#nextRefreshAt) this.#look(now);
    if (this.#busy || now < this.#nextRenewAt) return;
    if (this.#wanted) {
      const until = this.#options.extendUntil?.(now) ?? Infinity;
      // The kernel's memory must not outlast the right to serve: it runs out by itself.
      if (now >= until) return;
      this.#nextRenewAt = Math.min(now + RENEW_EVERY_MS, Math.max(until - EDGE_MS, now + EDGE_MS));
      if (!this.#mustLook && this.#extend()) return;
      this.#mustLook = false;
      this.#run(() => this.#renew());
    } else if (manager.held.size > 0) {
      this.#nextRenewAt = now + RETRY_MS;
      this.#run(() => manager.drop());
    }
  }

  /** The level-triggered re-read; while VIPs are held the full renewal reads the kernel anyway. */
  #look(now: number): void {
    if (!this.#wanted) return this.refresh();
    this.#nextRefreshAt = now + REFRESH_EVERY_MS;
    this.#nextRenewAt = 0;
    this.#mustLook = true;
  }

  /** Re-reads the kernel soon (link monitor, start), and repairs at once what someone removed. */
  refresh(): void {
    if (this.#released) return;
    this.#nextRenewAt = 0;
    this.#mustLook = true;
    if (this.#refreshing) {
      this.#refreshAgain = true;
      return;
    }
    this.#refreshing = true;
    this.#nextRefreshAt = this.#options.clock.nowMs() + REFRESH_EVERY_MS;
    this.#refresh().catch((error: unknown) => {
      this.#options.onTrouble(messageOf(error));
    }).finally(() => {
      this.#refreshing = false;
      if (this.#refreshAgain) {
        this.#refreshAgain = false;
        this.refresh();
      }
    });
  }

  /** Reads the kernel once and makes the watches that it allows; for the start of the daemon. */
  async #refresh(): Promise<void> {
    await this.#options.manager.refresh();
    this.applyInterfaces();
    this.#options.onNews();
  }

  /** Opens, keeps or closes the ARP/ND watch of each link, as the interfaces are now. */
  applyInterfaces(): void {
    if (this.#released) return;
    for (const view of this.#options.links.views) {
      const found = this.#options.manager.interfaceOf(view.network.name);
      const before = view.interface;
      view.interface = found;
      // Probes that went into a dead cable prove nothing.
      if (found?.carrier === true && before?.carrier !== true) view.vipLink?.discard();
      const same = found !== null && before !== null && found.index === before.index &&
        found.mac === before.mac && view.vipLink !== null;
      if (same || view.network.vips.length === 0) continue;
      this.#closeVipLink(view);
      if (found !== null && found.mac !== null) this.#openVipLink(view, found);
    }
    this.#tellLinks();
  }

  #openVipLink(view: LinkView, found: NonNullable<LinkView["interface"]>): void {
    const { config, clock, poller, onTrouble, onNews } = this.#options;
    const others = this.#options.links.views.flatMap((other) => other.interface?.mac ?? []);
    try {
      view.vipLink = (this.#options.openLink ?? SYSTEM_PORTS.vipLink)({
        network: view.network.name,
        interfaceName: found.name,
        interfaceIndex: found.index,
        mac: found.mac ?? "",
        otherOwnMacs: others.filter((mac) => mac !== found.mac),
        vips: view.network.vips,
        peerAddress: view.peerAddress,
        ownAddress: config.role === "master" ? view.network.master : view.network.slave,
        clock,
        poller,
        onForeignAnswer: onNews,
        onSocketError: (error) => {
          onTrouble(error.message);
          this.#closeVipLink(view);
          this.refresh();
        },
      });
      view.vipLink.probePeer();
    } catch (error) {
      onTrouble(`Cannot watch ${found.name}: ${messageOf(error)}`);
    }
  }

  #closeVipLink(view: LinkView): void {
    this.#arpGarbage += view.vipLink?.counters.garbage ?? 0;
    view.vipLink?.close();
    view.vipLink = null;
  }

  #tellLinks(): void {
    const held = this.held;
    for (const view of this.#options.links.views) {
      view.vipLink?.setHeld(new Set(view.network.vips.filter((vip) => held.has(vip))));
    }
  }

  /** A kernel that refuses is not fatal: the long way tells what is wrong. */
  #extend(): boolean {
    try {
      return this.#options.manager.extend();
    } catch {
      return false;
    }
  }

  async #renew(): Promise<void> {
    const { manager, onRepair, onLapsed, config } = this.#options;
    try {
      const repairs = await manager.renew();
      this.applyInterfaces();
      if (repairs.length === 0 || !this.#wanted) return;
      onRepair(
        repairs.map((repair) => `${repair.what} had been removed and was put back`).join("; "),
      );
      this.announce();
    } catch (error) {
      if (!(error instanceof VipLapsedError)) throw error;
      this.#tellLinks();
      // Nothing would mount them again: also where the kernel lets go sooner than isolated_after_ms (calm).
      onLapsed(Math.max(error.lateMs, config.heartbeat.isolatedAfterMs));
    }
  }

  #run(work: () => Promise<void>): void {
    this.#busy = true;
    work().catch((error: unknown) => this.#options.onTrouble(messageOf(error))).finally(() => {
      this.#busy = false;
    });
  }
}
