// What a host offers to the network and to its own users, seen from outside with the real program: every
// route, every method, every odd request that comes to mind. A route that is new fails here until it is
// listed.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createApp } from "../../src/health/app.ts";
import { type ControlDeps, createControlApp } from "../../src/health/control_app.ts";
import { EVENT_CLIENTS_PER_ADDRESS_MAX } from "../../src/health/events.ts";
import { StatusDocument } from "../../src/health/types.ts";
import { sampleHealth, sampleStatus } from "../support/health_sample.ts";
import type { TestHost } from "../support/host.ts";
import { requestText, sendRaw, startAttack, statusOf } from "../support/hostile.ts";
import { poll } from "../support/poll.ts";
import { KEY_FILE, RELAIS } from "../support/relais_host.ts";
import { DEADLINE_MS, untilSameEpoch } from "./situations.ts";
import { type Scene, useStage } from "./stage.ts";

const PORT = 8460;
/** Documentation addresses (RFC 5737): on no network of the configuration. */
const OUTSIDE = "192.0.2.66";
const stage = useStage({ lab: { stranger: true } });

/** All that is served on the network; what a GET of it answers to who may ask. */
const ROUTES: Readonly<Record<string, { readonly status: readonly number[] }>> = {
  "GET /health": { status: [200] },
  "GET /health/active": { status: [200, 503] },
  "GET /health/standby": { status: [200, 503] },
  "GET /health/ready": { status: [200, 503] },
  "GET /status": { status: [200] },
  "GET /metrics": { status: [200] },
  "GET /": { status: [200] },
  "GET /events": { status: [200] },
  // Without the cluster key it does nothing but count: tests/netns/messages_test.ts.
  "POST /peer/message": { status: [403] },
};

/** What root alone may ask for, through the Unix socket. */
const CONTROL_ROUTES = [
  "GET /status",
  "GET /history",
  "POST /command",
  "POST /announce",
  "POST /reload",
  "POST /fence",
  "POST /return",
  "POST /receive/begin",
  "POST /receive/end",
  "POST /receive/refused",
  "POST /sync",
];

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] as const;

function routesOf(app: { readonly routes: readonly { method: string; path: string }[] }): string[] {
  const named = app.routes.filter(({ method }) => method !== "ALL")
    .map(({ method, path }) => `${method} ${path}`);
  return [...new Set(named)].sort();
}

/** Asks from a machine of the lab; a connection each. */
async function ask(
  at: TestHost,
  texts: readonly string[],
  address: string,
): Promise<readonly string[]> {
  const answers: string[] = [];
  // In portions: one address has 16 connections.
  for (let from = 0; from < texts.length; from += 8) {
    answers.push(...await sendRaw(at, { address, port: PORT, texts: texts.slice(from, from + 8) }));
  }
  return answers;
}

function closing(
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): string {
  return requestText({ method, path, headers: { Connection: "close", ...headers } });
}

/** Neither node may have moved by all that was asked. */
async function untouched(scene: Scene, work: () => Promise<void>): Promise<void> {
  const look = async (): Promise<unknown> =>
    await Promise.all(scene.cluster.both.map(async (host) => {
      const { node, maintenance, goal } = (await host.status())!;
      return [node.state, node.epoch, node.instanceId, node.configLoadedAt, maintenance, goal];
    }));
  await untilSameEpoch(scene.cluster);
  const before = await look();
  await work();
  assert.deepEqual(await look(), before);
  assert.deepEqual(await scene.decided(scene.master), []);
  assert.deepEqual(await scene.decided(scene.slave), []);
}

Deno.test("every route on the network and on the control socket is listed here", () => {
  const app = createApp({
    health: () => sampleHealth(),
    status: () => sampleStatus(),
    loopAgeMs: () => 0,
    message: () => Promise.resolve({ status: 403, body: {} }),
    allow: () => true,
  });
  assert.deepEqual(routesOf(app), Object.keys(ROUTES).sort());
  assert.deepEqual(routesOf(createControlApp({} as ControlDeps)), [...CONTROL_ROUTES].sort());
});

