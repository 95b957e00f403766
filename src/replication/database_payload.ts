/**
 * Reads a received payload (see `database_manifest.ts` for its form).
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

/** Bytes read at once. */
const CHUNK_BYTES = 64 * 1024;

/** An opened payload. */
export interface OpenPayload {
  readonly manifest: Manifest;
  /** The compressed dump, once. */
  dump(onBytes: (bytes: number, totalBytes: number) => void): ReadableStream<Uint8Array>;
  close(): void;
}

/**
 * Opens a received file and reads its manifest.
 *
 * @throws {ManifestError} when it does not begin with one
 */
export async function openPayload(path: string): Promise<OpenPayload> {
  const file = await Deno.open(path);
  try {
    const length = decodeManifestLength(await readExactly(file, MANIFEST_LENGTH_BYTES));
    const { size } = await file.stat();
    if (length > size) throw new ManifestError("it is cut");
    const manifest = decodeManifest(await readExactly(file, length));
    const totalBytes = size - MANIFEST_LENGTH_BYTES - length;
    return {
      manifest,
      dump: (onBytes) => readOn(file, (bytes) => onBytes(bytes, totalBytes)),
      close: () => file.close(),
    };
  } catch (error) {
    file.close();
    throw error;
  }
}

async function readExactly(file: Deno.FsFile, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const read = await file.read(bytes.subarray(at));
    if (read === null) throw new ManifestError("it is cut");
    at += read;
  }
  return bytes;
}

function readOn(file: Deno.FsFile, onBytes: (bytes: number) => void): ReadableStream<Uint8Array> {
  let bytes = 0;
  return new ReadableStream<Uint8Array>({
    async pull(controller): Promise<void> {
      const chunk = new Uint8Array(CHUNK_BYTES);
      const read = await file.read(chunk);
      if (read === null) return controller.close();
      bytes += read;
      onBytes(bytes);
      controller.enqueue(chunk.subarray(0, read));
    },
  });
}
