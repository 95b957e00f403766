import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { systemClock } from "../os/clock.ts";
import { IcmpSocket } from "../heartbeat/icmp_socket.ts";
import { internetChecksum } from "../os/internet_checksum.ts";
import { libc } from "../os/libc.ts";
import { Poller } from "../os/poller.ts";
import { SipClient, type SipOutcome, type SipQuestion } from "./sip_client.ts";
import { TelephonyCheck } from "./telephony.ts";

// Opened here, as it stays open: inside a test it would count as a leak.
libc();

/** One for all tests, as in the daemon: started and stopped by {@linkcode test}. */
const poller = new Poller();

function test(name: string, body: () => Promise<void>): void {
  Deno.test(name, async () => {
    poller.start();
    try {
      await body();
    } finally {
      await poller.stop();
    }
  });
}

/** How the responder answers one request: texts or bytes to send back, in order. */
type Script = (request: string) => readonly (string | Uint8Array)[];

/** A real UDP server on loopback that answers as `script` says; may be changed while it runs. */
class Responder {
  requests = 0;
  private constructor(readonly socket: Socket, readonly port: number, public script: Script) {}

  static async listen(script: Script, host = "127.0.0.1", port = 0): Promise<Responder> {
    const socket = createSocket({ type: host.includes(":") ? "udp6" : "udp4" });
    await new Promise<void>((resolve, reject) => {
      socket.on("error", reject);
      socket.bind({ port, address: host }, () => resolve());
    });
    const responder = new Responder(socket, socket.address().port, script);
    socket.on("message", (bytes: Uint8Array, from: { port: number; address: string }) => {
      responder.requests++;
      for (const answer of responder.script(new TextDecoder().decode(bytes))) {
        socket.send(answer, from.port, from.address);
      }
    });
    return responder;
  }

  /** Resolves when the port is closed: node:dgram's close() returns before. */
  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.socket.close(() => resolve()));
  }
}

/** A response to `request` as a SIP server makes it: Via, From, To, Call-ID and CSeq come back. */
function respond(request: string, status: number): string {
  const copied = request.split("\r\n").filter((line) => /^(Via|From|To|Call-ID|CSeq):/.test(line));
  return [`SIP/2.0 ${status} Reason`, ...copied, "Content-Length: 0", "", ""].join("\r\n");
}

/**
 * Sends an ICMP "port unreachable" about a datagram from `asking` to `asked`, as anybody may: with the
 * ports, but only the 8 bytes of it that every SIP request begins with. As root, on loopback.
 */
function forgeRefusal(
  { asked, asking }: { readonly asked: number; readonly asking: number },
): void {
  const packet = new Uint8Array(8 + 20 + 8 + 8);
  const view = new DataView(packet.buffer);
  packet.set([3, 3]); // Destination unreachable: port.
  packet.set([0x45, 0, 0, 36, 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1], 8);
  view.setUint16(28, asking);
  view.setUint16(30, asked);
  view.setUint16(32, 16);
  packet.set(new TextEncoder().encode("OPTIONS "), 36);
  view.setUint16(2, internetChecksum(packet));
  const socket = new IcmpSocket(4);
  try {
    assert.equal(socket.send("127.0.0.1", packet, { onLink: false, source: null }), 0);
  } finally {
    socket.close();
  }
}

const ok: Script = (request) => [respond(request, 200)];
const silent: Script = () => [];

async function until(what: string, condition: () => boolean): Promise<void> {
  const end = performance.now() + 20_000;
  while (!condition()) {
    assert.ok(performance.now() < end, `timed out: ${what}`);
    await systemClock.sleep(5);
  }
}

function check(port: number, overrides: { host?: string; intervalMs?: number } = {}): {
  readonly telephony: TelephonyCheck;
  readonly changes: (readonly [boolean, string])[];
} {
  const changes: (readonly [boolean, string])[] = [];
  const telephony = new TelephonyCheck({
    config: {
      sip: { host: overrides.host ?? "127.0.0.1", port },
      rise: 2,
      fall: 2,
      intervalMs: overrides.intervalMs ?? 10,
    },
    clock: systemClock,
    poller,
    onChange: (healthy, why) => changes.push([healthy, why]),
  });
  return { telephony, changes };
}

function client(port: number, host = "127.0.0.1"): SipClient {
  return new SipClient({ host, port, clock: systemClock, poller });
}

/** Asks once, with a deadline that is never the reason for a result. */
function ask(
  port: number,
  host?: string,
  question: Partial<SipQuestion> = {},
): Promise<SipOutcome> {
  return client(port, host).ask({ deadlineMs: 60_000, ...question });
}

/** A port of the host that nobody listens on (until `listen` is called with it). */
async function closedPort(host = "127.0.0.1"): Promise<number> {
  await using free = await Responder.listen(silent, host);
  return free.port;
}

