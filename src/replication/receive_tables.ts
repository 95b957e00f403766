/**
 * What `put` does with the sets of single tables, and with the word that nothing changed
 * (docs/design/tables.md).
 *
 * @module
 */

import type { DataSetName } from "../core/types.ts";
import type { ReceiveContext } from "./receive.ts";
import { askGate, RefusedError } from "./receive_gate.ts";
import type { PutResult } from "./remote_protocol.ts";
import type { OnProgress } from "./set_header.ts";
import { SetStates } from "./set_state.ts";
import type { IncomingSet } from "./stream.ts";

/**
 * Of the header's `detail`: nothing is sent, as nothing changed since the copy of this digest; the receiver
 * says whether it has that copy still.
 */
export const SAME_AS = "same_as";

/**
 * The sender proved that nothing changed since the copy of a digest: is that copy here, and in place?
 *
 * @throws {RefusedError} when it is not: the sender then copies
 */
export async function checkStillThere(
  set: DataSetName,
  incoming: IncomingSet,
  context: ReceiveContext,
  digest: string,
): Promise<PutResult> {
  for await (const _ of incoming.payload); // Empty; its end proves that all of it came.
  const trailer = await incoming.done;
  const states = new SetStates(context.stateDir, (path, why) => context.warn(`${path}: ${why}`));
  const { sha256, epoch, lastError } = states.read(set, "received");
  const refuse = (why: string): never => {
    throw new RefusedError(`Cannot call the ${set} unchanged as ${why}`);
  };
  if (sha256 !== digest || epoch !== incoming.header.epoch) refuse("that copy is not here");
  if (lastError !== null) refuse(`the last copy failed here: ${lastError}`);
  if (context.tables === null || !await context.tables.exists(context.signal)) {
    refuse("the database is not here any more");
  }
  return { ...trailer, detail: {} };
}

/** Rows of single tables: put in place in one transaction, committed when all of it came. */
export async function takeTables(
  set: "config" | "hot",
  incoming: IncomingSet,
  context: ReceiveContext,
  onProgress: OnProgress,
): Promise<PutResult> {
  const { tables, signal } = context;
  if (tables === null) throw new RefusedError("Cannot take rows as no database is configured here");
  const { header } = incoming;
  const states = new SetStates(context.stateDir, (path, why) => context.warn(`${path}: ${why}`));
  const full = states.read("database", "received");
  if (full.sha256 === null) throw new RefusedError(needsFullCopy(set, "none was received yet"));
  // Both of the same host's clock: the origin's.
  if (full.epoch === header.epoch && (full.snapshotWallMs ?? 0) > header.snapshotWallMs) {
    throw new RefusedError(`Cannot take the ${set} tables as the database here is newer than they`);
  }
  const whole = incoming.done;
  whole.catch(() => {}); // Awaited by who applies.
  const { detail } = await tables.applyTables({
    set,
    payload: incoming.payload,
    whole,
    signal,
    onProgress,
    confirm: () => askGate(context.gate, "confirm", header),
  });
  return { ...await whole, detail };
}

function needsFullCopy(set: DataSetName, why: string): string {
  return `Cannot take the ${set} tables as they need a full copy of the database and ${why}`;
}
