import assert from "node:assert/strict";
import http from "node:http";
import * as fc from "fast-check";
import { sampleHealth, sampleStatus } from "../../tests/support/health_sample.ts";
import { poll } from "../../tests/support/poll.ts";
import { createApp, MESSAGE_PATH } from "./app.ts";
import { type ConnectionDeadlines, DEADLINES } from "./served_connection.ts";
import { PER_ADDRESS } from "./request_pace.ts";
import {
  CONNECTIONS_MAX,
  CONNECTIONS_PER_ADDRESS_MAX,
  HealthServer,
  type HealthServerOptions,
} from "./server.ts";

interface Running {
  readonly server: HealthServer;
  readonly port: number;
  readonly garbage: string[];
  readonly errors: Error[];
  readonly bodies: string[];
}

async function withServer(
  test: (running: Running) => Promise<void>,
  options: Partial<HealthServerOptions> = {},
): Promise<void> {
  const garbage: string[] = [];
  const errors: Error[] = [];
  const bodies: string[] = [];
  const app = createApp({
    health: () => sampleHealth(),
    status: () => sampleStatus(),
    loopAgeMs: () => 0,
    message: ({ body }) => {
      bodies.push(body);
      return Promise.resolve({ status: 202, body: { length: body.length } });
    },
    allow: (address) => address === "127.0.0.1" || address === "::1",
    onGarbage: (why) => garbage.push(why),
    onError: (error) => errors.push(error),
  });
  const server = new HealthServer({
    app,
    addresses: ["127.0.0.1"],
    port: 0,
    onError: (error) => errors.push(error),
    onGarbage: (why) => garbage.push(why),
    ...options,
  });
  await server.start();
  try {
    const port = server.port("127.0.0.1");
    assert.ok(port !== null, "it listens");
    await test({ server, port, garbage, errors, bodies });
  } finally {
    await server.stop();
  }
}

async function statusOf(url: string): Promise<number> {
  const answer = await fetch(url);
  await answer.body?.cancel();
  return answer.status;
}

async function until(what: string, holds: () => boolean): Promise<void> {
  await poll(holds, { what, deadlineMs: 10_000, everyMs: 10 });
}

/** Sends raw bytes and returns all that comes back until the server closes. */
async function raw(port: number, bytes: Uint8Array | string): Promise<string> {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  try {
    await conn.write(typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes);
    await conn.closeWrite();
    return await new Response(conn.readable).text();
  } catch (error) {
    // Closed with our bytes unread: a reset.
    if (error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe) {
      return "";
    }
    throw error;
  }
}

Deno.test("HealthServer answers fetch and node:http, keeps connections alive and stops", async () => {
  await withServer(async ({ port, errors, bodies }) => {
    for (let i = 0; i < 3; i++) {
      const answer = await fetch(`http://127.0.0.1:${port}/health`);
      assert.equal(answer.status, 200);
      assert.deepEqual(await answer.json(), sampleHealth());
    }
    const body = "ü".repeat(5000);
    const posted = await fetch(`http://127.0.0.1:${port}${MESSAGE_PATH}`, { method: "POST", body });
    assert.deepEqual([posted.status, await posted.json()], [202, { length: 5000 }]);
    assert.deepEqual(bodies, [body]);
    const head = await fetch(`http://127.0.0.1:${port}/`, { method: "HEAD" });
    assert.deepEqual([head.status, await head.text()], [200, ""]);
    const status = await new Promise((resolve, reject) => {
      http.get({ host: "127.0.0.1", port, path: "/metrics", agent: false }, (res) => {
        res.resume().on("end", () => resolve(res.statusCode));
      }).on("error", reject);
    });
    assert.equal(status, 200);
    assert.deepEqual(errors, []);
  });
});

Deno.test("HealthServer answers requests that arrive in pieces or several at once, in order", async () => {
  await withServer(async ({ port }) => {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    const encoder = new TextEncoder();
    for (const byte of encoder.encode("GET /health HTTP/1.1\r\nHost: a\r\n\r\n")) {
      await conn.write(Uint8Array.of(byte));
    }
    const rest = "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n" +
      "POST /peer/message HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi" +
      "GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    await conn.write(encoder.encode(rest));
    const text = await new Response(conn.readable).text();
    const statuses = [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status);
    assert.deepEqual(statuses, ["200", "404", "202", "200"]);
  });
});

