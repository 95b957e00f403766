// What goes wrong in the field (FACTS), with the real program between two hosts.
import assert from "node:assert/strict";
import { poll } from "../support/poll.ts";
import {
  assertNeverTwoHolders,
  DEADLINE_MS,
  heldVips,
  servicesRun,
  startedCluster,
  untilServes,
} from "./situations.ts";

Deno.test("the active daemon restarts for an upgrade: no ping on the VIP is lost", async () => {
  await using cluster = await startedCluster({ config: { data: false } });
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await untilServes(cluster, master, client);
  const before = (await master.status())!.node;
  await client.mark("restart");
  await master.stop("restart");
  master.start();
  const after = await master.waitFor(
    ({ node }) => node.instanceId !== before.instanceId && node.state === "active",
    { deadlineMs: DEADLINE_MS, what: "the new daemon, active" },
  );
  await cluster.untilNormal(DEADLINE_MS);
  // The kernel drops an address 3 s after its last renewal: look beyond.
  await poll(async () => (await client.summary("restart", "vip")).sent > 900, {
    deadlineMs: DEADLINE_MS,
    what: "4.5 s of pings",
  });
  assert.equal((await client.summary("restart", "vip")).lost, 0);
  assert.equal((await client.summary("restart", "sip")).lost, 0);
  assert.equal(after.node.epoch, before.epoch, "nobody took over");
  assert.equal((await slave.status())!.node.state, "standby");
});

Deno.test("kill -9 of the active daemon: the next one adopts VIPs and services", async () => {
  await using cluster = await startedCluster({ config: { data: false } });
  const { master } = cluster;
  await using client = await cluster.observe();
  await untilServes(cluster, master, client);
  const before = (await master.status())!.node;
  await client.mark("killed");
  await master.stop("kill");
  master.start();
  await master.waitFor(
    ({ node }) => node.instanceId !== before.instanceId && node.state === "active",
    { deadlineMs: DEADLINE_MS, what: "the new daemon, active" },
  );
  await cluster.untilNormal(DEADLINE_MS);
  assert.equal(await servicesRun(master), true);
  assert.equal((await client.summary("killed", "vip")).lost, 0);
});

Deno.test("kill -9 of the active daemon for good: the VIP leaves its host, the slave takes over", async () => {
  await using cluster = await startedCluster({ config: { data: false } });
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await using watcher = await cluster.watch();
  await untilServes(cluster, master, client);
  await master.stop("kill");
  await untilServes(cluster, slave, client);
  assert.deepEqual(await heldVips(cluster, master), []);
  await assertNeverTwoHolders(watcher);
});

Deno.test("kill -9 of the standby daemon: service is not touched, the next one stands by again", async () => {
  await using cluster = await startedCluster({ config: { data: false } });
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await untilServes(cluster, master, client);
  await client.mark("killed");
  await slave.stop("kill");
  slave.start();
  await cluster.untilNormal(DEADLINE_MS);
  assert.equal((await client.summary("killed", "vip")).lost, 0);
  assert.equal((await master.status())!.node.state, "active");
});

Deno.test("a host that stands still for 10 s has lost its VIP before another one is seen with it", async () => {
  await using cluster = await startedCluster({ config: { data: false } });
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await using watcher = await cluster.watch();
  await untilServes(cluster, master, client);
  const frozenAt = performance.now();
  await master.host.freeze();
  await untilServes(cluster, slave, client);
  assert.deepEqual(await heldVips(cluster, master), [], "the kernel dropped what nobody renewed");
  await poll(() => performance.now() - frozenAt >= 10_000, {
    deadlineMs: DEADLINE_MS,
    what: "the ten seconds",
  });
  await master.host.thaw();
  await cluster.untilNormal(DEADLINE_MS);
  await untilServes(cluster, master, client);
  assert.equal(await servicesRun(slave), false);
  await assertNeverTwoHolders(watcher);
});

Deno.test("a VIP that somebody removes by hand is mounted again, and the log names it", async () => {
  await using cluster = await startedCluster({ config: { data: false } });
  const { lab, master } = cluster;
  await using client = await cluster.observe();
  await untilServes(cluster, master, client);
  await client.mark("removed");
  const mounted = (await master.addresses()).find((each) => each.startsWith(`${lab.vip(0)}/`));
  await master.host.exec(["ip", "addr", "del", mounted ?? lab.vip(0), "dev", "eth0"]);
  await poll(async () => (await heldVips(cluster, master)).includes(lab.vip(0)), {
    deadlineMs: 5_000,
    everyMs: 10,
    what: "the VIP again",
  });
  await client.untilUp("vip", { deadlineMs: DEADLINE_MS, holder: lab.mac("master") });
  await poll(() => master.log(50).includes(lab.vip(0)), {
    deadlineMs: DEADLINE_MS,
    what: "a line about it in the log",
  });
  assert.equal((await master.status())!.node.state, "active");
});

Deno.test("a stranger takes the VIP: the master goes on, announces it again and names the MAC", async () => {
  await using cluster = await startedCluster({ lab: { stranger: true }, config: { data: false } });
  const { lab, master } = cluster;
  await using client = await cluster.observe();
  await untilServes(cluster, master, client);
  const theft = [`${lab.vip(0)}/24`, "dev", "eth0"];
  await lab.stranger.exec(["ip", "addr", "add", ...theft]);
  // Its first packet from that address makes it ask by ARP, which tells everybody.
  await lab.stranger.try(["ping", "-c", "1", "-W", "1", "-I", lab.vip(0), lab.address("client")]);
  await master.waitFor(
    ({ node, alerts }) =>
      node.state === "active" && alerts.some((alert) => alert.includes(lab.mac("stranger"))),
    { deadlineMs: DEADLINE_MS, what: "the alert with the stranger's MAC" },
  );
  await lab.stranger.exec(["ip", "addr", "del", ...theft]);
  await client.untilUp("vip", { deadlineMs: DEADLINE_MS, holder: lab.mac("master") });
});

