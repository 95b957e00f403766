/**
 * Proves that two hosts have the same cluster key without sending it: HMAC-SHA256 over a nonce that the
 * asker chose. What is signed begins differently from a message (`message.ts`), so that no proof is one.
 *
 * @module
 */

import { createHmac } from "node:crypto";

/** The proof of each key, in the order of the key file, as 64 hexadecimal digits. */
export function proveKeys(keys: readonly Uint8Array[], nonce: string): readonly string[] {
  return keys.map((key) =>
    createHmac("sha256", key).update(`relais-doctor-1\n${nonce}`).digest("hex")
  );
}

/** How the keys of two hosts relate. */
export type KeyAgreement =
  /** Both sign with the same key. */
  | "same"
  /** Each takes what the other signs, but they sign with different keys: a replacement under way. */
  | "replacing"
  /** At least one does not take what the other signs. */
  | "different";

/** Compares the proofs of both hosts over the same nonce. */
export function compareProofs(own: readonly string[], peer: readonly string[]): KeyAgreement {
  const [mine, theirs] = [own[0], peer[0]];
  if (mine === undefined || theirs === undefined) return "different";
  if (mine === theirs) return "same";
  return peer.includes(mine) && own.includes(theirs) ? "replacing" : "different";
}
