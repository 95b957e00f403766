/**
 * `relais receive database-tunnel`: joins standard input and output to this host's PostgreSQL, as the system
 * user and role `relais`. PostgreSQL itself decides what that role may do: it has REPLICATION and is no
 * superuser.
 *
 * @module
 */

import { asEffectiveUser } from "../../os/effective_user.ts";
import { lookupUser } from "../../os/user.ts";
import { databaseAddress } from "../database_connection.ts";
import type { ReceiveContext } from "../receive.ts";
import { RefusedError } from "../receive_gate.ts";
import { type DaemonSelf, RECEIVE_EXIT } from "../remote_protocol.ts";
import { type PeerFacts, TUNNEL_USER, whyPeerRefused } from "./peer_facts.ts";

/** How often it is looked whether this host still serves, in milliseconds. */
const LOOK_EVERY_MS = 2000;

/**
 * Serves one connection until one side ends it or this host no longer serves.
 *
 * @returns the exit status
 * @throws {RefusedError} when the peer must not be served
 */
export async function receiveTunnel(peer: PeerFacts, context: ReceiveContext): Promise<number> {
  const { config, gate, tunnelUser = TUNNEL_USER } = context;
  const { database } = config.replication;
  const daemon = await gate.whoAmI().catch(() => null);
  const why = whyPeerRefused(peer, { ...config, database, daemon });
  if (why !== null) throw new RefusedError(`Cannot open the tunnel to PostgreSQL as ${why}`);
  const { socketDir, port } = databaseAddress(database!);
  const path = `${socketDir}/.s.PGSQL.${port}`;
  const user = await lookupUser(tunnelUser);
  const uid = "uid" in user ? user.uid : Deno.uid()!;
  const connection = await asEffectiveUser(
    uid,
    () => Deno.connect({ transport: "unix", path }),
  );
  await join(connection, context);
  return RECEIVE_EXIT.ok;
}

/** Whichever end closes first ends both. */
async function join(connection: Deno.UnixConn, context: ReceiveContext): Promise<void> {
  const over = new AbortController();
  const signal = AbortSignal.any([over.signal, context.signal]);
  const close = (): void => {
    try {
      connection.close();
    } catch {
      // Closed by the other direction.
    }
  };
  signal.addEventListener("abort", close, { once: true });
  // Our input ends when ssh does: nobody is left to hear an answer.
  const up = context.input().pipeTo(connection.writable, { signal });
  up.catch(() => {}).finally(() => over.abort());
  const watch = untilNotServing(context, signal);
  watch.then(() => over.abort(), () => {});
  try {
    const buffer = new Uint8Array(65_536);
    for (;;) {
      const read = await connection.read(buffer);
      if (read === null) break;
      await context.write(buffer.subarray(0, read));
    }
  } catch (cause) {
    if (!signal.aborted) throw cause;
  } finally {
    over.abort();
    close();
  }
}

/**
 * Resolves when the daemon says that this host does not serve any more. One that does not answer is being
 * restarted or has died: the stream goes on.
 */
async function untilNotServing(context: ReceiveContext, signal: AbortSignal): Promise<void> {
  for (;;) {
    await context.clock.sleep(LOOK_EVERY_MS, signal);
    const daemon: DaemonSelf | null = await context.gate.whoAmI().catch(() => null);
    if (daemon !== null && !daemon.serving) return;
  }
}
