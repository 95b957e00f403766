import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import type { PeerNotice } from "../core/types.ts";
import { createApp } from "../health/app.ts";
import { HealthServer } from "../health/server.ts";
import { systemClock } from "../os/clock.ts";
import { sampleHealth, sampleStatus } from "../../tests/support/health_sample.ts";
import { proveAnswer } from "./answer_proof.ts";
import { Keyring } from "./keyring.ts";
import { MESSAGE_PATH, MessageVerifier } from "./message.ts";
import { PeerMessenger } from "./notice.ts";

const KEY = new Uint8Array(randomBytes(32));
const NOTICE: PeerNotice = { kind: "leaving", epoch: 3, reason: "reboot" };
const DEADLINE_MS = 5_000;

interface Receiver {
  readonly server: HealthServer;
  readonly port: number;
  readonly id: string;
  readonly heard: PeerNotice[];
}

/** The peer as it is: health server, app and verifier. */
async function receiver(sender: string, port = 0, addresses = ["127.0.0.1"]): Promise<Receiver> {
  const id = randomUUID();
  const heard: PeerNotice[] = [];
  const verifier = new MessageVerifier({
    keyring: { keys: [KEY] },
    instanceId: id,
    addressee: { judge: (name) => name === id ? "us" : "other" },
    peerInstanceId: () => sender,
  });
  const app = createApp({
    health: () => sampleHealth(),
    status: () => sampleStatus(),
    loopAgeMs: () => 0,
    prove: (answer) => proveAnswer([KEY], answer),
    message: (message) => {
      const result = verifier.verify(message);
      if (!result.ok) {
        return Promise.resolve({ status: 403, body: { accepted: false, text: result.why } });
      }
      heard.push(result.notice);
      return Promise.resolve({ status: 202, body: { accepted: true, text: "noted" } });
    },
    allow: () => true,
  });
  const server = new HealthServer({ app, addresses, port, onError: (error) => assert.fail(error) });
  await server.start();
  const [first = "", ...others] = addresses;
  if (port === 0 && others.length > 0) {
    // The same port everywhere, as on a real host.
    const same = server.port(first) ?? 0;
    await server.stop();
    return await receiver(sender, same, addresses);
  }
  return { server, port: server.port(addresses[0] ?? "") ?? 0, id, heard };
}

function messenger(
  port: number,
  instanceId: string,
  keyring = new Keyring([KEY]),
): PeerMessenger {
  return new PeerMessenger({ clock: systemClock, port, keyring, instanceId });
}

Deno.test("PeerMessenger.send() delivers one message after the other over a kept connection", async () => {
  const me = randomUUID();
  const peer = await receiver(me);
  const m = messenger(peer.port, me);
  const options = { receiver: peer.id, deadlineMs: DEADLINE_MS };
  const results = await Promise.all(
    [1, 2, 3].map((epoch) => m.send(["127.0.0.1"], { ...NOTICE, epoch }, options)),
  );
  assert.ok(results.every(({ accepted }) => accepted), JSON.stringify(results));
  assert.deepEqual(peer.heard.map(({ epoch }) => epoch), [1, 2, 3]);
  assert.equal(peer.server.connections, 1);
  m.close();
  await peer.server.stop();
});

Deno.test("PeerMessenger.send() tries the next link when one is refused or silent", async () => {
  const me = randomUUID();
  const peer = await receiver(me, 0, ["127.0.0.2"]);
  // Takes connections and says nothing: a half-open link.
  const silent = Deno.listen({ hostname: "127.0.0.3", port: peer.port });
  const m = messenger(peer.port, me);
  const result = await m.send(["127.0.0.1", "127.0.0.3", "127.0.0.2"], NOTICE, {
    receiver: peer.id,
    deadlineMs: 2_000,
  });
  assert.ok(result.accepted, JSON.stringify(result));
  assert.deepEqual(peer.heard, [NOTICE]);
  m.close();
  silent.close();
  await peer.server.stop();
});

Deno.test("PeerMessenger.send() is not refused as a replay after a try whose answer was lost", async () => {
  const me = randomUUID();
  const peer = await receiver(me, 0, ["127.0.0.2"]);
  // Hands the request on to the peer and keeps the answer for itself.
  const eater = Deno.listen({ hostname: "127.0.0.1", port: peer.port });
  const eaten = (async () => {
    const conn = await eater.accept();
    const buffer = new Uint8Array(4096);
    const n = await conn.read(buffer) ?? 0;
    const onward = await Deno.connect({ hostname: "127.0.0.2", port: peer.port });
    await onward.write(buffer.subarray(0, n));
    await onward.read(buffer);
    onward.close();
    conn.close();
  })();
  const m = messenger(peer.port, me);
  const result = await m.send(["127.0.0.1", "127.0.0.2"], NOTICE, {
    receiver: peer.id,
    deadlineMs: DEADLINE_MS,
  });
  await eaten;
  assert.ok(result.accepted, JSON.stringify(result));
  assert.deepEqual(peer.heard, [NOTICE, NOTICE]);
  m.close();
  eater.close();
  await peer.server.stop();
});

