/**
 * Sends a dump of the database to the peer, which restores it and swaps it in.
 *
 * @module
 */

import type { DatabaseSource } from "./database_port.ts";
import { type SendContext, sendDump } from "./send_dump.ts";
import type { OnProgress } from "./set_header.ts";
import type { SetSuccess } from "./set_state.ts";

/** A copy that takes longer is cut; the peer's silence is noticed long before. */
const DEADLINE_MS = 12 * 3_600_000;

/**
 * Copies the database.
 *
 * @throws when the dump fails, or the peer did not take or restore it (its database is then as before)
 */
export async function sendDatabase(
  options: SendContext & {
    readonly source: DatabaseSource;
    /** Seeds a stream: the slot to make; the receiver then follows it. */
    readonly slot?: string;
  },
): Promise<Omit<SetSuccess, "durationMs">> {
  const { source, slot } = options;
  const onProgress = oneAtATime(options.onProgress);
  return await sendDump({
    ...options,
    set: "database",
    onProgress,
    deadlineMs: DEADLINE_MS,
    dump: (signal) => source.dump({ signal, onProgress, ...(slot === undefined ? {} : { slot }) }),
    ...(slot === undefined ? {} : { detail: { stream_slot: slot } }),
  });
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
