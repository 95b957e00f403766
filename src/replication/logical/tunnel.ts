/**
 * The tunnel's near end: a Unix socket at which the local PostgreSQL finds the peer's. Each connection to it
 * is one `relais receive database-tunnel` over the kept ssh connection; nothing of PostgreSQL is open on
 * the network.
 *
 * @module
 */

import { join } from "node:path";
import { messageOf } from "../../os/errors.ts";
import { lookupUser } from "../../os/user.ts";
import type { Remote, Transport } from "../transport.ts";
import { type PeerFacts, peerWords, TUNNEL_USER } from "./peer_facts.ts";
import { startupError } from "./startup_error.ts";

/** Below the run directory; the socket in it is `.s.PGSQL.5432`. */
export const TUNNEL_DIRECTORY = "tunnel";
/** Port in the socket's name: libpq wants one. */
export const TUNNEL_PORT = 5432;
/** Connections at a time: the apply worker, a statement that looks at the peer, and what hangs yet. */
export const MAX_TUNNELS = 6;
/** Cut after this time at the latest, in milliseconds: the apply worker dials again 5 s later. */
const LIFE_MS = 20 * 86_400_000;

/** What {@linkcode DatabaseTunnel} needs. */
export interface DatabaseTunnelOptions {
  readonly runDir: string;
  /** System user of the local PostgreSQL: the only one besides root that may dial. */
  readonly osUser: string;
  readonly transport: Pick<Transport, "openRemote">;
  /** Who this host is, or why nothing may be dialled now (the node that serves follows nobody). */
  readonly self: () => { readonly facts: PeerFacts } | { readonly refused: string };
  readonly onTrouble: (text: string) => void;
}

/** The socket and what runs through it. */
export class DatabaseTunnel {
  readonly #options: DatabaseTunnelOptions;
  readonly #end = new AbortController();
  readonly #running = new Set<Promise<void>>();
  #listener: Deno.UnixListener | null = null;
  /** Which file the socket is: a reload may have put another one in its place. */
  #inode: number | null = null;

  constructor(options: DatabaseTunnelOptions) {
    this.#options = options;
  }

  /** Directory of the socket: the `host` of a connection string. */
  get directory(): string {
    return join(this.#options.runDir, TUNNEL_DIRECTORY);
  }

  /** Connections in progress. */
  get open(): number {
    return this.#running.size;
  }

  /**
   * Begins to listen; a socket that a dead daemon left is replaced.
   *
   * @throws when the directory or the socket can't be made, or the system user does not exist
   */
  async start(): Promise<void> {
    const user = await lookupUser(this.#options.osUser);
    const { directory } = this;
    await Deno.mkdir(directory, { recursive: true, mode: 0o750 });
    await Deno.chmod(directory, 0o750);
    const path = join(directory, `.s.PGSQL.${TUNNEL_PORT}`);
    await Deno.remove(path).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
    const listener = Deno.listen({ transport: "unix", path });
    try {
      // While it is ours: the mode of another's file needs CAP_FOWNER, which the daemon has not.
      await Deno.chmod(path, 0o600);
      // The directory stays root's: whoever owns it could put another socket there.
      if ("uid" in user) {
        await Deno.chown(directory, null, user.gid);
        await Deno.chown(path, user.uid, user.gid);
      }
    } catch (error) {
      listener.close();
      throw error;
    }
    this.#inode = (await Deno.stat(path)).ino;
    this.#listener = listener;
    void this.#accept(listener);
  }

  /** Cuts what runs and removes the socket. */
  async stop(): Promise<void> {
    const listener = this.#listener;
    this.#listener = null;
    this.#end.abort();
    if (listener === null) return;
    listener.close();
    await Promise.allSettled(this.#running);
    const path = join(this.directory, `.s.PGSQL.${TUNNEL_PORT}`);
    const found = await Deno.stat(path).catch(() => null);
    if (found !== null && found.ino === this.#inode) {
      await Deno.remove(path).catch(() => {}); // The directory went in this moment.
    }
  }

  async #accept(listener: Deno.UnixListener): Promise<void> {
    for (;;) {
      let connection: Deno.UnixConn;
      try {
        connection = await listener.accept();
      } catch (error) {
        if (this.#listener !== listener) return;
        this.#options.onTrouble(`The tunnel to the peer's PostgreSQL ended: ${messageOf(error)}`);
        return;
      }
      const work = this.#serve(connection).catch((error: unknown) => {
        if (!this.#end.signal.aborted) this.#options.onTrouble(messageOf(error));
      });
      this.#running.add(work);
      void work.finally(() => this.#running.delete(work));
    }
  }

  async #serve(connection: Deno.UnixConn): Promise<void> {
    const self = this.#options.self();
    const refused = "refused" in self
      ? self.refused
      : this.#running.size >= MAX_TUNNELS
      ? `${MAX_TUNNELS} connections are open already`
      : null;
    if (refused !== null || "refused" in self) {
      return await say(connection, `Cannot reach the peer's PostgreSQL as ${refused}`);
    }
    const ended = new AbortController();
    const signal = AbortSignal.any([ended.signal, this.#end.signal]);
    let remote: Remote;
    try {
      const verb = `database-tunnel ${peerWords(self.facts)}`;
      remote = await this.#options.transport.openRemote(verb, { signal, deadlineMs: LIFE_MS });
    } catch (error) {
      await say(connection, messageOf(error));
      throw error;
    }
    await pipe(connection, remote, { end: ended, signal });
  }
}

/** Both directions, until one of them ends. */
async function pipe(
  connection: Deno.UnixConn,
  remote: Remote,
  { end, signal }: { readonly end: AbortController; readonly signal: AbortSignal },
): Promise<void> {
  const up = connection.readable.pipeTo(remote.stdin, { preventCancel: true });
  // PostgreSQL hung up: ssh hears the end of its input and ends the far side; then we end ssh.
  up.catch(() => {}).finally(() => end.abort(new Error("the local side hung up")));
  let answered = false;
  try {
    for await (const chunk of remote.stdout) {
      answered = true;
      await writeWhole(connection, chunk);
    }
    await remote.done;
  } catch (cause) {
    if (signal.aborted) return; // What ended it is known to whoever did.
    if (!answered) await sayOnly(connection, messageOf(cause));
    throw cause;
  } finally {
    remote.kill();
    close(connection);
    await up.catch(() => {});
  }
}

async function writeWhole(connection: Deno.UnixConn, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.length;) at += await connection.write(chunk.subarray(at));
}

/** The reason as PostgreSQL would give it: it stands in the log of the local server then. */
async function sayOnly(connection: Deno.UnixConn, reason: string): Promise<void> {
  await writeWhole(connection, startupError(reason)).catch(() => {
    // It has hung up.
  });
}

async function say(connection: Deno.UnixConn, reason: string): Promise<void> {
  await sayOnly(connection, reason);
  close(connection);
}

function close(connection: Deno.UnixConn): void {
  try {
    connection.close();
  } catch {
    // Closed by the stream over it.
  }
}

/** The connection string of the local PostgreSQL to the peer's. */
export function tunnelConninfo(options: {
  readonly directory: string;
  readonly database: string;
  readonly appName: string;
  readonly user?: string;
}): string {
  const { directory, database, appName, user = TUNNEL_USER } = options;
  const quote = (text: string): string =>
    `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  return [
    `host=${quote(directory)}`,
    `port=${TUNNEL_PORT}`,
    `user=${quote(user)}`,
    `dbname=${quote(database)}`,
    `application_name=${quote(appName)}`,
    "connect_timeout=15",
  ].join(" ");
}
