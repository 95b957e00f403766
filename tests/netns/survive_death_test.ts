// A daemon that is dead for good. First with nobody who notices, as when PID 1 is dead, too: the kernel's
// lifetimes alone. Then with the clean-up, as systemd runs it.
import assert from "node:assert/strict";
import { callable } from "../support/phone.ts";
import { poll } from "../support/poll.ts";
import { relaisToml, VIP6 } from "../support/relais_config.ts";
import type { RelaisHost } from "../support/relais_host.ts";
import { unitVerb } from "../support/units.ts";
import { earNowMs, VipEar } from "../support/vip_ear.ts";
import {
  assertNeverTwoHolders,
  DEADLINE_MS,
  heldVips,
  servicesRun,
  startedCluster,
  untilServes,
} from "./situations.ts";
import { STEADY, untilNeighbour } from "./stage.ts";

/** What the kernel gives a VIP, as docs/design/safety.md promises (L), ms. */
const LIFETIME_MS = 3000;
/** For a machine that does much else: the moment of hearing is later than that of sending. */
const LATE_MS = 3000;

const GATEWAY6 = "fd20::254";
/** The default route from the VIP over IPv6, too. */
const TOML = relaisToml({ ...STEADY, ipv6: true }).replace(
  `witnesses = ["${GATEWAY6}"]`,
  `routes = [{ to = "default", via = "${GATEWAY6}" }]\nwitnesses = ["${GATEWAY6}"]`,
);

/** Our routes, as the kernel lists them. */
async function ourRoutes({ host }: RelaisHost, family: "-4" | "-6"): Promise<string[]> {
  const argv = ["ip", family, "route", "show", "table", "all", "proto", "173"];
  return (await host.exec(argv)).stdout.split("\n").filter((line) => line.trim() !== "");
}

Deno.test("nobody notices the death of the daemon: the kernel alone drops VIPs and routes of both families within 3 s, and running services are silent on them", async () => {
  await using cluster = await startedCluster({ toml: TOML, config: { ipv6: true } });
  const { lab, master, slave } = cluster;
  await using client = await cluster.observe();
  await untilServes(cluster, master, client);
  await client.untilUp("vip6", { deadlineMs: DEADLINE_MS, holder: lab.mac("master") });
  // Nobody else shall answer: what is measured is this host.
  await slave.stop("leave");
  await using ear = await VipEar.start(lab.gateway, {
    interfaceName: "eth0",
    mac: lab.mac("master"),
    vip: lab.vip(0),
    own: lab.address("gateway"),
    everyMs: 2,
  });
  await poll(() => ear.since(0).length > 0, {
    deadlineMs: DEADLINE_MS,
    what: "a frame of the VIP",
  });
  assert.ok((await ourRoutes(master, "-6")).some((line) => line.includes("default")));
  const before = await ourRoutes(master, "-4");
  assert.ok(before.some((line) => line.includes(`src ${lab.vip(0)}`)), before.join("\n"));

  await master.stop("kill");
  const killedAt = earNowMs();
  for (const target of ["vip", "sip", "vip6", "data"]) {
    await poll(() => !client.isUp(target), {
      deadlineMs: DEADLINE_MS,
      what: `silence on ${target}`,
    });
  }
  await poll(async () => (await ourRoutes(master, "-6")).length === 0, {
    deadlineMs: DEADLINE_MS,
    what: "the end of the IPv6 routes",
  });
  const lastAt = ear.since(killedAt).at(-1)?.atMs ?? killedAt;
  console.log(`last frame for the VIP ${Math.round(lastAt - killedAt)} ms after the kill`);
  assert.ok(lastAt - killedAt <= LIFETIME_MS + LATE_MS, `${lastAt - killedAt} ms`);
  assert.deepEqual(await heldVips(cluster, master), []);
  assert.ok(!(await master.addresses()).some((address) => address.startsWith(`${VIP6}/`)));
  // What is left of ours goes nowhere near the VIP: the way to the peer, from this host's own address.
  for (const route of await ourRoutes(master, "-4")) {
    assert.match(route, /src 10\.[23]0\.0\.11 /, route);
  }
  const out = (await master.host.exec(["ip", "route", "get", "192.0.2.1"])).stdout;
  assert.match(out, new RegExp(`src ${lab.address("master").replaceAll(".", "\\.")} `));
  assert.equal(await servicesRun(master), true);
  const own = { user: "1001", server: lab.address("master") };
  assert.notEqual((await callable(lab.client, own)).status, 0, "they live, by the host's address");
  assert.equal(client.isUp("sip"), false, "and are silent on the VIP");
});

Deno.test("the clean-up of OnFailure= takes away VIPs, routes, gate and services; the slave serves, nobody sees two, and twice is harmless", async () => {
  await using cluster = await startedCluster({ toml: TOML, config: { ipv6: true } });
  const { lab, master, slave } = cluster;
  await using client = await cluster.observe();
  await using watcher = await cluster.watch();
  await untilServes(cluster, master, client);
  await master.stop("kill");
  const first = await master.relais(unitVerb("relais-cleanup.service"));
  assert.equal(first.code, 0, first.stdout + first.stderr);
  // On a slow machine the kernel was first with the VIPs; never with all of the routes.
  for (const text of [/^Removed the (VIP|route) /m, /^services stopped$/m]) {
    assert.match(first.stdout, text);
  }
  assert.ok(!(await master.addresses()).some((address) => address.startsWith(`${VIP6}/`)));
  assert.deepEqual(await heldVips(cluster, master), []);
  assert.deepEqual([...await ourRoutes(master, "-4"), ...await ourRoutes(master, "-6")], []);
  assert.equal(await servicesRun(master), false);
  assert.equal(master.host.exists("/run/relais/serving"), false, "the gate is closed");
  assert.equal(
    (await master.host.exec(["nft", "list", "tables"])).stdout.includes("relais"),
    false,
  );

  await untilServes(cluster, slave, client);
  await untilNeighbour(lab, "slave");
  const second = await master.relais(unitVerb("relais-cleanup.service"));
  assert.equal(second.code, 0, second.stderr);
  assert.equal(second.stdout.trim(), "Nothing of relais was left here");

  // Somebody mends it and starts the daemon.
  master.start();
  await cluster.untilNormal(DEADLINE_MS);
  await untilServes(cluster, master, client);
  assert.equal(await servicesRun(slave), false);
  await assertNeverTwoHolders(watcher);
});
