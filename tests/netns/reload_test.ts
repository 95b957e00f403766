// `relais reload` with the real program: what differs is applied, what stays does not blink.
import assert from "node:assert/strict";
import type { Cluster } from "../support/cluster.ts";
import { poll } from "../support/poll.ts";
import { relaisToml } from "../support/relais_config.ts";
import { CONFIG_FILE, KEY_FILE, type RelaisHost } from "../support/relais_host.ts";
import {
  assertNeverTwoHolders,
  DEADLINE_MS,
  heldVips,
  startedCluster,
  untilLearnt,
  untilServes,
} from "./situations.ts";
import { pbxPid, STEADY } from "./stage.ts";

/** No failback by itself: nothing moves unless the test moves it. */
const CALM = { ...STEADY, failback: ['mode = "manual"'] };
const TOML = relaisToml(CALM);
/** The second network's VIP. */
const DATA_VIP = '\nvip = "10.30.0.10"';

Deno.test("relais reload applies a timing on both nodes: no packet on the VIP lost, nothing moved, nothing restarted", async () => {
  await using cluster = await startedCluster({ toml: TOML });
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await using watcher = await cluster.watch();
  await untilServes(cluster, master, client);
  const before = await master.status();
  const pbx = await pbxPid(master);
  await client.mark("reload");
  const toml = TOML.replace("dead_after_ms = 2000", "dead_after_ms = 2500");
  for (const host of [slave, master]) {
    const { code, stdout, stderr } = await reload(host, toml);
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /^Applied 1 change:\n {2}heartbeat\.dead_after_ms: 2500, was 2000\n/);
  }
  await cluster.untilNormal(DEADLINE_MS);
  const after = await master.waitFor(({ peer }) => peer.configMatches === true, {
    deadlineMs: DEADLINE_MS,
    what: "the same configuration on both",
  });
  assert.equal(await pbxPid(master), pbx);
  for (const key of ["epoch", "instanceId", "rule"] as const) {
    assert.equal(after.node[key], before?.node[key], key);
  }
  assert.ok(after.node.stateForMs > (before?.node.stateForMs ?? Infinity), "since the same moment");
  assert.notEqual(after.node.configFingerprint, before?.node.configFingerprint);
  assert.ok(after.node.configLoadedAt > (before?.node.configLoadedAt ?? ""));
  assert.ok(after.history.some(({ rule, why }) => rule === "RELOAD" && why.includes("2500")));
  const { sent, lost } = await client.summary("reload", "vip");
  assert.ok(sent > 0);
  assert.equal(lost, 0);
  // The new timing is in force: the slave takes over after a death, by evidence that it has kept.
  await master.host.crash();
  await untilServes(cluster, slave, client);
  await assertNeverTwoHolders(watcher);
});

Deno.test("relais reload refuses a bad configuration with every problem, exit 65, and the daemon goes on with the old one", async () => {
  await using cluster = await startedCluster({ toml: TOML });
  const { master } = cluster;
  await using client = await cluster.observe();
  await untilServes(cluster, master, client);
  const before = await master.status();
  const pid = await master.daemon?.pid();
  await client.mark("refused");
  const bad = TOML.replace('vip = "10.20.0.10"', 'vip = "192.0.2.10"')
    .replace('mode = "manual"', 'mode = "manual"\nstable_s = -1\ncolour = true');
  const refused = await reload(master, bad);
  assert.equal(refused.code, 65, refused.stdout + refused.stderr);
  for (const key of ["networks[0].vip", "failback.stable_s", "failback.colour"]) {
    assert.match(refused.stderr, new RegExp(`${key.replaceAll(/[[\].]/g, "\\$&")}: .* \\(got `));
  }
  const json = await master.relais(["reload", "--json"]);
  assert.equal(json.code, 65);
  assert.deepEqual([JSON.parse(json.stdout).outcome, JSON.parse(json.stdout).problems.length], [
    "bad-config",
    3,
  ]);
  const now = await master.status();
  assert.equal(now?.node.configFingerprint, before?.node.configFingerprint);
  assert.ok(now?.alerts.some((text) => text.startsWith("The last reload was refused")));
  assert.ok(now?.history.some(({ rule, why }) => rule === "RELOAD" && why.includes("colour")));
  assert.equal(now?.node.state, "active");
  // A signal does the same; whoever sends it has no exit status, so the log tells.
  await master.daemon?.signal("SIGHUP");
  await untilReloads(master, 3);
  await master.host.exec(["rm", CONFIG_FILE]);
  assert.equal((await master.relais(["reload"])).code, 66);
  const restart = await reload(
    master,
    TOML.replace("[heartbeat]", "[heartbeat]\nhttp_port = 9999"),
  );
  assert.equal(restart.code, 1);
  assert.match(restart.stderr, /heartbeat\.http_port: restart needed/);
  const lab = TOML.replace(
    "[heartbeat]",
    '[[networks]]\nname = "lab"\nmaster = "10.99.0.11"\nslave = "10.99.0.12"\nprefix = 24\n' +
      'vip = "10.99.0.10"\n\n[heartbeat]',
  );
  const unfit = await reload(master, lab);
  assert.equal(unfit.code, 1);
  assert.match(unfit.stderr, /this node would be unfit: network lab: no carrier/);
  const good = await reload(master, TOML);
  assert.equal(good.code, 0);
  assert.match(good.stdout, /^Nothing to apply/);
  assert.deepEqual(
    (await master.status())?.alerts.filter((text) => text.includes("reload was refused")),
    [],
  );
  assert.equal(await master.daemon?.pid(), pid);
  assert.equal((await client.summary("refused", "vip")).lost, 0);
});

