import assert from "node:assert/strict";
import { compareProofs, proveKeys } from "./key_proof.ts";
import { signMessage } from "./message.ts";

const NONCE = "00112233445566778899aabbccddeeff";
const key = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);

Deno.test("compareProofs() tells same, replaced and different keys apart", () => {
  const of = (...fills: number[]): readonly string[] => proveKeys(fills.map(key), NONCE);
  assert.equal(compareProofs(of(1), of(1)), "same");
  assert.equal(compareProofs(of(1, 2), of(1)), "same");
  assert.equal(compareProofs(of(1, 2), of(2, 1)), "replacing");
  assert.equal(compareProofs(of(1), of(2, 1)), "different");
  assert.equal(compareProofs(of(1), of(2)), "different");
  assert.equal(compareProofs([], of(2)), "different");
});

Deno.test("proveKeys() depends on the nonce and never makes the MAC of a message", () => {
  const [proof] = proveKeys([key(1)], NONCE);
  assert.match(proof!, /^[0-9a-f]{64}$/);
  assert.notEqual(proof, proveKeys([key(1)], NONCE.replace("0", "1"))[0]);
  const envelope = { method: "POST", path: "/", sender: "a", receiver: "b", counter: 1 };
  assert.notEqual(proof, signMessage([key(1)], envelope, NONCE)["X-Relais-Mac"]);
});
