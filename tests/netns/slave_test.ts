// S1 and S2 of the source document, with the real program between two hosts.
import assert from "node:assert/strict";
import {
  assertNeverTwoHolders,
  DEADLINE_MS,
  heldVips,
  servicesRun,
  startedCluster,
  untilServes,
} from "./situations.ts";

Deno.test("S1: when the master's power is cut the slave starts services and mounts VIPs, routes, ARP", async () => {
  await using cluster = await startedCluster({ config: { data: false } });
  const { lab, master, slave } = cluster;
  await using client = await cluster.observe();
  await untilServes(cluster, master, client);
  await master.host.crash();
  await untilServes(cluster, slave, client);
  await client.untilUp("data", { deadlineMs: DEADLINE_MS, holder: lab.mac("slave", 1) });
  const route = (await slave.host.exec(["ip", "route", "get", "192.0.2.1"])).stdout;
  assert.match(route, /via 10\.20\.0\.254 .*src 10\.20\.0\.10/);
});

Deno.test("S1: an orderly stop of the master hands the service over without waiting for silence", async () => {
  await using cluster = await startedCluster({
    config: { data: false, heartbeat: ['preset = "calm"'] },
  });
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await using watcher = await cluster.watch();
  await untilServes(cluster, master, client);
  await client.mark("leave");
  await master.stop("leave", DEADLINE_MS);
  await untilServes(cluster, slave, client);
  const { outages } = await client.summary("leave", "vip");
  // Calm needs 10 s of silence for a death: less than half of it proves that it was not waited for.
  assert.ok(outages.every(({ outageMs }) => outageMs < 5_000), JSON.stringify(outages));
  assert.deepEqual(await heldVips(cluster, master), []);
  await assertNeverTwoHolders(watcher);
});

Deno.test("S2: when the master is back the slave stops its services and drops the VIPs", async () => {
  await using cluster = await startedCluster({ config: { data: false } });
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await using watcher = await cluster.watch();
  await master.host.cable("pull");
  await untilServes(cluster, slave, client);
  await master.host.cable("plug");
  await cluster.untilNormal(DEADLINE_MS);
  await untilServes(cluster, master, client);
  assert.equal(await servicesRun(slave), false);
  assert.deepEqual(await heldVips(cluster, slave), []);
  const route = (await slave.host.exec(["ip", "route", "get", "192.0.2.1"])).stdout;
  assert.match(route, /src 10\.20\.0\.12/, "the slave's own default route is back");
  await assertNeverTwoHolders(watcher);
});
