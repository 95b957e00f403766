/**
 * Public keys as OpenSSH writes them on one line: `ssh-ed25519 AAAA… comment`. Pure.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";

/** The only kind that is made and pinned. */
const KIND = "ssh-ed25519";

/** `ssh-ed25519 AAAA…` of a line of a `.pub` file, without the comment; null: it is not such a line. */
export function publicKeyOf(line: string): string | null {
  const [kind, blob = ""] = line.trim().split(/\s+/);
  // 51 bytes: base64 of any other length is no such key (and Buffer throws at what is no base64).
  if (kind !== KIND || !/^[A-Za-z0-9+/]{68}$/.test(blob)) return null;
  // RFC 8709 section 4: the blob repeats the kind, with its length in front.
  const bytes = Buffer.from(blob, "base64");
  const named = bytes.length === 51 && bytes.readUInt32BE(0) === KIND.length &&
    bytes.subarray(4, 4 + KIND.length).toString("latin1") === KIND;
  return named ? `${KIND} ${blob}` : null;
}

/** `SHA256:…` as `ssh-keygen -l` prints it, of what {@linkcode publicKeyOf} returned. */
export function fingerprintOfKey(publicKey: string): string {
  const bytes = Buffer.from(publicKey.split(" ")[1] ?? "", "base64");
  return `SHA256:${createHash("sha256").update(bytes).digest("base64").replaceAll("=", "")}`;
}
