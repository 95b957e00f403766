// VIPs and routes that others remove or take, and what strangers send, with the real program.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { noticeBody, signMessage } from "../../src/heartbeat/message.ts";
import { generateKey } from "../../src/heartbeat/key.ts";
import type { StatusDocument } from "../../src/health/types.ts";
import { ArpEar } from "../support/arp_ear.ts";
import { attack, post, type PostAnswer, startAttack } from "../support/hostile.ts";
import type { Lab } from "../support/lab.ts";
import { poll } from "../support/poll.ts";
import { KEY_FILE, type RelaisHost } from "../support/relais_host.ts";
import { DEADLINE_MS, heldVips, servicesRun, untilServes } from "./situations.ts";
import { type Scene, untilAlert, untilNeighbour, useStage } from "./stage.ts";

const stage = useStage({ lab: { stranger: true } });

/** "A second or so", with room for a test machine that is busy. */
const REPAIRED_MS = 6_000;
const HTTP_PORT = 8460;

stage.test(
  "a VIP that somebody removes by hand is mounted and announced again, and named",
  async ({ cluster, lab, master, slave, client, decided }) => {
    await using ear = await ArpEar.start(lab.watcher);
    const heard = ear.count;
    const vip = (await master.addresses()).find((each) => each.startsWith(`${lab.vip(0)}/`))!;
    await master.host.exec(["ip", "addr", "del", vip, "dev", "eth0"]);
    await poll(async () => (await heldVips(cluster, master)).includes(lab.vip(0)), {
      deadlineMs: REPAIRED_MS,
      everyMs: 10,
      what: "the VIP again",
    });
    await client.untilUp("vip", { deadlineMs: DEADLINE_MS, holder: lab.mac("master") });
    for (const operation of [1, 2]) {
      await poll(
        () =>
          ear.announcements(lab.vip(0), lab.mac("master"), heard)
            .some((each) => each.operation === operation),
        { deadlineMs: DEADLINE_MS, what: `an announcement of kind ${operation}` },
      );
    }
    await untilAlert(master, new RegExp(`${lab.vip(0)}.*put back`));
    assert.match(master.log(50), new RegExp(`${lab.vip(0)}.*put back`));
    assert.equal((await master.status())!.node.state, "active");
    assert.deepEqual(await decided(slave), [], "the slave had nothing to decide");
  },
);

stage.test(
  "a route that somebody removes by hand is back, and named",
  async ({ lab, master }) => {
    const route = async (): Promise<string> =>
      (await master.host.try(["ip", "route", "get", "192.0.2.1"])).stdout;
    assert.match(await route(), new RegExp(`src ${lab.vip(0)} `));
    const gateway = lab.address("gateway");
    const ours = ["default", "via", gateway, "dev", "eth0", "src", lab.vip(0)];
    await master.host.exec(["ip", "route", "del", ...ours]);
    await poll(async () => (await route()).includes(`src ${lab.vip(0)} `), {
      deadlineMs: REPAIRED_MS,
      everyMs: 10,
      what: "the route again",
    });
    await untilAlert(master, /default.*put back/);
    assert.equal((await master.status())!.node.state, "active");
  },
);

/** Gives the stranger the VIP of the first network; what it sends from it tells everybody. */
async function steal(lab: Lab): Promise<void> {
  await lab.stranger.exec(["ip", "addr", "add", `${lab.vip(0)}/24`, "dev", "eth0"]);
  await lab.stranger.try(["ping", "-c", "1", "-W", "1", "-I", lab.vip(0), lab.address("client")]);
}

async function giveBack(lab: Lab): Promise<void> {
  await lab.stranger.exec(["ip", "addr", "del", `${lab.vip(0)}/24`, "dev", "eth0"]);
}