Deno.test("an added VIP is mounted and announced, a removed one is gone; the other VIP and the services do not blink", async (t) => {
  const without = TOML.replace(DATA_VIP, "");
  await using cluster = await startedCluster({ toml: without });
  const { lab, master, slave } = cluster;
  await using client = await cluster.observe();
  await using watcher = await cluster.watch();
  await master.untilState("active", DEADLINE_MS);
  await client.untilUp("vip", { deadlineMs: DEADLINE_MS, holder: lab.mac("master") });
  await client.untilUp("sip", { deadlineMs: DEADLINE_MS, holder: "test PBX on master" });
  const pbx = await pbxPid(master);
  await client.mark("stays");
  await t.step("a VIP that somebody uses is refused, nothing touched", async () => {
    await lab.client.exec(["ip", "address", "add", `${lab.vip(1)}/24`, "dev", "eth1"]);
    const { code, stderr } = await reload(master, TOML);
    assert.equal(code, 1, stderr);
    assert.match(stderr, /the new VIP 10\.30\.0\.10 is in use already, by /);
    assert.deepEqual(await heldVips(cluster, master), [lab.vip(0)]);
    await lab.client.exec(["ip", "address", "del", `${lab.vip(1)}/24`, "dev", "eth1"]);
  });
  await t.step("added, the slave first", async () => {
    // What a machine on the network remembers of it is wrong: only an announcement corrects that.
    const wrong = ["ip", "neigh", "replace", lab.vip(1), "lladdr", "02:00:00:00:00:99"];
    await lab.watcher.exec([...wrong, "dev", "eth1", "nud", "stale"]).catch(() => {});
    for (const host of [slave, master]) {
      const { code, stdout, stderr } = await reload(host, TOML);
      assert.equal(code, 0, stdout + stderr);
      assert.match(stdout, /networks\.data\.vip: added 10\.30\.0\.10/);
    }
    await client.untilUp("data", { deadlineMs: DEADLINE_MS, holder: lab.mac("master", 1) });
    assert.deepEqual(await heldVips(cluster, master), [lab.vip(0), lab.vip(1)]);
    assert.deepEqual(await heldVips(cluster, slave), []);
    await untilLearnt(lab.client, lab.vip(1), lab.mac("master", 1));
  });
  await t.step("removed", async () => {
    for (const host of [slave, master]) {
      const { code, stdout, stderr } = await reload(host, without);
      assert.equal(code, 0, stdout + stderr);
    }
    await untilHeld(cluster, master, [lab.vip(0)]);
    assert.deepEqual((await master.status())?.vips.map(({ vip }) => vip), [lab.vip(0)]);
  });
  assert.equal(await pbxPid(master), pbx);
  assert.equal((await client.summary("stays", "vip")).lost, 0);
  await cluster.untilNormal(DEADLINE_MS);
  await assertNeverTwoHolders(watcher);
});

