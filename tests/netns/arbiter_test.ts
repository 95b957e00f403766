// An arbiter: a real etcd on the gateway, which both hosts reach, and the real program on both hosts.
import assert from "node:assert/strict";
import { Cluster } from "../support/cluster.ts";
import { LabEtcd } from "../support/etcd.ts";
import { endAttack, startAttack } from "../support/hostile.ts";
import type { Observer } from "../support/observer.ts";
import { poll } from "../support/poll.ts";
import { relaisToml } from "../support/relais_config.ts";
import { CONFIG_FILE, type RelaisHost } from "../support/relais_host.ts";
import { DEADLINE_MS, heldVips, untilServes } from "./situations.ts";
import { pbxPid, STEADY } from "./stage.ts";

const KEY = "/relais/demo/serve";
/** Twice the default: a test machine that is starved must not lose its right by that. */
const TTL_S = 12;
const ETCD_URL = "http://10.20.0.254:2379";

interface Arbitrated extends AsyncDisposable {
  readonly cluster: Cluster;
  readonly etcd: LabEtcd;
  readonly client: Observer;
  readonly watcher: Observer;
}

/** A cluster with an etcd on its gateway, in the normal state. */
async function arbitrated(policy: "hold" | "release"): Promise<Arbitrated> {
  const arbiter = [`etcd = ["${ETCD_URL}"]`, `ttl = "${TTL_S}s"`, `policy = "${policy}"`];
  const cluster = await Cluster.create({ config: { ...STEADY, arbiter } });
  try {
    const etcd = new LabEtcd(cluster.lab.gateway, cluster.lab.address("gateway"));
    assert.equal(etcd.url, ETCD_URL);
    await etcd.start();
    await cluster.start(DEADLINE_MS);
    const client = await cluster.observe();
    const watcher = await cluster.watch();
    await untilServes(cluster, cluster.master, client);
    return {
      cluster,
      etcd,
      client,
      watcher,
      [Symbol.asyncDispose]: async () => {
        await client.close();
        await watcher.close();
        await cluster.close();
      },
    };
  } catch (error) {
    await cluster.close();
    throw error;
  }
}

/** Asks by ARP, in the watcher's place, all the time: never two. */
async function assertNeverTwo(watcher: Observer): Promise<void> {
  for (const { phase, targets } of await watcher.report()) {
    assert.ok((targets.arp?.sent ?? 0) > 0, `the watcher asked in phase ${phase}`);
    assert.equal(targets.arp?.answeredByTwo, 0, `two holders in phase ${phase}`);
  }
}

async function untilRight(host: RelaisHost, right: "mine" | "peer" | "free"): Promise<void> {
  await host.waitFor(({ arbiter }) => arbiter?.right === right, {
    deadlineMs: DEADLINE_MS,
    what: `the right to serve: ${right}`,
  });
}

/** So many seconds of questions of the client's, by their number: the observer's clock is the only one. */
async function untilAsked(client: Observer, phase: string, seconds: number): Promise<void> {
  await poll(async () => (await client.summary(phase, "sip")).sent >= seconds * 20, {
    deadlineMs: DEADLINE_MS,
    everyMs: 200,
    what: `${seconds} s of questions`,
  });
}

Deno.test("a full partition that telephones span, both hosts hear witness and etcd: the one with the right serves on, nobody else does", async () => {
  await using scene = await arbitrated("hold");
  const { cluster, etcd, client, watcher } = scene;
  const { lab, master, slave } = cluster;
  assert.equal(await etcd.holder(KEY), "master");
  await untilRight(slave, "peer");
  await client.mark("split");
  await watcher.mark("split");
  await lab.split();
  await slave.waitFor(({ peer }) => peer.verdict === "dead", {
    deadlineMs: DEADLINE_MS,
    what: "a master that seems dead",
  });
  await untilAsked(client, "split", 2 * TTL_S);
  assert.equal((await slave.status())?.node.state, "standby");
  assert.equal((await master.status())?.node.state, "active");
  assert.equal((await client.summary("split", "vip")).lost, 0);
  assert.equal((await client.summary("split", "sip")).lost, 0);
  await lab.join();
  await cluster.untilNormal(DEADLINE_MS);
  await assertNeverTwo(watcher);
});