stage.test(
  "a stranger takes the VIP: the master names its MAC and announces again until it lets go",
  async ({ lab, master, slave, client }) => {
    await using ear = await ArpEar.start(lab.watcher);
    const { epoch } = (await master.status())!.node;
    await steal(lab);
    const heard = ear.count;
    const seen = await master.waitFor(
      ({ node, alerts }) =>
        node.state === "active" && alerts.some((alert) => alert.includes(lab.mac("stranger"))),
      { deadlineMs: DEADLINE_MS, what: "the alert with the stranger's MAC" },
    );
    assert.ok(seen.history.some(({ rule }) => rule === "M-DEFEND"));
    await poll(() => ear.announcements(lab.vip(0), lab.mac("master"), heard).length > 0, {
      deadlineMs: DEADLINE_MS,
      what: "an announcement by the master",
    });
    await giveBack(lab);
    await client.untilUp("vip", { deadlineMs: DEADLINE_MS, holder: lab.mac("master") });
    await untilNeighbour(lab, "master");
    assert.equal((await slave.status())!.node.state, "standby");
    assert.equal((await master.status())!.node.epoch, epoch, "nothing moved");
  },
  { twoHolders: true },
);

stage.test(
  "the master dies while a stranger has the VIP: the slave waits for it, and names its MAC",
  async ({ cluster, lab, master, slave, client }) => {
    await steal(lab);
    await master.host.crash();
    await untilAlert(slave, new RegExp(`${lab.mac("stranger")}.*no takeover`));
    assert.equal((await slave.status())!.node.state, "standby");
    assert.deepEqual(await heldVips(cluster, slave), []);
    await giveBack(lab);
    await untilServes(cluster, slave, client);
    await untilNeighbour(lab, "slave");
  },
  { twoHolders: true },
);

/** What a node counts, while `work` runs against it; nothing else may change. */
async function whileUnmoved(
  { master, slave, lived, decided }: Scene,
  work: () => Promise<void>,
): Promise<StatusDocument["counters"]> {
  const before = (await master.status())!;
  await work();
  const after = (await master.status())!;
  assert.equal(after.node.state, "active");
  assert.equal(after.node.instanceId, before.node.instanceId, "the same daemon");
  assert.equal(after.node.epoch, before.node.epoch);
  assert.deepEqual(await decided(slave), [], "the slave had nothing to decide");
  assert.equal((await lived("vip")).lost, 0);
  const counted = { ...after.counters };
  for (const key of Object.keys(counted) as (keyof typeof counted)[]) {
    counted[key] -= before.counters[key];
  }
  return counted;
}

/** Waits until the node has read and counted so many: what was sent may still wait in its kernel. */
async function untilCounted(
  host: RelaisHost,
  key: keyof StatusDocument["counters"],
  least: number,
): Promise<void> {
  await host.waitFor(({ counters }) => counters[key] >= least, {
    deadlineMs: DEADLINE_MS,
    what: `${least} of ${key}`,
  });
}

stage.test("garbage on the HTTP port is ignored and counted", async (scene) => {
  const { lab, master, slave } = scene;
  const before = (await master.status())!.counters.httpGarbage;
  const counted = await whileUnmoved(scene, async () => {
    const sent = await attack(
      lab.stranger,
      ["http", lab.address("master"), `${HTTP_PORT}`, "220"],
    );
    assert.ok(Number(sent) > 100, `sent ${sent}`);
    // They are accepted at a pace: the others still wait in the kernel's queue.
    await untilCounted(master, "httpGarbage", before + 20);
  });
  assert.ok(counted.httpGarbage >= 20, `counted ${counted.httpGarbage}`);
  for (const host of [slave, master]) {
    await host.waitFor(({ peer }) => peer.verdict === "alive", {
      deadlineMs: DEADLINE_MS,
      what: "a peer that is heard",
    });
  }
});

stage.test("connections that are held open do not keep the peer from asking", async (scene) => {
  const { lab, slave } = scene;
  await whileUnmoved(scene, async () => {
    const attacker = startAttack(
      lab.stranger,
      ["hold", lab.address("master"), `${HTTP_PORT}`, "200"],
    );
    try {
      const reader = attacker.stdout.getReader();
      assert.match(new TextDecoder().decode((await reader.read()).value), /^200/);
      const { report } = (await slave.status())!.peer;
      await slave.waitFor(({ peer }) => (peer.report?.seq ?? 0) >= (report?.seq ?? 0) + 4, {
        deadlineMs: DEADLINE_MS,
        what: "four more answers of the master",
      });
      await reader.cancel();
    } finally {
      await attacker.stdin.close();
      await attacker.ended(DEADLINE_MS);
    }
  });
});

