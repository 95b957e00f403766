/**
 * ICMP echo to the peer and to witnesses: one raw socket per IP version for all links. A reply counts
 * only if it is an answer to a request of ours: right identifier, a sequence number that is waited for,
 * our random token in its data, and the address that was asked as its source.
 *
 * @module
 */

import type { Clock } from "../os/clock.ts";
import { formatIp, ipBytes, sameBytes } from "../os/ip_bytes.ts";
import type { Poller, PollRegistration } from "../os/poller.ts";
import { SocketError } from "../os/socket.ts";
import { decodeEcho, encodeEchoRequest, type Family } from "./icmp_frame.ts";
import { IcmpSocket, type Received } from "./icmp_socket.ts";

/** Requests that wait for an answer: the oldest is forgotten when there are more. */
export const MAX_OUTSTANDING = 4096;
/** An answer later than this is not accepted, ms: longer than the calmest `dead_after_ms`. */
const REPLY_DEADLINE_MS = 15_000;
/** Messages taken per round, so that a flood can't keep the loop from its other work. */
const MAX_PER_ROUND = 256;
const TOKEN_LENGTH = 8;
/** For people who look at the packets; the kernel's own ping shows its pattern there. */
const LABEL = new TextEncoder().encode("relais\0\0");

/** Called for each accepted reply: who answered, round trip in ms, monotonic time of its arrival. */
export type ReplyCallback = (address: string, rttMs: number, atMs: number) => void;

/** How one request is sent; see `SendOptions` in `icmp_socket.ts`. */
export interface PingOptions {
  /** The address is on one of our own networks: never through a router. Default false. */
  readonly onLink?: boolean;
  /** Source address, one of this host's own. Default: the kernel's choice (which may be a VIP). */
  readonly source?: string;
}

/** What happened since the pinger was made. */
export interface IcmpCounters {
  sent: number;
  /** Accepted replies. */
  received: number;
  /** Anything else that the sockets delivered: other programs' replies, forged, late, doubled. */
  ignored: number;
  /** Requests that could not be sent (no route, interface down, no IPv6…). */
  sendErrors: number;
}

interface Outstanding {
  readonly address: string;
  readonly sentAt: number;
}

/** Sends echo requests and reports the replies. */
export class IcmpPinger {
  readonly counters: IcmpCounters = { sent: 0, received: 0, ignored: 0, sendErrors: 0 };
  readonly #clock: Clock;
  readonly #poller: Poller | null;
  readonly #sockets = new Map<
    Family,
    { socket: IcmpSocket; registration: PollRegistration | null }
  >();
  readonly #identifier: number;
  readonly #payload: Uint8Array;
  readonly #outstanding = new Map<number, Outstanding>();
  readonly #callbacks: ReplyCallback[] = [];
  #sequence = 0;
  #lastSendError: number | null = null;

  /**
   * Opens the IPv4 socket at once, so that a missing privilege shows at start; the IPv6 one at the
   * first IPv6 address.
   *
   * @param options.poller null: replies are taken by {@linkcode drain} only. A caller that turns at a
   *   steady beat anyway is spared a wake-up per reply; the kernel stamps their arrival
   * @throws {SocketError} e.g. `EPERM` without CAP_NET_RAW
   */
  constructor(options: { readonly poller: Poller | null; readonly clock: Clock }) {
    this.#clock = options.clock;
    this.#poller = options.poller;
    const random = crypto.getRandomValues(new Uint8Array(TOKEN_LENGTH + 2));
    this.#identifier = new DataView(random.buffer).getUint16(TOKEN_LENGTH);
    this.#payload = new Uint8Array([...random.subarray(0, TOKEN_LENGTH), ...LABEL]);
    this.#open(4);
  }

  /** errno of the last request that could not be sent; null after one that could. */
  get lastSendError(): number | null {
    return this.#lastSendError;
  }

