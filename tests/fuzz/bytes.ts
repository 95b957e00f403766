/**
 * Small things that fuzz targets do with bytes.
 *
 * @module
 */

import type { Random } from "./random.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** UTF-8. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/** Text of what need not be UTF-8. */
export function textOf(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** JSON as bytes. */
export function jsonOf(value: unknown): Uint8Array<ArrayBuffer> {
  return bytesOf(JSON.stringify(value));
}

/** All of them in a row. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** The same bytes in pieces, as a network may deliver them; now and then an empty piece. */
export function chunksOf(bytes: Uint8Array, random: Random): Uint8Array<ArrayBuffer>[] {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  const most = random.pick([1, 3, 16, 200, bytes.length + 1]);
  // A long input byte by byte would only be slow.
  const least = bytes.length > 2000 ? Math.ceil(bytes.length / 500) : 1;
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + least + random.below(most));
    if (random.oneIn(20)) chunks.push(new Uint8Array(0));
    chunks.push(new Uint8Array(bytes.subarray(at, end)));
    at = end;
  }
  if (random.oneIn(4)) chunks.push(new Uint8Array(0));
  return chunks;
}

/** A stream of these pieces. */
export function streamOf(chunks: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream<Uint8Array>({
    pull(controller): void {
      const chunk = chunks[at++];
      if (chunk === undefined) controller.close();
      else controller.enqueue(new Uint8Array(chunk));
    },
  }, { highWaterMark: 0 });
}

/** Bytes for a shell that prints them, to be read by people and by `printf %b`. */
export function printable(bytes: Uint8Array, most = 200): string {
  let text = "";
  for (const byte of bytes.subarray(0, most)) {
    text += byte === 92
      ? "\\\\"
      : byte >= 32 && byte < 127
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, "0")}`;
  }
  return bytes.length > most ? `${text}… (${bytes.length} bytes)` : text;
}

/** Each byte a piece of its own. */
export function dripOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return streamOf(Array.from(bytes, (byte) => Uint8Array.of(byte)));
}
