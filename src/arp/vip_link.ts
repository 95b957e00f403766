/**
 * The VIPs of one network, seen from its interface: asks who holds them, hears who speaks for them, and
 * announces those that this host holds. One object per network that has VIPs; it lives as long as the
 * interface does (a deleted and remade interface needs a new one, see `gone`).
 *
 * @module
 */

import type { Clock } from "../os/clock.ts";
import { formatIp, ipBytes } from "../os/ip_bytes.ts";
import type { Poller, PollError, PollRegistration } from "../os/poller.ts";
import { errnoName } from "../os/socket.ts";
import { Announcer } from "./announce.ts";
import { LinkSocket } from "./link_socket.ts";
import { type AddressProtocol, addressProtocol, type Frame, type Neighbour } from "./protocol.ts";
import { type ForeignAnswer, type VipAnswers, VipWatch } from "./watch.ts";

/** Neighbours that are told directly at most. */
const MAX_NEIGHBOURS = 64;
/** Frames taken per round, so that a flood can't keep the loop from its other work. */
const MAX_PER_ROUND = 256;

/** A {@linkcode VipLink} has come to its end: close it and make a new one once the interface is back. */
export class VipLinkGoneError extends Error {
  override readonly name = "VipLinkGoneError";
  constructor(
    readonly network: string,
    interfaceName: string,
    /** What the kernel said last, e.g. `ENXIO`. */
    readonly code: string,
  ) {
    super(
      `Cannot watch ${interfaceName} (network ${network}) any more as the interface was deleted (${code}): open a new watch once it is back`,
    );
  }
}

/** What a {@linkcode VipLink} is for. */
export interface VipLinkOptions {
  readonly network: string;
  readonly interfaceName: string;
  readonly interfaceIndex: number;
  /** Ethernet address of the interface. */
  readonly mac: string;
  /** Other Ethernet addresses of this host: with several interfaces on one segment they answer too. */
  readonly otherOwnMacs?: readonly string[];
  /** All of one IP version, the same as the addresses below. */
  readonly vips: readonly string[];
  readonly peerAddress: string;
  readonly ownAddress: string;
  readonly clock: Clock;
  readonly poller: Poller;
  /** Somebody else speaks for a VIP that we hold; each MAC at most once in 100 ms per VIP. */
  readonly onForeignAnswer: (answer: ForeignAnswer) => void;
  /**
   * The interface was deleted: called once. An interface that is only down is no such end: the socket
   * works again when it is up; see {@linkcode VipLink.lastError}.
   */
  readonly onSocketError: (error: VipLinkGoneError) => void;
}

/** What happened since the link was made. */
export interface VipLinkCounters {
  /** Frames that the packet filter let through and that were not sent by us. */
  framesSeen: number;
  /** Of these: neither ARP nor neighbour discovery in good form. */
  garbage: number;
  /** Of these: our own, come back through a loop of the network. */
  ownFrames: number;
  /** Announcements sent (one counts all its frames). */
  announcementsSent: number;
  probesSent: number;
  /** Frames that could not be sent. */
  sendErrors: number;
}

/** The VIPs of one network on its link. */
export class VipLink {
  readonly counters: VipLinkCounters = {
    framesSeen: 0,
    garbage: 0,
    ownFrames: 0,
    announcementsSent: 0,
    probesSent: 0,
    sendErrors: 0,
  };
  readonly #options: VipLinkOptions;
  readonly #peerAddress: string;
  readonly #clock: Clock;
  readonly #protocol: AddressProtocol;
  readonly #watch: VipWatch;
  readonly #announcer: Announcer;
  readonly #socket: LinkSocket;
  readonly #registration: PollRegistration;
  #neighbours: readonly Neighbour[] = [];
  #lastError: string | null = null;
  #gone = false;
  #discarding = false;
  #closed = false;

