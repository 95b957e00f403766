import assert from "node:assert/strict";
import * as fc from "fast-check";
import { STATE_NAMES } from "../core/types.ts";
import { sampleHealth, sampleStatus } from "../../tests/support/health_sample.ts";
import { BODY_MAX_BYTES, createApp, type HealthDeps, MESSAGE_PATH } from "./app.ts";
import { HEALTH_CONDITIONS, LOOP_AGE_MAX_MS } from "./conditions.ts";
import { EVENT_CLIENTS_MAX, EVENT_CLIENTS_PER_ADDRESS_MAX } from "./events.ts";
import { HealthBody, StatusDocument } from "./types.ts";

const LOCAL = { remoteAddress: "10.20.0.12" };

interface Seen {
  garbage: string[];
  refused: string[];
  errors: Error[];
  messages: { headers: Readonly<Record<string, string>>; body: string }[];
}

function make(change: Partial<HealthDeps> = {}): { app: ReturnType<typeof createApp>; seen: Seen } {
  const seen: Seen = { garbage: [], refused: [], errors: [], messages: [] };
  const app = createApp({
    health: () => sampleHealth(),
    status: () => sampleStatus(),
    loopAgeMs: () => 100,
    message: ({ headers, body }) => {
      seen.messages.push({ headers, body });
      return Promise.resolve({ status: 202, body: { accepted: true } });
    },
    allow: (address) => address === LOCAL.remoteAddress,
    onGarbage: (why) => seen.garbage.push(why),
    onRefused: (address) => seen.refused.push(address),
    onError: (error) => seen.errors.push(error),
    ...change,
  });
  return { app, seen };
}

/** Who answers 200, as users read it in docs/http.md; a dot is 503. */
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  "/health": [...STATE_NAMES],
  "/health/active": ["active"],
  "/health/standby": ["standby"],
  "/health/ready": ["active", "standby"],
};

Deno.test("createApp() answers each health URL with 200 in exactly the states of the table", async () => {
  for (const [path, states] of Object.entries(EXPECTED)) {
    for (const state of STATE_NAMES) {
      const health = sampleHealth({ state, serving: state === "active", fit: true, ready: true });
      const { app } = make({ health: () => health });
      const answer = await app.request(path, {}, LOCAL);
      assert.equal(answer.status, states.includes(state) ? 200 : 503, `${path} in ${state}`);
      assert.deepEqual(HealthBody.parse(await answer.json()), health);
    }
  }
  assert.deepEqual(HEALTH_CONDITIONS.map(({ path }) => path), Object.keys(EXPECTED));
});

Deno.test("createApp() says 503 for a node that is active or standing by but not fit for it", async () => {
  const cases = [
    ["/health/ready", { state: "active", serving: true, fit: false }, 503],
    ["/health/ready", { state: "standby", fit: true, ready: false }, 503],
    ["/health/active", { state: "active", serving: true, fit: false }, 200],
    ["/health/active", { state: "maintenance", serving: true }, 200],
    ["/health/active", { state: "maintenance", serving: false }, 503],
  ] as const;
  for (const [path, change, status] of cases) {
    const { app } = make({ health: () => sampleHealth(change) });
    assert.equal((await app.request(path, {}, LOCAL)).status, status, JSON.stringify(change));
  }
});

Deno.test("createApp() answers 503 on every health URL once the loop stands still", async () => {
  for (const { path } of HEALTH_CONDITIONS) {
    const { app } = make({ loopAgeMs: () => LOOP_AGE_MAX_MS + 1 });
    assert.equal((await app.request(path, {}, LOCAL)).status, 503, path);
  }
});

Deno.test("createApp() keeps the documentation of the health URLs in docs/http.md", async () => {
  const file = await Deno.readTextFile(new URL("../../docs/http.md", import.meta.url));
  const doc = file.replaceAll(/ +/g, " ");
  for (const { path, when } of HEALTH_CONDITIONS) {
    assert.ok(doc.includes(`| \`GET ${path}\` | ${when} |`), `${path} in docs/http.md`);
  }
});

Deno.test("createApp() serves a status that its own contract accepts", async () => {
  const { app } = make();
  const answer = await app.request("/status", {}, LOCAL);
  assert.equal(answer.status, 200);
  assert.deepEqual(StatusDocument.parse(await answer.json()), sampleStatus());
});

Deno.test("createApp() answers 403 to an address that is not allowed, and to none, on every path", async () => {
  const { app, seen } = make();
  for (const path of ["/", "/health", "/status", "/metrics", "/events", "/nothing"]) {
    assert.equal((await app.request(path, {}, { remoteAddress: "192.0.2.7" })).status, 403, path);
    assert.equal((await app.request(path)).status, 403, path);
  }
  const init = { method: "POST", body: "{}" };
  assert.equal((await app.request(MESSAGE_PATH, init, { remoteAddress: "" })).status, 403);
  assert.equal(seen.messages.length, 0);
  assert.equal(seen.refused.length, 13);
});

