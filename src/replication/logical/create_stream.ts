/**
 * Joins the stream to the replicator.
 *
 * @module
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { seedPauseMs } from "./decide.ts";
import type { StreamLoss } from "../loss.ts";
import type { ReplicatorOptions } from "../replicator_types.ts";
import { sendDatabase } from "../send_database.ts";
import type { SetSuccess } from "../set_state.ts";
import { Transport } from "../transport.ts";
import { readArming } from "./arming.ts";
import { TUNNEL_USER } from "./peer_facts.ts";
import { Stream } from "./stream.ts";
import type { StreamEvent, StreamSelf } from "./stream_types.ts";
import { StreamDatabase } from "./stream_database.ts";
import type { DatabaseSeams } from "../database_context.ts";

/** What the stream needs of the node. */
export interface StreamSeam {
  /** Null: it has not started. */
  readonly self: () => StreamSelf | null;
  /** What the peer said last of the stream that this host follows; null: nothing that helps. */
  readonly peer: () => StreamLoss | null;
  /** Something for the history. */
  readonly onEvent: StreamEvent;
  /** For tests. */
  readonly seams?: DatabaseSeams;
  /** For tests; default: {@linkcode TUNNEL_USER}. */
  readonly role?: string;
  /** For tests; default: {@linkcode seedPauseMs}. */
  readonly seedPauseMs?: typeof seedPauseMs;
}

/** Makes the stream; null when the configuration has none. */
export function createStream(
  options: ReplicatorOptions & { readonly requestSeed: () => void },
): Stream | null {
  const { config, stateDir, runDir, clock, stream, peerAddresses, mayRead, requestSeed } = options;
  const { database, transport } = config.replication;
  if (database === null || database.mode !== "stream" || stream === undefined) return null;
  // The stream's own connection to the peer's sshd: what a bulk copy fills would stand in its way.
  const directory = join(runDir, "stream");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return new Stream({
    config,
    stateDir,
    runDir,
    clock,
    transport: new Transport({ transport, runDir: directory, addresses: peerAddresses, clock }),
    watch: new StreamDatabase(database, stream.seams),
    work: new StreamDatabase(database, stream.seams),
    role: stream.role ?? TUNNEL_USER,
    self: stream.self,
    isSource: () => mayRead().ok,
    requestSeed,
    onEvent: stream.onEvent,
    seedPauseMs: stream.seedPauseMs ?? seedPauseMs,
  });
}

/**
 * A whole copy that the stream continues from; without a stream that is set up, a plain one.
 *
 * @throws what the copy throws; the slot is gone then
 */
export async function sendSeed(
  stream: Stream,
  options: Parameters<typeof sendDatabase>[0],
): Promise<Omit<SetSuccess, "durationMs">> {
  const slot = await stream.beginSeed(options.epoch, options.signal);
  if (slot === null) return await sendDatabase(options);
  try {
    const sent = await sendDatabase({
      ...options,
      slot,
      onProgress: (progress) => {
        if (progress.phase === "swap") stream.aboutToSwap();
        options.onProgress(progress);
      },
    });
    await stream.endSeed(slot, null);
    return sent;
  } catch (error) {
    await stream.endSeed(slot, error);
    throw error;
  }
}

/** A stream that was set up and whose `mode` was taken back: its slot goes on holding log. */
export function warnStillArmed({ config, stateDir, stream }: ReplicatorOptions): void {
  const { database } = config.replication;
  if (database === null || database.mode === "stream" || !readArming(stateDir).armed) return;
  stream?.onEvent(
    "warn",
    'The stream of the database is still set up, and mode is "copy": run relais stream teardown',
  );
}