  /**
   * @throws {SocketError} e.g. `EPERM` without CAP_NET_RAW, `ENODEV` without the interface
   * @throws {TypeError} when an address is none
   * @throws {Error} when the interface is not Ethernet
   */
  constructor(options: VipLinkOptions) {
    this.#options = options;
    this.#clock = options.clock;
    const mac = options.mac.toLowerCase();
    const vips = options.vips.map(canonical);
    this.#peerAddress = canonical(options.peerAddress);
    const family = ipBytes(this.#peerAddress).length === 4 ? 4 : 6;
    this.#protocol = addressProtocol(family, mac);
    this.#watch = new VipWatch({
      network: options.network,
      vips,
      peerAddress: this.#peerAddress,
      ownMacs: [mac, ...(options.otherOwnMacs ?? []).map((other) => other.toLowerCase())],
    });
    this.#announcer = new Announcer({ clock: this.#clock, send: (vip) => this.#announceOnce(vip) });
    this.#socket = new LinkSocket({
      interfaceName: options.interfaceName,
      interfaceIndex: options.interfaceIndex,
      ethertype: this.#protocol.ethertype,
      filter: this.#protocol.filter([...vips, this.#peerAddress]),
    });
    this.#registration = options.poller.add(
      this.#socket.fd,
      () => this.#receive(),
      (error) => this.#onPollError(error),
    );
  }

  /** The peer's Ethernet address, as last heard; null before. */
  get peerMac(): string | null {
    return this.#watch.peerMac;
  }

  /** The last error of the socket, e.g. `ENETDOWN`; null after a frame that could be sent. */
  get lastError(): string | null {
    return this.#lastError;
  }

  /** The interface was deleted: this object will never hear or send anything again. */
  get gone(): boolean {
    return this.#gone;
  }

  /**
   * Says which VIPs this host has mounted. While one is held, frames of others that speak for it are
   * reported; one that is no longer held is no longer announced.
   */
  setHeld(vips: ReadonlySet<string>): void {
    // What came before the change is judged by what was true then.
    this.#receive();
    const held = new Set(Array.from(vips, canonical));
    this.#watch.setHeld(held);
    for (const vip of this.#announcer.vips) if (!held.has(vip)) this.#announcer.stop(vip);
  }

  /** Asks once who holds each VIP that this host does not hold. */
  probe(): void {
    for (const vip of this.#watch.notHeld) {
      if (!this.#send(this.#protocol.probe(vip))) continue;
      this.counters.probesSent++;
      this.#watch.probed(vip, this.#clock.nowMs());
    }
  }

  /** Asks for the peer's own address once, to learn its Ethernet address. */
  probePeer(): void {
    this.#send(this.#protocol.ask(this.#options.ownAddress, this.#peerAddress));
  }

  /** What is known now, including frames that the poller has not come round to. */
  evidence(): readonly VipAnswers[] {
    this.#receive();
    if (this.#lastError !== null) this.#checkGone(this.#lastError);
    return this.#watch.evidence(this.#clock.nowMs());
  }

  /**
   * Forgets answers and probes, also those that still wait in the socket, which are not reported either
   * (after a stall nobody knows how old they are).
   */
  discard(): void {
    this.#discarding = true;
    this.#receive();
    this.#discarding = false;
    this.#watch.discard();
  }

  /** Neighbours (gateway, telephones…) that are told directly too; the first {@linkcode MAX_NEIGHBOURS}. */
  setNeighbours(neighbours: readonly Neighbour[]): void {
    this.#neighbours = neighbours.slice(0, MAX_NEIGHBOURS);
  }

  /** Starts (or restarts) the burst for those of `vips` that are held; see `announce.ts`. */
  announce(vips: Iterable<string>): void {
    if (this.#closed) return;
    for (const vip of Array.from(vips, canonical)) {
      if (this.#watch.held.has(vip)) this.#announcer.start(vip);
    }
  }

  /** Announces nothing until the next {@linkcode announce}. */
  stopAnnouncing(): void {
    this.#announcer.stopAll();
  }

  /** Ends everything; nothing is sent or reported afterwards. May be called twice. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#announcer.stopAll();
    this.#registration.close();
    this.#socket.close();
  }

  #announceOnce(vip: string): void {
    const frames = this.#protocol.announce(vip);
    for (const neighbour of this.#neighbours) frames.push(this.#protocol.tell(vip, neighbour));
    let sent = 0;
    for (const frame of frames) if (this.#send(frame)) sent++;
    if (sent > 0) this.counters.announcementsSent++;
  }

  #send(frame: Frame): boolean {
    if (this.#closed) return false;
    const errno = this.#socket.send(frame);
    if (errno === 0) {
      this.#lastError = null;
      return true;
    }
    this.counters.sendErrors++;
    this.#fail(errnoName(errno));
    return false;
  }

  #receive(): void {
    if (this.#closed) return;
    for (let i = 0; i < MAX_PER_ROUND; i++) {
      const frame = this.#socket.receive();
      if (frame === null) return;
      if (typeof frame === "number") return this.#fail(errnoName(-frame));
      if (frame !== "ignored") this.#hear(frame);
      // A callback may have closed this link.
      if (this.#closed) return;
    }
  }

  #hear(frame: Uint8Array): void {
    this.counters.framesSeen++;
    const claim = this.#protocol.decode(frame);
    if (claim === null) this.counters.garbage++;
    if (claim === null || claim === "silent") return;
    const answer = this.#watch.heard(claim, this.#clock.nowMs());
    if (answer === "own") this.counters.ownFrames++;
    else if (answer !== null && !this.#discarding) this.#options.onForeignAnswer(answer);
  }

  #onPollError({ code, dropped }: PollError): void {
    this.#fail(code);
    if (dropped) this.#end(code);
  }

  #fail(code: string): void {
    this.#lastError = code;
    this.#checkGone(code);
  }

  #checkGone(code: string): void {
    if (!this.#closed && this.#socket.gone) this.#end(code);
  }

  #end(code: string): void {
    if (this.#gone) return;
    this.#gone = true;
    const { network, interfaceName, onSocketError } = this.#options;
    onSocketError(new VipLinkGoneError(network, interfaceName, code));
  }
}

function canonical(address: string): string {
  return formatIp(ipBytes(address));
}
