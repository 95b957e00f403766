/**
 * Lines of JSON over a pipe.
 *
 * @module
 */

/** A line was longer than allowed. */
export class LineTooLongError extends Error {
  override readonly name = "LineTooLongError";
  constructor(maxBytes: number) {
    super(`Cannot read a line longer than ${maxBytes} bytes`);
  }
}

/**
 * Reads lines of UTF-8 until the stream ends; a last line without a line feed is dropped (its writer died).
 *
 * @throws {LineTooLongError} when a line has more than `maxBytes` bytes
 */
export async function* readLines(
  stream: ReadableStream<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let parts: Uint8Array[] = [];
  let held = 0;
  for await (const chunk of stream) {
    let from = 0;
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      parts.push(chunk.subarray(from, at));
      // Also of a line that came in one piece: what is refused must not depend on how it was cut.
      if (held + at - from > maxBytes) throw new LineTooLongError(maxBytes);
      yield parts.map((part) => decoder.decode(part, { stream: true })).join("") + decoder.decode();
      parts = [];
      held = 0;
      from = at + 1;
    }
    parts.push(chunk.slice(from));
    held += chunk.length - from;
    if (held > maxBytes) throw new LineTooLongError(maxBytes);
  }
}

/** One JSON line. */
export function encodeLine(value: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${JSON.stringify(value)}\n`);
}
