/**
 * Gives the health app its ports: one listener per own address. An address that is not there yet (its
 * interface is down when the daemon starts) is retried and reported, not fatal.
 *
 * @module
 */

import { type Clock, systemClock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { ConnectionPool } from "./connection_pool.ts";
import { CONNECTS, RequestPace, WAIT_MAX_MS } from "./request_pace.ts";
import { type ConnectionDeadlines, DEADLINES } from "./served_connection.ts";

/** Connections at the same time, over all addresses. When full, the longest waiting one makes room. */
export const CONNECTIONS_MAX = 64;
/** Connections at the same time of one address that is not the peer's: a browser has six. */
export const CONNECTIONS_PER_ADDRESS_MAX = 16;
/** Pauses between attempts to listen; the last one repeats. The peer's probe waits for us, so: short. */
const RETRY_MS = [100, 200, 500, 1_000] as const;

/** What the server needs of the app: {@linkcode createApp} makes one. */
export interface FetchApp {
  fetch(request: Request, env: { readonly remoteAddress: string }): Response | Promise<Response>;
}

/** What {@linkcode HealthServer} needs. */
export interface HealthServerOptions {
  readonly app: FetchApp;
  /** IPv4 and IPv6 addresses of this host, without brackets. */
  readonly addresses: readonly string[];
  /** 0: any free port (tests). */
  readonly port: number;
  /** Of the peer's addresses: they always find room, even when strangers hold all of it. */
  readonly isPeer?: (address: string) => boolean;
  /** Hears of an address that cannot be listened on (once per reason) and of bugs. */
  readonly onError: (error: Error) => void;
  /** An address is listened on now. */
  readonly onListen?: (address: string, port: number) => void;
  /** Counts what is no HTTP. */
  readonly onGarbage?: (why: string) => void;
  /** Counts requests that had to wait or were refused, as their address asked too often. */
  readonly onPaced?: () => void;
  readonly clock?: Clock;
  readonly deadlines?: ConnectionDeadlines;
  /** Default: {@linkcode CONNECTIONS_PER_ADDRESS_MAX}. */
  readonly connectionsPerAddress?: number;
}

/** Listens on every own address and serves the app there. */
export class HealthServer {
  readonly #options: HealthServerOptions;
  readonly #clock: Clock;
  readonly #stopped = new AbortController();
  /** Addresses that are to be listened on. */
  #wanted: readonly string[];
  readonly #listeners = new Map<string, Deno.TcpListener>();
  readonly #pool: ConnectionPool<Deno.TcpConn>;
  readonly #tasks = new Set<Promise<void>>();
  readonly #pace = new RequestPace();

  constructor(options: HealthServerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#wanted = options.addresses;
    this.#pool = new ConnectionPool({
      handle: (request, conn) => this.#answer(request, plainAddress(conn.remoteAddr.hostname)),
      max: CONNECTIONS_MAX,
      isPreferred: (conn) => this.#isPeer(plainAddress(conn.remoteAddr.hostname)),
      ownerOf: (conn) => plainAddress(conn.remoteAddr.hostname),
      connects: CONNECTS,
      maxPerOwner: options.connectionsPerAddress ?? CONNECTIONS_PER_ADDRESS_MAX,
      deadlines: options.deadlines ?? DEADLINES,
      clock: this.#clock,
      onError: options.onError,
      onGarbage: (why) => options.onGarbage?.(why),
    });
  }

  /** Tries each address once, and goes on trying those that failed. Never throws. */
  start(): Promise<void> {
    for (const address of this.#wanted) this.#begin(address);
    return Promise.resolve();
  }

  /** Listens on these addresses from now on: the ones that stay are not touched. Never throws. */
  relocate(addresses: readonly string[]): void {
    const before = this.#wanted;
    this.#wanted = addresses;
    for (const [address, listener] of this.#listeners) {
      if (addresses.includes(address)) continue;
      this.#listeners.delete(address);
      this.#pool.unlisten(listener);
    }
    for (const address of addresses) if (!before.includes(address)) this.#begin(address);
  }

  #isPeer(address: string): boolean {
    return this.#options.isPeer?.(address) ?? false;
  }

  /** The peer is answered at once: it knows the heart from these answers. */
  async #answer(request: Request, remoteAddress: string): Promise<Response> {
    const { app, onPaced } = this.#options;
    if (!this.#isPeer(remoteAddress)) {
      const waitMs = this.#pace.ask(remoteAddress, this.#clock.nowMs());
      if (waitMs !== 0) onPaced?.();
      if (waitMs === null) return tooOften();
      if (waitMs > 0) await this.#clock.sleep(waitMs, this.#stopped.signal).catch(() => {});
    }
    return await app.fetch(request, { remoteAddress });
  }

  #begin(address: string): void {
    const error = this.#listen(address);
    if (error === null) return;
    const task = this.#retry(address, error);
    this.#tasks.add(task);
    task.finally(() => this.#tasks.delete(task));
  }

  /** The port that is listened on at `address`, null while it is not. */
  port(address: string): number | null {
    return this.#listeners.get(address)?.addr.port ?? null;
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#pool.size;
  }

  /** Closes everything and waits until it is closed. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#listeners.clear();
    await this.#pool.stop();
    await Promise.all(this.#tasks);
  }

  /** Null when `address` is listened on now, otherwise why not. */
  #listen(address: string): Error | null {
    try {
      const listener = Deno.listen({ hostname: address, port: this.#options.port });
      this.#listeners.set(address, listener);
      this.#options.onListen?.(address, listener.addr.port);
      this.#pool.listen({
        accept: async () => {
          const conn = await listener.accept();
          // An answer is one write: it does not wait for another.
          conn.setNoDelay(true);
          return conn;
        },
        close: () => listener.close(),
      }, listener);
      return null;
    } catch (cause) {
      const { port } = this.#options;
      const why = cause instanceof Deno.errors.AddrNotAvailable
        ? "this host does not have that address yet"
        : messageOf(cause);
      return new Error(`Cannot listen on ${address} port ${port} as ${why}: trying again`, {
        cause,
      });
    }
  }

  async #retry(address: string, first: Error): Promise<void> {
    let reported = "";
    let error: Error | null = first;
    for (let attempt = 0; error !== null; attempt++) {
      if (error.message !== reported) this.#options.onError(error);
      reported = error.message;
      const pause = RETRY_MS[attempt] ?? 1_000;
      await this.#clock.sleep(pause, this.#stopped.signal).catch(() => {});
      if (this.#stopped.signal.aborted || !this.#wanted.includes(address)) return;
      if (this.#listeners.has(address)) return;
      error = this.#listen(address);
    }
  }
}

/** RFC 6585 section 4. */
function tooOften(): Response {
  const headers = { "Retry-After": String(WAIT_MAX_MS / 1000), "Connection": "close" };
  return Response.json({ error: "this address asks too often" }, { status: 429, headers });
}

/** `::ffff:10.0.0.1` as `10.0.0.1`; without a zone (`fe80::1%eth0`). */
function plainAddress(address: string): string {
  return address.replace(/%.*$/, "").replace(/^::ffff:(?=\d+\.)/i, "");
}
