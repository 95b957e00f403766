/**
 * Reads a payload as it arrives (see `database_manifest.ts` for its form): the manifest first, then the
 * compressed dump. The stream may pause for as long as its source lets it.
 *
 * @module
 */

import type { Manifest } from "./database_manifest.ts";
import {
  decodeManifest,
  decodeManifestLength,
  MANIFEST_LENGTH_BYTES,
  ManifestError,
} from "./database_manifest.ts";

/** A payload whose manifest was read. */
export interface OpenPayload {
  readonly manifest: Manifest;
  /** The compressed dump, once; `onBytes` hears how many bytes of it were handed on. */
  dump(onBytes: (bytes: number) => void): ReadableStream<Uint8Array>;
  /** What the source failed with; null as long as it did not. */
  failure(): unknown;
  /** Tells the source that no more is wanted. */
  cancel(reason: unknown): Promise<void>;
}

/**
 * Reads the manifest.
 *
 * @throws {ManifestError} when the payload does not begin with one; whatever the source fails with
 */
export async function openPayload(payload: ReadableStream<Uint8Array>): Promise<OpenPayload> {
  const reader = payload.getReader();
  let failed: { readonly cause: unknown } | null = null;
  /** Read, but not yet asked for. */
  let rest: Uint8Array = new Uint8Array();
  const take = async (length: number): Promise<Uint8Array> => {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length;) {
      if (rest.length === 0) {
        const { done, value } = await reader.read();
        if (done) throw new ManifestError("it is cut");
        rest = value;
      }
      const part = rest.subarray(0, length - at);
      bytes.set(part, at);
      at += part.length;
      rest = rest.subarray(part.length);
    }
    return bytes;
  };
  const cancel = async (reason: unknown): Promise<void> => {
    await reader.cancel(reason).catch(() => {}); // It has failed already: that is told elsewhere.
  };
  try {
    const length = decodeManifestLength(await take(MANIFEST_LENGTH_BYTES));
    const manifest = decodeManifest(await take(length));
    let bytes = 0;
    const pull = async (): Promise<Uint8Array | null> => {
      if (rest.length > 0) {
        const chunk = rest;
        rest = new Uint8Array();
        return chunk;
      }
      try {
        const { done, value } = await reader.read();
        return done ? null : value;
      } catch (cause) {
        failed = { cause };
        throw cause;
      }
    };
    return {
      manifest,
      dump: (onBytes) =>
        new ReadableStream<Uint8Array>({
          async pull(controller): Promise<void> {
            const chunk = await pull();
            if (chunk === null) return controller.close();
            bytes += chunk.length;
            onBytes(bytes);
            controller.enqueue(chunk);
          },
          cancel,
        }, { highWaterMark: 0 }),
      failure: () => failed?.cause ?? null,
      cancel,
    };
  } catch (error) {
    await cancel(error);
    throw error;
  }
}
