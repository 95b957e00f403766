// M1 to M4 of the source document, with the real program between two hosts.
import assert from "node:assert/strict";
import { ASTDB_PATH } from "../support/asterisk_db.ts";
import { Cluster } from "../support/cluster.ts";
import { poll } from "../support/poll.ts";
import { FILE_PATHS, VIP6 } from "../support/relais_config.ts";
import type { RelaisHost } from "../support/relais_host.ts";
import { untilSpooled } from "../support/spooled_phone.ts";
import {
  askFor,
  assertInOrder,
  assertNeverTwoHolders,
  assertVipRoute,
  dataSet,
  DEADLINE_MS,
  heldVips,
  phoneRegisters,
  servicesRun,
  startedCluster,
  statusByCli,
  untilLearnt,
  untilReceived,
  untilServes,
} from "./situations.ts";
import { STEADY } from "./stage.ts";

const DATA = { ...STEADY, data: true };

Deno.test("M1: the master mounts the VOIP and the DATA VIP as soon as they answer no ping, with routes, and updates ARP tables", async () => {
  await using cluster = await Cluster.create({ config: STEADY });
  const { lab, master } = cluster;
  // A machine that never asks, and believes that the VIP is elsewhere: only an announcement changes it.
  const stale = [lab.vip(0), "lladdr", "02:4c:00:00:00:99", "dev", "eth0", "nud", "reachable"];
  await lab.watcher.exec(["ip", "neigh", "replace", ...stale]);
  await using client = await cluster.observe();
  assert.equal(client.isUp("vip"), false);
  await cluster.start(DEADLINE_MS);
  await untilServes(cluster, master, client);
  await client.untilUp("data", { deadlineMs: DEADLINE_MS, holder: lab.mac("master", 1) });
  await assertVipRoute(cluster, master, true);
  await untilLearnt(lab.watcher, lab.vip(0), lab.mac("master"));
});

Deno.test("M1: the master mounts no VIP that answers ping for somebody else, never a second holder; and does once it is silent", async () => {
  await using cluster = await Cluster.create({ lab: { stranger: true }, config: STEADY });
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
  for (const host of cluster.both) assert.deepEqual(await heldVips(cluster, host), []);
  await lab.stranger.exec(["ip", "addr", "del", ...theft]);
  await cluster.untilNormal(DEADLINE_MS);
  await watcher.untilUp("arp", { deadlineMs: DEADLINE_MS, holder: lab.mac("master") });
  await assertNeverTwoHolders(watcher);
});

Deno.test("M1, S1, S2: the same for a VIP over IPv6, with neighbour advertisements", async () => {
  await using cluster = await Cluster.create({ config: { ...STEADY, ipv6: true } });
  const { lab, master, slave } = cluster;
  await using client = await cluster.observe();
  await cluster.start(DEADLINE_MS);
  await client.untilUp("vip6", { deadlineMs: DEADLINE_MS, holder: lab.mac("master") });
  assert.ok((await master.addresses()).some((each) => each.startsWith(`${VIP6}/`)));
  const stale = [VIP6, "lladdr", lab.mac("master"), "dev", "eth0", "nud", "reachable"];
  await lab.watcher.exec(["ip", "neigh", "replace", ...stale]);
  await master.host.cable("pull");
  await client.untilUp("vip6", { deadlineMs: DEADLINE_MS, holder: lab.mac("slave") });
  await untilLearnt(lab.watcher, VIP6, lab.mac("slave"));
  await slave.untilState("active", DEADLINE_MS);
  await master.host.cable("plug");
  await client.untilUp("vip6", { deadlineMs: DEADLINE_MS, holder: lab.mac("master") });
  await untilLearnt(lab.watcher, VIP6, lab.mac("master"));
  await cluster.untilNormal(DEADLINE_MS);
});

Deno.test("M2: every hour it copies database, sound files and configuration files to the slave, each with its own age and result", async (t) => {
  await using cluster = await startedCluster({ config: { ...DATA, database: true } });
  const { master, slave } = cluster;
  const [config, sounds] = FILE_PATHS;
  const sets = ["astdb", "database", "files"] as const;
  await t.step("relais sync copies all three", async () => {
    await master.host.writeFile(`${sounds}/fr/welcome.wav`, "sound", 0o640);
    await master.host.writeFile(`${config}/extensions_extra.conf`, "[default]\n");
    await slave.host.writeFile(`${sounds}/old.wav`, "gone on the master");
    await phoneRegisters(cluster, "1001");
    const { code, stderr } = await master.relais(["sync"]);
    assert.equal(code, 0, stderr);
    for (const set of sets) await untilReceived(slave, set);
    assert.equal(await slave.host.readFile(`${sounds}/fr/welcome.wav`), "sound");
    assert.equal(await slave.host.readFile(`${config}/extensions_extra.conf`), "[default]\n");
    assert.equal(slave.host.exists(`${sounds}/old.wav`), false);
  });
  await t.step(
    "each has an age on both sides, and the next copy is planned within the hour",
    async () => {
      const [here, there] = [await statusByCli(master), await statusByCli(slave)];
      for (const set of sets) {
        const [sent, received] = [dataSet(here, set, "sent"), dataSet(there, set, "received")];
        for (const { ageMs, lastError } of [sent, received]) {
          assert.ok(ageMs !== null && ageMs <= 2 * DEADLINE_MS, `${set}: ${ageMs}`);
          assert.equal(lastError, null);
        }
        assert.equal(received.sha256, sent.sha256, set);
        assert.equal(received.origin, "master", set);
        const every = set === "astdb" ? 120_000 : 3_600_000;
        assert.ok(sent.nextRunInMs !== null && sent.nextRunInMs <= every, set);
      }
    },
  );
  await t.step(
    "each has its own result: files that can't be copied keep nothing else back",
    async () => {
      const before = dataSet((await slave.status())!, "files", "received");
      await slave.host.exec(["rm", "-r", sounds]);
      await slave.host.writeFile(sounds, "a file where the folder should be");
      await master.host.writeFile(`${sounds}/new.wav`, "new");
      const { code, stderr } = await master.relais(["sync"]);
      assert.equal(code, 1, "a failed copy is not reported as a success");
      assert.match(stderr, /files: /);
      const after = await statusByCli(master);
      assert.notEqual(dataSet(after, "files", "sent").lastError, null);
      for (const set of ["astdb", "database"] as const) {
        assert.equal(dataSet(after, set, "sent").lastError, null, set);
      }
      const kept = dataSet((await slave.status())!, "files", "received");
      assert.equal(kept.snapshot, before.snapshot, "the age is that of the last good copy");
    },
  );
});

