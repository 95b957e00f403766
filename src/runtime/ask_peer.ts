/**
 * Asks the peer, before anything is stopped for its sake, whether it can take the service: its last
 * report may be older than its death.
 *
 * @module
 */

import type { HealthBody } from "../health/types.ts";
import { HttpConnection } from "../heartbeat/http_connection.ts";
import { askHealth, type HealthTrust } from "../heartbeat/http_probe.ts";
import { messageOf } from "../os/errors.ts";

/** A peer that shall serve in a moment answers sooner. */
const ASK_MS = 1500;

/**
 * Resolves when the peer says at this moment, over whichever link answers first, that it is ready.
 *
 * @param options.deadlineMs bound of the whole; default 1.5 s
 * @throws {Error} with the reason: what it is instead, or what happened on each link
 */
export async function askPeer(
  addresses: readonly string[],
  options: {
    readonly port: number;
    readonly signal: AbortSignal;
    readonly deadlineMs?: number;
    /** With a key in it, only who has that key is believed. */
    readonly trust?: HealthTrust | undefined;
  },
): Promise<void> {
  const { state, ready } = await firstAnswer(addresses, { deadlineMs: ASK_MS, ...options });
  if (!ready) throw new Error(`Cannot give the service to the peer as it is ${state}, not ready`);
}

async function firstAnswer(
  addresses: readonly string[],
  options: {
    readonly port: number;
    readonly signal: AbortSignal;
    readonly deadlineMs: number;
    readonly trust?: HealthTrust | undefined;
  },
): Promise<HealthBody> {
  const { port, deadlineMs, signal, trust } = options;
  const connections = addresses.map((address) => new HttpConnection({ address, port }));
  try {
    return await Promise.any(
      connections.map((connection) => askHealth(connection, { deadlineMs, signal, trust })),
    );
  } catch (error) {
    const causes: unknown[] = error instanceof AggregateError ? error.errors : [error];
    const whys = causes.map(messageOf);
    throw new Error(`Cannot reach the peer's relais: ${whys.join("; ")}`, { cause: error });
  } finally {
    for (const connection of connections) connection.close();
  }
}
