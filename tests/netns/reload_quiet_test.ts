// What a reload must not disturb: the evidence, the copies, maintenance; and what systemd hears of it.
import assert from "node:assert/strict";
import { libc } from "../../src/os/libc.ts";
import { Cluster } from "../support/cluster.ts";
import { poll } from "../support/poll.ts";
import { relaisToml } from "../support/relais_config.ts";
import { CONFIG_FILE, RELAIS, type RelaisHost } from "../support/relais_host.ts";
import { UnixReceiver } from "../support/unix_receiver.ts";
import {
  assertVipRoute,
  dataSet,
  DEADLINE_MS,
  heldVips,
  startedCluster,
  untilServes,
} from "./situations.ts";
import { pbxPid, STEADY } from "./stage.ts";

libc(); // Opened here, as it stays open: inside a test it would count as a leak.

const CALM = { ...STEADY, failback: ['mode = "manual"'] };

Deno.test("from a calm pace to a quick one and back, again and again: nobody is called dead for what nobody asked", async () => {
  const calm = relaisToml({ ...CALM, heartbeat: ['preset = "calm"'] });
  const quick = relaisToml(CALM);
  await using cluster = await startedCluster({ toml: calm });
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await untilServes(cluster, master, client);
  const epoch = (await master.status())?.node.epoch;
  await client.mark("paces");
  for (let time = 0; time < 3; time++) {
    for (const toml of [quick, calm]) {
      for (const host of [slave, master]) {
        const { code, stdout, stderr } = await reload(host, toml);
        assert.equal(code, 0, stdout + stderr);
      }
    }
  }
  await cluster.untilNormal(DEADLINE_MS);
  for (const host of cluster.both) {
    const status = await host.waitFor(({ peer }) => peer.configMatches === true, {
      deadlineMs: DEADLINE_MS,
      what: "the same configuration on both",
    });
    assert.equal(status.node.epoch, epoch);
    assert.equal(status.history.filter(({ rule }) => rule === "RELOAD").length, 6);
    assert.deepEqual(
      status.history.filter(({ to, rule }) => rule === "S-TAKE" || to === "isolated"),
      [],
    );
  }
  assert.equal((await client.summary("paces", "vip")).lost, 0);
});

Deno.test("a new schedule and a new path are copied by; what was copied before is known still", async () => {
  const before = relaisToml({ ...CALM, data: true });
  await using cluster = await startedCluster({ toml: before, config: { data: true } });
  const { master, slave } = cluster;
  assert.equal((await master.relais(["sync", "files"])).code, 0);
  const first = dataSet((await slave.status())!, "files", "received");
  const after = before.replace('every = "1h"', 'every = "10s"')
    .replace('paths = ["', 'paths = ["/etc/relais-test/added","');
  for (const { host } of cluster.both) await host.exec(["mkdir", "-p", "/etc/relais-test/added"]);
  await master.host.writeFile("/etc/relais-test/added/sound", "new");
  for (const host of [slave, master]) {
    const { code, stdout, stderr } = await reload(host, after);
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /replication\.files\.every: 10 s, was 3600 s/);
  }
  assert.ok(first.snapshot !== null);
  const kept = dataSet((await slave.status())!, "files", "received");
  assert.ok(kept.snapshot !== null && kept.snapshot >= first.snapshot);
  await poll(() => slave.host.exists("/etc/relais-test/added/sound"), {
    deadlineMs: DEADLINE_MS,
    what: "the file of the new path on the slave",
    instead: () => Promise.resolve(master.log(20)),
  });
  const { dataSets } = await master.waitFor(
    (status) => (dataSet(status, "files", "sent").nextRunInMs ?? Infinity) <= 10_000,
    { deadlineMs: DEADLINE_MS, what: "the next copy within the new 10 s" },
  );
  assert.ok(dataSets.every(({ lastError }) => lastError === null), JSON.stringify(dataSets));
});