stage.test("from a network of the configuration everything is readable and nothing else", async (scene) => {
  const { lab } = scene;
  const address = lab.address("master");
  const paths = [...new Set(Object.keys(ROUTES).map((route) => route.split(" ")[1]!))];
  const asked = paths.filter((path) => path !== "/events").flatMap((path) =>
    METHODS.map((method) => ({ method, path }))
  );
  await untouched(scene, async () => {
    const texts = asked.map(({ method, path }) => closing(method, path));
    const answers = await ask(lab.client, texts, address);
    for (const [at, { method, path }] of asked.entries()) {
      const known = ROUTES[`${method === "HEAD" ? "GET" : method} ${path}`];
      const expected = known?.status ?? [405];
      assert.ok(expected.includes(statusOf(answers[at]!)), `${method} ${path}: ${answers[at]}`);
      assert.doesNotMatch(answers[at]!, /^access-control/im, `${method} ${path}`);
      if (method === "HEAD") assert.match(answers[at]!, /\r\n\r\n$/, "no body");
    }
    for (const method of ["TRACE", "CONNECT"]) {
      const [answer = ""] = await ask(lab.client, [closing(method, "/status")], address);
      assert.ok([400, 405].includes(statusOf(answer)), answer);
    }
    // What the control socket knows is not there, whoever asks how.
    const control = CONTROL_ROUTES.filter((route) => route !== "GET /status");
    const sent = control.map((route) => {
      const [method = "", path = ""] = route.split(" ");
      const body = '{"command":"switchover","set":"all","action":"go"}';
      return requestText({ method, path, headers: { Connection: "close" }, body });
    });
    assert.deepEqual((await ask(lab.client, sent, address)).map(statusOf), sent.map(() => 404));
  });
});

/** The stranger gets an address that is on no network of the configuration, and a way there and back. */
async function withOutsider(scene: Scene, work: () => Promise<void>): Promise<void> {
  const { lab, master } = scene;
  const there = ["ip", "route", "add", lab.address("master"), "dev", "eth0", "src", OUTSIDE];
  await lab.stranger.exec(["ip", "addr", "add", `${OUTSIDE}/32`, "dev", "eth0"]);
  await lab.stranger.exec(there);
  await master.host.exec(["ip", "route", "add", OUTSIDE, "dev", "eth0"]);
  try {
    await work();
  } finally {
    await master.host.exec(["ip", "route", "del", OUTSIDE, "dev", "eth0"]);
    await lab.stranger.exec(["ip", "route", "del", lab.address("master"), "dev", "eth0"]);
    await lab.stranger.exec(["ip", "addr", "del", `${OUTSIDE}/32`, "dev", "eth0"]);
  }
}

stage.test("from any other network nothing is readable: 403 for every route and method, and counted", async (scene) => {
  const { lab, master } = scene;
  const asked = Object.keys(ROUTES).flatMap((route) => {
    const path = route.split(" ")[1]!;
    return METHODS.map((method) => closing(method, path));
  });
  await withOutsider(scene, () =>
    untouched(scene, async () => {
      const before = (await master.status())!.counters.httpRefused;
      const answers = await ask(lab.stranger, asked, lab.address("master"));
      for (const [at, answer] of answers.entries()) {
        assert.equal(statusOf(answer), 403, `${asked[at]}: ${answer}`);
        assert.doesNotMatch(answer, /state|epoch|relais_/);
      }
      assert.equal((await master.status())!.counters.httpRefused - before, asked.length);
    }));
});

stage.test("relais listens on the host's own addresses only: not on a VIP, not on loopback, not on all", async (scene) => {
  const { lab, master, slave, client } = scene;
  const check = async (name: "master" | "slave", host: TestHost): Promise<void> => {
    const { stdout } = await host.exec(["ss", "-Hltn"]);
    const bound = stdout.split("\n").map((line) => line.trim().split(/\s+/)[3] ?? "")
      .filter((local) => local.endsWith(`:${PORT}`));
    const own = [0, 1].map((network) => `${lab.address(name, network)}:${PORT}`);
    assert.deepEqual(bound.sort(), own.sort());
    // sshd and the PBX are the test's own.
    const { stdout: udp } = await host.exec(["ss", "-Hlun", "sport", "=", `:${PORT}`]);
    assert.equal(udp, "");
  };
  await check("master", master.host);
  await check("slave", slave.host);
  for (const network of [0, 1]) {
    const [answer] = await ask(lab.client, [closing("GET", "/health")], lab.vip(network));
    assert.equal(answer, "", "the VIP is where the telephones are");
  }
  assert.deepEqual(await ask(master.host, [closing("GET", "/health")], "127.0.0.1"), [""]);
  await client.untilUp("vip", { deadlineMs: DEADLINE_MS });
});

