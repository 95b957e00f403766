/**
 * The cluster key: what proves that a message comes from the peer (DESIGN section 8). A file with one key
 * per line; the first signs, all are accepted. Beside it there may be a file of the same form with the key
 * that is to follow: it is accepted and signs nothing. So a key can be replaced without a gap
 * (`pairing/rotate.ts`).
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHmac, randomBytes } from "node:crypto";
import { messageOf } from "../os/errors.ts";

/** Shortest key in bytes: as long as the hash (RFC 2104 section 3). */
export const KEY_MIN_BYTES = 32;
const FILE_MAX_BYTES = 16 * 1024;
const KEYS_MAX = 8;

/** The key file cannot be used; the message says what to do. */
export class KeyError extends Error {
  override readonly name = "KeyError";
}

/** A new random key, as text for the key file (base64). */
export function generateKey(): string {
  return randomBytes(KEY_MIN_BYTES).toString("base64");
}

/**
 * The name of a key: tells keys apart and proves nothing. 64 bits of an HMAC under a random key of 256 bits
 * say nothing about it (RFC 2104), so that names may be shown.
 */
export function keyId(key: Uint8Array): string {
  return createHmac("sha256", key).update("relais-key-id-1").digest("hex").slice(0, 16);
}

/** The text of a key file with these keys (base64), the one that signs first. */
export function keyFileText(...keys: readonly string[]): string {
  return `# Cluster key of relais: the same file on both hosts, mode 600.\n${keys.join("\n")}\n`;
}

/** Where the key is that is to follow the one at `path`, while a replacement is under way. */
export function nextKeyPath(path: string): string {
  return `${path}.next`;
}

/**
 * Reads the keys that are in use: those of `path`, and behind them those of the file beside it that are to
 * follow; each once.
 *
 * @throws {KeyError} as {@linkcode readKeyFile}, for either file
 */
export function readKeys(path: string): readonly Uint8Array[] {
  const keys = [...readKeyFile(path)];
  const next = nextKeyPath(path);
  for (const key of isThere(next) ? readKeyFile(next) : []) {
    if (!keys.some((known) => Buffer.compare(known, key) === 0)) keys.push(key);
  }
  return keys;
}

/**
 * Reads the keys of `path`: one per line in base64 (or base64url), at least {@linkcode KEY_MIN_BYTES}
 * long when decoded, or in hexadecimal; empty lines and lines that begin with `#` are skipped.
 *
 * @throws {KeyError} when the file is absent, readable by others than its owner, or holds no good key
 */
export function readKeyFile(path: string): readonly Uint8Array[] {
  const text = readPrivately(path);
  const keys: Uint8Array[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    const word = line.trim();
    if (word === "" || word.startsWith("#")) continue;
    const key = decodeKey(word);
    if (key === null || key.length < KEY_MIN_BYTES) {
      throw new KeyError(
        `Cannot use line ${
          index + 1
        } of ${path} as it is no key of at least ${KEY_MIN_BYTES} bytes in base64 or hexadecimal: make one with relais keygen`,
      );
    }
    keys.push(key);
  }
  if (keys.length === 0 || keys.length > KEYS_MAX) {
    throw new KeyError(
      `Cannot use ${path} as it holds ${keys.length} keys: it needs 1 to ${KEYS_MAX}`,
    );
  }
  return keys;
}

function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return false;
    throw new KeyError(`Cannot look at ${path}: ${messageOf(cause)}`, { cause });
  }
}

function readPrivately(path: string): string {
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) {
      throw new KeyError(`Cannot read the cluster key ${path}: ${messageOf(cause)}`, { cause });
    }
    throw new KeyError(
      `Cannot read the cluster key as ${path} does not exist: relais pair makes it on both hosts (or relais keygen on one, and a copy)`,
      { cause },
    );
  }
  try {
    // Of the open file, so that what is checked is what is read.
    const { mode, size, isFile } = file.statSync();
    if (!isFile || size > FILE_MAX_BYTES) {
      throw new KeyError(`Cannot use ${path} as it is no key file`);
    }
    if (((mode ?? 0) & 0o077) !== 0) {
      throw new KeyError(
        `Cannot use the cluster key ${path} as others than its owner may read or change it: run: chmod 600 ${path}`,
      );
    }
    const bytes = new Uint8Array(FILE_MAX_BYTES + 1);
    let length = 0;
    for (let read; (read = file.readSync(bytes.subarray(length))) !== null && read > 0;) {
      length += read;
    }
    return new TextDecoder().decode(bytes.subarray(0, length));
  } finally {
    file.close();
  }
}

/** Hexadecimal is tried first: 64 hexadecimal digits would be base64, too. */
function decodeKey(word: string): Uint8Array | null {
  if (/^(?:[0-9a-fA-F]{2})+$/.test(word)) return new Uint8Array(Buffer.from(word, "hex"));
  // One digit more than whole groups holds no byte: Buffer throws at that.
  const digits = /^([A-Za-z0-9+/_-]+)={0,2}$/.exec(word)?.[1]?.length ?? 1;
  if (digits % 4 === 1) return null;
  return new Uint8Array(Buffer.from(word, "base64"));
}
