// M1 to M4 of the source document, with the real program between two hosts.
import assert from "node:assert/strict";
import { Cluster } from "../support/cluster.ts";
import { ASTDB_PATH } from "../support/asterisk_db.ts";
import { poll } from "../support/poll.ts";
import { FILE_PATHS } from "../support/relais_config.ts";
import { untilSpooled } from "../support/spooled_phone.ts";
import {
  askFor,
  assertNeverTwoHolders,
  DEADLINE_MS,
  FAST,
  heldVips,
  phoneRegisters,
  servicesRun,
  startedCluster,
  untilReceived,
  untilServes,
} from "./situations.ts";

Deno.test("M1: the master mounts both VIPs with their routes when nobody answers for them", async () => {
  await using cluster = await Cluster.create({ config: { ...FAST, data: false } });
  const { lab, master } = cluster;
  await using client = await cluster.observe();
  await cluster.start(DEADLINE_MS);
  await untilServes(cluster, master, client);
  await client.untilUp("data", { deadlineMs: DEADLINE_MS, holder: lab.mac("master", 1) });
  const route = (await master.host.exec(["ip", "route", "get", "192.0.2.1"])).stdout;
  assert.match(route, /via 10\.20\.0\.254 .*src 10\.20\.0\.10/);
});

Deno.test("M1: the master mounts no VIP that a stranger answers for, and does once he is gone", async () => {
  await using cluster = await Cluster.create({
    lab: { stranger: true },
    config: { ...FAST, data: false },
  });
  const { lab, master } = cluster;
  const theft = [`${lab.vip(0)}/24`, "dev", "eth0"];
  await lab.stranger.exec(["ip", "addr", "add", ...theft]);
  await using watcher = await cluster.watch();
  for (const host of cluster.both) host.start();
  await master.waitFor(
    ({ vips }) => vips.some(({ vip, holder }) => vip === lab.vip(0) && holder === "stranger"),
    { deadlineMs: DEADLINE_MS, what: "the stranger seen" },
  );
  await watcher.untilUp("arp", { deadlineMs: DEADLINE_MS, holder: lab.mac("stranger") });
  assert.deepEqual(await heldVips(cluster, master), []);
  await lab.stranger.exec(["ip", "addr", "del", ...theft]);
  await cluster.untilNormal(DEADLINE_MS);
  assert.equal((await heldVips(cluster, master)).length, 2);
  await assertNeverTwoHolders(watcher);
});

Deno.test("M1: the VIP comes back to the master over IPv6 as well", async () => {
  await using cluster = await Cluster.create({ config: { ...FAST, ipv6: true, data: false } });
  const { lab, master, slave } = cluster;
  await using client = await cluster.observe();
  await cluster.start(DEADLINE_MS);
  await client.untilUp("vip6", { deadlineMs: DEADLINE_MS, holder: lab.mac("master") });
  await master.host.cable("pull");
  await client.untilUp("vip6", { deadlineMs: DEADLINE_MS, holder: lab.mac("slave") });
  await slave.untilState("active", DEADLINE_MS);
  await master.host.cable("plug");
  await client.untilUp("vip6", { deadlineMs: DEADLINE_MS, holder: lab.mac("master") });
  await cluster.untilNormal(DEADLINE_MS);
});

Deno.test("M2: astdb, database and files go to the slave, each with its own age and result", async () => {
  await using cluster = await startedCluster({ config: { database: true } });
  const { master, slave } = cluster;
  const file = `${FILE_PATHS[1]}/fr/welcome.wav`;
  await master.host.writeFile(file, "sound");
  await slave.host.writeFile(`${FILE_PATHS[1]}/old.wav`, "gone on the master");
  await phoneRegisters(cluster, "1001");
  const result = await master.relais(["sync"]);
  assert.equal(result.code, 0, result.stdout + result.stderr);
  for (const set of ["astdb", "database", "files"] as const) await untilReceived(slave, set);
  assert.equal(await slave.host.readFile(file), "sound");
  assert.equal(slave.host.exists(`${FILE_PATHS[1]}/old.wav`), false);
  const sent = (await master.status())!.dataSets.filter(({ direction }) => direction === "sent");
  assert.equal(sent.length, 3);
  for (const each of sent) {
    assert.equal(each.lastError, null, each.set);
    assert.ok(each.ageMs !== null && each.durationMs !== null, each.set);
  }
});

Deno.test("M3: a phone that registered on the master can be called on the slave after a power cut", async () => {
  await using cluster = await startedCluster();
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await phoneRegisters(cluster, "1001");
  await untilSpooled(slave, "1001", DEADLINE_MS);
  await master.host.crash();
  await untilServes(cluster, slave, client);
  assert.equal(await askFor(cluster, "1001"), 200);
  assert.equal(await askFor(cluster, "1999"), 404, "not just anybody");
});

Deno.test("M4: a phone that registered on the slave can be called on the master after its boot", async () => {
  await using cluster = await startedCluster();
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await phoneRegisters(cluster, "1001");
  await untilSpooled(slave, "1001", DEADLINE_MS);
  await master.host.crash();
  await untilServes(cluster, slave, client);
  await phoneRegisters(cluster, "1002");
  await cluster.boot(master);
  await cluster.untilNormal(DEADLINE_MS);
  await untilServes(cluster, master, client);
  assert.equal(await askFor(cluster, "1001"), 200);
  assert.equal(await askFor(cluster, "1002"), 200);
});

Deno.test("M4: when its network is plugged in again the master fetches the slave's newer astdb", async () => {
  await using cluster = await startedCluster({
    config: { failback: ['mode = "manual"'] },
  });
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await phoneRegisters(cluster, "1001");
  await untilSpooled(slave, "1001", DEADLINE_MS);
  await master.host.cable("pull");
  await untilServes(cluster, slave, client);
  await phoneRegisters(cluster, "1002");
  await poll(() => slave.host.readFile(ASTDB_PATH).then((text) => text.includes("/1002;@")), {
    deadlineMs: DEADLINE_MS,
    what: "phone 1002 on the slave's disk (Asterisk, too, commits later than it answers)",
  });
  await master.host.cable("plug");
  await master.untilState("standby", DEADLINE_MS);
  await untilSpooled(master, "1002", DEADLINE_MS);
  // The slave dies before any hand-back: only what the master fetched can help.
  await slave.host.crash();
  await untilServes(cluster, master, client);
  assert.equal(await servicesRun(master), true);
  await poll(async () => await askFor(cluster, "1002") === 200, {
    deadlineMs: DEADLINE_MS,
    what: "phone 1002 on the master",
  });
});
