/**
 * Sends the sets `config` and `hot` to the peer; or the word that nothing changed.
 *
 * @module
 */

import type { LocalConfig } from "../config/types.ts";
import type { DataSetName } from "../core/types.ts";
import type { Clock } from "../os/clock.ts";
import { putSet } from "./put_set.ts";
import { SAME_AS } from "./receive_tables.ts";
import type { OnProgress, SetHeader } from "./set_header.ts";
import type { SetSuccess } from "./set_state.ts";
import type { TableSet, TableSource } from "./tables_port.ts";
import { RemoteError, type Transport } from "./transport.ts";

const DEADLINE_MS = 20 * 60_000;
const SAME_DEADLINE_MS = 30_000;

/** What every sending needs. */
export interface SendContext {
  readonly config: LocalConfig;
  readonly clock: Clock;
  readonly transport: Transport;
  readonly epoch: number;
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress;
}

/**
 * Copies the rows of a set's tables.
 *
 * @throws when they could not be read, or the peer did not take them (its database is then as before)
 */
export async function sendTables(
  options: SendContext & { readonly set: TableSet; readonly source: TableSource },
): Promise<Omit<SetSuccess, "durationMs">> {
  const { set, config, clock, transport, source, epoch, onProgress } = options;
  const ended = new AbortController();
  const signal = AbortSignal.any([options.signal, ended.signal]);
  try {
    await transport.address({ signal }); // Nothing is read for a peer that isn't there.
    const snapshotWallMs = Math.floor(clock.wallMs());
    const dump = await source.dumpTables({ set, signal, onProgress });
    const { size, sha256 } = await putSet({
      transport,
      clock,
      header: header({ ...options, snapshotWallMs, detail: dump.detail }),
      payload: dump.payload,
      complete: dump.done,
      signal,
      deadlineMs: DEADLINE_MS,
      scheduled: true,
      onProgress,
    });
    return { epoch, origin: config.role, snapshotWallMs, size, sha256 };
  } catch (cause) {
    options.signal.throwIfAborted();
    throw cause;
  } finally {
    ended.abort(new Error("the copy has ended"));
  }
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
  const { clock, transport, signal, onProgress, sha256 } = options;
  const snapshotWallMs = Math.floor(clock.wallMs());
  try {
    await putSet({
      transport,
      clock,
      header: header({ ...options, snapshotWallMs, detail: { [SAME_AS]: sha256 } }),
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

function header(
  { set, config, epoch, snapshotWallMs, detail }: {
    readonly set: DataSetName;
    readonly config: LocalConfig;
    readonly epoch: number;
    readonly snapshotWallMs: number;
    readonly detail: SetHeader["detail"];
  },
): SetHeader {
  const { role, fingerprint } = config;
  return { version: 1, set, epoch, origin: role, snapshotWallMs, fingerprint, detail };
}
