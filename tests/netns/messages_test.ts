// Messages in the peer's name: forged, recorded, held back, in floods. Refused, counted, no effect.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { Buffer } from "node:buffer";
import type { PeerNotice } from "../../src/core/types.ts";
import { REFUSAL_REASONS, type RefusalReason } from "../../src/health/types.ts";
import { generateKey } from "../../src/heartbeat/key.ts";
import { TAKEN_FOR_MS } from "../../src/heartbeat/addressee.ts";
import {
  type Envelope,
  MESSAGE_PATH,
  noticeBody,
  signMessage,
} from "../../src/heartbeat/message.ts";
import type { TestHost } from "../support/host.ts";
import { attack, requestText, sendRaw, startAttack, statusOf } from "../support/hostile.ts";
import type { Lab } from "../support/lab.ts";
import { KEY_FILE, type RelaisHost } from "../support/relais_host.ts";
import { DEADLINE_MS, heldVips, servicesRun, untilSameEpoch, untilServes } from "./situations.ts";
import { type Scene, useStage } from "./stage.ts";

const PORT = 8460;
const stage = useStage({ lab: { stranger: true } });

type Refusals = Record<RefusalReason, number>;

async function clusterKey(host: RelaisHost): Promise<Uint8Array> {
  const text = await host.host.readFile(KEY_FILE);
  const line = text.split("\n").find((each) => each.trim() !== "" && !each.startsWith("#"))!;
  return new Uint8Array(Buffer.from(line.trim(), "base64"));
}

function addressOf(lab: Lab, host: RelaisHost): string {
  return lab.address(host.name as "master" | "slave");
}

/** Counters go up by themselves: each message of a test has its own, far above those of the daemons. */
let counter = 1e9;