Deno.test("a full partition in which etcd stays with the slave: the master lets go before the slave serves", async () => {
  await using scene = await arbitrated("hold");
  const { cluster, etcd, client, watcher } = scene;
  const { lab, master, slave } = cluster;
  await etcd.shut([lab.address("master"), lab.address("master", 1)]);
  await lab.split();
  await untilServes(cluster, slave, client);
  assert.deepEqual(await heldVips(cluster, master), []);
  assert.equal(await etcd.holder(KEY), "slave");
  const history = (await master.status())!.history.map(({ rule }) => rule);
  assert.ok(history.includes("N-RIGHT-LOST"), history.join(", "));
  await assertNeverTwo(watcher);
  await etcd.shut([]);
  await lab.join();
  await cluster.untilNormal(DEADLINE_MS);
  await untilServes(cluster, master, client);
  assert.equal(await etcd.holder(KEY), "master");
  await assertNeverTwo(watcher);
});

Deno.test("the host of the master dies: the slave serves when its lease has ended", async () => {
  await using scene = await arbitrated("hold");
  const { cluster, etcd, client, watcher } = scene;
  const { master, slave } = cluster;
  await master.host.crash();
  await untilServes(cluster, slave, client);
  assert.equal(await etcd.holder(KEY), "slave");
  await cluster.boot(master);
  await cluster.untilNormal(DEADLINE_MS);
  await untilServes(cluster, master, client);
  await assertNeverTwo(watcher);
});

for (const how of ["killed", "frozen"] as const) {
  Deno.test(`etcd is ${how}, policy hold: the master serves on without a lost packet, and moves on wish`, async () => {
    await using scene = await arbitrated("hold");
    const { cluster, etcd, client, watcher } = scene;
    const { master, slave } = cluster;
    await client.mark("without etcd");
    if (how === "killed") await etcd.kill();
    else await etcd.freeze();
    const status = await master.waitFor(({ arbiter }) => arbiter?.byConsent === true, {
      deadlineMs: DEADLINE_MS,
      what: "serving by consent",
    });
    assert.ok(status.alerts.some((text) => text.includes("arbiter")), status.alerts.join("\n"));
    await untilAsked(client, "without etcd", 3 * TTL_S);
    assert.equal((await master.status())?.node.state, "active");
    assert.equal((await client.summary("without etcd", "vip")).lost, 0);
    assert.equal((await client.summary("without etcd", "sip")).lost, 0);
    const { code, stderr } = await master.relais(["switchover", "--wait", "60"]);
    assert.equal(code, 0, stderr);
    await untilServes(cluster, slave, client);
    if (how === "killed") await etcd.start();
    else await etcd.thaw();
    // An etcd that comes back tells of the right that the master had before, until that gives it away.
    await client.mark("etcd is back");
    await untilRight(slave, "mine");
    assert.equal((await slave.status())?.node.state, "active");
    assert.equal((await client.summary("etcd is back", "vip")).lost, 0);
    await assertNeverTwo(watcher);
  });
}

Deno.test("etcd is killed, policy release: the master lets go before its lease ends, and serves again when etcd is back", async () => {
  await using scene = await arbitrated("release");
  const { cluster, etcd, client, watcher } = scene;
  const { master, slave } = cluster;
  await etcd.kill();
  await master.waitFor(({ node }) => node.state === "isolated", {
    deadlineMs: DEADLINE_MS,
    what: "a master without the right",
  });
  assert.deepEqual(await heldVips(cluster, master), []);
  assert.deepEqual(await heldVips(cluster, slave), []);
  await etcd.start();
  await poll(async () => {
    const states = await Promise.all(cluster.both.map((host) => host.status()));
    return states.map((status) => status?.node.state).includes("active");
  }, { deadlineMs: DEADLINE_MS, everyMs: 200, what: "one that serves" });
  await cluster.untilNormal(DEADLINE_MS);
  await untilServes(cluster, master, client);
  await assertNeverTwo(watcher);
});

Deno.test("etcd is cut from the master alone, policy hold: it serves on as the slave consents", async () => {
  await using scene = await arbitrated("hold");
  const { cluster, etcd, client, watcher } = scene;
  const { lab, master, slave } = cluster;
  await client.mark("cut");
  await etcd.shut([lab.address("master"), lab.address("master", 1)]);
  await master.waitFor(({ arbiter }) => arbiter?.byConsent === true, {
    deadlineMs: DEADLINE_MS,
    what: "serving by consent",
  });
  await untilAsked(client, "cut", 2 * TTL_S);
  assert.equal((await client.summary("cut", "vip")).lost, 0);
  assert.equal(await etcd.holder(KEY), null, "the lease has ended");
  const promised = (await slave.status())?.arbiter?.promisedForMs ?? 0;
  assert.ok(promised > 0, "the slave keeps its promise although the right is free");
  // Now the rest of the world is cut, too: the master must let go before the slave serves.
  // Somebody who reads the slave's health all the time must not have it promise for ever.
  const question = "GET /health HTTP/1.1\r\nHost: relais\r\n\r\n";
  const reader = startAttack(lab.gateway, [
    "flood",
    lab.address("slave"),
    "8460",
    "90",
    "1",
    question,
  ]);
  try {
    await lab.split();
    await untilServes(cluster, slave, client);
  } finally {
    await endAttack(reader);
  }
  assert.deepEqual(await heldVips(cluster, master), []);
  await assertNeverTwo(watcher);
});

