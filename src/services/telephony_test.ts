import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { systemClock } from "../os/clock.ts";
import { askSip } from "./sip_exchange.ts";
import { TelephonyCheck } from "./telephony.ts";

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

  [Symbol.dispose](): void {
    this.socket.close();
  }
}

/** A response to `request` as a SIP server makes it: Via, From, To, Call-ID and CSeq come back. */
function respond(request: string, status: number): string {
  const copied = request.split("\r\n").filter((line) => /^(Via|From|To|Call-ID|CSeq):/.test(line));
  return [`SIP/2.0 ${status} Reason`, ...copied, "Content-Length: 0", "", ""].join("\r\n");
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
    onChange: (healthy, why) => changes.push([healthy, why]),
  });
  return { telephony, changes };
}

for (const status of [200, 401, 404, 503]) {
  Deno.test(`askSip() takes a ${status} for life`, async () => {
    using responder = await Responder.listen((request) => [respond(request, status)]);
    const outcome = await askSip({
      host: "127.0.0.1",
      port: responder.port,
      deadlineMs: 10_000,
      clock: systemClock,
    });
    assert.deepEqual(outcome, { status, why: "", strays: 0 });
  });
}

Deno.test("askSip() asks over IPv6", async () => {
  using responder = await Responder.listen(ok, "::1");
  const outcome = await askSip({
    host: "::1",
    port: responder.port,
    deadlineMs: 10_000,
    clock: systemClock,
  });
  assert.equal(outcome.status, 200);
});

Deno.test("askSip() counts garbage and foreign answers, and waits for its own", async () => {
  using responder = await Responder.listen((request) => [
    new Uint8Array([0, 1, 2, 255]),
    "SIP/2.0 200 OK\r\n\r\n",
    respond(request, 200).replace(/Call-ID: .*/, "Call-ID: stranger"),
    respond(request, 200).replace(/branch=\S*/, "branch=z9hG4bKstranger"),
    request,
    "x".repeat(20_000),
    respond(request, 486),
  ]);
  const outcome = await askSip({
    host: "127.0.0.1",
    port: responder.port,
    deadlineMs: 10_000,
    clock: systemClock,
  });
  assert.deepEqual(outcome, { status: 486, why: "", strays: 6 });
});

Deno.test("askSip() gives up at the deadline and says whom it asked", async () => {
  using responder = await Responder.listen(silent);
  const { port } = responder;
  const outcome = await askSip({ host: "127.0.0.1", port, deadlineMs: 50, clock: systemClock });
  assert.equal(outcome.status, null);
  assert.equal(outcome.why, `no answer from 127.0.0.1 port ${port} in 50 ms`);
});

Deno.test("askSip() rejects when aborted, before and while it waits", async () => {
  using responder = await Responder.listen(silent);
  const question = {
    host: "127.0.0.1",
    port: responder.port,
    deadlineMs: 60_000,
    clock: systemClock,
  };
  await assert.rejects(askSip({ ...question, signal: AbortSignal.abort() }), {
    name: "AbortError",
  });
  const abort = new AbortController();
  const asked = askSip({ ...question, signal: abort.signal });
  await until("the request came", () => responder.requests > 0);
  abort.abort();
  await assert.rejects(asked, { name: "AbortError" });
});

Deno.test("TelephonyCheck judges healthy, then ill with a reason, then healthy again", async () => {
  using responder = await Responder.listen(ok);
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

Deno.test("TelephonyCheck.reset() forgets the judgement, stop() ends the asking", async () => {
  using responder = await Responder.listen(ok);
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

Deno.test("TelephonyCheck.once() is true at the first answer of a server that starts late", async () => {
  const free = await Responder.listen(silent);
  const { port } = free;
  free[Symbol.dispose]();
  const { telephony } = check(port);
  const answered = telephony.once(20_000);
  await systemClock.sleep(30);
  using _late = await Responder.listen(ok, "127.0.0.1", port);
  assert.equal(await answered, true);
  assert.equal(telephony.healthy, null, "once() does not touch the judgement");
});

Deno.test("TelephonyCheck.once() is false at the deadline", async () => {
  using responder = await Responder.listen(silent);
  const { telephony } = check(responder.port);
  assert.equal(await telephony.once(250), false);
  assert.ok(responder.requests >= 1);
});

Deno.test("TelephonyCheck without a SIP server configured does nothing and blocks nothing", async () => {
  const telephony = new TelephonyCheck({
    config: { sip: null, rise: 1, fall: 1, intervalMs: 10 },
    clock: systemClock,
    onChange: () => assert.fail("must not judge"),
  });
  telephony.start();
  assert.equal(await telephony.once(0), true);
  await telephony.stop();
  assert.equal(telephony.healthy, null);
});
