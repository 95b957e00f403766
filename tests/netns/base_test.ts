// B1 to B4 of the source document, with the real program between two hosts.
import assert from "node:assert/strict";
import { Cluster } from "../support/cluster.ts";
import { sql } from "../support/host_postgres.ts";
import { Observer } from "../support/observer.ts";
import { PBX_COMMANDS } from "../support/pbx.ts";
import { register } from "../support/phone.ts";
import { poll } from "../support/poll.ts";
import { signalPid } from "../support/process_table.ts";
import { relaisToml } from "../support/relais_config.ts";
import { CONFIG_FILE, type RelaisHost } from "../support/relais_host.ts";
import {
  dataSet,
  DEADLINE_MS,
  heldVips,
  servicesRun,
  startedCluster,
  statusByCli,
  untilServes,
} from "./situations.ts";
import { STEADY } from "./stage.ts";

Deno.test("B1: one is the master, which works; a second is the slave, also while it serves: roles come from one file on both", async () => {
  await using cluster = await startedCluster({
    config: { ...STEADY, failback: ['mode = "manual"'] },
  });
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await untilServes(cluster, master, client);
  assert.equal(await master.host.readFile(CONFIG_FILE), await slave.host.readFile(CONFIG_FILE));
  const roles = async (): Promise<unknown[]> =>
    await Promise.all(cluster.both.map(async (each) => (await each.status())?.node.role));
  assert.deepEqual(await roles(), ["master", "slave"]);
  assert.equal((await slave.status())?.peer.configMatches, true);
  await master.host.crash();
  await untilServes(cluster, slave, client);
  await cluster.boot(master);
  await master.waitFor(({ node, ready }) => node.state === "standby" && ready, {
    deadlineMs: DEADLINE_MS,
    what: "the master at rest",
  });
  assert.deepEqual(await roles(), ["master", "slave"], "who serves changes, roles do not");
});

Deno.test("B2: on the slave the services are stopped while the master works, whatever starts them", async (t) => {
  await using cluster = await Cluster.create({ config: STEADY });
  const { lab, master, slave } = cluster;
  await using phone = await askHosts(cluster);
  await t.step("they ran before relais did: stopped", async () => {
    await slave.host.exec(PBX_COMMANDS.start);
    await phone.untilUp("slave", { deadlineMs: DEADLINE_MS, holder: "test PBX on slave" });
    await cluster.start(DEADLINE_MS);
    await untilStopped(slave, phone);
  });
  await t.step("cron, an upgrade or a person starts them: stopped again, and told", async () => {
    await slave.host.exec(PBX_COMMANDS.start);
    assert.equal(await servicesRun(slave), true);
    await untilStopped(slave, phone);
    const { alerts, history } = await slave.waitFor(({ node }) => node.state === "standby", {
      deadlineMs: DEADLINE_MS,
      what: "standby again",
    });
    assert.ok(alerts.some((alert) => alert.includes("Services were started")), alerts.join("\n"));
    assert.ok(history.some(({ rule }) => rule === "N-STRAY"), JSON.stringify(history));
  });
  await t.step("its boot starts them: stopped", async () => {
    await slave.host.crash();
    await cluster.boot(slave, { daemon: false });
    await slave.host.exec(PBX_COMMANDS.start);
    slave.start();
    await cluster.untilNormal(DEADLINE_MS);
    await untilStopped(slave, phone);
  });
  assert.equal(await servicesRun(master), true);
  assert.equal((await master.status())?.node.epoch, (await slave.status())?.node.epoch);
  assert.deepEqual(await heldVips(cluster, slave), [], lab.vip(0));
});

Deno.test("B3: without any VIP, too, the slave probes the master, takes over when it can't be reached and stops when it is back", async () => {
  await using cluster = await startedCluster({ config: { ...STEADY, vips: false } });
  const { lab, master, slave } = cluster;
  await using phone = await askHosts(cluster);
  await phone.untilUp("master", { deadlineMs: DEADLINE_MS, holder: "test PBX on master" });
  assert.equal(phone.isUp("slave"), false);
  const probes = async (): Promise<number> =>
    (await slave.status())!.links.reduce((sum, { icmp }) => sum + icmp.received, 0);
  const before = await probes();
  await poll(async () => await probes() >= before + 10, {
    deadlineMs: DEADLINE_MS,
    what: "further answers of the master to the slave's probes",
  });
  const epoch = (await slave.status())!.node.epoch;
  await master.host.crash();
  await phone.untilUp("slave", { deadlineMs: DEADLINE_MS, holder: "test PBX on slave" });
  const registered = await register(lab.client, { user: "1001", server: lab.address("slave") });
  assert.equal(registered.status, 200);
  const active = await slave.untilState("active", DEADLINE_MS);
  assert.equal(active.node.epoch, epoch + 1);
  await cluster.boot(master);
  await cluster.untilNormal(DEADLINE_MS);
  await phone.untilUp("master", { deadlineMs: DEADLINE_MS, holder: "test PBX on master" });
  await untilStopped(slave, phone);
  for (const host of cluster.both) {
    assert.deepEqual((await host.status())!.vips, []);
    const own = host.host.interfaces.flatMap(({ addresses }) => addresses);
    const has = (await host.addresses()).filter((each) => /^10\./.test(each));
    assert.deepEqual(has.sort(), own.filter((each) => /^10\./.test(each)).sort());
  }
});

