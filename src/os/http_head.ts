/**
 * Takes the head of an HTTP/1.1 message apart (RFC 9112 sections 2 to 5): a pure function over the
 * bytes that have arrived, used by the peer's probe and by the health server.
 *
 * @module
 */

/** Longest head in bytes. */
export const HEAD_MAX_BYTES = 8 * 1024;

/** The head of a request or of an answer. */
export interface HttpHead {
  /** The request line or the status line. */
  readonly firstLine: string;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** Bytes of the head, with the empty line that ends it. */
  readonly length: number;
}

/** These bytes are no HTTP/1.1 message. */
export class HttpGarbageError extends Error {
  override readonly name = "HttpGarbageError";
}

// A field name is a token (RFC 9110 section 5.6.2); values are visible ASCII, spaces and tabs.
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e]*)$/;
const FIRST_LINE = /^[\x20-\x7e]+$/;
const decoder = new TextDecoder("latin1");

/**
 * The head at the start of `bytes`, or null while its end has not arrived.
 *
 * @throws {HttpGarbageError} when it is malformed, repeats a header that frames the body, or is longer
 * than {@linkcode HEAD_MAX_BYTES}
 */
export function parseHead(bytes: Uint8Array): HttpHead | null {
  return new HeadFinder().find(bytes);
}

/**
 * {@linkcode parseHead} for bytes that arrive one after the other: each is looked at once, however small the
 * pieces are. (Read from the start for each piece, a request of 24 kB sent byte by byte cost 4 s of CPU.)
 */
export class HeadFinder {
  #head: HttpHead | null = null;
  /** No end of a head begins before this. */
  #from = 0;

  /**
   * The head at the start of `bytes`, which are those of the call before and what came since.
   *
   * @throws {HttpGarbageError} as {@linkcode parseHead}
   */
  find(bytes: Uint8Array): HttpHead | null {
    if (this.#head !== null) return this.#head;
    const end = endOfHead(bytes, this.#from);
    if (end > HEAD_MAX_BYTES || (end === -1 && bytes.length > HEAD_MAX_BYTES)) {
      throw new HttpGarbageError(`its head is longer than ${HEAD_MAX_BYTES} bytes`);
    }
    if (end === -1) this.#from = Math.max(0, bytes.length - 3);
    else this.#head = readHead(bytes, end);
    return this.#head;
  }
}

function readHead(bytes: Uint8Array, end: number): HttpHead {
  const [firstLine = "", ...lines] = decoder.decode(bytes.subarray(0, end)).split("\r\n");
  if (!FIRST_LINE.test(firstLine)) throw new HttpGarbageError("its first line is not HTTP");
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name, value] = FIELD.exec(line) ?? [];
    if (name === undefined || value === undefined) {
      throw new HttpGarbageError("one of its header lines is malformed");
    }
    const key = name.toLowerCase();
    if (headers.has(key) && (key === "content-length" || key === "host")) {
      throw new HttpGarbageError(`it has two ${key} headers`);
    }
    headers.set(key, value.trimEnd());
  }
  return { firstLine, headers, length: end + 4 };
}

/**
 * The length of the body in bytes; 0 when the head names none.
 *
 * @throws {HttpGarbageError} when it is no plain number, or the body is not framed by a length
 */
export function contentLength(head: HttpHead): number {
  if (head.headers.has("transfer-encoding")) {
    throw new HttpGarbageError("its body is sent in chunks, without a length");
  }
  const length = head.headers.get("content-length") ?? "0";
  if (!/^\d{1,9}$/.test(length)) throw new HttpGarbageError("its Content-Length is not a number");
  return Number(length);
}

function endOfHead(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(13, from); at !== -1; at = bytes.indexOf(13, at + 1)) {
    if (bytes[at + 1] === 10 && bytes[at + 2] === 13 && bytes[at + 3] === 10) return at;
  }
  return -1;
}
