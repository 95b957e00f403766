/**
 * Serves one HTTP/1.1 connection (RFC 9112) to an app, with a deadline on everything the other side may
 * delay: the first byte of a request, the whole request, each write.
 *
 * Why not `Deno.serve`: it bounds neither connections nor the time that a request may take to arrive, so
 * a host on the network could use up the daemon's file descriptors (with none left, `ip` cannot be run
 * and no VIP mounted), and it answers what is no HTTP by itself, where it cannot be counted.
 *
 * @module
 */

import { HEAD_MAX_BYTES, HeadFinder } from "../os/http_head.ts";
import { writeAll } from "../os/write_all.ts";
import { BODY_MAX_BYTES } from "./app.ts";
import { RefusedRequest, type TakenRequest, takeRequest, toRequest } from "./http_request.ts";

/** Deadlines of a connection, in milliseconds. */
export interface ConnectionDeadlines {
  /** How long a connection may wait for the first byte of the next request. */
  readonly idleMs: number;
  /** From the first to the last byte of a request. */
  readonly requestMs: number;
  /** How long one piece of the answer may take to leave. */
  readonly writeMs: number;
}

/** The defaults: a probe comes each second, so an idle minute means that nobody is there. */
export const DEADLINES: ConnectionDeadlines = { idleMs: 60_000, requestMs: 5_000, writeMs: 10_000 };

/** What a connection needs. */
export interface ServedConnectionOptions {
  readonly conn: Deno.Conn;
  readonly handle: (request: Request) => Response | Promise<Response>;
  readonly deadlines: ConnectionDeadlines;
  readonly onGarbage: (why: string) => void;
  /** Something failed that is neither the network nor the other side: a bug. */
  readonly onError: (error: Error) => void;
  /** It waits for the next request from now on. */
  readonly onIdle: () => void;
}

const encoder = new TextEncoder();
const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  202: "Accepted",
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  413: "Content Too Large",
  429: "Too Many Requests",
  500: "Internal Server Error",
  503: "Service Unavailable",
};

/** One connection; {@linkcode serve} ends when it is closed by either side. */
export class ServedConnection {
  readonly #options: ServedConnectionOptions;
  readonly #buffer = new Uint8Array(HEAD_MAX_BYTES + BODY_MAX_BYTES);
  #have = 0;
  /** Of the request that is arriving. */
  #finder = new HeadFinder();
  #waiting = true;

  constructor(options: ServedConnectionOptions) {
    this.#options = options;
  }

  /** No request has begun: it may be closed to make room. */
  get waiting(): boolean {
    return this.#waiting;
  }

  /** Serves requests until the connection ends; never throws. */
  async serve(): Promise<void> {
    try {
      while (await this.#serveOne()) this.#options.onIdle();
    } catch (error) {
      if (!isGone(error)) this.#options.onError(toError(error));
    } finally {
      this.close();
    }
  }

  /** Closes the connection. */
  close(): void {
    try {
      this.#options.conn.close();
    } catch {
      // Closed already.
    }
  }

  async #serveOne(): Promise<boolean> {
    let received: TakenRequest | null;
    try {
      received = await this.#receive();
    } catch (error) {
      if (!(error instanceof RefusedRequest)) throw error;
      return await this.#refuse(error.status, error.message);
    }
    if (received === null) return false;
    const request = toRequest(received);
    if (request === null) return await this.#refuse(400, "a request that makes no sense");
    const response = await this.#options.handle(request);
    // An answer that has no end known in advance ends with the connection (RFC 9112 section 6.3).
    if (response.headers.has("transfer-encoding")) {
      await this.#stream(response);
      return false;
    }
    const body = new Uint8Array(await response.arrayBuffer());
    const { method } = received;
    const keepAlive = received.keepAlive && response.headers.get("connection") !== "close";
    const bytes = method === "HEAD" ? null : body;
    await this.#writeHead({ ...parts(response), length: body.length, keepAlive }, bytes);
    return keepAlive;
  }

