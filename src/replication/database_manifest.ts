/**
 * What a dump says of itself: stands in front of the dump in the payload, so that the receiver can
 * refuse before it has touched anything and prove the copy afterwards.
 *
 * Payload of the data set `database`: 4 bytes length of the manifest (big-endian), the manifest (JSON,
 * UTF-8), then `pg_dump -Fc -Z0` compressed by `zstd`.
 *
 * @module
 */

import { z } from "zod";

/** Longest manifest, in bytes: a database of 100,000 tables fits. */
const MAX_MANIFEST_BYTES = 16 * 1024 * 1024;

/** Bytes of the length that stands before the manifest. */
export const MANIFEST_LENGTH_BYTES = 4;

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

const settingsSchema = z.strictObject({
  /** Role of `ALTER ROLE … IN DATABASE … SET`; null: `ALTER DATABASE … SET`. */
  role: z.string().nullable(),
  /** `name=value`, as in pg_db_role_setting.setconfig. */
  config: z.array(z.string()),
});

const grantSchema = z.strictObject({
  /** Role; null: PUBLIC. */
  grantee: z.string().nullable(),
  privilege: z.enum(["CONNECT", "CREATE", "TEMPORARY"]),
  grantable: z.boolean(),
});

const propertiesSchema = z.strictObject({
  owner: z.string(),
  /** -1: no limit. */
  connectionLimit: z.number().int(),
  comment: z.string().nullable(),
  settings: z.array(settingsSchema),
  /** Null: the default privileges. */
  grants: z.array(grantSchema).nullable(),
});

const localeSchema = z.strictObject({
  encoding: z.string(),
  collate: z.string(),
  ctype: z.string(),
  /** `c` (libc), `i` (ICU, from 15), `b` (builtin, from 17). */
  provider: z.string(),
  /** Locale of ICU or builtin provider; null with libc. */
  locale: z.string().nullable(),
});

const wholeText = z.string().regex(/^-?[0-9]{1,19}$/).nullable();

const sumSchema = z.strictObject({
  /** `"schema"."table"`. */
  table: z.string().max(300),
  /** Key that the range is of; null: the whole table. */
  column: z.string().max(63).nullable(),
  from: wholeText,
  to: wholeText,
  rows: count,
  /** Sum of half of the MD5 of each row, as a number. */
  sum: z.string().regex(/^-?[0-9]{1,40}$/),
});

/** The checksum of a table or of a range of its key, in the snapshot of the dump. */
export type TableSum = z.infer<typeof sumSchema>;

/** Checks a parsed manifest. */
export const manifestSchema = z.strictObject({
  format: z.literal(1),
  /** E.g. 150018 for 15.18. */
  serverVersionNum: count,
  /** pg_database_size in bytes. */
  databaseBytes: count,
  locale: localeSchema,
  properties: propertiesSchema,
  /** Roles that objects of the database belong or are granted to. */
  roles: z.array(z.string()),
  extensions: z.array(z.string()),
  /** Rows of each copied table (`"schema"."table"`) in the snapshot of the dump. */
  rows: z.record(z.string(), count),
  /** Large objects in the same snapshot. */
  largeObjects: count,
  /** Tables whose rows were left out. */
  excluded: z.array(z.string()),
  /** Name of each object and a hash of its definition. */
  schema: z.record(z.string(), z.string()),
  /** Checksums of a sample of the copied tables; absent from dumps of earlier versions. */
  sums: z.array(sumSchema).max(20_000).optional(),
});

/** See {@linkcode manifestSchema}. */
export type Manifest = z.infer<typeof manifestSchema>;
/** Settings, privileges, owner and comment: what belongs to a database, not to what is in it. */
export type DatabaseProperties = z.infer<typeof propertiesSchema>;
/** Encoding and collation. */
export type DatabaseLocale = z.infer<typeof localeSchema>;

/** A received payload does not begin with a manifest that this version understands. */
export class ManifestError extends Error {
  override readonly name = "ManifestError";
  constructor(what: string, options?: ErrorOptions) {
    super(`Cannot read the received dump as ${what}: copy it again`, options);
  }
}

/**
 * Builds what stands before the dump in the payload.
 *
 * @throws {RangeError} when the manifest is longer than {@linkcode MAX_MANIFEST_BYTES}
 */
export function encodeManifest(manifest: Manifest): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(JSON.stringify(manifest));
  if (json.length > MAX_MANIFEST_BYTES) {
    throw new RangeError(
      `Cannot describe the database as its manifest has ${json.length} bytes: ` +
        `at most ${MAX_MANIFEST_BYTES} are understood`,
    );
  }
  const bytes = new Uint8Array(MANIFEST_LENGTH_BYTES + json.length);
  new DataView(bytes.buffer).setUint32(0, json.length);
  bytes.set(json, MANIFEST_LENGTH_BYTES);
  return bytes;
}

/**
 * Reads the length that stands before the manifest.
 *
 * @throws {ManifestError} when it is impossible
 */
export function decodeManifestLength(bytes: Uint8Array): number {
  if (bytes.length < MANIFEST_LENGTH_BYTES) throw new ManifestError("it is empty or cut");
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  if (length > MAX_MANIFEST_BYTES) throw new ManifestError(`its manifest claims ${length} bytes`);
  return length;
}

/**
 * Reads the manifest itself.
 *
 * @throws {ManifestError} when it is not one of this format
 */
export function decodeManifest(json: Uint8Array): Manifest {
  try {
    return manifestSchema.parse(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(json)));
  } catch (cause) {
    throw new ManifestError("its manifest is damaged or of another version", { cause });
  }
}
