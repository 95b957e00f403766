// Hosts that are not set up as they should be, with the real program.
import assert from "node:assert/strict";
import { Cluster } from "../support/cluster.ts";
import { poll } from "../support/poll.ts";
import { relaisToml } from "../support/relais_config.ts";
import { CONFIG_FILE, type RelaisHost } from "../support/relais_host.ts";
import {
  askFor,
  assertNeverTwoHolders,
  DEADLINE_MS,
  heldVips,
  phoneRegisters,
  servicesRun,
  untilServes,
} from "./situations.ts";
import { untilSpooled } from "../support/spooled_phone.ts";
import { STEADY, untilAlert, untilNeighbour } from "./stage.ts";

/** A cluster whose daemons do not run yet. */
async function stoppedCluster(config: Parameters<typeof relaisToml>[0] = {}): Promise<Cluster> {
  return await Cluster.create({ config: { ...STEADY, ...config } });
}

/** A phone registers at the master, and the PBX has written that down: it commits once a second. */
async function phoneIsOnDisk(cluster: Cluster, user: string): Promise<void> {
  await phoneRegisters(cluster, user);
  const argv = ["grep", "-q", `contact/${user};`, "/var/lib/asterisk/astdb.sqlite3"];
  await poll(async () => (await cluster.master.host.try(argv)).code === 0, {
    deadlineMs: DEADLINE_MS,
    everyMs: 100,
    what: `phone ${user} in the astdb of the master`,
  });
}

/** What a verb says when it does not do what was asked. */
async function refusal(host: RelaisHost, verb: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await host.relais(verb);
  assert.notEqual(code, 0, `relais ${verb.join(" ")} is refused`);
  return stdout + stderr;
}

Deno.test("a peer with another configuration is shown, watched, given no data, and relieved", async () => {
  await using cluster = await stoppedCluster({ data: true });
  const { lab, master, slave } = cluster;
  const other = relaisToml({ ...STEADY, data: true, failback: ['mode = "manual"'] });
  await slave.host.writeFile(CONFIG_FILE, other);
  for (const host of cluster.both) host.start();
  await using client = await cluster.observe();
  await using watcher = await cluster.watch();
  await untilServes(cluster, master, client);
  for (const host of cluster.both) await untilAlert(host, /another configuration/);
  assert.equal((await master.status())!.peer.configMatches, false);
  await slave.waitFor(
    ({ node, ready, peer }) => node.state === "standby" && ready && peer.verdict === "alive",
    {
      deadlineMs: DEADLINE_MS,
      what: "a slave that watches",
    },
  );
  await phoneIsOnDisk(cluster, "1001");
  assert.match(await refusal(master, ["sync", "astdb"]), /configurations .*differ/);
  assert.equal(slave.host.exists("/var/lib/asterisk/astdb.sqlite3"), false, "nothing arrived");
  await poll(async () => /another configuration/.test(await refusal(master, ["switchover"])), {
    deadlineMs: DEADLINE_MS,
    everyMs: 200,
    what: "a refusal with the reason",
  });
  assert.equal((await master.status())!.node.state, "active");
  await master.host.crash();
  await untilServes(cluster, slave, client);
  await untilNeighbour(lab, "slave");
  await assertNeverTwoHolders(watcher);
});

Deno.test("without a cluster key both act on silence, refuse what is asked, and say so", async () => {
  await using cluster = await Cluster.create({ key: false, config: STEADY });
  await cluster.start(DEADLINE_MS);
  const { lab, master, slave } = cluster;
  await using client = await cluster.observe();
  await using watcher = await cluster.watch();
  await untilServes(cluster, master, client);
  for (const host of cluster.both) await untilAlert(host, /No cluster key.*relais keygen/);
  assert.match(await refusal(master, ["switchover"]), /no cluster key/);
  assert.match(await refusal(slave, ["switchover"]), /no cluster key/);
  await master.host.crash();
  await untilServes(cluster, slave, client);
  // The way back, too: the slave lets go, and the master sees that by itself.
  await cluster.boot(master);
  await cluster.untilNormal(DEADLINE_MS);
  await untilServes(cluster, master, client);
  await untilNeighbour(lab, "master");
  assert.equal(await servicesRun(slave), false);
  await assertNeverTwoHolders(watcher);
});

Deno.test("a tool that is missing is named with its package, and what does not need it goes on", async () => {
  await using cluster = await stoppedCluster({ data: true, database: false });
  const { lab, master, slave } = cluster;
  // As if the package had been removed: the host's disk is its own.
  await master.host.exec(["rm", "/usr/bin/rsync"]);
  await cluster.start(DEADLINE_MS);
  await using client = await cluster.observe();
  await using watcher = await cluster.watch();
  await untilServes(cluster, master, client);
  await untilAlert(master, /files.*rsync.*apt.* install rsync/);
  await phoneIsOnDisk(cluster, "1001");
  const astdb = await master.relais(["sync", "astdb"]);
  assert.equal(astdb.code, 0, astdb.stdout + astdb.stderr);
  await untilSpooled(slave, "1001", DEADLINE_MS); // sync may have joined a copy that had begun before
  assert.match(await refusal(master, ["sync", "files"]), /rsync/);
  await master.host.crash();
  await untilServes(cluster, slave, client);
  await untilNeighbour(lab, "slave");
  assert.equal(await askFor(cluster, "1001"), 200, "the astdb had been copied");
  await assertNeverTwoHolders(watcher);
});

