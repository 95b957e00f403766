/**
 * The astdbs that this host has: the one in place and the newest received copy.
 *
 * @module
 */

import { join } from "node:path";
import type { LocalConfig } from "../config/types.ts";
import type { Clock } from "../os/clock.ts";
import { type AstdbStamp, isPeerAstdbNewer } from "./astdb_newer.ts";
import { readAstdbOrigin, stampLive } from "./astdb_origin.ts";
import { type AstdbSnapshot, readAstdb } from "./astdb_read.ts";
import { type Generation, Spool } from "./spool.ts";

/** What was found. */
export interface AstdbInventory {
  readonly live: { readonly stamp: AstdbStamp; readonly snapshot: AstdbSnapshot } | null;
  readonly received: { readonly stamp: AstdbStamp; readonly generation: Generation } | null;
  readonly newest: "live" | "received" | null;
  /** Why there is no `live`; null when there is one. */
  readonly fault: string | null;
}

/** Options of {@linkcode takeInventory}. */
export interface InventoryOptions {
  readonly config: LocalConfig;
  readonly stateDir: string;
  readonly clock: Clock;
  /** The services are stopped here (see `AstdbReadOptions.atRest`). */
  readonly atRest: boolean;
  readonly signal?: AbortSignal;
}

/** Directory for copies that are being checked. */
export function workDirectory(stateDir: string): string {
  return join(stateDir, "work");
}

/** Stamp of a received copy. */
export function stampGeneration({ header, trailer }: Generation): AstdbStamp {
  const { epoch, origin, snapshotWallMs } = header;
  return { epoch, origin, snapshotWallMs, sha256: trailer.sha256, size: trailer.size };
}

/** Looks. */
export async function takeInventory(options: InventoryOptions): Promise<AstdbInventory> {
  const { config, stateDir, clock, atRest, signal } = options;
  const [generation] = await new Spool(stateDir, "astdb").generations();
  const received = generation === undefined
    ? null
    : { generation, stamp: stampGeneration(generation) };
  if (config.replication.astdb === null) {
    return { live: null, received, newest: null, fault: "the astdb is not copied here" };
  }
  const { path } = config.replication.astdb;
  const result = await readAstdb({
    path,
    workDir: workDirectory(stateDir),
    clock,
    atRest,
    ...(signal === undefined ? {} : { signal }),
  });
  if (!result.ok) {
    return { live: null, received, newest: received ? "received" : null, fault: result.reason };
  }
  const { snapshot } = result;
  const stamp = stampLive(config.role, readAstdbOrigin(stateDir), snapshot);
  const live = { stamp, snapshot };
  const newer = received !== null &&
    isPeerAstdbNewer({ me: config.role, live: stamp }, received.stamp).newer;
  return { live, received, newest: newer ? "received" : "live", fault: null };
}
