/**
 * Sends one set stream to `put` on the peer and waits for its result.
 *
 * @module
 */

import type { Clock } from "../os/clock.ts";
import { LastingPipeError } from "./lasting_pipe.ts";
import { openLasting } from "./lasting_remote.ts";
import type { PutResult } from "./remote_protocol.ts";
import type { OnProgress, SetHeader } from "./set_header.ts";
import { SetStreamError, writeSetStream } from "./stream.ts";
import { type Remote, RemoteError, type Transport } from "./transport.ts";

/** Options of {@linkcode putSet}. */
export interface PutSetOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly header: SetHeader;
  /** What the peer is asked for; default: `put` and the set. */
  readonly verb?: string;
  readonly payload: ReadableStream<Uint8Array>;
  readonly totalBytes?: number;
  /**
   * A copy of the schedule: kept to the bandwidth, and goes on after a broken connection. A move's is as fast
   * as the line, and fails at once.
   */
  readonly scheduled?: boolean;
  /** See `WriteSetStreamOptions.complete`. */
  readonly complete?: Promise<void>;
  readonly signal: AbortSignal;
  readonly deadlineMs: number;
  readonly onProgress: OnProgress;
}

/**
 * Sends and waits.
 *
 * @returns what was sent and what the peer made of it
 * @throws the failure of the payload, or else what the peer says ({@linkcode RemoteError})
 */
export async function putSet(options: PutSetOptions): Promise<PutResult> {
  const { transport, header, signal, deadlineMs } = options;
  let remote: Remote;
  try {
    const lasts = options.scheduled === true && options.verb === undefined;
    const call = { signal, deadlineMs };
    remote = lasts
      ? openLasting({ transport, clock: options.clock, set: header.set, ...call })
      : await transport.openRemote(options.verb ?? `put ${header.set}`, call);
  } catch (cause) {
    await options.payload.cancel(cause).catch(() => {}); // The first cause is in hand.
    throw cause;
  }
  const sending = writeSetStream(remote.stdin, header, options.payload, {
    ...options,
    pace: options.scheduled === true ? transport.pace ?? undefined : undefined,
  });
  const failedToSend = sending.then(() => null, (cause: unknown) => cause);
  let answer;
  try {
    answer = await transport.result(remote, options.onProgress);
  } catch (cause) {
    remote.kill();
    const sendError = await failedToSend;
    await remote.done.catch(() => {}); // Ended, or about to be.
    signal.throwIfAborted();
    if (sendError !== null && !isBrokenPipe(sendError)) throw sendError;
    throw cause;
  }
  const trailer = await sending;
  if (!("sha256" in answer)) {
    throw new RemoteError("failed", `The peer gave no result of put ${header.set}`);
  }
  if (header.set !== "files" && answer.sha256 !== trailer.sha256) {
    throw new SetStreamError("Cannot trust the copy as the peer reports another digest");
  }
  return { size: answer.size, sha256: answer.sha256, detail: answer.detail };
}

/** The peer ended first: what it said is the cause. */
function isBrokenPipe(cause: unknown): boolean {
  return cause instanceof Deno.errors.BrokenPipe || cause instanceof LastingPipeError ||
    (cause as { readonly code?: unknown } | null)?.code === "EPIPE" ||
    cause instanceof TypeError; // "the stream is closed"
}
