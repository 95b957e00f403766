/**
 * Serves the control app on a Unix socket that only root can open (mode 0600).
 *
 * @module
 */

import { dirname } from "node:path";
import { type Clock, systemClock } from "../os/clock.ts";
import { ConnectionPool } from "./connection_pool.ts";
import { DEADLINES } from "./served_connection.ts";

/** Verbs that run at the same time. */
const CONNECTIONS_MAX = 32;
/** How often it is looked whether the answers being given have ended. */
const LOOK_MS = 10;

/** Another daemon answers on the socket. */
export class AlreadyRunningError extends Error {
  override readonly name = "AlreadyRunningError";
  constructor(readonly path: string) {
    super(
      `Cannot start as relais is already running: a daemon answers on ${path}; see: relais status`,
    );
  }
}

/** What {@linkcode ControlServer} needs. */
export interface ControlServerOptions {
  readonly app: { fetch(request: Request): Response | Promise<Response> };
  /** E.g. `/run/relais/control.sock`; its folder is made (0755) if it is not there. */
  readonly path: string;
  readonly onError: (error: Error) => void;
  readonly clock?: Clock;
}

/** The control socket. */
export class ControlServer {
  readonly #options: ControlServerOptions;
  readonly #clock: Clock;
  readonly #pool: ConnectionPool<Deno.UnixConn>;
  #listening = false;

  constructor(options: ControlServerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#pool = new ConnectionPool({
      handle: (request) => options.app.fetch(request),
      max: CONNECTIONS_MAX,
      deadlines: DEADLINES,
      clock: this.#clock,
      onError: options.onError,
      onGarbage: (why) => options.onError(new Error(`Cannot serve a control request: ${why}`)),
    });
  }

  /**
   * Begins to listen. A socket that a dead daemon left behind is replaced.
   *
   * @throws {AlreadyRunningError} when a daemon answers on the socket
   */
  async start(): Promise<void> {
    const { path } = this.#options;
    await Deno.mkdir(dirname(path), { recursive: true, mode: 0o755 });
    if (await isListened(path)) throw new AlreadyRunningError(path);
    // Made where nobody else can go and moved when its mode is right: no moment in which others can
    // open it, none without a socket, and no "address in use" by a stale one.
    const nursery = await Deno.makeTempDir({ dir: dirname(path), prefix: "." });
    try {
      const born = `${nursery}/s`;
      const listener = Deno.listen({ transport: "unix", path: born });
      try {
        await Deno.chmod(born, 0o600);
        await Deno.rename(born, path);
      } catch (error) {
        listener.close();
        throw error;
      }
      this.#listening = true;
      this.#pool.listen(listener);
    } finally {
      await Deno.remove(nursery, { recursive: true });
    }
  }

  /** Removes the socket and ends; answers that are being given have `graceMs` to be complete. */
  async stop({ graceMs = 500 }: { readonly graceMs?: number } = {}): Promise<void> {
    if (!this.#listening) return;
    this.#listening = false;
    await Deno.remove(this.#options.path).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
    const end = this.#clock.nowMs() + graceMs;
    while (this.#pool.busy > 0 && this.#clock.nowMs() < end) await this.#clock.sleep(LOOK_MS);
    await this.#pool.stop();
  }
}

/**
 * A living daemon listens on this socket: the kernel says so at once, also of one that hangs.
 *
 * @throws when the socket may not be opened
 */
export async function isListened(path: string): Promise<boolean> {
  try {
    const conn = await Deno.connect({ transport: "unix", path });
    conn.close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    if (error instanceof Deno.errors.ConnectionRefused) return false;
    // So many wait already: it hangs.
    if (error instanceof Deno.errors.WouldBlock) return true;
    throw error;
  }
}