Deno.test("HealthServer answers what is no HTTP with 400, counts it and goes on", async () => {
  await withServer(async ({ port, garbage, errors }) => {
    const cases = [
      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
      "GET / HTTP/2.0\r\n\r\n",
      "GET http://elsewhere/ HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
      "POST /peer/message HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
      "POST /peer/message HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "POST /peer/message HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
      "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /health HTTP/1.1\r\n\r\n",
      "GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
      "POST /peer/message HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "POST /peer/message HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}",
      "POST /peer/message HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\n{}",
      "POST /peer/message HTTP/1.1\r\nHost: a\r\nContent-Length: 2, 2\r\n\r\n{}",
      "GET /health HTTP/1.1\r\nHost: a\r\nX-A: b\r\n folded: c\r\n\r\n",
      "GET /health HTTP/1.1\r\nHost: a\nX-A: b\r\n\r\n",
      "GET /health\u0000 HTTP/1.1\r\nHost: a\r\n\r\n",
      `GET /${"a".repeat(9000)} HTTP/1.1\r\n\r\n`,
    ];
    for (const text of cases) {
      const before = garbage.length;
      assert.match(await raw(port, text), /^HTTP\/1\.1 400 |^$/, text.slice(0, 60));
      assert.equal(garbage.length, before + 1, text.slice(0, 60));
    }
    const long = "POST /peer/message HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n";
    assert.match(await raw(port, long), /^HTTP\/1\.1 413 /);
    assert.equal(await statusOf(`http://127.0.0.1:${port}/health`), 200);
    assert.deepEqual(errors, []);
  });
});

Deno.test("HealthServer lets who asks thousands of times wait, then refuses him; the peer never waits", async () => {
  let paced = 0;
  const onPaced = (): void => void paced++;
  const isPeer = (address: string): boolean => address === "::1";
  await withServer(async ({ server, port }) => {
    const statuses = new Map<number, number>();
    const flood = async (): Promise<void> => {
      const status = await statusOf(`http://127.0.0.1:${port}/health`);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    };
    const begun = performance.now();
    const asked = Promise.all(Array.from({ length: 12 }, async () => {
      for (let i = 0; i < 40; i++) await flood();
    }));
    const peerPort = server.port("::1");
    for (let i = 0; i < 200; i++) {
      assert.equal(await statusOf(`http://[::1]:${peerPort}/health`), 200);
    }
    await asked;
    assert.ok(paced > 0);
    // 480 answers need (480 - burst) / rate = 7.6 s, less those that were refused.
    const refused = statuses.get(429) ?? 0;
    const served = statuses.get(200) ?? 0;
    const seconds = (performance.now() - begun) / 1000;
    assert.equal(served + refused, 480);
    assert.ok(served <= PER_ADDRESS.burst + PER_ADDRESS.perSecond * seconds + 1, `${served}`);
  }, { addresses: ["127.0.0.1", "::1"], isPeer, onPaced });
});

Deno.test("HealthServer gives one address a share of its connections, and the others theirs", async () => {
  await withServer(async ({ server, port }) => {
    const held: Deno.TcpConn[] = [];
    for (let i = 0; i < CONNECTIONS_MAX; i++) {
      const conn = await Deno.connect({ hostname: "127.0.0.1", port });
      held.push(conn);
      await conn.write(new TextEncoder().encode("GET /health HTTP/1.1\r\nHost: a\r\n"));
    }
    await until("the bound holds", () => server.connections <= CONNECTIONS_PER_ADDRESS_MAX);
    assert.equal(await statusOf(`http://[::1]:${server.port("::1")}/health`), 200);
    for (const conn of held) conn.close();
  }, { addresses: ["127.0.0.1", "::1"] });
});

Deno.test("HealthServer survives any bytes", async () => {
  await withServer(async ({ port, errors }) => {
    const line = fc.constantFrom(
      "GET / HTTP/1.1\r\n",
      "Host: a\r\n",
      "\r\n",
      "Content-Length: 5\r\n",
    );
    const bytes = fc.array(fc.oneof(line, fc.string({ unit: "binary" })), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(bytes, async (parts) => {
        assert.match(await raw(port, parts.join("")), /^(HTTP\/1\.1 \d{3} [\s\S]*)?$/);
      }),
      { numRuns: 150 },
    );
    assert.equal(await statusOf(`http://127.0.0.1:${port}/health`), 200);
    assert.deepEqual(errors, []);
  });
});

Deno.test("HealthServer finds room for the peer when strangers hold all connections unfinished", async () => {
  await withServer(async ({ server, port }) => {
    const held: Deno.TcpConn[] = [];
    const strangersPort = server.port("::1")!;
    for (let i = 0; i < CONNECTIONS_MAX; i++) {
      const conn = await Deno.connect({ hostname: "::1", port: strangersPort });
      held.push(conn);
      await conn.write(new TextEncoder().encode("GET /health HTTP/1.1\r\nHost: a\r\n"));
    }
    const isLockedOut = (): Promise<boolean> =>
      statusOf(`http://[::1]:${strangersPort}/health`).then(() => false, () => true);
    await poll(isLockedOut, { deadlineMs: 30_000, what: "no room for another stranger" });
    assert.equal(await statusOf(`http://127.0.0.1:${port}/health`), 200);
    assert.ok(server.connections <= CONNECTIONS_MAX, `${server.connections}`);
    for (const conn of held) conn.close();
  }, { addresses: ["127.0.0.1", "::1"], isPeer: (address) => address === "127.0.0.1" });
});