Deno.test("createApp() answers unknown paths with 404, wrong methods with 405, long bodies with 413", async () => {
  const { app, seen } = make();
  assert.equal((await app.request("/etc/passwd", {}, LOCAL)).status, 404);
  const wrong = await app.request("/status", { method: "POST", body: "x" }, LOCAL);
  assert.equal(wrong.status, 405);
  assert.equal(wrong.headers.get("allow"), "GET, HEAD");
  assert.equal((await app.request(MESSAGE_PATH, {}, LOCAL)).status, 405);
  const body = "x".repeat(BODY_MAX_BYTES + 1);
  const long = await app.request(MESSAGE_PATH, { method: "POST", body }, LOCAL);
  assert.equal(long.status, 413);
  assert.equal(seen.messages.length, 0);
  assert.equal(seen.garbage.length, 4);
});

Deno.test("createApp() answers HEAD as it answers GET, without a body", async () => {
  const { app } = make();
  for (const path of ["/health", "/status", "/metrics", "/", "/events"]) {
    const answer = await app.request(path, { method: "HEAD" }, LOCAL);
    assert.equal(answer.status, 200, path);
    assert.equal(await answer.text(), "");
  }
});

Deno.test("createApp() hands a peer's message over untouched and answers what comes back", async () => {
  const { app, seen } = make();
  const init = { method: "POST", body: '{"é":1}', headers: { "X-Relais-Counter": "7" } };
  const answer = await app.request(MESSAGE_PATH, init, LOCAL);
  assert.equal(answer.status, 202);
  assert.deepEqual(await answer.json(), { accepted: true });
  assert.equal(seen.messages[0]?.body, '{"é":1}');
  assert.equal(seen.messages[0]?.headers["x-relais-counter"], "7");
});

Deno.test("createApp() answers 500 without details when a handler fails, and reports it", async () => {
  const { app, seen } = make({
    status: () => {
      throw new Error("secret /etc/relais/cluster.key");
    },
  });
  for (const path of ["/status", "/metrics", "/"]) {
    const answer = await app.request(path, {}, LOCAL);
    assert.equal(answer.status, 500);
    assert.ok(!(await answer.text()).includes("secret"));
  }
  assert.equal(seen.errors.length, 3);
});

Deno.test("createApp() never fails on garbage in path, method, headers or body", async () => {
  const { app, seen } = make();
  await fc.assert(
    fc.asyncProperty(
      fc.webPath(),
      fc.constantFrom("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"),
      fc.string(),
      fc.uint8Array({ maxLength: 200 }),
      async (path, method, language, bytes) => {
        const headers = { "Accept-Language": language.replaceAll(/[^\x20-\x7e]/g, "?") };
        const body = method === "GET" ? null : new Uint8Array(bytes);
        const answer = await app.request(path || "/x", { method, headers, body }, LOCAL);
        await answer.body?.cancel();
        assert.ok(answer.status < 500, `${answer.status}`);
      },
    ),
    { numRuns: 200 },
  );
  assert.deepEqual(seen.errors, []);
});

Deno.test("GET /events sends the status at once, again when it changed, and forgets clients that go", async () => {
  let status = sampleStatus();
  const { app } = make({ status: () => status, allow: () => true });
  const answer = await app.request("/events", {}, LOCAL);
  assert.match(answer.headers.get("content-type") ?? "", /^text\/event-stream/);
  assert.ok(answer.body);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  const first = await nextEvent(reader);
  assert.deepEqual(StatusDocument.parse(first), sampleStatus());
  status = sampleStatus({ alerts: ["a stranger answers for 10.20.0.10"] });
  assert.deepEqual(StatusDocument.parse(await nextEvent(reader)).alerts, status.alerts);
  await reader.cancel();

  const open: Response[] = [];
  const listen = (n: number): Response | Promise<Response> =>
    app.request("/events", {}, { remoteAddress: `10.20.0.${n}` });
  for (let i = 0; i < EVENT_CLIENTS_MAX; i++) {
    open.push(await listen(100 + Math.floor(i / EVENT_CLIENTS_PER_ADDRESS_MAX)));
    if (i !== EVENT_CLIENTS_PER_ADDRESS_MAX - 1) continue;
    const fifth = await listen(100);
    assert.equal(fifth.status, 503);
    assert.match(await fifth.text(), /4 clients of this address/);
  }
  // The one that went may be counted until its next look: wait for its place, with a bound.
  for (let tries = 0; open.at(-1)?.status !== 200 && tries < 100; tries++) {
    await open.pop()?.body?.cancel();
    await new Promise((resolve) => setTimeout(resolve, 50));
    open.push(await listen(103));
  }
  assert.ok(open.every(({ status }) => status === 200));
  const tooMany = await listen(200);
  assert.equal(tooMany.status, 503);
  await tooMany.body?.cancel();
  for (const { body } of open) await body?.cancel();
});

async function nextEvent(reader: ReadableStreamDefaultReader<string>): Promise<unknown> {
  let text = "";
  while (!text.includes("\n\n")) {
    const { value, done } = await reader.read();
    assert.ok(!done, "the stream ended");
    text += value;
  }
  assert.match(text, /^event: status\ndata: /);
  return JSON.parse(text.slice(text.indexOf("data: ") + 6));
}
