import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createApp } from "../health/app.ts";
import { HealthServer } from "../health/server.ts";
import type { HealthBody } from "../health/types.ts";
import { systemClock } from "../os/clock.ts";
import { sampleHealth, sampleStatus } from "../../tests/support/health_sample.ts";
import { poll } from "../../tests/support/poll.ts";
import { proveAnswer } from "./answer_proof.ts";
import { type HealthTrust, HttpProbe, type ProbeFailureKind } from "./http_probe.ts";
import { Keyring } from "./keyring.ts";

interface Heard {
  readonly reports: { network: string; report: HealthBody; rttMs: number; atMs: number }[];
  readonly failures: { network: string; kind: ProbeFailureKind; detail: string }[];
}

function makeProbe(
  port: number,
  deadlineMs = 10_000,
  trust?: HealthTrust,
): { probe: HttpProbe; heard: Heard } {
  const heard: Heard = { reports: [], failures: [] };
  const probe = new HttpProbe({
    clock: systemClock,
    port,
    deadlineMs,
    onReport: (network, report, rttMs, atMs) =>
      heard.reports.push({ network, report, rttMs, atMs }),
    onFailure: (network, kind, detail) => heard.failures.push({ network, kind, detail }),
    ...(trust === undefined ? {} : { trust }),
  });
  return { probe, heard };
}

async function until(what: string, holds: () => boolean): Promise<void> {
  await poll(holds, { what, deadlineMs: 30_000, everyMs: 5 });
}

/** A real health server of relais. */
async function healthServer(
  port: number,
  addresses = ["127.0.0.1"],
  { keys = [], health = sampleHealth() }: {
    readonly keys?: readonly Uint8Array[];
    readonly health?: HealthBody;
  } = {},
): Promise<HealthServer> {
  const app = createApp({
    prove: (answer) => proveAnswer(keys, answer),
    health: () => health,
    status: () => sampleStatus(),
    loopAgeMs: () => 0,
    message: () => Promise.resolve({ status: 403, body: {} }),
    allow: () => true,
  });
  const server = new HealthServer({ app, addresses, port, onError: (error) => assert.fail(error) });
  await server.start();
  return server;
}

/** A server that does with each connection what `each` says; `accepted` counts them. */
function oddServer(
  each: (conn: Deno.TcpConn, request: string) => Promise<void>,
): { port: number; accepted: () => number; close: () => void } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const conns = new Set<Deno.TcpConn>();
  let accepted = 0;
  (async () => {
    for await (const conn of listener) {
      accepted++;
      conns.add(conn);
      const buffer = new Uint8Array(4096);
      conn.read(buffer).then((n) =>
        each(conn, new TextDecoder().decode(buffer.subarray(0, n ?? 0)))
      )
        .catch(() => {});
    }
  })();
  return {
    port: listener.addr.port,
    accepted: () => accepted,
    close: () => {
      listener.close();
      for (const conn of conns) {
        try {
          conn.close();
        } catch {
          // Closed by the test.
        }
      }
    },
  };
}

async function say(conn: Deno.TcpConn, text: string): Promise<void> {
  const writer = conn.writable.getWriter();
  await writer.write(new TextEncoder().encode(text));
  writer.releaseLock();
}

Deno.test("HttpProbe.probe() brings the peer's report over one kept connection", async () => {
  const server = await healthServer(0);
  const { probe, heard } = makeProbe(server.port("127.0.0.1") ?? 0);
  for (let i = 1; i <= 5; i++) {
    probe.probe("voip", "127.0.0.1");
    await until("the report", () => heard.reports.length === i);
  }
  assert.deepEqual(heard.reports[4]?.report, sampleHealth());
  assert.ok((heard.reports[4]?.rttMs ?? -1) >= 0);
  assert.equal(server.connections, 1);
  assert.deepEqual({ ...probe.counters("voip") }, { sent: 5, received: 5, ignored: 0, skipped: 0 });
  probe.close();
  await server.stop();
});

Deno.test("HttpProbe.probe() works over IPv6", async () => {
  const server = await healthServer(0, ["::1"]);
  const { probe, heard } = makeProbe(server.port("::1") ?? 0);
  probe.probe("six", "::1");
  await until("the report", () => heard.reports.length === 1);
  probe.close();
  await server.stop();
});