Deno.test("PeerMessenger.send() says why the peer refused, and does not try its other links", async () => {
  const me = randomUUID();
  const peer = await receiver(me, 0, ["127.0.0.1", "127.0.0.2"]);
  const stranger = messenger(peer.port, randomUUID());
  const options = { receiver: peer.id, deadlineMs: DEADLINE_MS };
  const refused = await stranger.send(["127.0.0.1", "127.0.0.2"], NOTICE, options);
  assert.deepEqual([refused.delivered, refused.accepted, refused.status], [true, false, 403]);
  assert.match(refused.text, /^Cannot accept a message as its sender is not/);
  assert.deepEqual(peer.heard, []);
  stranger.close();
  await peer.server.stop();
});

Deno.test("PeerMessenger.send() goes on after the peer's server was restarted between two messages", async () => {
  const me = randomUUID();
  const first = await receiver(me);
  const m = messenger(first.port, me);
  const to = (id: string): { receiver: string; deadlineMs: number } => ({
    receiver: id,
    deadlineMs: DEADLINE_MS,
  });
  assert.ok((await m.send(["127.0.0.1"], NOTICE, to(first.id))).accepted);
  await first.server.stop();
  const second = await receiver(me, first.port);
  const result = await m.send(["127.0.0.1"], NOTICE, to(second.id));
  assert.ok(result.accepted, JSON.stringify(result));
  m.close();
  await second.server.stop();
});

Deno.test("PeerMessenger.send() ends by its deadline or signal with a sentence", async () => {
  const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const m = messenger(silent.addr.port, randomUUID());
  const late = await m.send(["127.0.0.1"], NOTICE, { receiver: "x", deadlineMs: 100 });
  assert.equal(late.delivered, false);
  assert.match(late.text, /^Cannot tell the peer "leaving": .*took longer than/);
  const cancelled = await m.send(["127.0.0.1"], NOTICE, {
    receiver: "x",
    deadlineMs: DEADLINE_MS,
    signal: AbortSignal.abort(),
  });
  assert.match(cancelled.text, /no time or no link/);
  m.close();
  silent.close();
});

Deno.test("PeerMessenger.send() believes no answer that is not proved, tries every link and says what answered", async () => {
  const me = randomUUID();
  const peer = await receiver(me, 0, ["127.0.0.1", "127.0.0.2"]);
  const wrongKey = messenger(peer.port, me, new Keyring([new Uint8Array(randomBytes(32))]));
  const options = { receiver: peer.id, deadlineMs: DEADLINE_MS };
  const refused = await wrongKey.send(["127.0.0.1", "127.0.0.2"], NOTICE, options);
  assert.deepEqual([refused.delivered, refused.accepted, refused.status], [false, false, 403]);
  assert.match(refused.text, /127\.0\.0\.1 did not prove.*same cluster key.*127\.0\.0\.2 did not/);
  assert.deepEqual(peer.heard, []);
  wrongKey.close();
  await peer.server.stop();

  // Somebody in the peer's place says yes to everything; what a real peer proved before is no proof now.
  let proof = "";
  const port = peer.port;
  const liar = Deno.serve(
    { hostname: "127.0.0.1", port, onListen: () => {} },
    () =>
      Response.json({ accepted: true, text: "taking over" }, {
        headers: { "X-Relais-Proof": proof },
      }),
  );
  const m = messenger(port, me);
  const answer = { nonce: "0".repeat(64), path: MESSAGE_PATH, status: 200 };
  const body = JSON.stringify({ accepted: true, text: "taking over" });
  for (proof of ["", "0".repeat(64), proveAnswer([KEY], { ...answer, body }) ?? ""]) {
    const sent = await m.send(["127.0.0.1"], { ...NOTICE, kind: "yours" }, options);
    assert.deepEqual([sent.delivered, sent.accepted], [false, false], proof);
  }
  m.close();
  await liar.shutdown();
});

Deno.test("PeerMessenger signs with the key that the keyring has then, and goes on counting", async () => {
  const me = randomUUID();
  const peer = await receiver(me);
  const keyring = new Keyring([new Uint8Array(randomBytes(32))]);
  const m = messenger(peer.port, me, keyring);
  const options = { receiver: peer.id, deadlineMs: DEADLINE_MS };
  assert.equal((await m.send(["127.0.0.1"], NOTICE, options)).status, 403);
  keyring.set([KEY]);
  for (const epoch of [1, 2]) {
    assert.ok((await m.send(["127.0.0.1"], { ...NOTICE, epoch }, options)).accepted);
  }
  assert.deepEqual(peer.heard.map(({ epoch }) => epoch), [1, 2]);
  m.close();
  await peer.server.stop();
});