Deno.test("a slave that is cut off takes nothing over, and stands by when it is back", async () => {
  await using cluster = await startedCluster({ config: { data: false } });
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await untilServes(cluster, master, client);
  await client.mark("cut off");
  await slave.host.cable("mute"); // the carrier stays: it must find out by itself
  await slave.waitFor(({ isolated, peer }) => isolated && peer.verdict === "dead", {
    deadlineMs: DEADLINE_MS,
    what: "isolation, and a peer that seems dead",
  });
  assert.equal(await servicesRun(slave), false);
  assert.deepEqual(await heldVips(cluster, slave), []);
  await slave.host.cable("plug");
  await cluster.untilNormal(DEADLINE_MS);
  assert.equal((await client.summary("cut off", "vip")).lost, 0);
});

Deno.test("a master that is cut off drops its VIPs before the slave mounts them", async () => {
  await using cluster = await startedCluster({ config: { data: false } });
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await untilServes(cluster, master, client);
  await master.host.cable("mute");
  await untilServes(cluster, slave, client);
  assert.deepEqual(await heldVips(cluster, master), []);
  await master.host.cable("plug");
  await cluster.untilNormal(DEADLINE_MS);
});

Deno.test("a master whose cables were out for long comes back to rest, not to service", async () => {
  await using cluster = await startedCluster({
    config: {
      data: false,
      heartbeat: ['preset = "balanced"'],
      failback: ['mode = "manual"'],
    },
  });
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await using watcher = await cluster.watch();
  await untilServes(cluster, master, client);
  await master.host.cable("pull");
  await master.untilState("isolated", DEADLINE_MS);
  await untilServes(cluster, slave, client);
  await master.waitFor(({ peer, node }) => peer.verdict === "dead" && node.stateForMs > 5_000, {
    deadlineMs: DEADLINE_MS,
    what: "a slave that seems dead from there",
  });
  await watcher.mark("plugged");
  await master.host.cable("plug");
  await master.waitFor(({ node, ready }) => node.state === "standby" && ready, {
    deadlineMs: DEADLINE_MS,
    what: "rest",
  });
  const { history } = (await master.status())!;
  assert.ok(
    !history.some(({ rule }) => rule === "N-RETURN"),
    "silence of a dead cable is no proof",
  );
  assert.equal((await slave.status())!.node.state, "active");
  await assertNeverTwoHolders(watcher);
});

Deno.test("the path between the hosts is broken but the VIP is answered: no takeover, an alert", async () => {
  await using cluster = await startedCluster({ config: { data: false } });
  const { lab, master, slave } = cluster;
  await using client = await cluster.observe();
  await untilServes(cluster, master, client);
  await client.mark("split");
  // Every echo and HTTP between the hosts is dropped, ARP is not.
  const rules = `table ip split {
    chain in {
      type filter hook input priority 0
      ip saddr { ${lab.address("slave", 0)}, ${lab.address("slave", 1)} } drop
    }
  }
`;
  await master.host.exec(["nft", "-f", "-"], { stdin: rules });
  await slave.waitFor(
    ({ node, alerts, peer }) =>
      node.state === "standby" && peer.verdict === "dead" &&
      alerts.some((alert) => alert.includes(lab.mac("master"))),
    { deadlineMs: DEADLINE_MS, what: "the alert that the path is broken" },
  );
  assert.equal(await servicesRun(slave), false);
  await master.host.exec(["nft", "delete", "table", "ip", "split"]);
  await cluster.untilNormal(DEADLINE_MS);
  assert.equal((await client.summary("split", "vip")).lost, 0);
});

Deno.test("services that die on the master and can't be started there go to the slave", async () => {
  await using cluster = await startedCluster({
    config: { data: false, heartbeat: ['preset = "fast"', "unfit_after_ms = 1000"] },
  });
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await using watcher = await cluster.watch();
  await untilServes(cluster, master, client);
  await master.host.writeFile("/etc/test-pbx/broken", "");
  await master.host.exec(["sh", "-c", "kill -9 $(cat /run/test-pbx/pid)"]);
  await untilServes(cluster, slave, client);
  assert.deepEqual(await heldVips(cluster, master), []);
  await assertNeverTwoHolders(watcher);
});

Deno.test("both hosts boot at once: the master serves, never both", async () => {
  await using cluster = await startedCluster({ config: { data: false } });
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await using watcher = await cluster.watch();
  await Promise.all([master.host.crash(), slave.host.crash()]);
  await Promise.all([cluster.boot(master), cluster.boot(slave)]);
  await cluster.untilNormal(DEADLINE_MS);
  await untilServes(cluster, master, client);
  await assertNeverTwoHolders(watcher);
});

Deno.test("a slave that boots alone serves after its grace", async () => {
  await using cluster = await startedCluster({
    config: { data: false, heartbeat: ['preset = "fast"', "boot_grace_ms = 3000"] },
  });
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await Promise.all([master.host.crash(), slave.host.crash()]);
  await cluster.boot(slave);
  await untilServes(cluster, slave, client);
});

Deno.test("without a cluster key the slave takes over on silence and refuses what peers ask", async () => {
  await using cluster = await startedCluster({ key: false, config: { data: false } });
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await untilServes(cluster, master, client);
  const result = await master.relais(["switchover"]);
  assert.notEqual(result.code, 0, "a planned move needs the peer's consent, and that a key");
  assert.match(result.stdout + result.stderr, /key/);
  await master.host.crash();
  await untilServes(cluster, slave, client);
});
