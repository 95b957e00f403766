/**
 * Tries the way to the peer as the copies will take it: the key of relais, the pinned host key, the forced
 * command, one address after the other.
 *
 * @module
 */

import type { TransportConfig } from "../config/types.ts";
import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { Transport } from "../replication/transport.ts";
import type { HelloResult } from "./protocol.ts";

/**
 * Too long for a control socket, so that ssh keeps no connection (`ssh_arguments.ts`): one that is kept
 * would prove nothing about the next, and would hold our lock open.
 */
const NO_SOCKETS = `/run/relais-pair-keeps-no-connection${"-".repeat(64)}`;

/** Asks `relais receive` at each address who it is; never throws for what the peer can cause. */
export async function tryWay({ addresses, transport, clock, signal }: {
  readonly addresses: readonly string[];
  readonly transport: TransportConfig;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}): Promise<HelloResult[]> {
  const results: HelloResult[] = [];
  for (const address of addresses) {
    const options = { transport, runDir: NO_SOCKETS, addresses: () => [address], clock };
    try {
      const { role, fingerprint } = await new Transport(options).hello({ signal });
      results.push({ address, role, fingerprint, problem: null });
    } catch (cause) {
      signal.throwIfAborted();
      results.push({ address, role: null, fingerprint: null, problem: messageOf(cause) });
    }
  }
  return results;
}
