/**
 * Asks a SIP server over UDP: one OPTIONS, any answer is life.
 *
 * One socket is kept while the questions go on, watched by the daemon's poller all the time: a fresh one
 * for each question costs two more turns of the poller, which is most of what a question costs (measured
 * in a compiled program with ten turns a second of its own, at one question a second: 0.7 ms of CPU per
 * question with the kept socket, 1.6 ms with fresh ones, 2.0 ms with `node:dgram`). It can't go stale: it
 * is not connected, so the kernel looks up source and route for each datagram; a restarted server is
 * reached by the next one; and an answer that is late finds its question gone, by the branch that no two
 * questions share.
 *
 * @module
 */

import { kindOf, parseIp } from "../config/address.ts";
import type { Clock } from "../os/clock.ts";
import { ipBytes } from "../os/ip_bytes.ts";
import type { Poller, PollError, PollRegistration } from "../os/poller.ts";
import { errnoName, SocketError } from "../os/socket.ts";
import { UdpSocket } from "../os/udp_socket.ts";
import {
  answers,
  encodeOptions,
  MAX_SIP_BYTES,
  type OptionsRequest,
  parseResponse,
} from "./sip_message.ts";

/** How a question ended. */
export interface SipOutcome {
  /** The status of the answer, 100 to 699; null: no answer. Any of them is life. */
  readonly status: number | null;
  /** Why there is no answer, in words; empty when there is one. */
  readonly why: string;
}

/** How long to wait. */
export interface SipQuestion {
  readonly deadlineMs: number;
  /**
   * Send the same request again at this pace, also to a closed port: for a server that is just starting.
   * Default: once, and a closed port ends the question.
   */
  readonly resendMs?: number;
  /** Aborting ends the wait. */
  readonly signal?: AbortSignal;
}

/** Options of {@linkcode SipClient}. */
export interface SipClientOptions {
  /** IP address of the server. */
  readonly host: string;
  readonly port: number;
  readonly clock: Clock;
  /** Must be started before anything is asked. */
  readonly poller: Poller;
}

/** Datagrams taken in one turn of the poller; what is left is taken in the next. */
const MAX_PER_TURN = 16;

/** Taken and parsed in one go, so all clients share it. The one byte more tells what is too long. */
const buffer = new Uint8Array(new ArrayBuffer(MAX_SIP_BYTES + 1));

/** A question that waits for its answer. */
class Waiting {
  readonly request: OptionsRequest;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #outcome = Promise.withResolvers<SipOutcome>();
  readonly #server: string;
  readonly #isRepeated: boolean;
  /** Why the last request whose fate is known did not arrive; empty: it may have. */
  #failure = "";
  /** The request that was sent last may still arrive. */
  #isUnderWay = false;

  constructor(request: OptionsRequest, { isRepeated }: { readonly isRepeated: boolean }) {
    this.request = request;
    this.bytes = encodeOptions(request);
    this.#server = `${request.host} port ${request.port}`;
    this.#isRepeated = isRepeated;
  }

  get outcome(): Promise<SipOutcome> {
    return this.#outcome.promise;
  }

  answered(status: number): void {
    this.#outcome.resolve({ status, why: "" });
  }

