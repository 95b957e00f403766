/**
 * A set stream on a byte pipe: one JSON header line, the payload in frames (4-byte big-endian length,
 * then that many bytes; length 0 ends), one JSON trailer line with size and SHA-256. A cut stream can
 * never pass for a whole one: the end of the payload is said, not inferred from the end of the pipe.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { ByteReader } from "./byte_reader.ts";
import type { Pace } from "./pace.ts";
import {
  MAX_LINE_BYTES,
  type OnProgress,
  type SetHeader,
  setHeaderSchema,
  type SetTrailer,
  setTrailerSchema,
} from "./set_header.ts";

/** Largest frame, in bytes. */
const MAX_FRAME_BYTES = 1_048_576;

/** What came through the pipe is not a whole, sound set stream. */
export class SetStreamError extends Error {
  override readonly name = "SetStreamError";
}

/** Options of {@linkcode writeSetStream}. */
export interface WriteSetStreamOptions {
  readonly clock: Clock;
  /** Default: as fast as the pipe takes it. */
  readonly pace?: Pace | undefined;
  /** Size of the payload if known, for progress. */
  readonly totalBytes?: number | null;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
  /** Awaited after the payload and before the trailer; a rejection leaves the stream cut. */
  readonly complete?: Promise<void>;
}

/**
 * Writes one whole set stream and closes `sink`. On any failure `sink` is aborted (without a trailer)
 * and `payload` cancelled.
 *
 * @throws whatever `payload`, `complete`, `signal` or `sink` failed with
 */
export async function writeSetStream(
  sink: WritableStream<Uint8Array>,
  header: SetHeader,
  payload: ReadableStream<Uint8Array>,
  options: WriteSetStreamOptions,
): Promise<SetTrailer> {
  options.complete?.catch(() => {}); // Awaited below; it may reject long before.
  const writer = sink.getWriter();
  writer.closed.catch(() => {}); // Failures are seen by write().
  const reader = payload.getReader();
  const onAbort = (): void => {
    reader.cancel(options.signal?.reason).catch(() => {});
    writer.abort(options.signal?.reason).catch(() => {});
  };
  options.signal?.addEventListener("abort", onAbort, { once: true });
  try {
    options.signal?.throwIfAborted();
    await writer.write(encodeLine(setHeaderSchema.parse(header)));
    const trailer = await writeFrames(writer, reader, options);
    await options.complete;
    options.signal?.throwIfAborted();
    await writer.write(encodeLine(trailer));
    await writer.close();
    return trailer;
  } catch (cause) {
    reader.cancel(cause).catch(() => {});
    await writer.abort(cause).catch(() => {});
    options.signal?.throwIfAborted();
    throw cause;
  } finally {
    options.signal?.removeEventListener("abort", onAbort);
  }
}

async function writeFrames(
  writer: WritableStreamDefaultWriter<Uint8Array>,
  reader: ReadableStreamDefaultReader<Uint8Array>,
  options: WriteSetStreamOptions,
): Promise<SetTrailer> {
  const hash = createHash("sha256");
  const partBytes = Math.min(options.pace?.partBytes ?? MAX_FRAME_BYTES, MAX_FRAME_BYTES);
  let size = 0;
  for (;;) {
    const { value, done } = await reader.read();
    options.signal?.throwIfAborted();
    if (done) break;
    for (let at = 0; at < value.length; at += partBytes) {
      const part = value.subarray(at, at + partBytes);
      hash.update(part);
      size += part.length;
      await writer.write(lengthPrefix(part.length));
      await writer.write(part);
      options.onProgress?.({ phase: "send", bytes: size, totalBytes: options.totalBytes ?? null });
      await options.pace?.take(part.length, options.signal);
    }
  }
  await writer.write(lengthPrefix(0));
  return { size, sha256: hash.digest("hex") };
}

/** Options of {@linkcode readSetStream}. */
export interface ReadSetStreamOptions {
  readonly clock: Clock;
  /** Longest silence of the pipe in milliseconds; default 60,000. */
  readonly idleMs?: number;
  /** Aborting ends the reading, also one that waits; header, payload and `done` fail with its reason. */
  readonly signal?: AbortSignal;
}