  /**
   * Sends one echo request. A failure is counted, not thrown.
   *
   * @throws {TypeError} when `address` or `options.source` is not an address
   */
  ping(address: string, options: PingOptions = {}): void {
    const bytes = ipBytes(address);
    const family = bytes.length === 4 ? 4 : 6;
    const sequence = this.#nextSequence();
    const request = encodeEchoRequest(family, {
      identifier: this.#identifier,
      sequence,
      payload: this.#payload,
    });
    // Before it is sent: a reply on a short way is there before the call returns.
    const sentAt = this.#clock.nowMs();
    const errno = this.#send(family, address, request, options);
    if (errno !== 0) {
      this.counters.sendErrors++;
      this.#lastSendError = errno;
      return;
    }
    this.counters.sent++;
    this.#lastSendError = null;
    this.#remember(sequence, { address: formatIp(bytes), sentAt });
  }

  /** Adds a receiver of accepted replies. The address is in canonical text. */
  onReply(callback: ReplyCallback): void {
    this.#callbacks.push(callback);
  }

  /**
   * Takes what waits in the sockets now instead of in the next round of the poller: call it before
   * concluding anything from silence, because after a stall the replies may still be in there.
   */
  drain(): void {
    for (const { socket } of this.#sockets.values()) this.#receive(socket);
  }

  /**
   * Forgets all requests: replies to them, which may wait in the sockets since nobody knows when, will
   * be ignored. For after a stall, as a reply is stamped with the time at which it is read.
   */
  discard(): void {
    this.#outstanding.clear();
  }

  /** Closes the sockets; nothing is reported afterwards. */
  close(): void {
    for (const { socket, registration } of this.#sockets.values()) {
      registration?.close();
      socket.close();
    }
    this.#sockets.clear();
    this.#outstanding.clear();
  }

  /** Returns 0 or an errno; a host without IPv6 fails here, and may have it later. */
  #send(family: Family, address: string, request: Uint8Array, options: PingOptions): number {
    try {
      return this.#open(family).send(address, request, {
        onLink: options.onLink ?? false,
        source: options.source ?? null,
      });
    } catch (error) {
      if (error instanceof SocketError) return error.errno;
      throw error;
    }
  }

  #open(family: Family): IcmpSocket {
    const known = this.#sockets.get(family);
    if (known !== undefined) return known.socket;
    const socket = new IcmpSocket(family);
    // A raw socket that is not connected has no errors of its own; a dropped one is only silent.
    const registration = this.#poller?.add(socket.fd, () => this.#receive(socket)) ?? null;
    this.#sockets.set(family, { socket, registration });
    return socket;
  }

  #nextSequence(): number {
    this.#sequence = (this.#sequence + 1) & 0xffff;
    return this.#sequence;
  }

  #remember(sequence: number, request: Outstanding): void {
    // Deleting first keeps the map in the order of sending, also when numbers come round again.
    this.#outstanding.delete(sequence);
    this.#outstanding.set(sequence, request);
    for (const [oldest, { sentAt }] of this.#outstanding) {
      const late = request.sentAt - sentAt > REPLY_DEADLINE_MS;
      if (!late && this.#outstanding.size <= MAX_OUTSTANDING) break;
      this.#outstanding.delete(oldest);
    }
  }

  #receive(socket: IcmpSocket): void {
    for (let i = 0; i < MAX_PER_ROUND; i++) {
      const received = socket.receive();
      if (received === null) return;
      const request = received === "garbage" ? null : this.#match(socket.family, received);
      if (request === null) {
        this.counters.ignored++;
        continue;
      }
      this.counters.received++;
      const arrivedAt = Math.max(request.sentAt, this.#clock.nowMs() - socket.ageMs());
      const rttMs = arrivedAt - request.sentAt;
      for (const callback of this.#callbacks) callback(request.address, rttMs, arrivedAt);
    }
  }

  /** The request that a message answers, taken off the table; null when it answers none. */
  #match(family: Family, { source, message }: Received): Outstanding | null {
    const echo = decodeEcho(family, message);
    if (echo === null || echo.kind !== "reply" || echo.identifier !== this.#identifier) return null;
    if (!sameBytes(echo.payload, this.#payload)) return null;
    const request = this.#outstanding.get(echo.sequence);
    if (request === undefined || request.address !== source) return null;
    if (this.#clock.nowMs() - request.sentAt > REPLY_DEADLINE_MS) return null;
    this.#outstanding.delete(echo.sequence);
    return request;
  }
}
