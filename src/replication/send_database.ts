/**
 * Sends a dump of the database to the peer, which restores it and swaps it in.
 *
 * @module
 */

import type { LocalConfig } from "../config/types.ts";
import type { Clock } from "../os/clock.ts";
import type { DatabaseSource } from "./database_port.ts";
import { putSet } from "./put_set.ts";
import type { OnProgress, SetHeader } from "./set_header.ts";
import type { SetSuccess } from "./set_state.ts";
import type { Transport } from "./transport.ts";

/** A copy that takes longer is cut; the peer's silence is noticed long before. */
const DEADLINE_MS = 12 * 3_600_000;

/**
 * Copies the database.
 *
 * @throws when the dump fails, or the peer did not take or restore it (its database is then as before)
 */
export async function sendDatabase(options: {
  readonly config: LocalConfig;
  readonly clock: Clock;
  readonly transport: Transport;
  readonly source: DatabaseSource;
  readonly epoch: number;
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress;
  /** Seeds a stream: the slot to make; the receiver then follows it. */
  readonly slot?: string;
}): Promise<Omit<SetSuccess, "durationMs">> {
  const { config, clock, transport, source, epoch, slot } = options;
  const onProgress = oneAtATime(options.onProgress);
  // Whatever ends the copy also ends the dump.
  const ended = new AbortController();
  const signal = AbortSignal.any([options.signal, ended.signal]);
  try {
    await transport.address({ signal }); // Not a dump for a peer that isn't there.
    const snapshotWallMs = Math.floor(clock.wallMs());
    const dump = await source.dump({
      signal,
      onProgress,
      ...(slot === undefined ? {} : { slot }),
    });
    dump.done.catch(() => {}); // Awaited behind the payload.
    const header: SetHeader = {
      version: 1,
      set: "database",
      epoch,
      origin: config.role,
      snapshotWallMs,
      fingerprint: config.fingerprint,
      detail: slot === undefined ? dump.detail : { ...dump.detail, stream_slot: slot },
    };
    const { size, sha256 } = await putSet({
      transport,
      clock,
      header,
      payload: dump.payload,
      complete: dump.done,
      scheduled: true,
      signal,
      deadlineMs: DEADLINE_MS,
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

/** Both hosts tell how far they are at the same time: what the receiver restores is what counts. */
function oneAtATime(onProgress: OnProgress): OnProgress {
  let restoring = false;
  return (progress) => {
    const own = ["dump", "send", "receive"].includes(progress.phase);
    if (!own) restoring ||= progress.phase === "restore";
    // What is sent is what was dumped.
    if (progress.phase === "dump" || (own && restoring)) return;
    onProgress(progress);
  };
}
