/**
 * The frames of a lasting connection: 1 byte kind, 4 bytes big-endian length, content. Pure.
 *
 * @module
 */

/** Kinds of frames. None is `{`, which begins a line of `remote_protocol.ts`. */
export const FRAME = {
  /** A part of the stream. */
  data: 1,
  /** 8 bytes: how far the writer of this frame has read the other's stream. Also a sign of life. */
  read: 2,
  /** 4 bytes: the stream ends here, with this exit status. Counts as one byte of the stream. */
  end: 3,
  /** UTF-8: the writer gave its stream up. */
  gaveUp: 4,
} as const;

/** Kind and length. */
export const FRAME_HEAD_BYTES = 5;
/** Largest content of a frame, in bytes. */
export const MAX_CONTENT_BYTES = 65_536;

/** One frame as bytes. */
export function encodeFrame(kind: number, content: Uint8Array): Uint8Array {
  const frame = new Uint8Array(FRAME_HEAD_BYTES + content.length);
  const view = new DataView(frame.buffer);
  view.setUint8(0, kind);
  view.setUint32(1, content.length);
  frame.set(content, FRAME_HEAD_BYTES);
  return frame;
}

/**
 * Kind and length of content of the frame that begins with `head`.
 *
 * @throws {RangeError} when there is no such frame
 */
export function decodeHead(head: Uint8Array): { readonly kind: number; readonly length: number } {
  const view = new DataView(head.buffer, head.byteOffset, FRAME_HEAD_BYTES);
  const kind = view.getUint8(0);
  const length = view.getUint32(1);
  const fits = kind === FRAME.read ? length === 8 : kind === FRAME.end ? length === 4 : true;
  if (!Object.values<number>(FRAME).includes(kind) || length > MAX_CONTENT_BYTES || !fits) {
    throw new RangeError(`no frame has kind ${kind} and ${length} bytes`);
  }
  return { kind, length };
}

/** Content of {@linkcode FRAME.read}. */
export function encodeOffset(offset: number): Uint8Array {
  const content = new Uint8Array(8);
  new DataView(content.buffer).setBigUint64(0, BigInt(offset));
  return content;
}

/** Content of {@linkcode FRAME.end}. */
export function encodeStatus(status: number): Uint8Array {
  const content = new Uint8Array(4);
  new DataView(content.buffer).setUint32(0, status);
  return content;
}

/** The number in the content of `read` or `end`. */
export function decodeNumber(content: Uint8Array): number {
  const view = new DataView(content.buffer, content.byteOffset, content.length);
  return content.length === 8 ? Number(view.getBigUint64(0)) : view.getUint32(0);
}