/** Requests that try to be two, to be another, or to reach what is not served. */
const ODD: readonly (readonly [what: string, text: string, expected: readonly number[]])[] = [
  [
    "two lengths",
    "POST /peer/message HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 40\r\n\r\n{}",
    [400],
  ],
  [
    "length and chunks",
    "POST /peer/message HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /status HTTP/1.1\r\nHost: a\r\n\r\n",
    [400],
  ],
  [
    "chunks and length",
    "POST /peer/message HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\nGET /status HTTP/1.1\r\nHost: a\r\n\r\n0\r\n\r\n",
    [400],
  ],
  [
    "hidden chunks",
    "POST /peer/message HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    [400],
  ],
  [
    "chunks behind a space",
    "POST /peer/message HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    [400],
  ],
  [
    "chunks behind a tab",
    "POST /peer/message HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n",
    [400],
  ],
  [
    "a folded header",
    "GET /health HTTP/1.1\r\nHost: a\r\nX-A: b\r\n Transfer-Encoding: chunked\r\n\r\n",
    [400],
  ],
  ["a bare line feed", "GET /health HTTP/1.1\nHost: a\n\n", [0, 400]],
  ["a line feed within", "GET /health HTTP/1.1\r\nHost: a\nX-A: b\r\n\r\n", [400]],
  ["a negative length", "POST /peer/message HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", [
    400,
  ]],
  [
    "a length in hexadecimal",
    "POST /peer/message HTTP/1.1\r\nHost: a\r\nContent-Length: 0x10\r\n\r\n",
    [400],
  ],
  [
    "a length beyond all",
    "POST /peer/message HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
    [400],
  ],
  [
    "a body beyond the bound",
    "POST /peer/message HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n",
    [413],
  ],
  [
    "a head beyond the bound",
    `GET /health HTTP/1.1\r\nHost: a\r\nX-A: ${"b".repeat(20_000)}\r\n\r\n`,
    [0, 400],
  ],
  [
    "two thousand headers",
    `GET /health HTTP/1.1\r\nHost: a\r\n${"X-A: b\r\n".repeat(2_000)}\r\n`,
    [0, 400],
  ],
  ["a target beyond the bound", `GET /${"a".repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, [0, 400]],
  ["no host", "GET /health HTTP/1.1\r\n\r\n", [400]],
  ["two hosts", "GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", [400]],
  ["an absolute target", "GET http://10.20.0.11:8460/health HTTP/1.1\r\nHost: a\r\n\r\n", [400]],
  ["a proxied target", "GET http://10.20.0.254/ HTTP/1.1\r\nHost: a\r\n\r\n", [400]],
  ["no target", "GET  HTTP/1.1\r\nHost: a\r\n\r\n", [400]],
  ["an asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", [400]],
  ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400]],
  ["HTTP/0.9", "GET /health\r\n\r\n", [400]],
  ["a NUL", "GET /health\0 HTTP/1.1\r\nHost: a\r\n\r\n", [400]],
  ["TLS", "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00\r\n\r\n", [0, 400]],
  ...[
    "/../../etc/relais/cluster.key",
    "/..%2f..%2fetc%2frelais%2fcluster.key",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/status/../../etc/passwd",
    "/health%00/../cluster.key",
    "//etc/passwd",
    "/\\..\\etc\\passwd",
    "/.git/config",
    "/status.json",
    "/STATUS",
    "/status/",
    "/metrics;a=b",
  ].map((path): readonly [string, string, readonly number[]] => [
    path,
    `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
    [400, 404],
  ]),
];

stage.test("odd requests are refused with one answer, and open nothing", async (scene) => {
  const { lab } = scene;
  await untouched(scene, async () => {
    const answers = await ask(lab.client, ODD.map(([, text]) => text), lab.address("master"));
    for (const [at, [what, , expected]] of ODD.entries()) {
      const answer = answers[at]!;
      assert.ok(expected.includes(statusOf(answer)), `${what}: ${answer.slice(0, 200)}`);
      assert.ok((answer.match(/HTTP\/1\.1 \d{3} /g) ?? []).length <= 1, `${what}: one answer`);
      assert.doesNotMatch(answer, /root:|"epoch"|relais_state/, what);
    }
  });
});

stage.test("requests in one go are answered in order, HTTP/1.0 once, and foreign names change nothing", async (scene) => {
  const { lab } = scene;
  const address = lab.address("master");
  const together = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n".repeat(3) +
    "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n" + closing("GET", "/health/active");
  const once = "GET /health HTTP/1.0\r\n\r\nGET /health HTTP/1.0\r\n\r\n";
  const foreign = closing("GET", "/", {
    Host: "attacker.example",
    Origin: "https://attacker.example",
    Referer: "https://attacker.example/",
    "X-Forwarded-Host": "attacker.example",
    "X-Forwarded-For": "127.0.0.1",
    "X-Original-URL": "/command",
    "X-HTTP-Method-Override": "DELETE",
  });
  const [all = "", single = "", page = ""] = await ask(
    lab.client,
    [together, once, foreign],
    address,
  );
  const statuses = [...all.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => status);
  assert.deepEqual(statuses, ["200", "200", "200", "404", "200"]);
  assert.equal(single.match(/HTTP\/1\.1 200 /g)?.length, 1);
  assert.equal(statusOf(page), 200);
  assert.doesNotMatch(page, /attacker/, "nothing of the request comes back in the page");
  assert.match(page, /^content-security-policy: /im);
  assert.match(page, /^x-content-type-options: nosniff/im);
  assert.doesNotMatch(page, /<script|^access-control|^set-cookie|^server:/im);
});