Deno.test("HttpProbe.probe() hears a peer that was restarted at once, without a failure between", async () => {
  const first = await healthServer(0);
  const port = first.port("127.0.0.1") ?? 0;
  const { probe, heard } = makeProbe(port);
  probe.probe("voip", "127.0.0.1");
  await until("the first report", () => heard.reports.length === 1);
  await first.stop();
  const second = await healthServer(port);
  await until("it listens", () => second.port("127.0.0.1") !== null);
  probe.probe("voip", "127.0.0.1");
  await until("the second report", () => heard.reports.length === 2);
  assert.deepEqual(heard.failures, []);
  probe.close();
  await second.stop();
});

Deno.test("HttpProbe.probe() has one question in flight per network and starts anew after its deadline", async () => {
  const silent = oddServer(() => Promise.resolve());
  const { probe, heard } = makeProbe(silent.port, 200);
  for (let i = 0; i < 10; i++) probe.probe("voip", "127.0.0.1");
  probe.probe("data", "127.0.0.1");
  await until("both failed", () => heard.failures.length === 2);
  assert.deepEqual(heard.failures.map(({ kind }) => kind), ["timeout", "timeout"]);
  assert.deepEqual({ ...probe.counters("voip") }, { sent: 1, received: 0, ignored: 0, skipped: 9 });
  assert.equal(silent.accepted(), 2);
  // The connection that said nothing is gone: the next probe makes its own.
  probe.probe("voip", "127.0.0.1");
  await until("the next failed", () => heard.failures.length === 3);
  assert.equal(silent.accepted(), 3);
  probe.close();
  silent.close();
});

