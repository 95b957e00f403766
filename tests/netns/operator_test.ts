// What operators do and mistype, with the real program.
import assert from "node:assert/strict";
import { Cluster } from "../support/cluster.ts";
import { relaisToml } from "../support/relais_config.ts";
import { CONFIG_FILE } from "../support/relais_host.ts";
import {
  askFor,
  assertNeverTwoHolders,
  DEADLINE_MS,
  FAST,
  heldVips,
  phoneRegisters,
  servicesRun,
  startedCluster,
  untilServes,
} from "./situations.ts";

Deno.test("relais switchover and failback move the service with its registrations, there and back", async () => {
  await using cluster = await startedCluster();
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await using watcher = await cluster.watch();
  await untilServes(cluster, master, client);
  await phoneRegisters(cluster, "1001");
  const away = await master.relais(["switchover"]);
  assert.equal(away.code, 0, away.stdout + away.stderr);
  await untilServes(cluster, slave, client);
  assert.equal(await askFor(cluster, "1001"), 200, "at rest before it travelled: nothing is lost");
  await phoneRegisters(cluster, "1002");
  await master.waitFor(({ node, ready }) => node.state === "standby" && ready, {
    deadlineMs: DEADLINE_MS,
    what: "standby after the switchover",
  });
  assert.equal(await servicesRun(master), false);
  const back = await slave.relais(["failback"]);
  assert.equal(back.code, 0, back.stdout + back.stderr);
  await untilServes(cluster, master, client);
  assert.equal(await askFor(cluster, "1002"), 200);
  await cluster.untilNormal(DEADLINE_MS);
  await assertNeverTwoHolders(watcher);
});

Deno.test("maintenance: the node observes and acts on nothing until it is over", async () => {
  await using cluster = await startedCluster({ config: { data: false } });
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await untilServes(cluster, master, client);
  assert.equal((await slave.relais(["maintenance", "on"])).code, 0);
  await slave.untilState("maintenance", DEADLINE_MS);
  await master.host.crash();
  await slave.waitFor(({ peer }) => peer.verdict === "dead", {
    deadlineMs: DEADLINE_MS,
    what: "the dead master",
  });
  assert.equal((await slave.status())!.node.state, "maintenance");
  assert.equal(await servicesRun(slave), false);
  assert.equal((await slave.relais(["maintenance", "off"])).code, 0);
  await untilServes(cluster, slave, client);
});

Deno.test("relais cleanup takes away what a daemon left behind, and only that; twice is harmless", async () => {
  await using cluster = await startedCluster({ config: { data: false } });
  const { lab, master } = cluster;
  await cluster.slave.stop("leave");
  await master.host.exec(["ip", "addr", "add", "10.20.0.99/24", "dev", "eth0"]);
  await master.stop("kill");
  for (let time = 0; time < 2; time++) {
    const result = await master.relais(["cleanup"]);
    assert.equal(result.code, 0, result.stdout + result.stderr);
  }
  assert.deepEqual(await heldVips(cluster, master), []);
  const addresses = await master.addresses();
  assert.ok(addresses.includes("10.20.0.99/24"), "an administrator's address stays");
  assert.ok(addresses.includes(`${lab.address("master")}/24`));
  const route = (await master.host.exec(["ip", "route", "get", "192.0.2.1"])).stdout;
  assert.doesNotMatch(route, /src 10\.20\.0\.10 /);
});

Deno.test("a bad configuration is refused with every problem at once, by check-config and by the daemon", async () => {
  await using cluster = await Cluster.create({ config: FAST });
  const { master } = cluster;
  const bad = relaisToml(FAST).replace('vip = "10.20.0.10"', 'vip = "192.0.2.10"')
    .replace("stable_s = 1", "stable_s = -1\ncolour = true");
  await master.host.writeFile(CONFIG_FILE, bad);
  const check = await master.relais(["check-config", CONFIG_FILE]);
  const daemon = await master.relais(["daemon"]);
  for (const { code, stdout, stderr } of [check, daemon]) {
    assert.notEqual(code, 0);
    for (const key of ["vip", "failback.stable_s", "colour"]) {
      assert.ok((stdout + stderr).includes(key), `${key} in: ${stdout}${stderr}`);
    }
  }
  const good = await cluster.slave.relais(["check-config", CONFIG_FILE]);
  assert.equal(good.code, 0, good.stdout + good.stderr);
});

Deno.test("an interface that is down at the start is waited for", async () => {
  await using cluster = await Cluster.create({ config: { ...FAST, data: false } });
  const { master } = cluster;
  await using client = await cluster.observe();
  await master.host.exec(["ip", "link", "set", "eth0", "down"]);
  for (const host of cluster.both) host.start();
  await master.waitFor(({ links }) => links.some(({ carrier }) => !carrier), {
    deadlineMs: DEADLINE_MS,
    what: "the missing link in the status",
  });
  assert.deepEqual(await heldVips(cluster, master), []);
  await master.host.exec(["ip", "link", "set", "eth0", "up"]);
  await cluster.untilNormal(DEADLINE_MS);
  await untilServes(cluster, master, client);
});
