// What operators do and mistype, with the real program.
import assert from "node:assert/strict";
import { Cluster } from "../support/cluster.ts";
import { PBX_COMMANDS } from "../support/pbx.ts";
import { relaisToml } from "../support/relais_config.ts";
import { CONFIG_FILE, type RelaisHost } from "../support/relais_host.ts";
import {
  askFor,
  assertNeverTwoHolders,
  DEADLINE_MS,
  heldVips,
  phoneRegisters,
  servicesRun,
  startedCluster,
  untilServes,
} from "./situations.ts";
import { STEADY } from "./stage.ts";

Deno.test("relais switchover and failback move the service with its registrations, there and back", async () => {
  await using cluster = await startedCluster({
    config: { ...STEADY, data: true, failback: ['mode = "manual"'] },
  });
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
  await using cluster = await startedCluster({ config: STEADY });
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
  await using cluster = await startedCluster({ config: STEADY });
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

Deno.test("a bad configuration is refused with every problem at once, exit 65, and nothing is touched", async () => {
  await using cluster = await Cluster.create({ config: STEADY });
  const { lab, master } = cluster;
  // What a daemon would stop while it comes to rest.
  await master.host.exec(PBX_COMMANDS.start);
  const bad = relaisToml(STEADY).replace('vip = "10.20.0.10"', 'vip = "192.0.2.10"')
    .replace("stable_s = 0", "stable_s = -1\ncolour = true");
  const good = await master.host.readFile(CONFIG_FILE);
  await master.host.writeFile(CONFIG_FILE, bad);
  const before = await traces(master);
  for (const verb of [["check-config", CONFIG_FILE], ["daemon"]]) {
    const { code, stdout, stderr } = await master.relais(verb);
    assert.equal(code, 65, verb[0]);
    for (const key of ["networks[0].vip", "failback.stable_s", "failback.colour"]) {
      assert.ok((stdout + stderr).includes(key), `${key} in: ${stdout}${stderr}`);
    }
    assert.equal(await traces(master), before, verb[0]);
    assert.equal(master.host.exists("/run/relais/control.sock"), false);
  }
  assert.equal(await servicesRun(master), true);
  await master.host.writeFile(CONFIG_FILE, good);
  assert.equal((await master.relais(["check-config", CONFIG_FILE])).code, 0);
  await cluster.start(DEADLINE_MS); // the same host, corrected, works
  assert.ok((await heldVips(cluster, master)).includes(lab.vip(0)));
});

Deno.test("an interface that is down at the start is waited for", async () => {
  await using cluster = await Cluster.create({ config: STEADY });
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

/** What the kernel of a host holds that relais could change, and what it writes. */
async function traces({ host }: RelaisHost): Promise<string> {
  const shown = await Promise.all([
    host.exec(["ip", "-oneline", "address", "show"]),
    host.exec(["ip", "route", "show", "table", "all"]),
    host.exec(["ip", "rule", "show"]),
    host.exec(["nft", "list", "ruleset"]),
    host.exec(["find", "/var/lib/relais"]),
  ]);
  const lines = shown.flatMap(({ stdout }) => stdout.split("\n"));
  return lines.filter((line) => !line.includes("fe80:")).join("\n"); // the kernel's own, still on its way
}
