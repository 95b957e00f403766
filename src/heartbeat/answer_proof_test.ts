import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { NONCE_HEADER as SERVED_NONCE, PROOF_HEADER as SERVED_PROOF } from "../health/app.ts";
import {
  isProved,
  makeNonce,
  NONCE_HEADER,
  PROOF_HEADER,
  proveAnswer,
  type ProvedAnswer,
} from "./answer_proof.ts";
import { MESSAGE_PATH, signMessage } from "./message.ts";
import { proveKeys } from "./key_proof.ts";

const KEY = new Uint8Array(randomBytes(32));
const OTHER = new Uint8Array(randomBytes(32));
const ANSWER: ProvedAnswer = {
  nonce: makeNonce(),
  path: "/health",
  status: 200,
  body: '{"state":"standby","reason":"é"}',
};

Deno.test("proveAnswer() makes what isProved() takes, under any key of a replacement", () => {
  const proof = proveAnswer([KEY, OTHER], ANSWER)!;
  assert.ok(isProved([KEY], ANSWER, proof));
  assert.ok(isProved([OTHER, KEY], ANSWER, proof));
  assert.ok(!isProved([OTHER], ANSWER, proof));
  assert.ok(!isProved([], ANSWER, proof));
});

Deno.test("isProved() takes no answer of which anything was changed, and no proof that was", () => {
  const proof = proveAnswer([KEY], ANSWER)!;
  const changes: readonly Partial<ProvedAnswer>[] = [
    { nonce: makeNonce() },
    { path: "/status" },
    { status: 503 },
    { body: ANSWER.body.replace("standby", "active") },
    { body: `${ANSWER.body} ` },
  ];
  for (const change of changes) assert.ok(!isProved([KEY], { ...ANSWER, ...change }, proof));
  const bad = [undefined, "", proof.toUpperCase(), proof.slice(1), `${proof}00`, "0".repeat(64)];
  for (const given of bad) assert.ok(!isProved([KEY], ANSWER, given), String(given));
  for (let bit = 0; bit < 256; bit += 37) {
    const bytes = new Uint8Array(proof.match(/../g)!.map((byte) => parseInt(byte, 16)));
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    const flipped = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    assert.ok(!isProved([KEY], ANSWER, flipped), `bit ${bit}`);
  }
});

Deno.test("proveAnswer() proves nothing without a key, and over no nonce that is none", () => {
  assert.equal(proveAnswer([], ANSWER), null);
  for (
    const nonce of ["", "xyz", "0".repeat(31), "0".repeat(33), "0".repeat(1000), "A".repeat(32)]
  ) {
    assert.equal(proveAnswer([KEY], { ...ANSWER, nonce }), null, nonce.slice(0, 40));
  }
});

Deno.test("no proof of an answer is the MAC of a message or a proof for the doctor, over the same words", () => {
  const nonce = "0".repeat(32);
  const envelope = { method: "POST", path: MESSAGE_PATH, sender: nonce, receiver: "b", counter: 1 };
  const mac = signMessage([KEY], envelope, "{}")["X-Relais-Mac"]!;
  const doctor = proveKeys([KEY], nonce)[0]!;
  const proof = proveAnswer([KEY], { nonce, path: MESSAGE_PATH, status: 200, body: "{}" })!;
  assert.equal(new Set([mac, doctor, proof]).size, 3);
  assert.ok(!isProved([KEY], { nonce, path: MESSAGE_PATH, status: 200, body: "{}" }, mac));
  // The construction that docs/http.md describes, once more by hand.
  const text = `relais-answer-1\n32:${nonce}13:/peer/message3:2002:{}`;
  assert.equal(proof, createHmac("sha256", KEY).update(text).digest("hex"));
});

Deno.test("the health app and the probe name their headers alike", () => {
  assert.deepEqual([SERVED_NONCE, SERVED_PROOF], [NONCE_HEADER, PROOF_HEADER]);
});
