/**
 * Sends a dump, of the database or of single tables, to the peer.
 *
 * @module
 */

import type { LocalConfig } from "../config/types.ts";
import type { DataSetName } from "../core/types.ts";
import type { Clock } from "../os/clock.ts";
import type { DatabaseDump } from "./database_port.ts";
import { putSet } from "./put_set.ts";
import type { OnProgress, SetHeader } from "./set_header.ts";
import type { SetSuccess } from "./set_state.ts";
import type { Transport } from "./transport.ts";

/** What every sending needs. */
export interface SendContext {
  readonly config: LocalConfig;
  readonly clock: Clock;
  readonly transport: Transport;
  readonly epoch: number;
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress;
}

/** Options of {@linkcode sendDump}. */
export interface SendDumpOptions extends SendContext {
  readonly set: DataSetName;
  /** A copy that takes longer is cut, in ms. */
  readonly deadlineMs: number;
  /** Begins to read; `signal` ends it. */
  readonly dump: (signal: AbortSignal) => Promise<DatabaseDump>;
  /** What the receiver is told beside what the dump says of itself. */
  readonly detail?: SetHeader["detail"];
}

/**
 * Reads and sends; whatever ends the copy also ends the dump.
 *
 * @throws when the dump fails, or the peer did not take it (what it has is then as before)
 */
export async function sendDump(options: SendDumpOptions): Promise<Omit<SetSuccess, "durationMs">> {
  const { set, config, clock, transport, epoch, onProgress, deadlineMs } = options;
  const ended = new AbortController();
  const signal = AbortSignal.any([options.signal, ended.signal]);
  try {
    await transport.address({ signal }); // Nothing is read for a peer that isn't there.
    const snapshotWallMs = Math.floor(clock.wallMs());
    const dump = await options.dump(signal);
    dump.done.catch(() => {}); // Awaited behind the payload.
    const { size, sha256 } = await putSet({
      transport,
      clock,
      header: setHeader(set, {
        config,
        epoch,
        snapshotWallMs,
        detail: { ...dump.detail, ...options.detail },
      }),
      payload: dump.payload,
      complete: dump.done,
      scheduled: true,
      signal,
      deadlineMs,
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

/** The header of a set that this host sends. */
export function setHeader(
  set: DataSetName,
  { config, epoch, snapshotWallMs, detail }: {
    readonly config: LocalConfig;
    readonly epoch: number;
    readonly snapshotWallMs: number;
    readonly detail: SetHeader["detail"];
  },
): SetHeader {
  const { role, fingerprint } = config;
  return { version: 1, set, epoch, origin: role, snapshotWallMs, fingerprint, detail };
}
