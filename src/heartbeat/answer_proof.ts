/**
 * Proves that an answer over HTTP comes from the peer and was made for this very question: HMAC-SHA256
 * under the cluster key over the question's nonce, the path, the status and the body. Whoever asks
 * chooses the nonce, so an answer that was recorded or prepared is of no use. What is signed begins
 * differently from a message and from the doctor's proof, so that none can stand in for another.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/** Header of the question: 32 hexadecimal digits. */
export const NONCE_HEADER = "X-Relais-Nonce";
/** Header of the answer: 64 hexadecimal digits. */
export const PROOF_HEADER = "X-Relais-Proof";
/** What a nonce looks like; the MAC of a message serves as one, too. */
const NONCE = /^(?:[0-9a-f]{32}|[0-9a-f]{64})$/;

/** What is proved. */
export interface ProvedAnswer {
  readonly nonce: string;
  readonly path: string;
  readonly status: number;
  readonly body: string;
}

/** A nonce that nobody can guess. */
export function makeNonce(): string {
  return randomBytes(16).toString("hex");
}

/** The value of {@linkcode PROOF_HEADER}, by the first key; null without a key or with a bad nonce. */
export function proveAnswer(keys: readonly Uint8Array[], answer: ProvedAnswer): string | null {
  const [key] = keys;
  if (key === undefined || !NONCE.test(answer.nonce)) return null;
  return proof(key, answer).toString("hex");
}

/** Whether `given` proves the answer under one of `keys`; the time that it takes tells nothing. */
export function isProved(
  keys: readonly Uint8Array[],
  answer: ProvedAnswer,
  given: string | undefined,
): boolean {
  if (given === undefined || !/^[0-9a-f]{64}$/.test(given)) return false;
  const bytes = Buffer.from(given, "hex");
  let good = false;
  for (const key of keys) if (timingSafeEqual(bytes, proof(key, answer))) good = true;
  return good;
}

function proof(key: Uint8Array, { nonce, path, status, body }: ProvedAnswer): Buffer {
  const hmac = createHmac("sha256", key);
  hmac.update("relais-answer-1\n");
  for (const field of [nonce, path, String(status), body]) {
    hmac.update(`${Buffer.byteLength(field, "utf8")}:`);
    hmac.update(field, "utf8");
  }
  return hmac.digest();
}