for (const status of [200, 401, 404, 503]) {
  test(`SipClient.ask() takes a ${status} for life`, async () => {
    await using responder = await Responder.listen((request) => [respond(request, status)]);
    assert.deepEqual(await ask(responder.port), { status, why: "" });
  });
}

test("SipClient.ask() asks over IPv6", async () => {
  await using responder = await Responder.listen(ok, "::1");
  assert.equal((await ask(responder.port, "::1")).status, 200);
});

test("SipClient.ask() hears a server that answers from another address of the host", async () => {
  await using responder = await Responder.listen(ok, "0.0.0.0");
  assert.equal((await ask(responder.port, "127.0.0.2")).status, 200);
});

test("SipClient counts garbage and foreign answers, and waits for its own", async () => {
  await using responder = await Responder.listen((request) => [
    new Uint8Array([0, 1, 2, 255]),
    "SIP/2.0 200 OK\r\n\r\n",
    respond(request, 200).replace(/Call-ID: .*/, "Call-ID: stranger"),
    respond(request, 200).replace(/branch=\S*/, "branch=z9hG4bKstranger"),
    request,
    "x".repeat(20_000),
    // More than one turn takes.
    ...Array.from({ length: 40 }, () => "garbage"),
    respond(request, 486),
  ]);
  const sip = client(responder.port);
  assert.deepEqual(await sip.ask({ deadlineMs: 60_000 }), { status: 486, why: "" });
  assert.equal(sip.strays, 46);
});

test("SipClient.ask() gives up at the deadline and says whom it asked", async () => {
  await using responder = await Responder.listen(silent);
  const { port } = responder;
  const outcome = await ask(port, "127.0.0.1", { deadlineMs: 50 });
  assert.deepEqual(outcome, {
    status: null,
    why: `no answer from 127.0.0.1 port ${port} in 50 ms`,
  });
});

for (const host of ["127.0.0.1", "::1"]) {
  test(`SipClient.ask() knows at once that nobody listens on a port of ${host}`, async () => {
    const port = await closedPort(host);
    const why = `nothing listens on ${host} port ${port} (ECONNREFUSED)`;
    // The deadline of ask() is longer than that of the test run.
    assert.deepEqual(await ask(port, host), { status: null, why });
  });
}

test("SipClient finds a server that was restarted, with the socket that it kept", async () => {
  const port = await closedPort();
  const sip = client(port);
  sip.keepOpen(true);
  const answer = async (): Promise<number | null> => (await sip.ask({ deadlineMs: 60_000 })).status;
  assert.equal(await answer(), null);
  for (let restart = 0; restart < 2; restart++) {
    {
      await using _server = await Responder.listen(ok, "127.0.0.1", port);
      assert.deepEqual([await answer(), await answer()], [200, 200]);
    }
    assert.deepEqual([await answer(), await answer()], [null, null]);
  }
  sip.keepOpen(false);
});

test("SipClient.ask() asks a closed port again when it shall repeat, and says so at the deadline", async () => {
  const port = await closedPort();
  const paced = { deadlineMs: 60_000, resendMs: 5 };
  const answered = ask(port, "127.0.0.1", paced);
  await systemClock.sleep(50);
  await using _late = await Responder.listen(ok, "127.0.0.1", port);
  assert.equal((await answered).status, 200);
  const other = await closedPort();
  const refused = `nothing listens on 127.0.0.1 port ${other} (ECONNREFUSED)`;
  // A machine that stands still hears of the refusal after the deadline: it gets a longer one.
  let outcome: SipOutcome | null = null;
  for (let deadlineMs = 200; outcome?.why !== refused && deadlineMs < 20_000; deadlineMs *= 3) {
    outcome = await ask(other, "127.0.0.1", { resendMs: deadlineMs / 4, deadlineMs });
  }
  assert.deepEqual(outcome, { status: null, why: refused });
});

test("SipClient does not believe a refusal that does not show the request", async () => {
  await using responder = await Responder.listen((request) => {
    forgeRefusal({ asked: responder.port, asking: Number(/:(\d+);rport/.exec(request)?.[1]) });
    return [];
  });
  const sip = client(responder.port);
  const asked = sip.ask({ deadlineMs: 60_000, resendMs: 50 });
  await until("the forged refusal came", () => sip.strays > 0);
  responder.script = ok;
  assert.equal((await asked).status, 200);
});

test("SipClient.ask() answers each of several questions at once", async () => {
  const held: string[] = [];
  await using responder = await Responder.listen((request) => {
    held.push(request);
    return held.length < 2 ? [] : held.map((one, i) => respond(one, 486 + i)).reverse();
  });
  const sip = client(responder.port);
  const first = sip.ask({ deadlineMs: 60_000 });
  await until("the first came", () => held.length === 1);
  const both = await Promise.all([first, sip.ask({ deadlineMs: 60_000 })]);
  assert.deepEqual(both.map(({ status }) => status), [486, 487]);
});

