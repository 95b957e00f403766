// relais keygen --rotate with the real program, over ssh: a new cluster key on both hosts, in one go or in
// pieces, and at no moment a planned move that is refused.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { keyId } from "../../src/heartbeat/key.ts";
import { MESSAGE_PATH, noticeBody, signMessage } from "../../src/heartbeat/message.ts";
import type { RunResult } from "../../src/os/process.ts";
import { requestText, sendRaw, statusOf } from "../support/hostile.ts";
import { KEY_FILE, RELAIS, type RelaisHost } from "../support/relais_host.ts";
import { DEADLINE_MS, untilServes } from "./situations.ts";
import { type Scene, untilAlert, useStage } from "./stage.ts";

const ROTATE_MS = 120_000;
const NEXT_FILE = `${KEY_FILE}.next`;
const stage = useStage();

async function rotate(host: RelaisHost, ...more: string[]): Promise<RunResult> {
  return await host.relais(["keygen", "--rotate", ...more], ROTATE_MS);
}

function ok(result: RunResult): string {
  assert.equal(result.code, 0, result.stdout + result.stderr);
  return result.stdout;
}

async function keysIn(host: RelaisHost, path = KEY_FILE): Promise<string[]> {
  if (!host.host.exists(path)) return [];
  return (await host.host.readFile(path)).split("\n")
    .filter((line) => line.trim() !== "" && !line.startsWith("#"));
}

function idOf(word: string): string {
  return keyId(new Uint8Array(Buffer.from(word, "base64")));
}

/** Both hosts have one key, it is not `old`, and both daemons use it and hear each other. */
async function assertReplaced({ cluster, master, slave }: Scene, old: string): Promise<string> {
  const [key = "", ...more] = await keysIn(master);
  assert.notEqual(key, old);
  assert.deepEqual([more, await keysIn(slave)], [[], [key]]);
  for (const host of cluster.both) {
    assert.equal(host.host.exists(NEXT_FILE), false);
    const { stdout } = await host.host.exec(["stat", "-c", "%a %U", KEY_FILE]);
    assert.equal(stdout.trim(), "600 root");
    await host.waitFor(
      ({ node, peer, alerts }) =>
        node.keys.join() === idOf(key) && peer.report?.keys.join() === idOf(key) &&
        !alerts.some((text) => /replacement of the cluster key/.test(text)),
      { deadlineMs: DEADLINE_MS, what: "the new key alone, on both hosts" },
    );
  }
  return key;
}

/** The service goes to the slave and comes back, by agreement. */
async function moveThereAndBack({ cluster, master, slave, client }: Scene): Promise<void> {
  for (
    const [verb, from, to] of [["switchover", master, slave], ["failback", slave, master]] as const
  ) {
    await from.waitFor(({ peer }) => peer.report?.ready === true, {
      deadlineMs: DEADLINE_MS,
      what: "a peer that is ready",
    });
    const { code, stdout, stderr } = await from.relais([verb], DEADLINE_MS);
    assert.equal(code, 0, stdout + stderr + from.log(10));
    await untilServes(cluster, to, client);
  }
  await cluster.untilNormal(DEADLINE_MS);
}

/** Orders about the key that match `/root/block` end in an error on the slave, as if it had failed there. */
async function blockable(host: RelaisHost): Promise<void> {
  const wrapper = await host.host.readFile(RELAIS);
  if (wrapper.includes("/root/block")) return;
  const guard =
    `if [ "$1" = receive ] && [ "$SSH_ORIGINAL_COMMAND" = key ] && [ -e /root/block ]; then
  order="$(cat)"
  case "$order" in *"$(cat /root/block)"*) exit 74;; esac
  echo "$order" | ${wrapper.split("\n")[1]!.replace("exec ", "")}
  exit
fi
`;
  await host.host.writeFile(RELAIS, wrapper.replace("\n", `\n${guard}`), 0o755);
}

/** A message that the slave's daemon would sign with `word`, sent from the slave's address. */
async function sayWith({ lab, master, slave }: Scene, word: string): Promise<number> {
  const { node, peer } = (await slave.status())!;
  const body = noticeBody({ kind: "request-failback", epoch: 1, reason: "by a test" });
  const headers = signMessage([new Uint8Array(Buffer.from(word, "base64"))], {
    method: "POST",
    path: MESSAGE_PATH,
    sender: node.instanceId,
    receiver: peer.report!.addressee,
    counter: 1e9,
  }, body);
  const text = requestText({ method: "POST", path: MESSAGE_PATH, headers, body });
  const address = lab.address("master");
  const [answer = ""] = await sendRaw(slave.host, { address, port: 8460, texts: [text] });
  void master;
  return statusOf(answer);
}

stage.test("relais keygen --rotate: one command, a new key on both hosts, and the old one is worth nothing", async (scene) => {
  const { master, slave, lived } = scene;
  const [old = ""] = await keysIn(master);
  const said = ok(await rotate(master));
  const key = await assertReplaced(scene, old);
  assert.deepEqual(said.trim().split("\n"), [
    "this host accepts the new key.",
    "both hosts accept the new key.",
    "this host signs with the new key.",
    "both hosts sign with the new key.",
    "the other host has forgotten the old key.",
    "both hosts have forgotten the old key.",
    `Done: both hosts have the cluster key ${idOf(key)} and no other.`,
  ]);
  for (const text of [said, master.log(1000), slave.log(1000)]) {
    assert.ok(!text.includes(key) && !text.includes(old), "no key is ever printed");
  }
  const before = (await master.status())!.refusals;
  assert.equal(await sayWith(scene, old), 403);
  assert.equal((await master.status())!.refusals.mac, (before.mac ?? 0) + 1);
  // 409: it is the peer's word, and there is nothing to give back.
  assert.notEqual(await sayWith(scene, key), 403);
  assert.equal((await lived("vip")).lost, 0);
  assert.equal((await master.status())!.counters.healthUnproved, 0);
  await moveThereAndBack(scene);
});