  /** The request goes out (again): what became of the one before counts until this one fails too. */
  sending(): void {
    if (this.#isUnderWay) this.#failure = "";
    this.#isUnderWay = true;
  }

  /** It did not arrive: the end, unless it is sent again. */
  failed(code: string): void {
    this.#isUnderWay = false;
    this.#failure = code === "ECONNREFUSED"
      ? `nothing listens on ${this.#server} (ECONNREFUSED)`
      : `cannot ask ${this.#server}: the kernel says ${code}`;
    if (!this.#isRepeated) this.#outcome.resolve({ status: null, why: this.#failure });
  }

  late(deadlineMs: number): void {
    const silence = `no answer from ${this.#server} in ${deadlineMs} ms`;
    this.#outcome.resolve({ status: null, why: this.#failure === "" ? silence : this.#failure });
  }

  abandon(reason: unknown): void {
    this.#outcome.reject(reason);
  }
}

/** Asks one server. No socket is open before the first question. */
export class SipClient {
  readonly #options: SipClientOptions;
  readonly #waiting = new Set<Waiting>();
  #open: { readonly socket: UdpSocket; readonly registration: PollRegistration } | null = null;
  #isKept = false;
  #strays = 0;

  constructor(options: SipClientOptions) {
    this.#options = options;
  }

  /** Datagrams that were no answer to a question that waited: garbage, late, or somebody else's. */
  get strays(): number {
    return this.#strays;
  }

  /** Whether the socket stays open when no question waits. Not so at first. */
  keepOpen(isKept: boolean): void {
    this.#isKept = isKept;
    this.#closeIfIdle();
  }

  /**
   * Sends one OPTIONS and waits for its answer, at most `deadlineMs`. A port that nobody listens on, and
   * any other error of the way there that the kernel tells of, is a failure at once.
   *
   * @throws {DOMException} `AbortError` when `signal` aborts
   */
  async ask({ deadlineMs, resendMs, signal }: SipQuestion): Promise<SipOutcome> {
    signal?.throwIfAborted();
    let waiting: Waiting;
    try {
      const localPort = this.#socket().port;
      waiting = new Waiting(this.#newRequest(localPort), { isRepeated: resendMs !== undefined });
    } catch (error) {
      if (error instanceof SocketError) return { status: null, why: error.message };
      throw error;
    }
    const over = new AbortController();
    const onAbort = (): void => waiting.abandon(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#waiting.add(waiting);
    this.#repeat(waiting, resendMs, over.signal);
    this.#options.clock.sleep(deadlineMs, over.signal).then(
      () => waiting.late(deadlineMs),
      () => {}, // Over before.
    );
    try {
      return await waiting.outcome;
    } finally {
      over.abort();
      signal?.removeEventListener("abort", onAbort);
      this.#waiting.delete(waiting);
      this.#closeIfIdle();
    }
  }

  /** Sends the request; again and again when there is a pace. */
  #repeat(waiting: Waiting, paceMs: number | undefined, over: AbortSignal): void {
    waiting.sending();
    try {
      const errno = this.#socket().send(waiting.bytes);
      if (errno !== 0) waiting.failed(errnoName(errno));
    } catch (error) {
      if (!(error instanceof SocketError)) return waiting.abandon(error);
      waiting.failed(error.code);
    }
    if (paceMs === undefined) return;
    this.#options.clock.sleep(paceMs, over).then(
      () => this.#repeat(waiting, paceMs, over),
      () => {}, // Over.
    );
  }

  #newRequest(localPort: number): OptionsRequest {
    const { host, port } = this.#options;
    const [branch, callId] = [crypto.randomUUID(), crypto.randomUUID()];
    return { host, port, localPort, branch, callId, tag: crypto.randomUUID().slice(0, 8) };
  }

  /** @throws {SocketError} */
  #socket(): UdpSocket {
    if (this.#open !== null) return this.#open.socket;
    const { host, port, poller } = this.#options;
    const to = { address: ipBytes(host), port };
    const socket = new UdpSocket(to, sourceFor(host), `SIP to ${host}`);
    const registration = poller.add(
      socket.fd,
      () => this.#read(socket),
      (error) => this.#onError(socket, error),
    );
    this.#open = { socket, registration };
    return socket;
  }

  #closeIfIdle(): void {
    if (!this.#isKept && this.#waiting.size === 0) this.#close();
  }

  #close(): void {
    this.#open?.registration.close();
    this.#open?.socket.close();
    this.#open = null;
  }

  #read(socket: UdpSocket): void {
    for (let count = 0; count < MAX_PER_TURN; count++) {
      const length = socket.receive(buffer);
      if (length < 0) return; // Nothing more; errors are the poller's to tell.
      const response = length > MAX_SIP_BYTES ? null : parseResponse(buffer.subarray(0, length));
      const asked = response === null ? undefined : this.#find((one) => answers(response, one));
      if (response === null || asked === undefined) this.#strays++;
      else asked.answered(response.status);
    }
  }

  /**
   * A request was refused. Any host could say so of any port of ours; only those that saw the request
   * can send its branch back (Linux returns 500 bytes of it; a router that returns the least that it may,
   * 8 bytes, is not believed: the question then ends at its deadline).
   */
  #onError(socket: UdpSocket, { code, dropped }: PollError): void {
    for (let count = 0; count < MAX_PER_TURN; count++) {
      const length = socket.takeReturned(buffer);
      if (length === null) break;
      const text = new TextDecoder("latin1").decode(buffer.subarray(0, length));
      const asked = this.#find(({ branch }) => text.includes(branch));
      if (asked === undefined) this.#strays++;
      else asked.failed(code);
    }
    if (!dropped) return;
    for (const waiting of this.#waiting) waiting.failed(code);
    this.#close();
  }

  #find(isIt: (request: OptionsRequest) => boolean): Waiting | undefined {
    return [...this.#waiting].find(({ request }) => isIt(request));
  }
}

/** Asking the host itself, no other host needs to reach the socket; else the kernel knows the way. */
function sourceFor(host: string): Uint8Array {
  const address = parseIp(host);
  const isOwn = address !== null && kindOf(address) === "loopback";
  if (address?.family === 6) return ipBytes(isOwn ? "::1" : "::");
  return ipBytes(isOwn ? "127.0.0.1" : "0.0.0.0");
}