Deno.test("a network that is removed and added again goes and comes with VIP, link and health page; the switchover works afterwards", async () => {
  await using cluster = await startedCluster({ toml: TOML });
  const { lab, master, slave } = cluster;
  await using client = await cluster.observe();
  await untilServes(cluster, master, client);
  await client.mark("stays");
  const voipOnly = relaisToml({ ...CALM, networks: ["voip"] });
  for (const host of [slave, master]) {
    const { code, stdout, stderr } = await reload(host, voipOnly);
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /networks\.data: removed \(VIP 10\.30\.0\.10\)/);
  }
  await untilHeld(cluster, master, [lab.vip(0)]);
  assert.deepEqual((await slave.status())?.links.map(({ network }) => network), ["voip"]);
  const url = `http://${lab.address("slave", 1)}:8460/health`;
  const asks = async (): Promise<boolean> =>
    (await lab.client.try(["curl", "-s", "-f", "-m", "5", url])).code === 0;
  assert.equal(await asks(), false, "its health page is gone with it");
  for (const host of [slave, master]) {
    const { code, stdout, stderr } = await reload(host, TOML);
    assert.equal(code, 0, stdout + stderr);
  }
  await untilHeld(cluster, master, [lab.vip(0), lab.vip(1)]);
  await poll(asks, {
    deadlineMs: DEADLINE_MS,
    what: "the health page on the network that is back",
  });
  assert.equal((await client.summary("stays", "vip")).lost, 0);
  await cluster.untilNormal(DEADLINE_MS);
  const away = await master.relais(["switchover"]);
  assert.equal(away.code, 0, away.stdout + away.stderr);
  await untilServes(cluster, slave, client);
});

Deno.test("a reload in the middle of a move waits for its end; a held service stays held; a new key is taken over", async () => {
  await using cluster = await startedCluster({ toml: TOML });
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await using watcher = await cluster.watch();
  await untilServes(cluster, master, client);
  const moving = master.relais(["switchover"]);
  await master.waitFor(({ goal, node }) => goal !== null || node.state !== "active", {
    deadlineMs: DEADLINE_MS,
    what: "the move",
  });
  // Its policy would give the service back at once, if it did not know that an operator moved it.
  const toml = TOML.replace('mode = "manual"', 'mode = "auto"\nstable_s = 0');
  const [away, ...reloads] = await Promise.all([
    moving,
    reload(master, toml),
    reload(slave, toml),
  ]);
  assert.equal(away.code, 0, away.stdout + away.stderr);
  for (const { code, stdout, stderr } of reloads) assert.equal(code, 0, stdout + stderr);
  await untilServes(cluster, slave, client);
  const key = await master.relais(["keygen", "/etc/relais/new.key"]);
  assert.equal(key.code, 0, key.stderr);
  const text = await master.host.readFile("/etc/relais/new.key");
  for (const host of [slave, master]) {
    await host.host.writeFile(KEY_FILE, text, 0o600);
    const { code, stdout, stderr } = await host.relais(["reload"]);
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /the cluster key is another one/);
  }
  const held = await slave.waitFor(
    ({ peer }) => peer.configMatches === true && peer.report?.ready === true,
    {
      deadlineMs: DEADLINE_MS,
      what: "the ready master, to which the policy would give the service back",
    },
  );
  assert.equal(held.node.state, "active");
  assert.ok(!held.history.some(({ rule }) => rule === "S-BACK"), "held, as an operator moved it");
  const back = await slave.relais(["failback"]);
  assert.equal(back.code, 0, back.stdout + back.stderr);
  await untilServes(cluster, master, client);
  assert.ok((await master.status())!.counters.messagesAccepted > 0, "said with the new key");
  await assertNeverTwoHolders(watcher);
});

/** Writes the file and has it read. */
async function reload(host: RelaisHost, toml: string): ReturnType<RelaisHost["relais"]> {
  await host.host.writeFile(CONFIG_FILE, toml);
  return await host.relais(["reload"], DEADLINE_MS);
}

async function untilHeld(
  cluster: Cluster,
  host: RelaisHost,
  vips: readonly string[],
): Promise<void> {
  await poll(async () => `${await heldVips(cluster, host)}` === `${vips}`, {
    deadlineMs: DEADLINE_MS,
    what: `${vips} on ${host.name}, and no other`,
    instead: async () => `${await heldVips(cluster, host)}`,
  });
}

/** Waits until the history tells of so many reloads. */
async function untilReloads(host: RelaisHost, count: number): Promise<void> {
  await host.waitFor(
    ({ history }) => history.filter(({ rule }) => rule === "RELOAD").length >= count,
    { deadlineMs: DEADLINE_MS, what: `${count} reloads` },
  );
}