/** What a signed message looks like on the wire. */
interface Written {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A message of `from` to `to` as `from`'s daemon would write it now. */
async function write(
  { from, to, key, notice = {}, envelope = {} }: {
    readonly from: RelaisHost;
    readonly to: RelaisHost;
    readonly key?: Uint8Array;
    readonly notice?: Partial<PeerNotice>;
    readonly envelope?: Partial<Envelope>;
  },
): Promise<Written> {
  const sender = (await from.status())!.node.instanceId;
  // Not what it heard of the process before this one.
  const { instanceId } = (await to.status())!.node;
  const heard = await from.waitFor(({ peer }) => peer.report?.instanceId === instanceId, {
    deadlineMs: DEADLINE_MS,
    what: `the name of ${to.name}`,
  });
  const receiver = heard.peer.report!.addressee;
  const body = noticeBody({ kind: "leaving", epoch: 1, reason: "forged by a test", ...notice });
  const bound = { method: "POST", path: MESSAGE_PATH, sender, receiver, counter: ++counter };
  const headers = signMessage([key ?? await clusterKey(from)], { ...bound, ...envelope }, body);
  return { headers, body };
}

function asText({ headers, body }: Written, change: Partial<Record<string, string>> = {}): string {
  const { path = MESSAGE_PATH, method = "POST" } = change;
  return requestText({ method, path, headers, body });
}

/** Posts to `to` from a machine; returns the statuses. */
async function postAll(
  lab: Lab,
  at: TestHost,
  to: RelaisHost,
  texts: readonly string[],
): Promise<readonly number[]> {
  const closed = texts.map((text) => text.replace("\r\n", "\r\nConnection: close\r\n"));
  const answers = await sendRaw(at, { address: addressOf(lab, to), port: PORT, texts: closed });
  return answers.map(statusOf);
}

/** Does `work`; both nodes must be what they were after it. What the master refused meanwhile. */
async function unmoved(scene: Scene, work: () => Promise<void>): Promise<Refusals> {
  const { cluster, master, slave, lived, decided } = scene;
  await untilSameEpoch(cluster);
  const before = await Promise.all(cluster.both.map((host) => host.status()));
  const states = before.map((status) => [status!.node.state, status!.node.epoch]);
  await work();
  const after = await Promise.all(cluster.both.map((host) => host.status()));
  assert.deepEqual(after.map((status) => [status!.node.state, status!.node.epoch]), states);
  assert.deepEqual(await decided(slave), [], slave.log(20));
  assert.deepEqual(await decided(master), [], master.log(20));
  assert.equal((await lived("vip")).lost, 0);
  assert.equal(await servicesRun(slave), false);
  const [was, is] = [before[0]!.refusals, after[0]!.refusals];
  return Object.fromEntries(
    REFUSAL_REASONS.map((reason) => [reason, (is[reason] ?? 0) - (was[reason] ?? 0)]),
  ) as Refusals;
}

function only(expected: Partial<Refusals>): Refusals {
  return Object.fromEntries(
    REFUSAL_REASONS.map((reason) => [reason, expected[reason] ?? 0]),
  ) as Refusals;
}

async function metric(scene: Scene, reason: RefusalReason): Promise<number> {
  const { lab, slave } = scene;
  const request = "GET /metrics HTTP/1.0\r\n\r\n";
  const address = lab.address("master");
  const [text = ""] = await sendRaw(slave.host, { address, port: PORT, texts: [request] });
  const line = new RegExp(`^relais_messages_refused_total\\{reason="${reason}"\\} (\\d+)$`, "m");
  return Number(line.exec(text)?.[1] ?? -1);
}

stage.test(
  "a message that is changed, signed otherwise or malformed is refused from the peer's own address, and counted by why",
  async (scene) => {
    const { lab, master, slave } = scene;
    const way = { from: slave, to: master };
    const yours = { notice: { kind: "yours", epoch: 1_000_000 } } as const;
    const good = await write({ ...way, ...yours });
    const mac = good.headers["X-Relais-Mac"]!;
    const key = await clusterKey(slave);
    const flip = (text: string, at: number): string =>
      text.slice(0, at) + (text[at] === "0" ? "1" : "0") + text.slice(at + 1);
    const withMac = (value: string): Written => ({
      ...good,
      headers: { ...good.headers, "X-Relais-Mac": value },
    });
    const withHeader = (name: string, value: string): Written => ({
      ...good,
      headers: { ...good.headers, [name]: value },
    });
    const badMac: readonly string[] = [
      ...[0, 31, 63].map((at) => asText(withMac(flip(mac, at)))),
      asText(withMac(mac.toUpperCase())),
      asText(withMac(mac.slice(0, 62))),
      asText(withMac(`${mac}00`)),
      asText(withMac("")),
      asText(withMac(createHmac("sha512", key).update(good.body).digest("hex").slice(0, 64))),
      asText(withMac(createHmac("sha1", key).update(good.body).digest("hex"))),
      asText({ ...good, body: good.body.replace("1000000", "1000001") }),
      asText({ ...good, body: good.body.slice(0, -1) }),
      asText({ ...good, body: `${good.body} ` }),
      asText({ ...good, body: "" }),
      asText(withHeader("X-Relais-Counter", `${counter + 5}`)),
      asText(withHeader("X-Relais-Sender", (await master.status())!.node.instanceId)),
      asText(withHeader("X-Relais-Receiver", `${good.headers["X-Relais-Receiver"]}0`)),
      asText(
        await write({
          ...way,
          ...yours,
          key: new Uint8Array(Buffer.from(generateKey(), "base64")),
        }),
      ),
      asText(await write({ ...way, ...yours, key: new Uint8Array(32) })),
      asText(await write({ ...way, ...yours, envelope: { method: "PUT" } })),
      asText(await write({ ...way, ...yours, envelope: { path: "/peer/other" } })),
    ];
    const malformed: readonly string[] = [
      asText({ headers: {}, body: good.body }),
      asText(withHeader("X-Relais-Counter", "-1")),
      asText(withHeader("X-Relais-Counter", "1e9")),
      asText(withHeader("X-Relais-Counter", "9999999999999999")),
      asText(withHeader("X-Relais-Sender", "a".repeat(101))),
      asText(withHeader("X-Relais-Sender", "two words")),
    ];
    const ownId = (await master.status())!.node.instanceId;
    const signed: readonly (readonly [RefusalReason, string])[] = [
      // What the master wrote to the slave, delivered to the master.
      ["own", asText(await write({ from: master, to: slave, ...yours }))],
      ["own", asText(await write({ ...way, ...yours, envelope: { sender: ownId } }))],
      ["addressee", asText(await write({ ...way, envelope: { receiver: "another-process" } }))],
      ["late", asText(await write({ ...way, envelope: { receiver: ownId } }))],
      ["sender", asText(await write({ ...way, envelope: { sender: "an-older-process" } }))],
      ["body", asText(await write({ ...way, notice: { kind: "stop" as PeerNotice["kind"] } }))],
      ["body", asText(await write({ ...way, notice: { epoch: -1 } }))],
    ];
    const refused = await unmoved(scene, async () => {
      const texts = [...badMac, ...malformed, ...signed.map(([, text]) => text)];
      const statuses = await postAll(lab, slave.host, master, texts);
      assert.deepEqual(statuses, texts.map(() => 403));
      const tooLong = asText({ ...good, body: good.body.padEnd(17_000) });
      assert.deepEqual(await postAll(lab, slave.host, master, [tooLong]), [413]);
    });
    const expected = only({ mac: badMac.length, malformed: malformed.length });
    for (const [reason] of signed) expected[reason]++;
    assert.deepEqual(refused, expected);
    assert.equal(await metric(scene, "mac"), (await master.status())!.refusals.mac);
    const { alerts } = (await master.status())!;
    assert.ok(alerts.some((text) => /refused \(mac\)/.test(text)), alerts.join("\n"));
    const lines = master.log(2000).split("\n").filter((line) => line.includes("message-refused"));
    assert.ok(
      lines.some((line) => line.includes(`from=${lab.address("slave")}`)),
      lines.join("\n"),
    );
    assert.ok(!master.log(2000).includes(Buffer.from(key).toString("base64")), "no key in the log");
  },
);

stage.test(
  "a message with the right MAC is taken once: replayed, older, from a stranger's address or held back it is refused",
  async (scene) => {
    const { lab, master, slave } = scene;
    const way = { from: slave, to: master };
    const refused = await unmoved(scene, async () => {
      const older = asText(await write(way));
      const text = asText(await write(way));
      assert.deepEqual(await postAll(lab, slave.host, master, [text]), [200]);
      assert.deepEqual(await postAll(lab, slave.host, master, [text]), [403]);
      assert.deepEqual(await postAll(lab, slave.host, master, [older]), [403]);
      const fresh = asText(await write(way));
      assert.deepEqual(await postAll(lab, lab.stranger, master, [fresh, text]), [403, 403]);
      // Nothing was used up by that: the peer's own is heard.
      assert.deepEqual(await postAll(lab, slave.host, master, [fresh]), [200]);
      const held = asText(await write(way));
      await new Promise((resolve) => setTimeout(resolve, TAKEN_FOR_MS + 100));
      assert.deepEqual(await postAll(lab, slave.host, master, [held]), [403]);
    });
    assert.deepEqual(refused, only({ replay: 2, address: 2, late: 1 }));
  },
);

stage.test("what was recorded before a restart of either daemon is refused after it", async (scene) => {
  const { cluster, lab, master, slave } = scene;
  const way = { from: slave, to: master };
  const recorded = [
    asText(await write({ ...way, notice: { kind: "yours", epoch: 1_000_000 } })),
    asText(await write({ ...way, notice: { kind: "request-switchover" } })),
  ];
  await master.stop("restart");
  master.start();
  await cluster.untilNormal(DEADLINE_MS);
  const epoch = (await master.status())!.node.epoch;
  assert.deepEqual(await postAll(lab, slave.host, master, recorded), [403, 403]);
  assert.deepEqual((await master.status())!.refusals, only({ addressee: 2 }));

  const again = [
    asText(await write({ ...way, notice: { kind: "request-switchover" } })),
    asText(await write({ ...way, notice: { kind: "leaving" } })),
  ];
  const old = (await slave.status())!.node.instanceId;
  await slave.stop("kill");
  slave.start();
  await master.waitFor(({ peer }) => (peer.report?.instanceId ?? old) !== old, {
    deadlineMs: DEADLINE_MS,
    what: "the new process of the slave",
  });
  assert.deepEqual(await postAll(lab, slave.host, master, again), [403, 403]);
  const { refusals, node } = (await master.status())!;
  // Fresh enough, they name a sender that is gone; on a slow machine they are late by then.
  assert.equal((refusals.sender ?? 0) + (refusals.late ?? 0), 2, JSON.stringify(refusals));
  assert.deepEqual([node.state, node.epoch], ["active", epoch]);
  await cluster.untilNormal(DEADLINE_MS);
});

/** Kilobytes of memory that the daemon uses now. */
async function memoryKb(host: RelaisHost): Promise<number> {
  const { pid } = (await host.status())!.node;
  const { stdout } = await host.host.exec(["cat", `/proc/${pid}/status`]);
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(stdout)?.[1]);
}