stage.test("a replacement may stop at each step for as long as it likes: the service moves by agreement in all of them", async (scene) => {
  const { cluster, master, slave } = scene;
  const [old = ""] = await keysIn(master);
  await blockable(slave);
  const phases = [
    // [what fails on the slave, keys of the master, its next, keys of the slave, its next: o(ld), n(ew)]
    ["offer", ["o"], ["n"], ["o"], []],
    ["promote", ["n", "o"], [], ["o"], ["n"]],
    ["finish", ["n", "o"], [], ["n", "o"], []],
  ] as const;
  for (const [order, ...expected] of phases) {
    await slave.host.writeFile("/root/block", order);
    const { code, stderr } = await rotate(master);
    assert.equal(code, 1, stderr);
    assert.match(stderr, /stopped: .*[^]*understand each other as before.*keygen --rotate/);
    const found = await Promise.all([
      keysIn(master),
      keysIn(master, NEXT_FILE),
      keysIn(slave),
      keysIn(slave, NEXT_FILE),
    ]);
    assert.deepEqual(found.map((words) => words.map((word) => word === old ? "o" : "n")), expected);
    await untilAlert(master, /replacement of the cluster key is under way/);
    await moveThereAndBack(scene);
  }
  // Both daemons start anew in the middle.
  for (const host of cluster.both) {
    await host.stop("restart");
    host.start();
  }
  await cluster.untilNormal(DEADLINE_MS);
  await slave.host.exec(["rm", "/root/block"]);
  assert.match(ok(await rotate(master)), /The replacement is complete: both hosts/);
  await assertReplaced(scene, old);
  await moveThereAndBack(scene);
});

stage.test("the other host is down: nothing changes, or what was begun waits for it", async (scene) => {
  const { cluster, master, slave, client } = scene;
  const [old = ""] = await keysIn(master);
  await slave.host.crash();
  const refused = await rotate(master);
  assert.equal(refused.code, 1);
  assert.match(
    refused.stderr,
    /does not answer over ssh[^]*Nothing was changed: the key in use stays/,
  );
  assert.deepEqual([await keysIn(master), await keysIn(master, NEXT_FILE)], [[old], []]);
  await cluster.boot(slave);
  await cluster.untilNormal(DEADLINE_MS);

  await blockable(slave);
  await slave.host.writeFile("/root/block", "promote");
  assert.equal((await rotate(master)).code, 1);
  await slave.host.crash();
  const stopped = await rotate(master);
  assert.equal(stopped.code, 1);
  assert.match(stopped.stderr, /does not answer over ssh[^]*Nothing was changed/);
  // The slave comes back with what it had, and takes over from a dead master in the middle of all this.
  await cluster.boot(slave);
  await cluster.untilNormal(DEADLINE_MS);
  await master.host.crash();
  await untilServes(cluster, slave, client);
  await cluster.boot(master);
  await cluster.untilNormal(DEADLINE_MS);
  await untilServes(cluster, master, client);
  await slave.host.exec(["rm", "/root/block"]);
  ok(await rotate(master));
  await assertReplaced(scene, old);
});

stage.test("a daemon that does not run gets the new key with its start; a replacement may begin on either host", async (scene) => {
  const { cluster, master, slave } = scene;
  const [old = ""] = await keysIn(slave);
  await slave.stop("kill");
  ok(await rotate(slave));
  slave.start();
  await cluster.untilNormal(DEADLINE_MS);
  const key = await assertReplaced(scene, old);
  ok(await rotate(slave));
  await assertReplaced(scene, key);
  // --finish is for who is alone, and harmless when there is nothing to finish.
  assert.match(
    ok(await master.relais(["keygen", "--finish"])),
    /has the cluster key [0-9a-f]{16} and no other/,
  );
});

stage.test("the ssh key alone brings no cluster key in, and tells none", async (scene) => {
  const { lab, master, slave } = scene;
  const before = await keysIn(master);
  const ssh = [
    ...["ssh", "-F", "none", "-i", "/etc/relais/ssh/id_ed25519", "-o", "BatchMode=yes"],
    ...[
      "-o",
      "UserKnownHostsFile=/etc/relais/ssh/known_hosts",
      `root@${lab.address("master")}`,
      "key",
    ],
  ];
  const key = Buffer.alloc(32, 7).toString("base64");
  const orders = [
    { do: "offer", key },
    { do: "promote", id: idOf(before[0]!) },
    { do: "finish", id: idOf(before[0]!) },
    { do: "read" },
  ];
  for (const order of orders) {
    const stdin = `${JSON.stringify({ order: JSON.stringify(order), mac: "0".repeat(64) })}\n`;
    const { code, stdout } = await slave.host.try(ssh, { stdin });
    assert.equal(code, 77, stdout);
    assert.match(stdout, /"ok":false/);
  }
  const look = `${JSON.stringify({ order: '{"do":"look"}', mac: "" })}\n`;
  const { stdout } = await slave.host.exec(ssh, { stdin: look });
  assert.ok(stdout.includes(idOf(before[0]!)) && !stdout.includes(before[0]!), stdout);
  assert.deepEqual([await keysIn(master), await keysIn(master, NEXT_FILE)], [before, []]);
});
