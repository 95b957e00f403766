/**
 * In the place of the sockets: echoes, health questions and ARP over the simulated switch. The judgement
 * of what was heard is the real one (`VipWatch`, `Announcer`, `Links`).
 *
 * @module
 */

import { Announcer } from "../../src/arp/announce.ts";
import type { VipLink, VipLinkOptions } from "../../src/arp/vip_link.ts";
import { VipWatch } from "../../src/arp/watch.ts";
import type { Claim } from "../../src/arp/protocol.ts";
import type { HttpProbe, HttpProbeOptions, ProbeCounters } from "../../src/heartbeat/http_probe.ts";
import type { IcmpPinger, ReplyCallback } from "../../src/heartbeat/icmp.ts";
import type { HealthBody } from "../../src/health/types.ts";
import type { Daemon } from "./daemon.ts";
import { type Network, WITNESS } from "./network.ts";
import { macOf } from "./vip_port.ts";

/** Echoes; replies wait in the "socket" until the loop looks, as in the real pinger. */
export class SimPinger {
  readonly counters = { sent: 0, received: 0, ignored: 0, sendErrors: 0 };
  readonly #callbacks: ReplyCallback[] = [];
  #inbox: { readonly address: string; readonly sentAt: number; readonly at: number }[] = [];

  constructor(readonly daemon: Daemon) {}

  ping(address: string): void {
    const { world, host } = this.daemon;
    this.counters.sent++;
    const { network, who } = world.find(address);
    const up = who === WITNESS ? network.witnessUp : world.hosts[who]!.answers;
    const ms = up ? network.roundTrip(host.index, who) : null;
    if (ms === null) return;
    const now = host.monotonic();
    this.#inbox.push({ address, sentAt: now, at: now + ms });
  }

  onReply(callback: ReplyCallback): void {
    this.#callbacks.push(callback);
  }