  async #refuse(status: number, why: string): Promise<false> {
    this.#options.onGarbage(why);
    await this.#writeHead({ status, headers: new Headers(), length: 0, keepAlive: false });
    return false;
  }

  /** The next request; null when the other side has closed the connection between two requests. */
  async #receive(): Promise<TakenRequest | null> {
    this.#waiting = this.#have === 0;
    const { idleMs, requestMs } = this.#options.deadlines;
    let timer = this.#closeAfter(this.#waiting ? idleMs : requestMs);
    try {
      for (;;) {
        const received = this.#have === 0 ? null : this.#take();
        if (received !== null) return received;
        const read = await this.#options.conn.read(this.#buffer.subarray(this.#have));
        if (read === null) {
          if (this.#have > 0) this.#options.onGarbage("a request that ended in the middle");
          return null;
        }
        if (this.#waiting) {
          this.#waiting = false;
          clearTimeout(timer);
          timer = setTimeout(() => {
            this.#options.onGarbage("a request that took too long to arrive");
            this.close();
          }, requestMs);
        }
        this.#have += read;
      }
    } finally {
      clearTimeout(timer);
      this.#waiting = false;
    }
  }

  /** A whole request out of the buffer, or null while bytes are missing. */
  #take(): TakenRequest | null {
    const taken = takeRequest(this.#buffer.subarray(0, this.#have), this.#finder);
    if (taken === null) return null;
    this.#finder = new HeadFinder();
    this.#buffer.copyWithin(0, taken.length, this.#have);
    this.#have -= taken.length;
    return taken;
  }

  async #stream(response: Response): Promise<void> {
    await this.#writeHead({ ...parts(response), length: null, keepAlive: false });
    const reader = response.body?.getReader();
    if (reader === undefined) return;
    // Nothing is expected from the other side any more: what it sends, or its end, ends the stream.
    const gone = this.#options.conn.read(new Uint8Array(1)).catch(() => null);
    gone.then(() => reader.cancel()).catch(() => {});
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        await this.#write(value);
      }
    } finally {
      await reader.cancel().catch(() => {});
    }
  }

  async #writeHead(
    { status, headers, length, keepAlive }: {
      status: number;
      headers: Headers;
      length: number | null;
      keepAlive: boolean;
    },
    body: Uint8Array | null = null,
  ): Promise<void> {
    const lines = [`HTTP/1.1 ${status} ${REASONS[status] ?? "Other"}`];
    for (const [name, value] of headers) {
      if (!FRAMING.has(name)) lines.push(`${name}: ${value}`);
    }
    if (length !== null) lines.push(`content-length: ${length}`);
    if (!keepAlive) lines.push("connection: close");
    const head = encoder.encode(`${lines.join("\r\n")}\r\n\r\n`);
    if (body === null) return await this.#write(head);
    const bytes = new Uint8Array(head.length + body.length);
    bytes.set(head);
    bytes.set(body, head.length);
    await this.#write(bytes);
  }

  async #write(bytes: Uint8Array): Promise<void> {
    const timer = this.#closeAfter(this.#options.deadlines.writeMs);
    try {
      await writeAll(this.#options.conn, bytes);
    } finally {
      clearTimeout(timer);
    }
  }

  #closeAfter(ms: number): ReturnType<typeof setTimeout> {
    return setTimeout(() => this.close(), ms);
  }
}

const FRAMING: ReadonlySet<string> = new Set([
  "content-length",
  "transfer-encoding",
  "connection",
  "keep-alive",
]);

/** The other side went away, or a deadline closed the connection: everyday events. */
function isGone(error: unknown): boolean {
  return error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted ||
    error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe ||
    error instanceof Deno.errors.ConnectionAborted || error instanceof Deno.errors.TimedOut ||
    error instanceof Deno.errors.UnexpectedEof;
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

function parts(response: Response): { status: number; headers: Headers } {
  return { status: response.status, headers: response.headers };
}
