/**
 * Accepts connections of any number of listeners and serves them, a bounded number at a time.
 *
 * @module
 */

import type { Clock } from "../os/clock.ts";
import { next, type Rate } from "./request_pace.ts";
import { type ConnectionDeadlines, ServedConnection } from "./served_connection.ts";

/** After a failed accept (no descriptor left, most likely): time for others to end. */
const ACCEPT_PAUSE_MS = 200;
/** Shorter waits are saved up: each timer costs more than some accepted connections. */
const PACE_FROM_MS = 50;

/** What {@linkcode ConnectionPool} needs. */
export interface ConnectionPoolOptions<C extends Deno.Conn> {
  /** Answers a request that came over `conn`. */
  readonly handle: (request: Request, conn: C) => Response | Promise<Response>;
  /** Connections at the same time. When full, the one that waits the longest makes room. */
  readonly max: number;
  /**
   * This connection may take the place of any that is not, even in the middle of a request: strangers
   * that keep their requests unfinished must not lock the peer out. Default: none is.
   */
  readonly isPreferred?: (conn: C) => boolean;
  /** Whose connection it is, for {@linkcode maxPerOwner}. Default: all have one owner. */
  readonly ownerOf?: (conn: C) => string;
  /** Connections at the same time of one owner that is not preferred. Default: no bound of its own. */
  readonly maxPerOwner?: number;
  /** How often connections that are not preferred are accepted. Default: as they come. */
  readonly connects?: Rate;
  readonly deadlines: ConnectionDeadlines;
  readonly clock: Clock;
  readonly onError: (error: Error) => void;
  /** Counts what is no HTTP. */
  readonly onGarbage: (why: string) => void;
}

/** The connections that are open now. */
export class ConnectionPool<C extends Deno.Conn> {
  readonly #options: ConnectionPoolOptions<C>;
  readonly #stopped = new AbortController();
  /** Each with the name that it can be ended by. */
  readonly #listeners = new Map<AsyncAcceptor<C>, unknown>();
  /** Oldest use first. */
  readonly #connections = new Map<ServedConnection, Standing>();
  readonly #tasks = new Set<Promise<void>>();
  /** When the rate of accepting is at rest again (monotonic ms). */
  #restAt = -Infinity;

  constructor(options: ConnectionPoolOptions<C>) {
    this.#options = options;
  }

  /** Connections that are open now. */
  get size(): number {
    return this.#connections.size;
  }

  /** Connections that are in the middle of a request or an answer. */
  get busy(): number {
    return [...this.#connections.keys()].filter(({ waiting }) => !waiting).length;
  }

  /** Serves what `listener` accepts, from now on; the pool closes it in the end. */
  listen(listener: AsyncAcceptor<C>, name: unknown = listener): void {
    this.#listeners.set(listener, name);
    this.#run(this.#accept(listener));
  }

  /** Ends the listeners of that name; connections that they have accepted stay. */
  unlisten(name: unknown): void {
    for (const [listener, known] of this.#listeners) {
      if (known !== name) continue;
      this.#listeners.delete(listener);
      listener.close();
    }
  }

  /** Closes everything and waits until it is closed. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    for (const listener of this.#listeners.keys()) listener.close();
    for (const connection of this.#connections.keys()) connection.close();
    await Promise.all(this.#tasks);
  }

  async #accept(listener: AsyncAcceptor<C>): Promise<void> {
    let reported = "";
    while (!this.#stopped.signal.aborted) {
      try {
        const waitMs = this.#serve(await listener.accept());
        reported = "";
        // The others wait in the kernel's queue, where they cost nothing.
        if (waitMs >= PACE_FROM_MS) {
          await this.#options.clock.sleep(waitMs, this.#stopped.signal).catch(() => {});
        }
      } catch (cause) {
        if (this.#stopped.signal.aborted || !this.#listeners.has(listener)) return;
        const error = new Error(`Cannot accept a connection: ${cause}`, { cause });
        if (error.message !== reported) this.#options.onError(error);
        reported = error.message;
        await this.#options.clock.sleep(ACCEPT_PAUSE_MS, this.#stopped.signal).catch(() => {});
      }
    }
  }

  /** Serves it, or closes it if there is no room; how long to wait before the next, in milliseconds. */
  #serve(conn: C): number {
    const { handle, max, deadlines, onError, onGarbage } = this.#options;
    const standing: Standing = {
      preferred: this.#options.isPreferred?.(conn) ?? false,
      owner: this.#options.ownerOf?.(conn) ?? "",
    };
    const hasRoom = this.#makeRoomOf(standing) &&
      (this.#connections.size < max || this.#makeRoom(standing.preferred));
    if (!hasRoom) {
      conn.close();
      onGarbage("one connection too many");
      return this.#paceAfter(standing);
    }
    const connection: ServedConnection = new ServedConnection({
      conn,
      handle: (request) => handle(request, conn),
      deadlines,
      onGarbage,
      onError,
      onIdle: () => {
        this.#connections.delete(connection);
        this.#connections.set(connection, standing);
      },
    });
    this.#connections.set(connection, standing);
    this.#run(connection.serve().finally(() => this.#connections.delete(connection)));
    return this.#paceAfter(standing);
  }

  #paceAfter({ preferred }: Standing): number {
    const { connects, clock } = this.#options;
    if (preferred || connects === undefined) return 0;
    const { restAt, waitMs } = next(this.#restAt, connects, clock.nowMs());
    this.#restAt = restAt;
    return waitMs;
  }

  /**
   * Closes the connection that waits for its next request the longest; for a preferred one, the oldest
   * that is not, waiting or busy. False if there is none.
   */
  #makeRoom(preferred: boolean): boolean {
    const all = [...this.#connections];
    const [victim] = (preferred ? all.find(([, kept]) => !kept.preferred) : undefined) ??
      all.find(([connection]) => connection.waiting) ?? [];
    return this.#end(victim);
  }

  /** An owner that has all of its connections gives the longest waiting one up. False: none waits. */
  #makeRoomOf({ preferred, owner }: Standing): boolean {
    const { maxPerOwner = Infinity } = this.#options;
    if (preferred || maxPerOwner === Infinity) return true;
    const own = [...this.#connections].filter(([, kept]) => kept.owner === owner);
    if (own.length < maxPerOwner) return true;
    return this.#end(own.find(([connection]) => connection.waiting)?.[0]);
  }

  #end(victim: ServedConnection | undefined): boolean {
    if (victim === undefined) return false;
    this.#connections.delete(victim);
    victim.close();
    return true;
  }

  #run(task: Promise<void>): void {
    this.#tasks.add(task);
    task.finally(() => this.#tasks.delete(task));
  }
}

/** Whose a connection is, and whether it comes first. */
interface Standing {
  readonly preferred: boolean;
  readonly owner: string;
}

/** The part of a `Deno.Listener` that is used. */
export interface AsyncAcceptor<C extends Deno.Conn> {
  accept(): Promise<C>;
  close(): void;
}
