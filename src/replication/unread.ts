/**
 * What was written into a lasting connection and is not read on the other side yet, so that it can be
 * written again into another one. Pure.
 *
 * @module
 */

import { encodeFrame, encodeStatus, FRAME, MAX_CONTENT_BYTES } from "./lasting_frames.ts";

/** Bytes of a stream by their offset, and its end, which counts as one byte. */
export class Unread {
  /** Where `#parts` begins: so far all was read. */
  #from = 0;
  #parts: Uint8Array[] = [];
  #to = 0;
  #status: number | null = null;

  /** Bytes that are kept. */
  get bytes(): number {
    return this.#to - this.#from;
  }

  /** How much was written so far, with the end. */
  get written(): number {
    return this.#to + (this.#status === null ? 0 : 1);
  }

  /** Whether the other side has read everything, the end too. */
  get isAllRead(): boolean {
    return this.#status !== null && this.#from > this.#to;
  }

  add(bytes: Uint8Array): void {
    if (this.#status !== null) throw new TypeError("Cannot write behind the end");
    for (let at = 0; at < bytes.length; at += MAX_CONTENT_BYTES) {
      this.#parts.push(bytes.slice(at, at + MAX_CONTENT_BYTES)); // The giver may use its buffer again.
    }
    this.#to += bytes.length;
  }

  end(status: number): void {
    this.#status ??= status;
  }

  /** Whether the stream can go on from `offset`. */
  has(offset: number): boolean {
    return offset >= this.#from && offset <= this.written;
  }

  /**
   * The other side has read up to `offset`.
   *
   * @throws {RangeError} when it can't have
   */
  release(offset: number): void {
    if (offset < this.#from) return; // An old word.
    if (offset > this.written) throw new RangeError(`nobody wrote as far as ${offset}`);
    while (this.#parts.length > 0) {
      const [first] = this.#parts;
      const left = offset - this.#from;
      if (left < first!.length) {
        this.#parts[0] = first!.subarray(left);
        this.#from = offset;
        return;
      }
      this.#parts.shift();
      this.#from += first!.length;
    }
    this.#from = offset;
  }

  /** The frame that continues at `offset`, and what comes behind it; null: nothing yet. */
  frameAt(offset: number): { readonly frame: Uint8Array; readonly next: number } | null {
    let at = this.#from;
    for (const part of this.#parts) {
      if (offset < at + part.length) {
        const content = part.subarray(offset - at);
        return { frame: encodeFrame(FRAME.data, content), next: at + part.length };
      }
      at += part.length;
    }
    return this.#status !== null && offset === this.#to
      ? { frame: encodeFrame(FRAME.end, encodeStatus(this.#status)), next: offset + 1 }
      : null;
  }
}
