/**
 * The connection to PostgreSQL's Unix socket, made for the npm client `postgres` but kept in our own hand:
 * that client (3.4.9) leaves a socket that breaks at a bad moment without anybody who hears its errors.
 *
 * @module
 */

import { connect, type Socket } from "node:net";
import type { DatabaseAddress } from "./database_connection.ts";

/** How long the goodbye to the server may take before the socket is cut, in milliseconds. */
const END_GRACE_MS = 500;

/** The server ended the connection, or it broke. */
export class ConnectionLostError extends Error {
  override readonly name = "ConnectionLostError";
  constructor(path: string) {
    super(`Cannot go on as PostgreSQL (${path}) ended the connection`);
  }
}

/** One connection, for one session. */
export class ServerSocket {
  readonly #path: string;
  readonly #deadlineMs: number;
  readonly #onLost: (error: ConnectionLostError) => void;
  readonly #closed = Promise.withResolvers<void>();
  #socket: Socket | null = null;
  #lost: ConnectionLostError | null = null;

  constructor(options: {
    readonly address: Pick<DatabaseAddress, "socketDir" | "port">;
    /** Milliseconds until the server must have taken the connection. */
    readonly deadlineMs: number;
    /** Called once, after the client itself was told. */
    readonly onLost: (error: ConnectionLostError) => void;
  }) {
    this.#path = `${options.address.socketDir}/.s.PGSQL.${options.address.port}`;
    this.#deadlineMs = options.deadlineMs;
    this.#onLost = options.onLost;
  }

  /** Why nothing can be sent any more; null while the connection is up. */
  get lost(): ConnectionLostError | null {
    return this.#lost;
  }

  /**
   * Connects; once: a client that connects again after a loss would go on in a session that is another.
   *
   * @throws {Error} when nobody listens there, or does not answer in time
   */
  async open(): Promise<Socket> {
    if (this.#socket !== null) throw this.#lost ?? new ConnectionLostError(this.#path);
    const socket = connect({ path: this.#path });
    this.#socket = socket;
    hearErrorsForEver(socket);
    socket.once("close", () => this.#onClose());
    const connected = Promise.withResolvers<void>();
    socket.once("connect", connected.resolve);
    socket.once("error", connected.reject);
    const timer = setTimeout(() => {
      connected.reject(
        new Error(`Cannot reach PostgreSQL at ${this.#path} in ${this.#deadlineMs} ms`),
      );
    }, this.#deadlineMs);
    try {
      await connected.promise;
      return socket;
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Reads on. The client (postgres 3.4.9) stops reading while the rows of a `COPY … TO STDOUT` wait for their
   * reader, and reads on when that asks for more; it forgets to when the last rows came at once with the
   * word that they were the last. The answer to the next statement would then never be read.
   */
  resume(): void {
    this.#socket?.resume();
  }

  /** Waits for the end that the client has begun, then cuts what is left. Never rejects. */
  async end(): Promise<void> {
    const socket = this.#socket;
    if (socket === null) return;
    const timer = setTimeout(() => socket.destroy(), END_GRACE_MS);
    await this.#closed.promise;
    clearTimeout(timer);
  }

  #onClose(): void {
    const lost = new ConnectionLostError(this.#path);
    this.#lost = lost;
    // The client's own error may say more; it comes first.
    setTimeout(() => {
      this.#onLost(lost);
      this.#closed.resolve();
    }, 0);
  }
}

/**
 * The client takes its listeners off when the socket closes. A write that was in progress fails only then
 * (`EBADF`: Deno has closed the descriptor), and an error that nobody hears ends the process. What it
 * would say, the end of the connection has said already.
 */
function hearErrorsForEver(socket: Socket): void {
  const ignore = (): void => {};
  const removeAllListeners = socket.removeAllListeners.bind(socket);
  socket.removeAllListeners = (event): Socket => {
    removeAllListeners(event);
    return socket.on("error", ignore);
  };
  socket.on("error", ignore);
}
