// S1 and S2 of the source document, with the real program between two hosts.
import assert from "node:assert/strict";
import { RETURN_PATH } from "../support/relais_config.ts";
import {
  assertInOrder,
  assertNeverTwoHolders,
  assertVipRoute,
  DEADLINE_MS,
  heldVips,
  servicesRun,
  startedCluster,
  untilLearnt,
  untilServes,
} from "./situations.ts";
import { STEADY } from "./stage.ts";

Deno.test("S1: as soon as the master no longer works, the slave starts its services and mounts the VIPs, with routes and ARP", async () => {
  await using cluster = await startedCluster({ config: STEADY });
  const { lab, master, slave } = cluster;
  await using client = await cluster.observe();
  await using watcher = await cluster.watch();
  await untilServes(cluster, master, client);
  await assertVipRoute(cluster, slave, false);
  // A machine that never asks, with the entry that was right until now.
  const right = [lab.vip(0), "lladdr", lab.mac("master"), "dev", "eth0", "nud", "reachable"];
  await lab.gateway.exec(["ip", "neigh", "replace", ...right]);
  await master.host.crash();
  await untilServes(cluster, slave, client);
  await client.untilUp("data", { deadlineMs: DEADLINE_MS, holder: lab.mac("slave", 1) });
  await assertVipRoute(cluster, slave, true);
  await untilLearnt(lab.gateway, lab.vip(0), lab.mac("slave"));
  await untilLearnt(lab.client, lab.vip(0), lab.mac("slave"));
  await assertNeverTwoHolders(watcher);
});

Deno.test("S1: a master that stops in order is believed at once, without waiting for silence", async () => {
  // Calm needs 10 s of silence for a death.
  await using cluster = await startedCluster({
    config: { ...STEADY, heartbeat: ['preset = "calm"'] },
  });
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await using watcher = await cluster.watch();
  await untilServes(cluster, master, client);
  await client.mark("leave");
  await master.stop("leave", DEADLINE_MS);
  await untilServes(cluster, slave, client);
  const { outages } = await client.summary("leave", "vip");
  assert.ok(outages.every(({ outageMs }) => outageMs < 10_000), JSON.stringify(outages));
  const { history } = (await slave.status())!;
  assert.deepEqual(
    history.map(({ rule }) => rule).filter((rule) => /^S-(TAKE|NOTICE|LOST)$/.test(rule)),
    [
      "S-NOTICE",
    ],
  );
  assert.deepEqual(await heldVips(cluster, master), []);
  await assertNeverTwoHolders(watcher);
});

Deno.test("S2: as soon as the master works again, the slave stops its services and drops the VIPs", async () => {
  await using cluster = await startedCluster({ config: { ...STEADY, data: true } });
  const { lab, master, slave } = cluster;
  await using client = await cluster.observe();
  await using watcher = await cluster.watch();
  await master.host.cable("pull");
  await untilServes(cluster, slave, client);
  const message = `${RETURN_PATH}/default/1001/INBOX/msg0000.wav`;
  await slave.host.writeFile(message, "left while the slave served");
  await master.host.cable("plug");
  await cluster.untilNormal(DEADLINE_MS);
  await untilServes(cluster, master, client);
  assert.equal(await servicesRun(slave), false);
  assert.deepEqual(await heldVips(cluster, slave), []);
  await assertVipRoute(cluster, slave, false);
  await assertVipRoute(cluster, master, true);
  await untilLearnt(lab.client, lab.vip(0), lab.mac("master"));
  assert.equal(await master.host.readFile(message), "left while the slave served", "L2");
  const { history } = (await slave.status())!;
  assertInOrder(history.map(({ rule }) => rule), ["S-TAKE", "N-ACTIVE", "S-BACK", "N-GAVE"]);
  await assertNeverTwoHolders(watcher);
});