stage.test("echo replies that answer nothing are ignored and counted", async (scene) => {
  const { lab, master, slave } = scene;
  const before = (await master.status())!.counters.icmpIgnored;
  const counted = await whileUnmoved(scene, async () => {
    await attack(lab.stranger, ["icmp", lab.address("master"), "40000"]);
    await untilCounted(master, "icmpIgnored", before + 1001);
    await slave.waitFor(({ peer }) => peer.verdict === "alive", {
      deadlineMs: DEADLINE_MS,
      what: "a peer that is heard",
    });
  });
  assert.ok(counted.icmpIgnored > 1_000, `counted ${counted.icmpIgnored}`);
});

stage.test("ARP frames with wrong lengths and types are ignored and counted", async (scene) => {
  const { lab, master } = scene;
  const before = (await master.status())!.counters.arpGarbage;
  const counted = await whileUnmoved(scene, async () => {
    await attack(lab.stranger, ["arp", "eth0", lab.vip(0), "12000"]);
    await untilCounted(master, "arpGarbage", before + 1001);
  });
  assert.ok(counted.arpGarbage > 1_000, `counted ${counted.arpGarbage}`);
  await untilNeighbour(lab, "master");
  assert.equal((await master.status())!.vips[0]?.holder, "me");
});

/** A message to a node as its peer would sign it, changed by `change`, sent from the peer's host. */
async function send(
  { lab, from, to, key, counter, kind = "leaving", changeBody = (body: string) => body }: {
    readonly lab: Lab;
    readonly from: RelaisHost;
    readonly to: RelaisHost;
    /** Base64; default: the cluster's. */
    readonly key?: string;
    readonly counter: number;
    readonly kind?: "leaving" | "yours" | "request-switchover";
    readonly changeBody?: (body: string) => string;
  },
): Promise<PostAnswer> {
  const text = key ?? await from.host.readFile(KEY_FILE);
  const line = text.split("\n").find((each) => each.trim() !== "" && !each.startsWith("#"))!;
  const sender = (await from.status())!.node.instanceId;
  const receiver = (await from.status())!.peer.report!.addressee;
  const body = noticeBody({ kind, epoch: 1, reason: "forged by a test" });
  const envelope = { method: "POST", path: "/peer/message", sender, receiver, counter };
  const headers = signMessage([new Uint8Array(Buffer.from(line.trim(), "base64"))], envelope, body);
  const url = `http://${lab.address(to.host.name as "master" | "slave")}:${HTTP_PORT}/peer/message`;
  return await post(from.host, { url, headers, body: changeBody(body) });
}

stage.test("messages that are forged, changed or replayed are refused and counted", async (scene) => {
  const { lab, master, slave } = scene;
  const towards = { lab, from: slave, to: master };
  const counted = await whileUnmoved(scene, async () => {
    const url = `http://${lab.address("master")}:${HTTP_PORT}/peer/message`;
    const bare = await post(lab.stranger, { url, headers: {}, body: '{"kind":"leaving"}' });
    assert.equal(bare.status, 403);
    const wrongKey = await send({ ...towards, key: generateKey(), counter: 1e9 });
    assert.equal(wrongKey.status, 403);
    assert.match(wrongKey.text, /MAC/);
    const changed = await send({
      ...towards,
      counter: 1e9,
      changeBody: (body) => body.replace("leaving", "yours"),
    });
    assert.equal(changed.status, 403);
    const otherwise = await send({ ...towards, from: master, to: slave, counter: 1e9 })
      .then(() => send({ ...towards, from: master, to: slave, counter: 1e9 }));
    assert.equal(otherwise.status, 403, "a replay to the slave");
    assert.match(otherwise.text, /replay/);
    // With the right key it is the peer's word: accepted once.
    const real = await send({ ...towards, counter: 1e9 });
    assert.equal(real.status, 200, real.text);
    const replayed = await send({ ...towards, counter: 1e9 });
    assert.equal(replayed.status, 403);
    assert.match(replayed.text, /replay/);
  });
  assert.equal(counted.messagesRefused, 4);
  assert.equal(counted.messagesAccepted, 1);
  assert.equal(await servicesRun(slave), false);
});
