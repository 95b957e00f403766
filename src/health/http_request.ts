/**
 * Takes HTTP/1.1 requests (RFC 9112) out of the bytes that have arrived: pure functions.
 *
 * @module
 */

import { contentLength, HeadFinder, HttpGarbageError, type HttpHead } from "../os/http_head.ts";
import { BODY_MAX_BYTES } from "./app.ts";

/** One whole request. */
export interface TakenRequest {
  readonly head: HttpHead;
  readonly method: string;
  /** Path and query, begins with `/`. */
  readonly target: string;
  readonly body: Uint8Array<ArrayBuffer>;
  /** The client wants to use the connection again. */
  readonly keepAlive: boolean;
  /** Bytes of head and body. */
  readonly length: number;
}

/** A request that is answered with `status` without asking the app. */
export class RefusedRequest extends Error {
  override readonly name = "RefusedRequest";
  constructor(readonly status: 400 | 413, why: string) {
    super(why);
  }
}

const REQUEST_LINE = /^([A-Z]{3,10}) (\/[\x21-\x7e]*) HTTP\/1\.([01])$/;

/**
 * The first request in `bytes`, or null while bytes of it are missing.
 *
 * @param finder of this request: given each time that more of it has arrived
 *
 * @throws {RefusedRequest} when it is no HTTP/1.1 that is served here
 */
export function takeRequest(
  bytes: Uint8Array,
  finder: HeadFinder = new HeadFinder(),
): TakenRequest | null {
  try {
    const head = finder.find(bytes);
    if (head === null) return null;
    const [, method, target, minor] = REQUEST_LINE.exec(head.firstLine) ?? [];
    if (method === undefined || target === undefined) {
      throw new HttpGarbageError("its first line is not a request that is served here");
    }
    // RFC 9112 section 3.2.
    if (minor === "1" && !head.headers.has("host")) throw new HttpGarbageError("it has no Host");
    const bodyLength = contentLength(head);
    if (bodyLength > BODY_MAX_BYTES) throw new RefusedRequest(413, "a body that is too long");
    const length = head.length + bodyLength;
    if (bytes.length < length) return null;
    const body = new Uint8Array(bytes.subarray(head.length, length));
    const keepAlive = minor === "1" && head.headers.get("connection")?.toLowerCase() !== "close";
    return { head, method, target, body, keepAlive, length };
  } catch (error) {
    if (!(error instanceof HttpGarbageError)) throw error;
    throw new RefusedRequest(400, `no HTTP request: ${error.message}`);
  }
}

/** As the platform knows requests; null when that finds fault with it (methods such as CONNECT, a target that is no URL). */
export function toRequest({ head, method, target, body }: TakenRequest): Request | null {
  try {
    return new Request(`http://relais${target}`, {
      method,
      headers: [...head.headers],
      ...(body.length === 0 || method === "GET" || method === "HEAD" ? {} : { body }),
    });
  } catch {
    return null;
  }
}