Deno.test("pg_dump is missing: named with its package, and the astdb is copied all the same", async () => {
  await using cluster = await stoppedCluster({ data: true, database: true });
  const { master } = cluster;
  await master.host.exec(["sh", "-c", "rm -f /usr/bin/pg_dump /usr/lib/postgresql/*/bin/pg_dump"]);
  await cluster.start(DEADLINE_MS);
  await untilAlert(master, /database.*pg_dump.*apt.* install postgresql-client/);
  await phoneIsOnDisk(cluster, "1001");
  const astdb = await master.relais(["sync", "astdb"]);
  assert.equal(astdb.code, 0, astdb.stdout + astdb.stderr);
  assert.match(await refusal(master, ["sync", "database"]), /pg_dump/);
  assert.equal((await master.status())!.node.state, "active");
});

Deno.test("a master without ip can't hold VIPs: it says so, and the slave serves", async () => {
  await using cluster = await stoppedCluster();
  const { lab, master, slave } = cluster;
  await master.host.exec(["sh", "-c", "rm -f /sbin/ip /usr/sbin/ip /bin/ip /usr/bin/ip"]);
  for (const host of cluster.both) host.start();
  await using client = await cluster.observe();
  await using watcher = await cluster.watch();
  await untilServes(cluster, slave, client);
  await untilAlert(master, /VIPs and routes.*ip.*apt.* install iproute2/);
  await untilNeighbour(lab, "slave");
  assert.equal(await servicesRun(master), false);
  assert.notEqual((await master.status())!.node.state, "active");
  await assertNeverTwoHolders(watcher);
});

Deno.test("disk full while receiving: the previous copy is kept, both hosts show the error", async () => {
  await using cluster = await stoppedCluster({ data: true });
  const { master, slave } = cluster;
  const state = "/var/lib/relais";
  await slave.host.exec(["mount", "-t", "tmpfs", "-o", "size=512k,mode=755", "relais", state]);
  await cluster.start(DEADLINE_MS);
  await using client = await cluster.observe();
  await phoneIsOnDisk(cluster, "1001");
  const first = await master.relais(["sync", "astdb"]);
  assert.equal(first.code, 0, first.stdout + first.stderr);
  await untilSpooled(slave, "1001", DEADLINE_MS); // sync may have joined a copy that had begun before
  const kept = (await slave.status())!.dataSets
    .find((each) => each.set === "astdb" && each.direction === "received")!;
  assert.ok(kept.sha256 !== null);
  await slave.host.try(["sh", "-c", `dd if=/dev/zero of=${state}/full bs=1k`]);
  await phoneIsOnDisk(cluster, "1002");
  assert.match(await refusal(master, ["sync", "astdb"]), /disk of .* is full/);
  const errors = await Promise.all(cluster.both.map((host) =>
    host.waitFor(
      ({ dataSets, alerts }) =>
        [...dataSets.flatMap(({ lastError }) => lastError ?? []), ...alerts]
          .some((text) => /disk of .* is full/.test(text)),
      { deadlineMs: DEADLINE_MS, what: "the error" },
    )
  ));
  assert.equal(errors.length, 2);
  const after = (await slave.status())!.dataSets
    .find((each) => each.set === "astdb" && each.direction === "received")!;
  assert.equal(after.sha256, kept.sha256, "the previous copy");
  // It is not only named but whole: the slave serves from it.
  await master.host.crash();
  await untilServes(cluster, slave, client);
  assert.equal(await askFor(cluster, "1001"), 200, slave.log(30));
  assert.equal((await slave.status())!.node.state, "active");
  assert.deepEqual((await heldVips(cluster, slave)).length, 2);
});

Deno.test("a configuration that is wrong: the daemon names every mistake and ends, nothing moves", async () => {
  await using cluster = await stoppedCluster();
  await cluster.start(DEADLINE_MS);
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await slave.stop("restart");
  const toml = await slave.host.readFile(CONFIG_FILE);
  await slave.host.writeFile(
    CONFIG_FILE,
    toml.replace("dead_after_ms = 2000", "dead_after_ms = 500\nnonsense = 1"),
  );
  await client.mark("wrong");
  slave.start();
  const { code } = await slave.daemon!.ended(DEADLINE_MS);
  assert.notEqual(code, 0);
  assert.match(slave.log(20), /nonsense/);
  assert.match(slave.log(20), /isolated_after_ms/);
  await slave.host.writeFile(CONFIG_FILE, toml);
  slave.start();
  await cluster.untilNormal(DEADLINE_MS);
  assert.equal((await client.summary("wrong", "vip")).lost, 0);
  assert.equal((await master.status())!.node.state, "active");
});