Deno.test("etcd is cut from the master alone, policy release: the slave takes over as soon as it may", async () => {
  await using scene = await arbitrated("release");
  const { cluster, etcd, client, watcher } = scene;
  const { lab, master, slave } = cluster;
  await etcd.shut([lab.address("master"), lab.address("master", 1)]);
  await untilServes(cluster, slave, client);
  assert.deepEqual(await heldVips(cluster, master), []);
  const rules = (await slave.status())!.history.map(({ rule }) => rule);
  assert.ok(rules.includes("N-RIGHT-FREE"), rules.join(", "));
  await assertNeverTwo(watcher);
});

Deno.test("planned moves take the right along: there and back without waiting for a lease", async () => {
  await using scene = await arbitrated("hold");
  const { cluster, etcd, client, watcher } = scene;
  const { master, slave } = cluster;
  const moved = await master.relais(["switchover", "--wait", "60"]);
  assert.equal(moved.code, 0, moved.stderr);
  await untilServes(cluster, slave, client);
  assert.equal(await etcd.holder(KEY), "slave");
  const back = await slave.relais(["failback", "--wait", "60"]);
  assert.equal(back.code, 0, back.stderr);
  await untilServes(cluster, master, client);
  assert.equal(await etcd.holder(KEY), "master");
  for (const host of cluster.both) {
    const steps = (await host.status())!.history.map(({ rule }) => rule);
    assert.ok(!steps.includes("N-RIGHT-REFUSED"), steps.join(", "));
  }
  await assertNeverTwo(watcher);
});

Deno.test("the daemon of the master is restarted and killed, with etcd and without: VIPs and services stay", async (t) => {
  await using scene = await arbitrated("hold");
  const { cluster, etcd, client, watcher } = scene;
  const { master } = cluster;
  const pid = await pbxPid(master);
  for (const without of [false, true]) {
    if (without) {
      await etcd.kill();
      await master.waitFor(({ arbiter }) => arbiter?.byConsent === true, {
        deadlineMs: DEADLINE_MS,
        what: "serving by consent",
      });
    }
    for (const how of ["restart", "kill"] as const) {
      await t.step(`${how}${without ? " without etcd" : ""}`, async () => {
        const phase = `${how} ${without}`;
        await client.mark(phase);
        await master.stop(how);
        master.start();
        await master.untilState("active", DEADLINE_MS);
        if (!without) await untilRight(master, "mine");
        await untilAsked(client, phase, TTL_S);
        assert.equal((await client.summary(phase, "vip")).lost, 0);
        assert.equal(await pbxPid(master), pid);
      });
    }
  }
  await assertNeverTwo(watcher);
});

Deno.test("an end in order gives the right back: the slave serves at once", async () => {
  await using scene = await arbitrated("hold");
  const { cluster, etcd, client, watcher } = scene;
  const { master, slave } = cluster;
  await master.stop("leave");
  await untilServes(cluster, slave, client);
  assert.equal(await etcd.holder(KEY), "slave");
  await slave.stop("leave");
  await poll(async () => await etcd.holder(KEY) === null, {
    deadlineMs: DEADLINE_MS,
    everyMs: 50,
    what: "a right that is free",
  });
  await assertNeverTwo(watcher);
});

Deno.test("the worst day: etcd is gone and nobody serves; without [arbiter] and a reload this host serves", async () => {
  await using scene = await arbitrated("release");
  const { cluster, etcd, client } = scene;
  const { master, slave } = cluster;
  await etcd.kill();
  await master.waitFor(({ node }) => node.state === "isolated", {
    deadlineMs: DEADLINE_MS,
    what: "a master without the right",
  });
  for (const host of cluster.both) await host.host.writeFile(CONFIG_FILE, relaisToml(STEADY));
  for (const host of [slave, master]) {
    const { code, stderr } = await host.relais(["reload"]);
    assert.equal(code, 0, stderr);
  }
  await cluster.untilNormal(DEADLINE_MS);
  await untilServes(cluster, master, client);
  assert.equal((await master.status())?.arbiter, null);
});