test("SipClient.ask() rejects when aborted, before and while it waits", async () => {
  await using responder = await Responder.listen(silent);
  await assert.rejects(ask(responder.port, "127.0.0.1", { signal: AbortSignal.abort() }), {
    name: "AbortError",
  });
  const abort = new AbortController();
  const asked = ask(responder.port, "127.0.0.1", { signal: abort.signal });
  await until("the request came", () => responder.requests > 0);
  abort.abort();
  await assert.rejects(asked, { name: "AbortError" });
});

test("TelephonyCheck judges healthy, then ill with a reason, then healthy again", async () => {
  await using responder = await Responder.listen(ok);
  const { telephony, changes } = check(responder.port);
  assert.equal(telephony.healthy, null);
  telephony.start();
  telephony.start();
  await until("healthy", () => telephony.healthy === true);
  responder.script = silent;
  await until("ill", () => telephony.healthy === false);
  assert.match(telephony.why, /^no answer from 127\.0\.0\.1/);
  responder.script = ok;
  await until("healthy again", () => telephony.healthy === true);
  await telephony.stop();
  const judgements = changes.map(([healthy]) => healthy);
  // A machine that stands still may miss answers in between; the order is what counts.
  assert.deepEqual(judgements, judgements.map((_, index) => index % 2 === 0));
  assert.ok(judgements.length >= 3 && judgements.at(-1) === true);
  assert.match(changes[1]?.[1] ?? "", /^no answer from/);
  const { asked, answered, failed } = telephony.counters;
  assert.ok(answered >= 4 && failed >= 2, JSON.stringify(telephony.counters));
  assert.ok(asked >= answered + failed && asked <= answered + failed + 1);
});

test("TelephonyCheck.reset() forgets the judgement, stop() ends the asking", async () => {
  await using responder = await Responder.listen(ok);
  const { telephony } = check(responder.port);
  telephony.start();
  await until("healthy", () => telephony.healthy === true);
  await telephony.stop();
  const before = telephony.counters.asked;
  assert.equal(telephony.healthy, true);
  telephony.reset();
  assert.equal(telephony.healthy, null);
  await systemClock.sleep(50);
  assert.equal(telephony.counters.asked, before);
});

test("TelephonyCheck.once() is true at the first answer of a server that starts late", async () => {
  const port = await closedPort();
  const { telephony } = check(port);
  const answered = telephony.once(20_000);
  await systemClock.sleep(30);
  await using _late = await Responder.listen(ok, "127.0.0.1", port);
  assert.equal(await answered, true);
  assert.equal(telephony.healthy, null, "once() does not touch the judgement");
});

test("TelephonyCheck.once() is false at the deadline, not before, also at a closed port", async () => {
  await using responder = await Responder.listen(silent);
  const silence = check(responder.port).telephony;
  assert.equal(await silence.once(250), false);
  await until("the request came", () => responder.requests >= 1);
  const closed = check(await closedPort()).telephony;
  // A machine that stands still hears of the refusal after the deadline: it gets a longer one.
  for (let ms = 250; !/^nothing listens/.test(closed.why) && ms < 20_000; ms *= 3) {
    const began = performance.now();
    assert.equal(await closed.once(ms), false);
    assert.ok(performance.now() - began >= ms - 1, "timers may fire a fraction early");
  }
  assert.match(closed.why, /^nothing listens on 127\.0\.0\.1/);
});

test("TelephonyCheck is ill when nobody listens any more, long before answers would be late", async () => {
  const responder = await Responder.listen(ok);
  const { telephony, changes } = check(responder.port);
  telephony.start();
  await until("healthy", () => telephony.healthy === true);
  await responder[Symbol.asyncDispose]();
  await until("ill", () => telephony.healthy === false);
  assert.match(telephony.why, /ECONNREFUSED/);
  assert.match(changes[1]?.[1] ?? "", /^nothing listens on/);
  await using _again = await Responder.listen(ok, "127.0.0.1", responder.port);
  await until("healthy again", () => telephony.healthy === true);
  await telephony.stop();
});

test("TelephonyCheck without a SIP server configured does nothing and blocks nothing", async () => {
  const telephony = new TelephonyCheck({
    config: { sip: null, rise: 1, fall: 1, intervalMs: 10 },
    clock: systemClock,
    poller,
    onChange: () => assert.fail("must not judge"),
  });
  telephony.start();
  assert.equal(await telephony.once(0), true);
  await telephony.stop();
  assert.equal(telephony.healthy, null);
});