const FLOOD_S = 8;

/** Floods the master with `request` from a machine; nothing may move, grow or be written without end. */
async function flooded(
  scene: Scene,
  { at, request, connections }: {
    readonly at: TestHost;
    readonly request: string;
    readonly connections: number;
  },
): Promise<{ readonly statuses: Readonly<Record<string, number>>; readonly refused: Refusals }> {
  const { lab, master } = scene;
  const address = lab.address("master");
  const run = (seconds: number): Promise<string> =>
    attack(at, ["flood", address, `${PORT}`, `${seconds}`, `${connections}`, request]);
  await run(3); // What a first flood makes grow (buffers, compiled code) is there then.
  const [memory, lines] = [await memoryKb(master), master.log(100_000).split("\n").length];
  let statuses: Record<string, number> = {};
  const refused = await unmoved(scene, async () => {
    statuses = JSON.parse(await run(FLOOD_S));
  });
  const grown = await memoryKb(master) - memory;
  const written = master.log(100_000).split("\n").length - lines;
  const sum = Object.values(statuses).reduce((a, b) => a + b, 0);
  console.log(
    `    ${sum} answers in ${FLOOD_S} s ${
      JSON.stringify(statuses)
    }, ${grown} kB more, ${written} lines logged`,
  );
  assert.ok(grown < 40_000, `${grown} kB more`);
  assert.ok(written < 100, `${written} lines`);
  return { statuses, refused };
}