Deno.test("the first VIPs of a pair that had none come to the node that serves, and go again with its routes", async () => {
  const without = relaisToml({ ...CALM, vips: false });
  await using cluster = await startedCluster({ toml: without });
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  const pbx = await pbxPid(master);
  for (const host of [slave, master]) {
    const { code, stdout, stderr } = await reload(host, relaisToml(CALM));
    assert.equal(code, 0, stdout + stderr);
  }
  await untilServes(cluster, master, client);
  await assertVipRoute(cluster, master, true);
  assert.deepEqual(await heldVips(cluster, slave), []);
  for (const host of [slave, master]) assert.equal((await reload(host, without)).code, 0);
  await poll(async () => (await heldVips(cluster, master)).length === 0, {
    deadlineMs: DEADLINE_MS,
    what: "a master without VIPs",
  });
  await assertVipRoute(cluster, master, false);
  await cluster.untilNormal(DEADLINE_MS);
  assert.equal(await pbxPid(master), pbx);
});

Deno.test("a node in maintenance stays in it, with its VIPs", async () => {
  const before = relaisToml(CALM);
  await using cluster = await startedCluster({ toml: before });
  const { lab, master, slave } = cluster;
  await using client = await cluster.observe();
  await untilServes(cluster, master, client);
  for (const host of cluster.both) {
    assert.equal((await host.relais(["maintenance", "on"])).code, 0);
    await host.untilState("maintenance", DEADLINE_MS);
  }
  await client.mark("maintenance");
  const after = before.replace('\nvip = "10.30.0.10"', "").replace("= 2000", "= 2500");
  for (const host of [slave, master]) {
    const { code, stdout, stderr } = await reload(host, after);
    assert.equal(code, 0, stdout + stderr);
    assert.equal((await host.status())?.node.state, "maintenance");
  }
  await poll(async () => `${await heldVips(cluster, master)}` === lab.vip(0), {
    deadlineMs: DEADLINE_MS,
    what: "the VIP that is left, and it alone",
  });
  assert.equal((await client.summary("maintenance", "vip")).lost, 0);
  for (const host of cluster.both) {
    assert.equal((await host.relais(["maintenance", "off"])).code, 0);
  }
  await cluster.untilNormal(DEADLINE_MS);
});

Deno.test("systemd hears that the daemon reloads and is ready again, whatever the result is", async () => {
  const toml = relaisToml(CALM);
  await using cluster = await Cluster.create({ toml });
  const { master } = cluster;
  using systemd = new UnixReceiver(`${master.host.root}/run/notify`);
  const daemon = master.host.spawn([RELAIS, "daemon"], {
    logFile: "/var/log/relais.log",
    env: { NOTIFY_SOCKET: "/run/notify" },
  });
  const heard: string[] = [];
  const until = (count: number): Promise<unknown> =>
    poll(() => {
      heard.push(...systemd.takeText().filter((text) => /READY|RELOADING/.test(text)));
      return heard.length >= count;
    }, {
      deadlineMs: DEADLINE_MS,
      what: `${count} words to systemd`,
      instead: () => Promise.resolve(`${heard}\n${master.log(20)}`),
    });
  await until(1);
  assert.equal((await reload(master, toml.replace("= 2000", "= 2500"))).code, 0);
  assert.equal((await reload(master, "nonsense")).code, 65);
  await until(5);
  const reloading = /^RELOADING=1\nMONOTONIC_USEC=\d+$/;
  assert.deepEqual(heard.map((text) => reloading.test(text) ? "RELOADING" : text), [
    "READY=1",
    ...["RELOADING", "READY=1"],
    ...["RELOADING", "READY=1"],
  ]);
  await daemon.signal("SIGTERM");
  await daemon.ended(DEADLINE_MS);
});

/** Writes the file and has it read. */
async function reload(host: RelaisHost, toml: string): ReturnType<RelaisHost["relais"]> {
  await host.host.writeFile(CONFIG_FILE, toml);
  return await host.relais(["reload"], DEADLINE_MS);
}