/** A set stream whose header has been read. */
export interface IncomingSet {
  readonly header: SetHeader;
  /** Errors with {@linkcode SetStreamError} when cut, malformed or different from its digest. */
  readonly payload: ReadableStream<Uint8Array>;
  /** The trailer, once `payload` was read to its end and matched it; rejects as `payload` errors. */
  readonly done: Promise<SetTrailer>;
}

/**
 * Reads the header; the payload follows as it is pulled.
 *
 * @throws {SetStreamError} when the first line is not a valid header
 */
export async function readSetStream(
  source: ReadableStream<Uint8Array>,
  options: ReadSetStreamOptions,
): Promise<IncomingSet> {
  const { signal } = options;
  const bytes = new ByteReader(source, { idleMs: 60_000, ...options });
  let header: SetHeader;
  try {
    header = setHeaderSchema.parse(parseLine(await bytes.readLine(MAX_LINE_BYTES)));
  } catch (cause) {
    await bytes.cancel(cause);
    throw signal?.aborted ? signal.reason : streamError("header", cause);
  }
  const done = Promise.withResolvers<SetTrailer>();
  done.promise.catch(() => {}); // Those who only read the payload learn it there.
  return { header, payload: payloadStream(bytes, done, signal), done: done.promise };
}

function payloadStream(
  bytes: ByteReader,
  done: PromiseWithResolvers<SetTrailer>,
  signal: AbortSignal | undefined,
): ReadableStream<Uint8Array> {
  const hash = createHash("sha256");
  let size = 0;
  const fail = async (cause: unknown): Promise<never> => {
    const error = signal?.aborted ? signal.reason : streamError("payload", cause);
    done.reject(error);
    await bytes.cancel(error);
    throw error;
  };
  return new ReadableStream<Uint8Array>({
    async pull(controller): Promise<void> {
      try {
        const prefix = await bytes.readExactly(4);
        const length = new DataView(prefix.buffer, prefix.byteOffset, 4).getUint32(0);
        if (length > MAX_FRAME_BYTES) throw new SetStreamError(`frame of ${length} bytes`);
        if (length > 0) {
          const frame = await bytes.readExactly(length);
          hash.update(frame);
          size += length;
          controller.enqueue(frame);
          return;
        }
        const trailer = setTrailerSchema.parse(parseLine(await bytes.readLine(MAX_LINE_BYTES)));
        const sha256 = hash.digest("hex");
        if (trailer.size !== size) throw new SetStreamError(`size ${size}, not ${trailer.size}`);
        if (trailer.sha256 !== sha256) throw new SetStreamError("the digest differs");
        if (bytes.buffered > 0) throw new SetStreamError("more bytes follow the trailer");
        bytes.release();
        controller.close();
        done.resolve(trailer);
      } catch (cause) {
        await fail(cause);
      }
    },
    async cancel(reason): Promise<void> {
      done.reject(streamError("payload", reason ?? "the reader gave up"));
      await bytes.cancel(reason);
    },
  }, { highWaterMark: 0 });
}

function encodeLine(value: unknown): Uint8Array {
  const line = new TextEncoder().encode(JSON.stringify(value) + "\n");
  if (line.length > MAX_LINE_BYTES + 1) {
    throw new SetStreamError(
      `Cannot write the header as it is longer than ${MAX_LINE_BYTES} bytes: ${line.length} bytes`,
    );
  }
  return line;
}

function parseLine(line: Uint8Array): unknown {
  return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(line));
}

function lengthPrefix(length: number): Uint8Array {
  const prefix = new Uint8Array(4);
  new DataView(prefix.buffer).setUint32(0, length);
  return prefix;
}

function streamError(part: string, cause: unknown): SetStreamError {
  if (cause instanceof SetStreamError && cause.message.startsWith("Cannot")) return cause;
  const why = messageOf(cause);
  return new SetStreamError(
    `Cannot take this copy as the ${part} of its stream is not whole and sound: ${
      why.slice(0, 500)
    }`,
    { cause },
  );
}
