import assert from "node:assert/strict";
import fc from "fast-check";
import "../../tests/support/seed.ts";
import {
  decodeManifest,
  decodeManifestLength,
  encodeManifest,
  MANIFEST_LENGTH_BYTES,
  ManifestError,
  manifestSchema,
} from "./database_manifest.ts";
import type { Manifest } from "./database_manifest.ts";

const MANIFEST: Manifest = {
  format: 1,
  serverVersionNum: 150_018,
  databaseBytes: 12_000_000,
  locale: { encoding: "UTF8", collate: "C.UTF-8", ctype: "C.UTF-8", provider: "c", locale: null },
  properties: {
    owner: "asterisk",
    connectionLimit: -1,
    comment: "l'été",
    settings: [{ role: null, config: ["search_path=public"] }],
    grants: [{ grantee: null, privilege: "CONNECT", grantable: false }],
  },
  roles: ["asterisk"],
  extensions: ["plpgsql"],
  rows: { "public.cel": 3 },
  largeObjects: 2,
  excluded: [],
  schema: { "table public.cel": "0011" },
};

Deno.test("encodeManifest() writes what decodeManifest() reads", () => {
  const bytes = encodeManifest(MANIFEST);
  const length = decodeManifestLength(bytes);
  assert.equal(length, bytes.length - MANIFEST_LENGTH_BYTES);
  assert.deepEqual(decodeManifest(bytes.subarray(MANIFEST_LENGTH_BYTES)), MANIFEST);
});

Deno.test("decodeManifest() refuses what encodeManifest() did not write", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    assert.throws(() => decodeManifest(bytes), ManifestError);
  }));
  fc.assert(fc.property(fc.json(), (json) => {
    assert.throws(() => decodeManifest(new TextEncoder().encode(json)), ManifestError);
  }));
  const later = new TextEncoder().encode(JSON.stringify({ ...MANIFEST, format: 2 }));
  assert.throws(() => decodeManifest(later), /of another version: copy it again/);
});

Deno.test("decodeManifestLength() refuses impossible lengths", () => {
  assert.throws(() => decodeManifestLength(new Uint8Array(3)), ManifestError);
  assert.throws(() => decodeManifestLength(new Uint8Array(4).fill(255)), ManifestError);
});

Deno.test("manifestSchema refuses privileges that a database does not have", () => {
  const grants = [{ grantee: "x", privilege: "CONNECT, TEMPORARY", grantable: false }];
  const properties = { ...MANIFEST.properties, grants };
  assert.equal(manifestSchema.safeParse({ ...MANIFEST, properties }).success, false);
});
