import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import * as fc from "fast-check";
import type { PeerNotice } from "../core/types.ts";
import { MESSAGE_PATH as SERVED_PATH } from "../health/app.ts";
import {
  type Envelope,
  MESSAGE_PATH,
  MessageVerifier,
  noticeBody,
  type ReceivedMessage,
  SENDERS_MAX,
  signMessage,
} from "./message.ts";

const KEY = new Uint8Array(randomBytes(32));
const OTHER_KEY = new Uint8Array(randomBytes(32));
const PEER = randomUUID();
const US = randomUUID();
const NOTICE: PeerNotice = { kind: "yours", epoch: 7, reason: "the operator asked" };

function message(
  change: Partial<Envelope> = {},
  { keys = [KEY], body = noticeBody(NOTICE) }: { keys?: readonly Uint8Array[]; body?: string } = {},
): ReceivedMessage {
  const envelope = {
    method: "POST",
    path: MESSAGE_PATH,
    sender: PEER,
    receiver: US,
    counter: 1,
    ...change,
  };
  const headers = Object.entries(signMessage(keys, envelope, body))
    .map(([name, value]) => [name.toLowerCase(), value]);
  const { method, path } = envelope;
  return { method, path, headers: Object.fromEntries(headers), body };
}

function verifier(
  keys: readonly Uint8Array[] = [KEY],
  peer: string | null = PEER,
): MessageVerifier {
  return new MessageVerifier({ keys, instanceId: US, peerInstanceId: () => peer });
}

function whyNot(from: MessageVerifier, received: ReceivedMessage): string {
  const result = from.verify(received);
  assert.ok(!result.ok, "it was accepted");
  return result.why;
}

Deno.test("MessageVerifier.verify() accepts a message of the peer once", () => {
  const v = verifier();
  const received = message();
  assert.deepEqual(v.verify(received), { ok: true, notice: NOTICE, sender: PEER });
  assert.match(whyNot(v, received), /replay/);
  assert.match(whyNot(v, message({ counter: 0 })), /replay/);
  assert.ok(v.verify(message({ counter: 2 })).ok);
});

Deno.test("MessageVerifier.verify() refuses a message of which anything was changed", () => {
  const good = message();
  const header = (name: string, value: string): ReceivedMessage => ({
    ...good,
    headers: { ...good.headers, [name]: value },
  });
  const forged: readonly ReceivedMessage[] = [
    { ...good, method: "PUT" },
    { ...good, path: `${MESSAGE_PATH}/` },
    { ...good, body: good.body.replace("7", "8") },
    { ...good, body: `${good.body} ` },
    header("x-relais-counter", "2"),
    header("x-relais-sender", US),
    header("x-relais-receiver", PEER),
    header("x-relais-mac", "0".repeat(64)),
  ];
  const v = verifier();
  for (const received of forged) assert.match(whyNot(v, received), /MAC is wrong/);
  assert.ok(v.verify(good).ok, "and none of them used its counter up");
});

Deno.test("MessageVerifier.verify() refuses another key, another receiver, another sender and ourselves", () => {
  const v = verifier();
  assert.match(whyNot(v, message({}, { keys: [OTHER_KEY] })), /same cluster key/);
  assert.match(whyNot(v, message({ receiver: randomUUID() })), /another daemon process/);
  assert.match(whyNot(v, message({ sender: randomUUID() })), /\/health names/);
  assert.match(whyNot(v, message({ sender: US })), /our own/);
  assert.ok(verifier([KEY], null).verify(message()).ok, "before the peer's first report");
});

Deno.test("MessageVerifier.verify() accepts every key of a rotation, and only those", () => {
  const both = verifier([OTHER_KEY, KEY]);
  assert.ok(both.verify(message({ counter: 1 }, { keys: [KEY] })).ok);
  assert.ok(both.verify(message({ counter: 2 }, { keys: [OTHER_KEY, KEY] })).ok);
  assert.match(whyNot(verifier([OTHER_KEY]), message()), /MAC is wrong/);
});

Deno.test("MessageVerifier.verify() refuses a well-signed body that is no message, and keeps its counter", () => {
  const v = verifier();
  const bodies = ["", "{}", "null", '{"kind":"stop","epoch":1,"reason":""}', "[".repeat(5000)];
  for (const body of [...bodies, JSON.stringify({ ...NOTICE, extra: 1 })]) {
    assert.match(whyNot(v, message({}, { body })), /not a message/);
  }
  assert.ok(v.verify(message()).ok);
});

Deno.test("MessageVerifier.verify() never fails on garbage", () => {
  const v = verifier();
  const names = ["x-relais-sender", "x-relais-receiver", "x-relais-counter", "x-relais-mac"];
  const headers = fc.dictionary(fc.constantFrom(...names), fc.string({ maxLength: 200 }));
  fc.assert(
    fc.property(headers, fc.string(), (given, body) => {
      assert.ok(!v.verify({ method: "POST", path: MESSAGE_PATH, headers: given, body }).ok);
    }),
  );
  assert.equal(v.senders, 0);
});

Deno.test("MessageVerifier remembers a bounded number of senders, and strangers none at all", () => {
  const flood = verifier([KEY], null);
  for (let i = 0; i < 1000; i++) {
    flood.verify(message({ sender: `forged-${i}` }, { keys: [OTHER_KEY] }));
  }
  assert.equal(flood.senders, 0);
  for (let i = 0; i < SENDERS_MAX + 10; i++) flood.verify(message({ sender: `restart-${i}` }));
  assert.equal(flood.senders, SENDERS_MAX);
  assert.match(whyNot(flood, message({ sender: "restart-0" })), /replay/);

  let peer: string | null = null;
  const v = new MessageVerifier({ keys: [KEY], instanceId: US, peerInstanceId: () => peer });
  for (let i = 0; i < SENDERS_MAX; i++) v.verify(message({ sender: `restart-${i}` }));
  peer = PEER;
  assert.ok(v.verify(message()).ok, "the peer that /health names is heard all the same");
});

Deno.test("signMessage() binds each field by itself: moving a byte to its neighbour changes the MAC", () => {
  const a = message({ sender: "ab", receiver: "c" }).headers["x-relais-mac"];
  const b = message({ sender: "a", receiver: "bc" }).headers["x-relais-mac"];
  assert.notEqual(a, b);
  assert.throws(() => message({}, { keys: [] }), TypeError);
});

Deno.test("MESSAGE_PATH is where the health app takes messages", () => {
  assert.equal(MESSAGE_PATH, SERVED_PATH);
});

Deno.test("MessageVerifier.rekey() takes the new key only, and a counter that was used stays used", () => {
  const v = verifier();
  assert.ok(v.verify(message({ counter: 5 })).ok);
  v.rekey([OTHER_KEY]);
  assert.match(whyNot(v, message({ counter: 6 })), /MAC is wrong/);
  assert.match(whyNot(v, message({ counter: 5 }, { keys: [OTHER_KEY] })), /replay/);
  assert.ok(v.verify(message({ counter: 6 }, { keys: [OTHER_KEY] })).ok);
});
