/**
 * Joins the way back to the copying of data sets.
 *
 * @module
 */

import type { ReplicatorOptions } from "../replicator_types.ts";
import type { Transport } from "../transport.ts";
import { ReturnKeeper } from "./return_keeper.ts";

/** Null: nothing goes back from this host (it is the master, or copies no database). */
export function createReturnKeeper(
  options: ReplicatorOptions,
  transport: Transport,
): ReturnKeeper | null {
  const { config, stateDir, clock, returning = null, onReturn, log } = options;
  if (config.role !== "slave" || config.replication.database === null || returning === null) {
    return null;
  }
  return new ReturnKeeper({
    config,
    stateDir,
    clock,
    transport,
    database: returning,
    onEvent: onReturn ?? ((level, text) => log(level, text, {})),
  });
}