  drain(): void {
    const now = this.daemon.host.monotonic();
    if (this.#inbox.length === 0) return;
    const here = this.#inbox.filter(({ at }) => at <= now);
    this.#inbox = this.#inbox.filter(({ at }) => at > now);
    here.sort((a, b) => a.at - b.at);
    for (const { address, sentAt, at } of here) {
      this.counters.received++;
      for (const callback of this.#callbacks) callback(address, at - sentAt, at);
    }
  }

  discard(): void {
    this.#inbox = [];
  }

  close(): void {
    this.#inbox = [];
    this.#callbacks.length = 0;
  }

  get port(): IcmpPinger {
    return this as unknown as IcmpPinger;
  }
}

/** Health questions; one in flight per network. */
export class SimHttp {
  readonly #counters = new Map<string, ProbeCounters>();
  readonly #inFlight = new Set<string>();
  #closed = false;

  constructor(readonly daemon: Daemon, readonly options: HttpProbeOptions) {}

  probe(name: string, address: string): void {
    if (this.#closed || this.#inFlight.has(name)) return;
    const { world, clock } = this.daemon;
    const { network, who } = world.find(address);
    const started = clock.nowMs();
    this.#inFlight.add(name);
    let open = true;
    const end = (deliver: () => void): void => {
      if (!open) return;
      open = false;
      deadline.cancelled = true;
      this.#inFlight.delete(name);
      if (!this.#closed) deliver();
    };
    const deadline = world.time.timer(this.daemon, this.options.deadlineMs, () => {
      end(() => this.options.onFailure(name, "timeout", "no answer"));
    });
    world.ask(this.daemon.host.index, who as 0 | 1, network, (peer) => peer.health(), (answer) => {
      end(() => {
        if (answer === null) return this.options.onFailure(name, "refused", "refused");
        const now = clock.nowMs();
        this.options.onReport(name, answer, now - started, now);
      });
    }, this.daemon);
  }

  /** Quiet time was jumped over: the peer said that of itself. */
  jumped(body: HealthBody): void {
    const now = this.daemon.clock.nowMs();
    for (const { name } of this.daemon.world.networks) this.options.onReport(name, body, 1, now);
  }

  counters(name: string): ProbeCounters {
    let found = this.#counters.get(name);
    if (found === undefined) {
      found = { sent: 0, received: 0, ignored: 0, skipped: 0 };
      this.#counters.set(name, found);
    }
    return found;
  }

  reconnect(): void {}

  close(): void {
    this.#closed = true;
  }

  get port(): HttpProbe {
    return this as unknown as HttpProbe;
  }
}

/** The watch of one network's VIPs. */
export class SimVipLink {
  readonly counters = {
    framesSeen: 0,
    garbage: 0,
    ownFrames: 0,
    announcementsSent: 0,
    probesSent: 0,
    sendErrors: 0,
  };
  readonly lastError = null;
  readonly gone = false;
  readonly #watch: VipWatch;
  readonly #announcer: Announcer;
  readonly #network: Network;
  readonly #mac: string;
  #inbox: Claim[] = [];
  #discarding = false;
  #closed = false;

  constructor(readonly daemon: Daemon, readonly options: VipLinkOptions) {
    const { world, clock, host } = daemon;
    this.#network = world.network(options.network);
    this.#mac = macOf(host.index, world.networks.indexOf(this.#network));
    this.#watch = new VipWatch({
      network: options.network,
      vips: options.vips,
      peerAddress: options.peerAddress,
      ownMacs: [this.#mac],
    });
    this.#announcer = new Announcer({ clock, send: (vip) => this.#announce(vip) });
  }

  get peerMac(): string | null {
    return this.#watch.peerMac;
  }

  setHeld(vips: ReadonlySet<string>): void {
    this.#receive();
    this.#watch.setHeld(vips);
    for (const vip of this.#announcer.vips) if (!vips.has(vip)) this.#announcer.stop(vip);
  }

  probe(): void {
    for (const vip of this.#watch.notHeld) {
      this.#watch.probed(vip, this.daemon.clock.nowMs());
      this.#askPeer(vip);
    }
  }

  probePeer(): void {
    this.#askPeer(this.options.peerAddress);
  }

  evidence(): ReturnType<VipWatch["evidence"]> {
    this.#receive();
    return this.#watch.evidence(this.daemon.clock.nowMs());
  }

  discard(): void {
    this.#discarding = true;
    this.#receive();
    this.#discarding = false;
    this.#watch.discard();
  }

  announce(vips: Iterable<string>): void {
    for (const vip of vips) if (this.#watch.held.has(vip)) this.#announcer.start(vip);
  }

  stopAnnouncing(): void {
    this.#announcer.stopAll();
  }

  close(): void {
    this.#closed = true;
    this.#announcer.stopAll();
  }

  /** A frame of somebody else arrived in the socket. */
  hear(claim: Claim): void {
    if (this.#closed) return;
    this.#inbox.push(claim);
    this.daemon.world.time.after(0, () => this.#receive(), this.daemon);
  }

  get port(): VipLink {
    return this as unknown as VipLink;
  }

  #askPeer(address: string): void {
    const { world, host } = this.daemon;
    const peer = world.hosts[1 - host.index]!;
    const there = this.#network.transit(host.index, peer.index);
    if (there === null) return;
    world.time.after(there, () => {
      const speaks = address === this.options.peerAddress || peer.vips.has(address);
      if (!peer.answers || !speaks) return;
      const back = this.#network.transit(peer.index, host.index);
      const mac = macOf(peer.index, world.networks.indexOf(this.#network));
      if (back !== null) world.time.after(back, () => this.hear({ address, mac }));
    });
  }

  #announce(vip: string): void {
    this.counters.announcementsSent++;
    const { world, host } = this.daemon;
    world.announced(this.#network, host.index, vip);
    const peer = world.daemons[1 - host.index];
    const ms = this.#network.transit(host.index, 1 - host.index);
    if (ms === null) return;
    world.time.after(ms, () => {
      const link = peer?.alive === true ? peer.vipLink(this.#network.name) : null;
      if (world.hosts[1 - host.index]!.answers) link?.hear({ address: vip, mac: this.#mac });
    });
  }

  #receive(): void {
    const frames = this.#inbox;
    if (frames.length === 0) return;
    this.#inbox = [];
    for (const claim of frames) {
      const answer = this.#watch.heard(claim, this.daemon.clock.nowMs());
      if (answer !== null && answer !== "own" && !this.#discarding) {
        this.options.onForeignAnswer(answer);
      }
    }
  }
}
