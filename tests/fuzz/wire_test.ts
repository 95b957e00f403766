// Hostile servers on loopback: what the daemon asks is answered by what the fuzzer makes of a good answer.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import dgram from "node:dgram";
import { HttpProbe } from "../../src/heartbeat/http_probe.ts";
import { systemClock } from "../../src/os/clock.ts";
import { libc } from "../../src/os/libc.ts";
import { Poller } from "../../src/os/poller.ts";
import { SipClient } from "../../src/services/sip_client.ts";
import { sampleHealth } from "../support/health_sample.ts";
import { poll } from "../support/poll.ts";
import { bytesOf } from "./bytes.ts";
import { mutate } from "./mutate.ts";
import { Random } from "./random.ts";

// Opened here, as it stays open: inside a test it would count as a leak.
libc();

const SEED = Number(Deno.env.get("FC_SEED") ?? 20261130);
const QUESTIONS = 150;
const DEADLINE_MS = 60_000;

function noise(good: string, random: Random): Uint8Array {
  return mutate(random, { corpus: [bytesOf(good)], dictionary: [], maxBytes: 9000 });
}

Deno.test(`SipClient survives a server of malformed answers (seed ${SEED})`, async () => {
  const random = new Random(`sip/${SEED}`);
  const server = dgram.createSocket("udp4");
  let isGood = false;
  let sent = 0;
  server.on("message", (request, { port }) => {
    const header = (name: string): string =>
      new RegExp(`^${name}: (.*)\r$`, "m").exec(request.toString("latin1"))?.[1] ?? "";
    const good = `SIP/2.0 200 OK\r\nVia: ${header("Via")}\r\nCall-ID: ${header("Call-ID")}\r\n\r\n`;
    // The right answer with a head that is none comes in the end: it never counts as an answer.
    for (let i = 0; !isGood && i < 30; i++) {
      const bytes = noise(good, random);
      if (bytes.length === 0) continue;
      sent++;
      server.send(Buffer.from(bytes), port, "127.0.0.1");
    }
    if (isGood) server.send(good, port, "127.0.0.1");
  });
  await new Promise<void>((resolve) => server.bind(0, "127.0.0.1", resolve));
  const poller = new Poller();
  poller.start();
  const client = new SipClient({
    host: "127.0.0.1",
    port: server.address().port,
    clock: systemClock,
    poller,
  });
  client.keepOpen(true);
  try {
    const statuses: (number | null)[] = [];
    for (let i = 0; i < QUESTIONS; i++) {
      const { status } = await client.ask({ deadlineMs: 40 });
      assert.ok(status === null || (status >= 100 && status <= 699), `status ${status}`);
      statuses.push(status);
    }
    assert.ok(sent > QUESTIONS, `${sent} answers were sent`);
    assert.ok(client.strays > 100, `${client.strays} were no answers`);
    isGood = true;
    assert.equal((await client.ask({ deadlineMs: DEADLINE_MS })).status, 200);
  } finally {
    client.keepOpen(false);
    await poller.stop();
    server.close();
  }
});

Deno.test(`HttpProbe survives a peer of malformed answers (seed ${SEED})`, async () => {
  const random = new Random(`probe/${SEED}`);
  const good = JSON.stringify(sampleHealth());
  const answer = `HTTP/1.1 200 OK\r\nContent-Length: ${good.length}\r\n\r\n${good}`;
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let isGood = false;
  const serving = (async (): Promise<void> => {
    for await (const conn of listener) {
      try {
        await conn.read(new Uint8Array(2000));
        await conn.write(isGood ? bytesOf(answer) : noise(answer, random));
        // What is cut has no end but this.
        await conn.closeWrite();
        await conn.read(new Uint8Array(2000));
      } catch {
        // The probe has hung up.
      }
      conn.close();
    }
  })();
  const ended = { reports: 0, failures: 0 };
  const probe = new HttpProbe({
    clock: systemClock,
    port: (listener.addr as Deno.NetAddr).port,
    deadlineMs: DEADLINE_MS,
    onReport: (_network, report) => {
      ended.reports++;
      assert.ok(Number.isSafeInteger(report.epoch) && report.epoch >= 0);
    },
    onFailure: () => ended.failures++,
  });
  const ask = async (): Promise<void> => {
    const before = ended.reports + ended.failures;
    probe.probe("voip", "127.0.0.1");
    await poll(() => Promise.resolve(ended.reports + ended.failures > before || null), {
      deadlineMs: DEADLINE_MS,
      everyMs: 1,
      what: "the end of a probe",
    });
  };
  try {
    for (let i = 0; i < QUESTIONS; i++) await ask();
    const { sent, received, ignored, skipped } = probe.counters("voip");
    assert.deepEqual([sent, skipped], [QUESTIONS, 0]);
    assert.equal(received, ended.reports);
    assert.ok(ended.failures > QUESTIONS / 3 && ignored > 10, JSON.stringify(ended));
    isGood = true;
    const reports = ended.reports;
    await ask();
    assert.equal(ended.reports, reports + 1, "a good answer is heard afterwards");
  } finally {
    probe.close();
    listener.close();
    await serving;
  }
});
