/**
 * Reads lines and exact lengths from a byte stream, with bounds on memory and on silence.
 *
 * @module
 */

import type { Clock } from "../os/clock.ts";

/** The stream ended in the middle of what was asked for. */
export class CutStreamError extends Error {
  override readonly name = "CutStreamError";
  constructor(readonly missing: string) {
    super(`the stream was cut: ${missing}`);
  }
}

/** Pulls from one stream; one reading at a time. */
export class ByteReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #clock: Clock;
  readonly #idleMs: number;
  readonly #signal: AbortSignal | null;
  #chunk: Uint8Array = new Uint8Array(0);

  constructor(
    source: ReadableStream<Uint8Array>,
    options: {
      readonly clock: Clock;
      /** Longest silence. */
      readonly idleMs: number;
      /** Aborting ends a reading that waits; it rejects with the signal's reason. */
      readonly signal?: AbortSignal;
    },
  ) {
    this.#reader = source.getReader();
    this.#clock = options.clock;
    this.#idleMs = options.idleMs;
    this.#signal = options.signal ?? null;
  }

  /** Bytes that have arrived and were not asked for yet. */
  get buffered(): number {
    return this.#chunk.length;
  }

  /**
   * The bytes up to the next line feed, without it.
   *
   * @throws {RangeError} when the line is longer than `maxBytes`
   * @throws {CutStreamError} when the stream ends before the line feed
   */
  async readLine(maxBytes: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let length = 0;
    for (;;) {
      const at = this.#chunk.indexOf(10);
      const part = at === -1 ? this.#chunk : this.#chunk.subarray(0, at);
      length += part.length;
      if (length > maxBytes) throw new RangeError(`a line is longer than ${maxBytes} bytes`);
      parts.push(part);
      this.#chunk = at === -1 ? new Uint8Array(0) : this.#chunk.subarray(at + 1);
      if (at !== -1) return concat(parts, length);
      if (!(await this.#pull())) throw new CutStreamError("a line has no end");
    }
  }

  /**
   * Exactly `length` bytes, a buffer of their own.
   *
   * @throws {CutStreamError} when the stream ends before
   */
  async readExactly(length: number): Promise<Uint8Array> {
    const out = new Uint8Array(length);
    let have = 0;
    while (have < length) {
      if (this.#chunk.length === 0 && !(await this.#pull())) {
        throw new CutStreamError(`${length - have} of ${length} bytes are missing`);
      }
      const part = this.#chunk.subarray(0, length - have);
      out.set(part, have);
      have += part.length;
      this.#chunk = this.#chunk.subarray(part.length);
    }
    return out;
  }

  /** Gives the stream back to its owner. */
  release(): void {
    this.#reader.releaseLock();
  }

  /** Ends the reading; the stream's owner sees `reason`. */
  async cancel(reason: unknown): Promise<void> {
    await this.#reader.cancel(reason).catch(() => {}); // It failed already, for the reason in hand.
  }

  /** Fetches the next chunk; false at the end of the stream. */
  async #pull(): Promise<boolean> {
    this.#signal?.throwIfAborted();
    const timer = new AbortController();
    const silence = this.#clock.sleep(this.#idleMs, timer.signal).then(() => {
      throw new Error(`nothing was heard for ${this.#idleMs} ms`);
    });
    silence.catch(() => {}); // Also rejects when the read wins.
    const onAbort = (): void => timer.abort(this.#signal?.reason);
    this.#signal?.addEventListener("abort", onAbort, { once: true });
    try {
      const { value, done } = await Promise.race([this.#reader.read(), silence]);
      if (done) return false;
      this.#chunk = value;
      return true;
    } finally {
      this.#signal?.removeEventListener("abort", onAbort);
      timer.abort();
    }
  }
}

function concat(parts: readonly Uint8Array[], length: number): Uint8Array {
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