Deno.test("HttpProbe.probe() uses a new connection after the kept one went half-open", async () => {
  let served = 0;
  const body = JSON.stringify(sampleHealth());
  const server = oddServer(async (conn) => {
    // Each connection answers its first question only, then stands there like a pulled cable.
    await say(conn, `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    served++;
  });
  // Long enough for an answer on a slow machine; the half-open one is waited for as long.
  const { probe, heard } = makeProbe(server.port, 3_000);
  probe.probe("voip", "127.0.0.1");
  await until("the first report", () => heard.reports.length === 1);
  probe.probe("voip", "127.0.0.1");
  await until("the failure", () => heard.failures.length === 1);
  assert.equal(heard.failures[0]?.kind, "timeout");
  probe.probe("voip", "127.0.0.1");
  await until("the report over a new one", () => heard.reports.length === 2);
  assert.equal(served, 2);
  probe.close();
  server.close();
});

Deno.test("HttpProbe.probe() holds a dripping answer to its deadline and a long one to its bound", async () => {
  const stop = new AbortController();
  const drip = oddServer(async (conn) => {
    await say(conn, "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
    for (;;) {
      await say(conn, " ");
      await systemClock.sleep(20, stop.signal);
    }
  });
  const dripped = makeProbe(drip.port, 200);
  dripped.probe.probe("voip", "127.0.0.1");
  await until("the failure", () => dripped.heard.failures.length === 1);
  assert.equal(dripped.heard.failures[0]?.kind, "timeout");
  dripped.probe.close();
  stop.abort();
  drip.close();

  const long = oddServer((conn) =>
    say(conn, `HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\n${" ".repeat(200_000)}`)
  );
  const flooded = makeProbe(long.port);
  flooded.probe.probe("voip", "127.0.0.1");
  await until("the failure", () => flooded.heard.failures.length === 1);
  assert.equal(flooded.heard.failures[0]?.kind, "garbage");
  flooded.probe.close();
  long.close();
});

Deno.test("HttpProbe.probe() tells refused, garbage and bad status apart and follows no redirect", async () => {
  const answers: readonly (readonly [string, ProbeFailureKind])[] = [
    ["SSH-2.0-OpenSSH_9.2\r\n", "garbage"],
    ["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "garbage"],
    ["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno", "garbage"],
    ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "garbage"],
    ["HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", "status"],
    ["HTTP/1.1 302 Go\r\nlocation: /health\r\ncontent-length: 0\r\n\r\n", "status"],
  ];
  for (const [answer, kind] of answers) {
    const server = oddServer((conn) => say(conn, answer));
    const { probe, heard } = makeProbe(server.port);
    probe.probe("voip", "127.0.0.1");
    await until(`the failure for ${answer}`, () => heard.failures.length === 1);
    assert.equal(heard.failures[0]?.kind, kind, answer);
    assert.equal(probe.counters("voip").ignored, kind === "garbage" ? 1 : 0);
    assert.equal(server.accepted(), 1);
    probe.close();
    server.close();
  }
  const free = oddServer(() => Promise.resolve());
  free.close();
  const { probe, heard } = makeProbe(free.port);
  probe.probe("voip", "127.0.0.1");
  await until("the refusal", () => heard.failures.length === 1);
  assert.equal(heard.failures[0]?.kind, "refused");
  probe.close();
});

Deno.test("HttpProbe.close() ends a probe in flight without a word", async () => {
  const silent = oddServer(() => Promise.resolve());
  const { probe, heard } = makeProbe(silent.port, 300);
  probe.probe("voip", "127.0.0.1");
  await until("it is in flight", () => silent.accepted() === 1);
  probe.close();
  probe.probe("voip", "127.0.0.1");
  await systemClock.sleep(0);
  assert.deepEqual(heard, { reports: [], failures: [] });
  assert.equal(probe.counters("voip").sent, 1);
  silent.close();
});

const KEY = new Uint8Array(randomBytes(32));
const OTHER_KEY = new Uint8Array(randomBytes(32));

/** What one probe under `trust` brings from a server. */
async function probeOnce(port: number, trust: HealthTrust): Promise<string> {
  const { probe, heard } = makeProbe(port, 10_000, trust);
  probe.probe("voip", "127.0.0.1");
  await until("an end", () => heard.reports.length + heard.failures.length === 1);
  probe.close();
  return heard.failures[0]?.kind ?? "report";
}

Deno.test("HttpProbe with a key believes the peer, also in the middle of a replacement, and nobody else", async () => {
  const trust = (keys: readonly Uint8Array[]): HealthTrust => ({
    keyring: new Keyring(keys),
    instanceId: "us",
  });
  const cases = [
    [[KEY], [KEY], "report"],
    [[KEY, OTHER_KEY], [OTHER_KEY, KEY], "report"],
    [[KEY], [OTHER_KEY], "unproved"],
    [[], [KEY], "unproved"],
    [[KEY], [], "report"],
    [[], [], "report"],
  ] as const;
  for (const [theirs, ours, expected] of cases) {
    const server = await healthServer(0, ["127.0.0.1"], { keys: theirs });
    const port = server.port("127.0.0.1") ?? 0;
    assert.equal(await probeOnce(port, trust(ours)), expected, `${theirs.length} ${ours.length}`);
    await server.stop();
  }
});

Deno.test("HttpProbe with a key takes no answer that was recorded, changed or is our own", async () => {
  const trust = { keyring: new Keyring([KEY]), instanceId: "us" };
  const body = JSON.stringify(sampleHealth());
  const answer = (proof: string, text: string): string =>
    `HTTP/1.1 200 OK\r\nx-relais-proof: ${proof}\r\ncontent-length: ${text.length}\r\n\r\n${text}`;
  const nonceOf = (request: string): string => /x-relais-nonce: (\w+)/i.exec(request)?.[1] ?? "";
  const prove = (nonce: string, status = 200): string =>
    proveAnswer([KEY], { nonce, path: "/health", status, body }) ?? "";
  let recorded = "";
  const cases: readonly (readonly [string, (request: string) => string])[] = [
    ["report", (request) => answer(recorded = prove(nonceOf(request)), body)],
    ["unproved", () => answer(recorded, body)],
    ["unproved", (request) => answer(prove(nonceOf(request)), body.replace("standby", "active!"))],
    ["unproved", (request) => answer(prove(nonceOf(request), 503), body)],
    ["unproved", (request) => answer(prove(nonceOf(request)).toUpperCase(), body)],
    ["unproved", () => answer("", body)],
  ];
  for (const [expected, make] of cases) {
    const server = oddServer((conn, request) => say(conn, make(request)));
    assert.equal(await probeOnce(server.port, trust), expected);
    server.close();
  }
  // A mirror: it asks us, and gives us what we said, well proved.
  const health = sampleHealth({ instanceId: "us" });
  const mirror = await healthServer(0, ["127.0.0.1"], { keys: [KEY], health });
  assert.equal(await probeOnce(mirror.port("127.0.0.1") ?? 0, trust), "unproved");
  await mirror.stop();
});

Deno.test("HttpProbe sees a change of the keyring at once", async () => {
  const server = await healthServer(0, ["127.0.0.1"], { keys: [KEY] });
  const keyring = new Keyring([OTHER_KEY]);
  const { probe, heard } = makeProbe(server.port("127.0.0.1") ?? 0, 10_000, {
    keyring,
    instanceId: "us",
  });
  probe.probe("voip", "127.0.0.1");
  await until("the failure", () => heard.failures.length === 1);
  keyring.set([OTHER_KEY, KEY]);
  probe.probe("voip", "127.0.0.1");
  await until("the report", () => heard.reports.length === 1);
  probe.close();
  await server.stop();
});
