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

/** Asks `relais receive` at each address who it is; never throws for what the peer can cause. */
export async function tryWay({ addresses, transport, clock, signal }: {
  readonly addresses: readonly string[];
  readonly transport: TransportConfig;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}): Promise<HelloResult[]> {
  // Control sockets of our own: a connection that is kept would prove nothing about the new keys.
  const runDir = await Deno.makeTempDir({ prefix: "relais-pair-" });
  const results: HelloResult[] = [];
  try {
    for (const address of addresses) {
      const way = new Transport({ transport, runDir, addresses: () => [address], clock });
      try {
        const { role, fingerprint } = await way.hello({ signal });
        results.push({ address, role, fingerprint, problem: null });
      } catch (cause) {
        signal.throwIfAborted();
        results.push({ address, role: null, fingerprint: null, problem: messageOf(cause) });
      } finally {
        await way.close();
      }
    }
  } finally {
    await Deno.remove(runDir, { recursive: true });
  }
  return results;
}