Deno.test("HealthServer makes room for a new connection by closing the one that waited longest", async () => {
  await withServer(async ({ server, port }) => {
    const probe = await Deno.connect({ hostname: "127.0.0.1", port });
    const buffer = new Uint8Array(4096);
    const ask = async (): Promise<string> => {
      await probe.write(new TextEncoder().encode("GET /health HTTP/1.1\r\nHost: a\r\n\r\n"));
      return new TextDecoder().decode(buffer.subarray(0, await probe.read(buffer) ?? 0));
    };
    const idle: Deno.Conn[] = [];
    for (let i = 0; i < CONNECTIONS_MAX * 3; i++) {
      idle.push(await Deno.connect({ hostname: "127.0.0.1", port }));
      if (i % 8 === 0) assert.match(await ask(), /^HTTP\/1\.1 200 /);
    }
    assert.match(await ask(), /^HTTP\/1\.1 200 /);
    assert.ok(server.connections <= CONNECTIONS_MAX, `${server.connections}`);
    for (const conn of idle) conn.close();
    probe.close();
    await until("all are closed", () => server.connections === 0);
  });
});

Deno.test("HealthServer closes a connection whose request does not end, and one that stays idle", async () => {
  const deadlines: ConnectionDeadlines = { ...DEADLINES, requestMs: 150, idleMs: 300 };
  await withServer(async ({ server, port, garbage }) => {
    const slow = await Deno.connect({ hostname: "127.0.0.1", port });
    await slow.write(new TextEncoder().encode("GET / HT"));
    const idle = await Deno.connect({ hostname: "127.0.0.1", port });
    await until("both are open", () => server.connections === 2);
    await until("both are closed", () => server.connections === 0);
    assert.deepEqual(garbage, ["a request that took too long to arrive"]);
    slow.close();
    idle.close();
  }, { deadlines });
});

Deno.test("HealthServer ends GET /events when its client goes", async () => {
  await withServer(async ({ server, port }) => {
    const abort = new AbortController();
    const answer = await fetch(`http://127.0.0.1:${port}/events`, { signal: abort.signal });
    const reader = answer.body?.getReader();
    const { value } = await reader?.read() ?? {};
    assert.match(new TextDecoder().decode(value), /^event: status\ndata: \{/);
    assert.equal(server.connections, 1);
    abort.abort();
    await until("the stream ended", () => server.connections === 0);
  });
});

Deno.test("HealthServer listens on IPv6, reports an address that is not there and serves the others", async () => {
  await withServer(async ({ server, port, errors }) => {
    await until("the error came", () => errors.length > 0);
    assert.match(errors[0]?.message ?? "", /^Cannot listen on 192\.0\.2\.99 port 0 as this host/);
    assert.equal(await statusOf(`http://127.0.0.1:${port}/health`), 200);
    const six = server.port("::1");
    assert.ok(six !== null);
    assert.equal(await statusOf(`http://[::1]:${six}/health`), 200);
  }, { addresses: ["192.0.2.99", "127.0.0.1", "::1"] });
});

Deno.test("HealthServer starts to listen as soon as a port becomes free", async () => {
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const port = taken.addr.port;
  await withServer(async ({ server, errors }) => {
    const late = new HealthServer({
      app: { fetch: () => new Response("late") },
      addresses: ["127.0.0.1"],
      port,
      onError: (error) => errors.push(error),
    });
    await late.start();
    await until("it said so", () => errors.length === 1);
    taken.close();
    await until("it listens", () => late.port("127.0.0.1") !== null);
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), "late");
    await late.stop();
    assert.ok(server.connections >= 0);
  });
});

Deno.test("HealthServer.relocate() listens where it should from now on and leaves the addresses that stay alone", async () => {
  await withServer(async ({ server, port, errors }) => {
    const kept = await Deno.connect({ hostname: "127.0.0.1", port });
    const gone = server.port("127.0.0.2");
    server.relocate(["127.0.0.1", "127.0.0.3"]);
    assert.equal(server.port("127.0.0.1"), port);
    assert.equal(server.port("127.0.0.2"), null);
    await assert.rejects(Deno.connect({ hostname: "127.0.0.2", port: gone ?? 0 }));
    const added = server.port("127.0.0.3");
    assert.ok(added !== null);
    const conn = await Deno.connect({ hostname: "127.0.0.3", port: added });
    conn.close();
    await kept.write(new TextEncoder().encode("GET /health HTTP/1.1\r\nHost: a\r\n\r\n"));
    const buffer = new Uint8Array(4096);
    const length = await kept.read(buffer) ?? 0;
    assert.match(new TextDecoder().decode(buffer.subarray(0, length)), /^HTTP\/1\.1 200 /);
    kept.close();
    server.relocate(["127.0.0.1", "127.0.0.2"]);
    assert.ok(server.port("127.0.0.2") !== null, "and back");
    assert.deepEqual(errors, []);
  }, { addresses: ["127.0.0.1", "127.0.0.2"] });
});
