import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash, createHmac, randomBytes, randomUUID } from "node:crypto";
import * as fc from "fast-check";
import type { PeerNotice } from "../core/types.ts";
import { MESSAGE_PATH as SERVED_PATH } from "../health/app.ts";
import { ManualClock } from "../../tests/support/manual_clock.ts";
import { Addressee, TAKEN_FOR_MS } from "./addressee.ts";
import { Keyring } from "./keyring.ts";
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
  return verifierOf(new Keyring(keys), () => peer);
}

function verifierOf(keyring: Keyring, peerInstanceId: () => string | null): MessageVerifier {
  const addressee = { judge: (name: string) => name === US ? "us" as const : "other" as const };
  return new MessageVerifier({ keyring, instanceId: US, addressee, peerInstanceId });
}

/** The reason that is counted. */
function reasonOf(from: MessageVerifier, received: ReceivedMessage): string {
  const result = from.verify(received);
  return result.ok ? "accepted" : result.reason;
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
  const v = verifierOf(new Keyring([KEY]), () => peer);
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

Deno.test("MessageVerifier takes the new key only once the keyring has no other, and a counter that was used stays used", () => {
  const keyring = new Keyring([KEY]);
  const v = verifierOf(keyring, () => PEER);
  assert.ok(v.verify(message({ counter: 5 })).ok);
  keyring.set([OTHER_KEY]);
  assert.match(whyNot(v, message({ counter: 6 })), /MAC is wrong/);
  assert.match(whyNot(v, message({ counter: 5 }, { keys: [OTHER_KEY] })), /replay/);
  assert.ok(v.verify(message({ counter: 6 }, { keys: [OTHER_KEY] })).ok);
});

function withHeader(good: ReceivedMessage, name: string, value: string | null): ReceivedMessage {
  const { [name]: _, ...rest } = good.headers;
  return { ...good, headers: value === null ? rest : { ...rest, [name]: value } };
}

Deno.test("MessageVerifier.verify() refuses every single flipped bit of every field, and every truncation", () => {
  const v = verifier();
  const good = message({ counter: 12_345 });
  const names = ["x-relais-sender", "x-relais-receiver", "x-relais-counter", "x-relais-mac"];
  const flipped = (text: string): string[] =>
    [...text].flatMap((char, at) =>
      [0, 1, 2, 3, 4, 5, 6].map((bit) =>
        text.slice(0, at) + String.fromCharCode(char.charCodeAt(0) ^ (1 << bit)) +
        text.slice(at + 1)
      )
    );
  const cut = (text: string): string[] => [...text].map((_, length) => text.slice(0, length));
  let tried = 0;
  for (const name of names) {
    const value = good.headers[name]!;
    for (const other of [...flipped(value), ...cut(value), `${value}0`, ` ${value}`]) {
      assert.ok(["mac", "malformed"].includes(reasonOf(v, withHeader(good, name, other))), other);
      tried++;
    }
    assert.ok(["mac", "malformed"].includes(reasonOf(v, withHeader(good, name, null))), name);
  }
  for (const body of [...flipped(good.body), ...cut(good.body), `${good.body}\n`]) {
    assert.equal(reasonOf(v, { ...good, body }), "mac");
    tried++;
  }
  for (const method of ["GET", "PUT", "post", ""]) {
    assert.equal(reasonOf(v, { ...good, method }), "mac");
  }
  for (const path of ["/", "/health", "/peer/messag", "/peer/message?", "/Peer/message"]) {
    assert.equal(reasonOf(v, { ...good, path }), "mac");
  }
  assert.ok(tried > 1000, `${tried}`);
  assert.equal(v.senders, 0, "nothing was remembered of all that");
  assert.equal(reasonOf(v, good), "accepted");
});

Deno.test("MessageVerifier.verify() takes no MAC of another algorithm, length, form or key", () => {
  const v = verifier();
  const good = message();
  const macOf = (algorithm: string, key: Uint8Array, text: string): string =>
    createHmac(algorithm, key).update(text).digest("hex");
  const signed =
    `relais-message-1\n4:POST13:/peer/message${PEER.length}:${PEER}${US.length}:${US}` +
    `1:1${good.body.length}:${good.body}`;
  assert.equal(macOf("sha256", KEY, signed), good.headers["x-relais-mac"], "as docs/http.md says");
  const mac = good.headers["x-relais-mac"]!;
  const others = [
    macOf("sha512", KEY, signed),
    macOf("sha512", KEY, signed).slice(0, 64),
    macOf("sha3-256", KEY, signed),
    macOf("sha1", KEY, signed),
    macOf("md5", KEY, signed),
    createHash("sha256").update(KEY).update(signed).digest("hex"),
    macOf("sha256", new Uint8Array(32), signed),
    macOf("sha256", new Uint8Array(0), signed),
    macOf("sha256", KEY, signed.replace("relais-message-1", "relais-answer-1")),
    macOf("sha256", KEY, signed.replace("relais-message-1", "relais-doctor-1")),
    mac.toUpperCase(),
    Buffer.from(mac, "hex").toString("base64"),
    `${mac}${mac}`,
    "",
    "none",
    "null",
  ];
  for (const other of others) {
    assert.equal(reasonOf(v, withHeader(good, "x-relais-mac", other)), "mac", other);
  }
  assert.equal(reasonOf(v, good), "accepted");
});

Deno.test("MessageVerifier.verify() names why: reflected, for another, late, before a restart, replayed, older", () => {
  const clock = new ManualClock();
  const addressee = new Addressee({ instanceId: US, clock });
  let peer: string | null = PEER;
  const make = (): MessageVerifier =>
    new MessageVerifier({
      keyring: new Keyring([KEY]),
      instanceId: US,
      addressee,
      peerInstanceId: () => peer,
    });
  const v = make();
  const receiver = addressee.name;
  const recorded = message({ receiver, counter: 7 });
  // What we sent to the peer, sent back to us, and what the peer was sent by somebody else.
  assert.equal(reasonOf(v, message({ sender: US, receiver: PEER })), "own");
  assert.equal(reasonOf(v, message({ sender: US, receiver })), "own");
  assert.equal(reasonOf(v, message({ receiver: `${PEER}.0123456789abcdef` })), "addressee");
  assert.equal(reasonOf(v, recorded), "accepted");
  assert.equal(reasonOf(v, recorded), "replay");
  assert.equal(reasonOf(v, message({ receiver, counter: 6 })), "replay", "older, and new to us");
  assert.equal(reasonOf(v, message({ receiver, counter: 8 }, { body: "{}" })), "body");
  // Held back on its way.
  const held = message({ receiver, counter: 9 });
  clock.advance(TAKEN_FOR_MS);
  assert.equal(reasonOf(v, held), "late");
  assert.equal(reasonOf(v, recorded), "late");
  assert.equal(reasonOf(v, message({ receiver: addressee.name, counter: 9 })), "accepted");
  // The peer was restarted: its new process counts from 1, the old one is nobody.
  peer = randomUUID();
  const now = addressee.name;
  assert.equal(reasonOf(v, message({ receiver: now, counter: 10 })), "sender");
  assert.equal(reasonOf(v, message({ receiver: now, counter: 1, sender: peer })), "accepted");
  // We were restarted: another process, another name; the memory of counters is not needed.
  const later = new Addressee({ instanceId: randomUUID(), clock });
  const reborn = new MessageVerifier({
    keyring: new Keyring([KEY]),
    instanceId: later.name.split(".")[0]!,
    addressee: later,
    peerInstanceId: () => null,
  });
  assert.equal(reasonOf(reborn, message({ receiver: now, counter: 11 })), "addressee");
  assert.equal(reasonOf(reborn, recorded), "addressee");
  assert.deepEqual([reborn.senders, v.senders], [0, 2]);
});