stage.test("a flood of messages by a stranger is held back: the heart beats on, nothing grows", async (scene) => {
  const { lab, master, slave } = scene;
  const request = asText(await write({ from: slave, to: master, notice: { kind: "yours" } }));
  const before = (await master.status())!.counters.httpPaced;
  const { statuses, refused } = await flooded(scene, {
    at: lab.stranger,
    request,
    connections: 32,
  });
  assert.ok(refused.address > 50, JSON.stringify(statuses));
  assert.deepEqual(refused, only({ address: refused.address }));
  assert.ok((await master.status())!.counters.httpPaced > before);
});

stage.test("a flood of forged messages from the peer's own address is refused one by one", async (scene) => {
  const { lab, master, slave } = scene;
  const key = new Uint8Array(32);
  const request = asText(await write({ from: slave, to: master, key, notice: { kind: "yours" } }));
  const { statuses, refused } = await flooded(scene, { at: slave.host, request, connections: 8 });
  void lab;
  assert.ok((statuses["403"] ?? 0) > 1000, JSON.stringify(statuses));
  assert.deepEqual(refused, only({ mac: refused.mac }));
  assert.ok(refused.mac >= (statuses["403"] ?? 0));
});

stage.test("the service moves and comes back by agreement in the middle of a flood", async (scene) => {
  const { cluster, lab, master, slave, client } = scene;
  const request = asText(
    await write({ from: slave, to: master, key: new Uint8Array(32), notice: { kind: "yours" } }),
  );
  const floods = cluster.both.map((host) =>
    startAttack(lab.stranger, ["flood", addressOf(lab, host), `${PORT}`, "60", "32", request])
  );
  try {
    for (const [verb, to] of [["switchover", slave], ["failback", master]] as const) {
      const { code, stdout, stderr } = await slave.relais([verb], DEADLINE_MS);
      assert.equal(code, 0, `${stdout}${stderr}\n${slave.log(40)}\n${master.log(40)}`);
      await untilServes(cluster, to, client);
    }
  } finally {
    for (const flood of floods) {
      await flood.signal("SIGKILL");
      await flood.ended(DEADLINE_MS);
    }
  }
  assert.deepEqual(await heldVips(cluster, slave), []);
});