stage.test("who listens to /events and reads nothing has a bounded number of places, and they come back", async (scene) => {
  const { lab, master } = scene;
  const address = lab.address("master");
  const listener = startAttack(lab.stranger, ["listen", address, `${PORT}`, "12"]);
  try {
    const reader = listener.stdout.getReader();
    const opened = new TextDecoder().decode((await reader.read()).value);
    const statuses = JSON.parse(opened) as number[];
    const listening = statuses.filter((status) => status === 200).length;
    assert.equal(listening, EVENT_CLIENTS_PER_ADDRESS_MAX, opened);
    assert.equal(statuses.filter((status) => status === 503).length, 12 - listening);
    // Somebody else's place is still there.
    const other = startAttack(lab.client, ["listen", address, `${PORT}`, "1"]);
    const [first] = JSON.parse(
      new TextDecoder().decode((await other.stdout.getReader().read()).value),
    ) as number[];
    assert.equal(first, 200);
    await other.stdin.close();
    await other.ended(DEADLINE_MS);
    await reader.cancel();
  } finally {
    await listener.stdin.close();
    await listener.ended(DEADLINE_MS);
  }
  // The places are free again.
  await poll(async () => {
    const again = startAttack(lab.stranger, ["listen", address, `${PORT}`, "1"]);
    const [status] = JSON.parse(
      new TextDecoder().decode((await again.stdout.getReader().read()).value),
    ) as number[];
    await again.stdin.close();
    await again.ended(DEADLINE_MS);
    return status === 200;
  }, {
    deadlineMs: DEADLINE_MS,
    everyMs: 500,
    what: "a free place",
    instead: () => master.log(10),
  });
});

stage.test("no secret is in anything that is served, in the log, or readable by other users", async (scene) => {
  const { lab, master, slave } = scene;
  const text = await master.host.readFile(KEY_FILE);
  const word = text.split("\n").find((line) => line.trim() !== "" && !line.startsWith("#"))!.trim();
  const key = Buffer.from(word, "base64");
  const privateKey = (await master.host.readFile("/etc/relais/ssh/id_ed25519")).split("\n")[2]!;
  const secrets = [word, key.toString("hex"), key.toString("base64url"), privateKey];
  const gets = ["/", "/?lang=fr", "/health", "/status", "/metrics"];
  const answers = await ask(
    lab.client,
    [...gets.map((path) => closing("GET", path)), "GET /events HTTP/1.1\r\nHost: a\r\n\r\n"],
    lab.address("master"),
  );
  const { stdout } = await master.relais(["status", "--json"]);
  for (const served of [...answers, stdout, master.log(100_000), slave.log(100_000)]) {
    assert.ok(served.length > 100);
    for (const secret of secrets) assert.ok(!served.includes(secret));
  }
  StatusDocument.parse(JSON.parse(stdout));

  // An ordinary user of the host, and the one that Asterisk runs as, are nobody here.
  const as = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"];
  const verbs = [
    ["status"],
    ["switchover"],
    ["failback"],
    ["maintenance", "on"],
    ["reload"],
    ["sync", "all"],
    ["announce"],
    ["return"],
  ];
  await untouched(scene, async () => {
    for (const verb of verbs) {
      const { code, stderr } = await master.host.try([...as, RELAIS, ...verb]);
      assert.notEqual(code, 0, verb.join(" "));
      assert.match(stderr, /root/i, `${verb.join(" ")}: ${stderr}`);
    }
  });
  const socket = "/run/relais/control.sock";
  const { stdout: mode } = await master.host.exec(["stat", "-c", "%a %U %G", socket]);
  assert.equal(mode.trim(), "600 root root");
  for (const path of [KEY_FILE, "/etc/relais/ssh/id_ed25519", "/var/lib/relais/state.json"]) {
    const { code } = await master.host.try([...as, "cat", path]);
    assert.notEqual(code, 0, `${path} is nobody's to read`);
  }
  const { stdout: writable } = await master.host.exec([
    ...["find", "/etc/relais", "/var/lib/relais", "/run/relais"],
    ...["(", "-perm", "/022", "-o", "!", "-user", "root", ")", "!", "-type", "l", "-print"],
  ]);
  assert.equal(writable, "", "what only root may write");
});