Deno.test("M3: it copies the astdb, so that a phone keeps its registration at a takeover: called on the slave without registering again", async () => {
  await using cluster = await startedCluster({ config: DATA });
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await phoneRegisters(cluster, "1001");
  await untilSpooled(slave, "1001", DEADLINE_MS); // on change: nobody asked for a copy
  await master.host.crash();
  await untilServes(cluster, slave, client);
  assert.equal(await askFor(cluster, "1001"), 200);
  assert.equal(await askFor(cluster, "1999"), 404, "not just anybody");
  assertInOrder(await marks(slave), ["S-TAKE", "install-astdb", "start-services", "N-ACTIVE"]);
  const loss = (await slave.status())!.history.findLast(({ rule }) => rule === "LOSS");
  assert.match(loss?.why ?? "", /astdb: at most the last \d+ s/, "the limit L1, in plain words");
});

Deno.test("M4: after a reboot it fetches the slave's astdb, which is newer, before services start: the slave's phones stay callable", async () => {
  await using cluster = await startedCluster({ config: DATA });
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await phoneRegisters(cluster, "1001");
  await untilSpooled(slave, "1001", DEADLINE_MS);
  await master.host.crash();
  await untilServes(cluster, slave, client);
  await phoneRegisters(cluster, "1002");
  await untilOnDisk(slave, "1002");
  await cluster.boot(master);
  await cluster.untilNormal(DEADLINE_MS);
  await untilServes(cluster, master, client);
  assert.equal(await askFor(cluster, "1001"), 200);
  assert.equal(await askFor(cluster, "1002"), 200);
  assert.equal(await askFor(cluster, "1999"), 404, "not just anybody");
  const { history } = (await master.status())!;
  const fetched = history.findLast(({ rule }) => rule === "fetch-astdb");
  assert.match(fetched?.why ?? "", /^fetched: /);
  const joined = (await marks(master)).slice((await marks(master)).lastIndexOf("N-JOIN"));
  assertInOrder(joined, [
    "N-JOIN",
    "fetch-astdb",
    "N-READY",
    "M-BACK",
    "start-services",
    "N-ACTIVE",
  ]);
});

Deno.test("M4: after a cut, when its interfaces start again, it fetches the slave's newer astdb at once, not only at the hand-back", async () => {
  await using cluster = await startedCluster({
    config: { ...DATA, failback: ['mode = "manual"'] },
  });
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await using watcher = await cluster.watch();
  await phoneRegisters(cluster, "1001");
  await untilSpooled(slave, "1001", DEADLINE_MS);
  await master.host.cable("pull");
  await untilServes(cluster, slave, client);
  await phoneRegisters(cluster, "1002");
  await untilOnDisk(slave, "1002");
  await master.host.cable("plug");
  await master.untilState("standby", DEADLINE_MS);
  await untilSpooled(master, "1002", DEADLINE_MS);
  await assertNeverTwoHolders(watcher);
  // The slave dies before any hand-back: only what the master fetched can help.
  await slave.host.crash();
  await untilServes(cluster, master, client);
  assert.equal(await servicesRun(master), true);
  assert.equal(await askFor(cluster, "1002"), 200);
});

/** Asterisk, too, commits later than it answers. */
async function untilOnDisk({ host, name }: RelaisHost, user: string): Promise<void> {
  await poll(async () => (await host.readFile(ASTDB_PATH)).includes(`/${user};@`), {
    deadlineMs: DEADLINE_MS,
    what: `phone ${user} on the disk of ${name}`,
  });
}

/** What a node decided and did, in order: rows of the table, and steps as its log has them. */
async function marks(host: RelaisHost): Promise<string[]> {
  await host.untilState("active", DEADLINE_MS);
  const words = host.log(10_000).split("\n").map((line) => {
    const rule = /event=decision rule=(\S+)/.exec(line)?.[1];
    return rule ?? /event=step .*step=(\S+)/.exec(line)?.[1] ?? null;
  });
  return words.filter((word) => word !== null);
}
