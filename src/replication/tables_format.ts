/**
 * How rows of single tables travel: gzip of a manifest and the tables' `COPY` texts.
 *
 * ```
 * <4-byte big-endian length><manifest, JSON>
 * per table, in the manifest's order: <4-byte length><bytes> … <00 00 00 00>
 * ```
 *
 * @module
 */

import { z } from "zod";

/** Longest manifest in bytes. */
const MAX_MANIFEST_BYTES = 16 * 1024 * 1024;
/** Longest piece of a table in bytes. */
const MAX_PIECE_BYTES = 16 * 1024 * 1024;

const name = z.string().min(1).max(1024);
const whole = z.string().regex(/^-?[0-9]{1,40}$/);

/** Checks a parsed manifest. */
const tablesManifestSchema = z.strictObject({
  format: z.literal(1),
  set: z.enum(["config", "hot"]),
  serverVersionNum: z.number().int(),
  /** Digest of the schema fingerprint of the whole database (`database_schema.ts`). */
  schema: z.string(),
  tables: z.array(z.strictObject({
    /** `"schema"."table"`, quoted where needed. */
    name,
    /** Columns that have values of their own (not the generated ones): name and type. */
    columns: z.array(z.strictObject({ name, type: z.string() })),
    /** Rows of its own (parts and children are tables of their own). */
    rows: z.number().int().min(0),
    /** Sum of `hashtextextended` of each row: equal whatever the order. */
    hash: whole,
  })).max(100_000),
  sequences: z.array(z.strictObject({ name, last: whole, called: z.boolean() })).max(100_000),
});

/** See {@linkcode tablesManifestSchema}. */
export type TablesManifest = z.infer<typeof tablesManifestSchema>;

/** The rows that came are not what was sent, or not what this version understands. */
export class TablesFormatError extends Error {
  override readonly name = "TablesFormatError";
}

/** A length and its bytes; of no bytes: the end of a table. */
export function* encodePiece(bytes: Uint8Array): Generator<Uint8Array> {
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, bytes.length);
  yield length;
  if (bytes.length > 0) yield bytes;
}

/**
 * The manifest as it is written.
 *
 * @throws {RangeError} when it is too long
 */
export function* encodeTablesManifest(manifest: TablesManifest): Generator<Uint8Array> {
  const bytes = new TextEncoder().encode(JSON.stringify(manifest));
  if (bytes.length > MAX_MANIFEST_BYTES) {
    throw new RangeError(`Cannot describe ${manifest.tables.length} tables in one manifest`);
  }
  yield* encodePiece(bytes);
}

/** Reads pieces off a stream of bytes. */
export class PieceReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /**
   * The next piece; null: the end of a table.
   *
   * @throws {TablesFormatError} when the stream ends in it, or it is too long
   */
  async piece(maxBytes = MAX_PIECE_BYTES): Promise<Uint8Array | null> {
    const head = await this.#exactly(4);
    const length = new DataView(head.buffer, head.byteOffset).getUint32(0);
    if (length > maxBytes) throw new TablesFormatError(`a piece claims ${length} bytes`);
    return length === 0 ? null : await this.#exactly(length);
  }

  /** @throws {TablesFormatError} when it is damaged or of another version */
  async manifest(): Promise<TablesManifest> {
    const bytes = await this.piece(MAX_MANIFEST_BYTES);
    try {
      return tablesManifestSchema.parse(JSON.parse(new TextDecoder().decode(bytes!)));
    } catch (cause) {
      throw new TablesFormatError("the manifest is damaged or of another version", { cause });
    }
  }

  /** @throws {TablesFormatError} when something follows */
  async end(): Promise<void> {
    let rest = this.#rest;
    while (rest.length === 0) {
      const next = await this.#source.next();
      if (next.done) return;
      rest = next.value; // A piece of no bytes is nothing that follows.
    }
    throw new TablesFormatError("something follows the last table");
  }

  async #exactly(length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    let at = 0;
    while (at < length) {
      if (this.#rest.length === 0) {
        const next = await this.#source.next();
        if (next.done) throw new TablesFormatError("the rows are cut");
        this.#rest = next.value;
      }
      const part = this.#rest.subarray(0, length - at);
      bytes.set(part, at);
      at += part.length;
      this.#rest = this.#rest.subarray(part.length);
    }
    return bytes;
  }
}
