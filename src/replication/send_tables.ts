/**
 * Sends the sets `config` and `hot` to the peer; or the word that nothing changed.
 *
 * @module
 */

import type { DataSetName } from "../core/types.ts";
import { putSet } from "./put_set.ts";
import { SAME_AS } from "./receive_tables.ts";
import { type SendContext, sendDump, setHeader } from "./send_dump.ts";
import type { SetSuccess } from "./set_state.ts";
import type { TableSet, TableSource } from "./tables_port.ts";
import { RemoteError } from "./transport.ts";

const DEADLINE_MS = 20 * 60_000;
const SAME_DEADLINE_MS = 30_000;

/**
 * Copies the rows of a set's tables.
 *
 * @throws when they could not be read, or the peer did not take them (its database is then as before)
 */
export async function sendTables(
  options: SendContext & { readonly set: TableSet; readonly source: TableSource },
): Promise<Omit<SetSuccess, "durationMs">> {
  const { set, source, onProgress } = options;
  return await sendDump({
    ...options,
    deadlineMs: DEADLINE_MS,
    dump: (signal) => source.dumpTables({ set, signal, onProgress }),
  });
}

/**
 * Tells the peer that nothing changed since the copy of that digest.
 *
 * @returns whether the peer has it still; false: copy again
 * @throws {RemoteError} when the peer could not be asked
 */
export async function sayUnchanged(
  options: SendContext & { readonly set: DataSetName; readonly sha256: string },
): Promise<boolean> {
  const { set, clock, transport, signal, onProgress, sha256 } = options;
  const snapshotWallMs = Math.floor(clock.wallMs());
  try {
    await putSet({
      transport,
      clock,
      header: setHeader(set, { ...options, snapshotWallMs, detail: { [SAME_AS]: sha256 } }),
      payload: new Blob([]).stream(),
      signal,
      deadlineMs: SAME_DEADLINE_MS,
      onProgress,
    });
    return true;
  } catch (cause) {
    if (cause instanceof RemoteError && cause.message.includes("Cannot call the ")) return false;
    throw cause;
  }
}