Deno.test("B4: each interval the master copies its database to the slave: whole at all times, its age visible", async (t) => {
  // The shortest interval that the configuration allows, in place of the document's hour.
  const toml = relaisToml({ ...STEADY, database: true }).replace('every = "1h"', 'every = "10s"');
  await using cluster = await startedCluster({ toml, config: { database: true } });
  const { lab, master, slave } = cluster;
  await t.step("by itself, again and again", async () => {
    await addUser(master, "Ada");
    await untilUser(slave, "Ada");
    await addUser(master, "Grace");
    await untilUser(slave, "Grace");
  });
  await t.step("every table of the configuration, but each host keeps its own tables", async () => {
    const [here, there] = [await digest(master), await digest(slave)];
    assert.ok(here.split("\n").length > 30, here);
    assert.equal(there, here);
    const address = "SELECT address FROM netiface;";
    assert.equal(await ask(master, address), lab.address("master"));
    assert.equal(await ask(slave, address), lab.address("slave"));
  });
  await t.step("relais status tells the age on both sides", async () => {
    const sent = dataSet(await statusByCli(master), "database", "sent");
    const received = dataSet(await statusByCli(slave), "database", "received");
    assert.ok(sent.ageMs !== null && sent.ageMs < DEADLINE_MS, JSON.stringify(sent));
    assert.ok(received.ageMs !== null && received.ageMs < DEADLINE_MS, JSON.stringify(received));
    assert.equal(received.origin, "master");
    assert.ok(sent.nextRunInMs !== null && sent.nextRunInMs <= 10_000);
  });
  await t.step("cut in the middle: the copy before stays, whole; the next succeeds", async () => {
    await ask(master, GROW);
    await addUser(master, "Edsger");
    const before = await digest(slave);
    const cut = master.relais(["sync", "database"]);
    await master.waitFor(
      (status) => (dataSet(status, "database", "sent").running?.doneBytes ?? 0) > 1_000_000,
      { deadlineMs: DEADLINE_MS, what: "a copy on its way" },
    );
    const receivers = slave.host.pids().filter((pid) => commandLine(pid).includes("\0receive\0"));
    assert.notDeepEqual(receivers, []);
    for (const pid of receivers) signalPid(pid, "SIGKILL");
    assert.equal((await cut).code, 1, "a failed copy is not reported as a success");
    assert.equal(await digest(slave), before);
    const { code, stderr } = await master.relais(["sync", "database"]);
    assert.equal(code, 0, stderr);
    assert.equal(await digest(slave), await digest(master));
    const left = await ask(slave, "SELECT datname FROM pg_database WHERE NOT datistemplate;");
    assert.deepEqual(left.split("\n").sort(), ["asterisk", "postgres"], "nothing is left behind");
  });
});

/** The arguments of a process, each ended by a zero byte. */
function commandLine(pid: number): string {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/cmdline`);
  } catch {
    return ""; // gone meanwhile
  }
}

/** SIP questions to both hosts' own addresses. */
async function askHosts({ lab }: Cluster): Promise<Observer> {
  return await Observer.start(
    lab.client,
    (["master", "slave"] as const).map((name) => ({
      name,
      kind: "sip" as const,
      address: lab.address(name),
      interfaceName: "eth0",
      everyMs: 50,
    })),
  );
}

/** Waits until the slave's services are stopped, by their own word and for a phone that asks them. */
async function untilStopped(slave: RelaisHost, phone: Observer): Promise<void> {
  await poll(async () => !await servicesRun(slave) && !phone.isUp("slave"), {
    deadlineMs: DEADLINE_MS,
    what: "the slave's services stopped",
    instead: () => slave.log(20),
  });
}

async function ask({ host }: RelaisHost, text: string): Promise<string> {
  return await sql(host, { database: "asterisk", text });
}

async function addUser(host: RelaisHost, name: string): Promise<void> {
  await ask(host, `INSERT INTO userfeatures (firstname, context) VALUES ('${name}', 'ctx1');`);
}

async function untilUser(host: RelaisHost, name: string): Promise<void> {
  const text = `SELECT count(*) FROM userfeatures WHERE firstname = '${name}';`;
  await poll(async () => await ask(host, text) === "1", {
    deadlineMs: DEADLINE_MS,
    everyMs: 250,
    what: `user ${name} in the database of ${host.name}`,
    instead: () => host.log(20),
  });
}

/** 20 MB that no compression makes smaller. */
const GROW = `
CREATE TABLE bulk (id serial PRIMARY KEY, noise bytea);
INSERT INTO bulk (noise)
  SELECT (SELECT string_agg(gen_random_bytes(1000), '') FROM generate_series(1, 20) x WHERE g > 0)
  FROM generate_series(1, 1000) g;`;

/** One line per table of the configuration: its name, rows and a digest of them. */
async function digest(host: RelaisHost): Promise<string> {
  const tables = (await ask(
    host,
    `SELECT schemaname || '.' || tablename FROM pg_tables
     WHERE schemaname IN ('public', 'provd') AND tablename NOT IN ('dhcp', 'mail', 'monitoring',
       'netiface', 'resolvconf', 'cel', 'queue_log', 'call_log', 'session_cache')
     ORDER BY 1;`,
  )).split("\n");
  return await ask(
    host,
    tables.map((table) =>
      `SELECT '${table}', count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM ${table} t;`
    ).join("\n"),
  );
}
