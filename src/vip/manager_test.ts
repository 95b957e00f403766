/** The real kernel in network namespaces (root needed). */

import assert from "node:assert/strict";
import type { NetworkConfig, RouteConfig } from "../config/types.ts";
import { systemClock } from "../os/clock.ts";
import { ToolMissingError, ToolTimeoutError } from "../os/process.ts";
import { DropError, MountError, VipLapsedError, VipManager } from "./manager.ts";
import type { VipManagerOptions } from "./manager.ts";
import { Netns, until } from "./netns_testing.ts";
import { TempDirectory } from "../../tests/support/temp_directory.ts";

const DEFAULT_ROUTE: RouteConfig = {
  to: "default",
  via: "10.0.0.254",
  src: null,
  table: null,
  metric: null,
};

const VOIP: NetworkConfig = {
  name: "voip",
  master: "10.0.0.2",
  slave: "10.0.0.3",
  family: 4,
  prefix: 24,
  vips: ["10.0.0.1"],
  routes: [DEFAULT_ROUTE],
  witnesses: [],
  interface: null,
};

const VOIP6: NetworkConfig = {
  ...VOIP,
  name: "voip6",
  master: "fd00::2",
  slave: "fd00::3",
  family: 6,
  prefix: 64,
  vips: ["fd00::1"],
  routes: [{ ...DEFAULT_ROUTE, via: "fd00::fe" }],
};

function managerIn(netns: Netns, options: Partial<VipManagerOptions> = {}): VipManager {
  return new VipManager({
    networks: [VOIP, VOIP6],
    role: "master",
    clock: systemClock,
    ipCommand: netns.ipCommand,
    ...options,
  });
}

/** `address/prefix dev` of everything in the namespace except loopback and link-local. */
async function addressesIn(netns: Netns): Promise<string[]> {
  const links = JSON.parse(await netns.ip("-json address show"));
  return links.flatMap((link: { ifname: string; addr_info: Record<string, unknown>[] }) =>
    link.addr_info.filter((a) => a.scope === "global").map((a) =>
      `${a.local}/${a.prefixlen} ${link.ifname}`
    )
  );
}

const OWN = ["10.0.0.2/24 eth0", "fd00::2/64 eth0"];

Deno.test("VipManager.mount() and drop() take IPv4 and IPv6 VIPs and routes up and down", async () => {
  await using netns = await Netns.create();
  const vips = managerIn(netns);
  await vips.mount();
  assert.deepEqual([...vips.held].sort(), ["10.0.0.1", "fd00::1"]);
  assert.deepEqual(
    (await addressesIn(netns)).sort(),
    ["10.0.0.1/32 eth0", "10.0.0.2/24 eth0", "fd00::1/128 eth0", "fd00::2/64 eth0"],
  );
  assert.deepEqual(await netns.routeTo("192.0.2.1"), ["10.0.0.254", "10.0.0.1"]);
  assert.deepEqual(await netns.routeTo("2001:db8::1"), ["fd00::fe", "fd00::1"]);
  // On the network itself the host speaks with its own address.
  assert.equal((await netns.routeTo("10.0.0.77"))[1], "10.0.0.2");
  assert.equal((await netns.routeTo("fd00::77"))[1], "fd00::2");
  await vips.mount();
  await vips.drop();
  assert.deepEqual([...vips.held], []);
  assert.deepEqual(await addressesIn(netns), OWN);
  assert.equal(await netns.ip("route show table all proto 173"), "");
  await vips.drop();
});

Deno.test("VipManager.mount() puts its route before the former one, which is back after drop()", async () => {
  await using netns = await Netns.create();
  await netns.batch(`
    route add default via 10.0.0.253
    route add default via 10.0.0.252 metric 100
    route add default via fd00::fd metric 1024
  `);
  const vips = managerIn(netns);
  await vips.mount();
  assert.deepEqual(await netns.routeTo("192.0.2.1"), ["10.0.0.254", "10.0.0.1"]);
  assert.deepEqual(await netns.routeTo("2001:db8::1"), ["fd00::fe", "fd00::1"]);
  await vips.drop();
  assert.equal(
    await netns.ip("-4 route show default"),
    "default via 10.0.0.253 dev eth0 \ndefault via 10.0.0.252 dev eth0 metric 100 \n",
  );
  assert.deepEqual(await netns.routeTo("2001:db8::1"), ["fd00::fd", "fd00::2"]);
});

Deno.test("VipManager replaces nothing even if the former route is the same but for the source", async () => {
  await using netns = await Netns.create();
  await netns.ip("route add default via 10.0.0.254");
  const vips = managerIn(netns, { networks: [VOIP] });
  await vips.mount();
  assert.deepEqual(await netns.routeTo("192.0.2.1"), ["10.0.0.254", "10.0.0.1"]);
  await vips.drop();
  assert.deepEqual(await netns.routeTo("192.0.2.1"), ["10.0.0.254", "10.0.0.2"]);
});

Deno.test("VipManager goes one better than an IPv6 route of the configured metric", async () => {
  await using netns = await Netns.create();
  await netns.ip("-6 route add default via fd00::fd metric 1024");
  const route = { ...DEFAULT_ROUTE, via: "fd00::fe", metric: 1024 };
  const vips = managerIn(netns, { networks: [{ ...VOIP6, routes: [route] }] });
  await vips.refresh();
  await vips.mount();
  assert.match(await netns.ip("-6 route show proto 173"), /src fd00::1 metric 1023/);
  await vips.renew();
  assert.deepEqual(await netns.routeTo("2001:db8::1"), ["fd00::fe", "fd00::1"]);
  await vips.drop();
  assert.deepEqual(await netns.routeTo("2001:db8::1"), ["fd00::fd", "fd00::2"]);
});

Deno.test("VipManager.mount() names an IPv6 route that nothing can go before", async () => {
  await using netns = await Netns.create();
  await netns.ip("-6 route add default via fd00::fd metric 1");
  const vips = managerIn(netns, { networks: [VOIP6] });
  await assert.rejects(vips.mount(), (e: unknown) => {
    assert.ok(e instanceof MountError);
    assert.match(e.message, /give that route a metric above 1/);
    assert.deepEqual(e.held, ["fd00::1"]);
    return true;
  });
  await vips.drop();
  assert.deepEqual(await netns.routeTo("2001:db8::1"), ["fd00::fd", "fd00::2"]);
});

Deno.test("VipManager does not mistake an address that contains the VIP's text for the VIP", async () => {
  await using netns = await Netns.create();
  await netns.batch(`
    address add 110.0.0.1/32 dev eth0
    address add 10.0.0.11/32 dev eth0
    address add fd00::11/128 dev eth0 nodad
  `);
  const vips = managerIn(netns);
  await vips.mount();
  assert.ok((await addressesIn(netns)).includes("10.0.0.1/32 eth0"));
  await vips.drop();
  assert.deepEqual(
    (await addressesIn(netns)).sort(),
    [...OWN, "110.0.0.1/32 eth0", "10.0.0.11/32 eth0", "fd00::11/128 eth0"].sort(),
  );
});

Deno.test("VipManager.renew() keeps VIPs beyond their lifetime and repairs nothing", async () => {
  await using netns = await Netns.create();
  const vips = managerIn(netns);
  // A machine that stands still for most of a lifetime lets them lapse, and is told: then once more.
  for (let attempt = 1;; attempt++) {
    await vips.mount();
    try {
      const end = performance.now() + 4500;
      while (performance.now() < end) {
        assert.deepEqual(await vips.renew(), []);
        await systemClock.sleep(500);
      }
      break;
    } catch (error) {
      if (!(error instanceof VipLapsedError) || attempt === 5) throw error;
    }
  }
  assert.deepEqual(await netns.routeTo("2001:db8::1"), ["fd00::fe", "fd00::1"]);
  assert.equal((await addressesIn(netns)).length, 4);
  await vips.drop();
  assert.deepEqual(await vips.renew(), []);
  assert.deepEqual(await addressesIn(netns), OWN);
});

Deno.test("VipManager.renew() puts back what was removed by hand and says what", async () => {
  await using netns = await Netns.create();
  const vips = managerIn(netns);
  await vips.mount();
  await netns.ip("address del 10.0.0.1/32 dev eth0");
  await netns.ip("address del fd00::1/128 dev eth0");
  const repairs = await vips.renew();
  assert.deepEqual(
    repairs.filter(({ kind }) => kind === "address").map(({ network, vip, what }) =>
      `${network}: ${vip}: ${what}`
    ),
    ["voip: 10.0.0.1: 10.0.0.1/32 on eth0", "voip6: fd00::1: fd00::1/128 on eth0"],
  );
  assert.deepEqual(await netns.routeTo("192.0.2.1"), ["10.0.0.254", "10.0.0.1"]);
  assert.deepEqual(await netns.routeTo("2001:db8::1"), ["fd00::fe", "fd00::1"]);
  assert.deepEqual(await vips.renew(), []);

  await netns.ip("route del default via 10.0.0.254");
  assert.deepEqual((await vips.renew()).map(({ kind, what }) => `${kind}: ${what}`), [
    "route: default via 10.0.0.254 on eth0 from 10.0.0.1",
  ]);

  // As networkd does: replaces the first route of that metric, which is ours.
  await netns.ip("route replace default via 10.0.0.253 dev eth0");
  assert.equal((await vips.renew()).length, 1);
  assert.deepEqual(await netns.routeTo("192.0.2.1"), ["10.0.0.254", "10.0.0.1"]);

  // Someone goes before us: we go before him again, and leave his alone.
  await netns.ip("route prepend default via 10.0.0.252 dev eth0");
  assert.equal((await vips.renew()).length, 1);
  assert.deepEqual(await netns.routeTo("192.0.2.1"), ["10.0.0.254", "10.0.0.1"]);
  await vips.drop();
  assert.deepEqual(await netns.routeTo("192.0.2.1"), ["10.0.0.252", "10.0.0.2"]);
});

Deno.test("VipManager leaves the host its former routes when the kernel drops unrenewed VIPs", async () => {
  await using netns = await Netns.create();
  await netns.batch(`
    route add default via 10.0.0.253
    route add default via fd00::fd metric 1024
  `);
  await managerIn(netns).mount();
  assert.deepEqual(await netns.routeTo("192.0.2.1"), ["10.0.0.254", "10.0.0.1"]);
  await until("the kernel to drop the VIPs", async () => (await addressesIn(netns)).length === 2);
  await until(
    "the former routes",
    async () =>
      (await netns.routeTo("192.0.2.1")).join() === "10.0.0.253,10.0.0.2" &&
      (await netns.routeTo("2001:db8::1")).join() === "fd00::fd,fd00::2",
  );
});

Deno.test("VipManager.renew() does not mount again what the kernel dropped while it stood still", async () => {
  await using netns = await Netns.create();
  const vips = managerIn(netns);
  await vips.mount();
  await until("the kernel to drop the VIPs", async () => (await addressesIn(netns)).length === 2);
  await assert.rejects(vips.renew(), (e: unknown) => {
    assert.ok(e instanceof VipLapsedError);
    assert.deepEqual([...e.vips].sort(), ["10.0.0.1", "fd00::1"]);
    return true;
  });
  assert.deepEqual(await vips.renew(), []);
  assert.deepEqual(await addressesIn(netns), OWN);
  assert.equal(await netns.ip("route show table all proto 173"), "");
  await vips.mount();
  assert.equal(vips.held.size, 2);
});

Deno.test("VipManager.renew() undoes its renewal if it stood still between the look and the act", async () => {
  await using netns = await Netns.create();
  let looks = 0;
  // The host is stopped after renew() has asked the time twice and found itself punctual.
  const clock = { ...systemClock, nowMs: () => (++looks > 2 ? 10_000 : 0) };
  const vips = managerIn(netns, { clock });
  await vips.mount();
  await until("the kernel to drop the VIPs", async () => (await addressesIn(netns)).length === 2);
  looks = 0;
  await assert.rejects(vips.renew(), VipLapsedError);
  assert.deepEqual(await addressesIn(netns), OWN);
  assert.equal(await netns.ip("route show table all proto 173"), "");
});

Deno.test("VipManager.adopt() takes over what a dead daemon left, cleanup() removes it", async () => {
  await using netns = await Netns.create();
  await netns.ip("route add default via 10.0.0.253");
  assert.deepEqual(await managerIn(netns).adopt(), { held: [] });
  await managerIn(netns).mount();
  const next = managerIn(netns);
  assert.deepEqual([...(await next.adopt()).held].sort(), ["10.0.0.1", "fd00::1"]);
  assert.deepEqual(await next.renew(), []);
  const sentences = await managerIn(netns).cleanup();
  assert.deepEqual([...sentences].sort(), [
    "Removed the VIP 10.0.0.1/32 on eth0",
    "Removed the VIP fd00::1/128 on eth0",
    "Removed the route default via 10.0.0.254 on eth0 from 10.0.0.1; in use again: " +
    "default via 10.0.0.253 on eth0",
    "Removed the route default via fd00::fe on eth0 from fd00::1 metric 1",
  ]);
  assert.deepEqual(await addressesIn(netns), OWN);
  assert.deepEqual(await netns.routeTo("192.0.2.1"), ["10.0.0.253", "10.0.0.2"]);
  assert.deepEqual(await managerIn(netns).cleanup(), []);
});

Deno.test("VipManager.drop() removes our VIPs that are not configured any more", async () => {
  await using netns = await Netns.create();
  await managerIn(netns).mount();
  const other = managerIn(netns, {
    networks: [{ ...VOIP, vips: ["10.0.0.9"], routes: [] }, VOIP6],
  });
  await other.drop();
  assert.deepEqual(await addressesIn(netns), OWN);
  assert.equal(await netns.ip("route show table all proto 173"), "");
});

Deno.test("VipManager leaves the administrator's own address and route alone and says so", async () => {
  await using netns = await Netns.create();
  await netns.batch(`
    address add 10.0.0.1/24 dev eth0
    address add fd00::1/128 dev eth0 nodad
    route add 198.51.100.0/24 via 10.0.0.250
  `);
  const before = [await netns.ip("address show"), await netns.ip("route show table all")];
  const vips = managerIn(netns);
  await vips.refresh();
  assert.deepEqual([...vips.held], []);
  assert.equal(vips.problems.length, 2);
  assert.match(vips.problems[0] ?? "", /^VIP is already configured .* 10\.0\.0\.1\/24 on eth0/);
  await assert.rejects(vips.mount(), MountError);
  await vips.renew();
  await vips.drop();
  await vips.cleanup();
  assert.deepEqual(
    [await netns.ip("address show"), await netns.ip("route show table all")],
    before,
  );
});

Deno.test("VipManager.renew() gives an address back its lifetime if it replaced ours in between", async () => {
  await using netns = await Netns.create();
  const vips = managerIn(netns, { networks: [VOIP] });
  await vips.mount();
  await netns.batch(`
    address del 10.0.0.1/32 dev eth0
    address add 10.0.0.1/32 dev eth0
  `);
  assert.deepEqual(await vips.renew(), []);
  assert.match(vips.problems[0] ?? "", /already configured on this host/);
  assert.deepEqual([...vips.held], []);
  await vips.drop();
  assert.match(await netns.ip("address show to 10.0.0.1"), /valid_lft forever/);
});

Deno.test("VipManager waits for an absent interface and mounts the others", async () => {
  await using netns = await Netns.create();
  const late: NetworkConfig = {
    ...VOIP,
    name: "data",
    master: "10.1.0.2",
    vips: ["10.1.0.1"],
    routes: [],
    interface: "eth7",
  };
  const vips = managerIn(netns, { networks: [VOIP, late] });
  await vips.refresh();
  assert.equal(vips.interfaceOf("voip")?.name, "eth0");
  assert.equal(vips.interfaceOf("data"), null);
  assert.throws(() => vips.interfaceOf("nowhere"), TypeError);
  await assert.rejects(vips.mount(), (e: unknown) => {
    assert.ok(e instanceof MountError);
    assert.match(e.message, /interface of network "data" is absent or down/);
    assert.deepEqual(e.held, ["10.0.0.1"]);
    return true;
  });
  assert.deepEqual(await vips.renew(), []);
  await netns.ip("link add eth7 type veth peer name wire7");
  assert.deepEqual(await vips.renew(), []);
  await netns.ip("link set eth7 up");
  // The first renewal sees the interface, and mounts.
  assert.deepEqual((await vips.renew()).map(({ what }) => what), ["10.1.0.1/32 on eth7"]);
  assert.deepEqual([...vips.held], ["10.0.0.1", "10.1.0.1"]);
  assert.deepEqual(vips.problems, []);
});

Deno.test("VipManager follows an interface that is renamed, even to a very long name", async () => {
  await using netns = await Netns.create();
  const vips = managerIn(netns);
  await vips.mount();
  await netns.ip("link set eth0 name enp65s0f0np0.10");
  await vips.renew();
  assert.deepEqual([...vips.held].sort(), ["10.0.0.1", "fd00::1"]);
  assert.equal(vips.interfaceOf("voip")?.name, "enp65s0f0np0.10");
  await netns.ip("address del 10.0.0.1/32 dev enp65s0f0np0.10");
  assert.ok((await vips.renew()).length > 0);
  assert.match(await netns.ip("address show to 10.0.0.1"), /enp65s0f0np0:rl/);
  assert.deepEqual(vips.problems, []);
  await vips.drop();
  assert.deepEqual(
    await addressesIn(netns),
    ["10.0.0.2/24 enp65s0f0np0.10", "fd00::2/64 enp65s0f0np0.10"],
  );
});

Deno.test("VipManager.renew() brings everything back after ifdown and ifup", async () => {
  await using netns = await Netns.create();
  const vips = managerIn(netns);
  await vips.mount();
  await netns.batch(`
    link set eth0 down
    address flush dev eth0
  `);
  assert.deepEqual(await vips.renew(), []);
  assert.deepEqual([...vips.held], []);
  await netns.batch(`
    link set eth0 up
    address add 10.0.0.2/24 dev eth0
    address add fd00::2/64 dev eth0 nodad
    route add default via 10.0.0.253
  `);
  assert.equal((await vips.renew()).length, 4);
  assert.deepEqual(vips.problems, []);
  assert.deepEqual(await netns.routeTo("192.0.2.1"), ["10.0.0.254", "10.0.0.1"]);
  await vips.drop();
  assert.deepEqual(await netns.routeTo("192.0.2.1"), ["10.0.0.253", "10.0.0.2"]);
});

Deno.test("VipManager.renew() says once what it can't put back, and goes on trying", async () => {
  await using netns = await Netns.create();
  const said: string[] = [];
  const network: NetworkConfig = { ...VOIP, routes: [{ ...DEFAULT_ROUTE, via: "10.9.0.254" }] };
  const vips = managerIn(netns, { networks: [network], log: (_, text) => said.push(text) });
  await assert.rejects(vips.mount(), /Cannot mount the route default via 10\.9\.0\.254 .*: Error/);
  for (let i = 0; i < 3; i++) assert.deepEqual(await vips.renew(), []);
  assert.equal(said.length, 1);
  assert.match(vips.problems[0] ?? "", /invalid gateway|unreachable/);
  await netns.ip("address add 10.9.0.2/24 dev eth0");
  assert.equal((await vips.renew()).length, 1);
  assert.deepEqual(await vips.renew(), []);
  assert.deepEqual(vips.problems, []);
});

Deno.test("VipManager reports a deleted interface and survives it", async () => {
  await using netns = await Netns.create();
  const vips = managerIn(netns);
  await vips.mount();
  await netns.ip("link del eth0");
  assert.deepEqual(await vips.renew(), []);
  assert.deepEqual([...vips.held], []);
  assert.match(vips.problems[0] ?? "", /absent or down/);
  await vips.drop();
});

Deno.test("VipManager.mount() copes with an interface that changed since the last reading", async () => {
  await using netns = await Netns.create();
  const vips = managerIn(netns);
  await vips.refresh();
  await netns.ip("link set eth0 name lan0");
  await vips.mount();
  assert.ok((await addressesIn(netns)).includes("10.0.0.1/32 lan0"));
});

Deno.test("VipManager uses policy tables and declared routes", async () => {
  await using netns = await Netns.create();
  const routes: RouteConfig[] = [
    { ...DEFAULT_ROUTE, table: "100" },
    { ...DEFAULT_ROUTE, to: "192.168.0.0/16", src: "10.0.0.2", metric: 5 },
  ];
  const vips = managerIn(netns, { networks: [{ ...VOIP, routes }] });
  await vips.mount();
  assert.match(
    await netns.ip("route show table 100"),
    /^default via 10.0.0.254 dev eth0 proto 173 src 10.0.0.1 $/m,
  );
  assert.deepEqual(await netns.routeTo("192.168.3.4"), ["10.0.0.254", "10.0.0.2"]);
  assert.deepEqual(await vips.renew(), []);
  await vips.drop();
  assert.equal(await netns.ip("route show table all proto 173"), "");
});

Deno.test("VipManager.drop() cancels a mount in progress and leaves nothing", async () => {
  await using netns = await Netns.create();
  for (let round = 0; round < 5; round++) {
    const vips = managerIn(netns);
    await vips.refresh();
    const mounting = vips.mount().then(() => "done", (e) => e.name);
    await systemClock.sleep(round);
    await vips.drop();
    assert.ok(["done", "AbortError"].includes(await mounting));
    assert.deepEqual(await addressesIn(netns), OWN);
    assert.deepEqual(await vips.renew(), []);
  }
});

Deno.test("VipManager.mount() stops when its signal aborts", async () => {
  await using netns = await Netns.create();
  const vips = managerIn(netns);
  await assert.rejects(vips.mount({ signal: AbortSignal.abort() }), { name: "AbortError" });
  assert.deepEqual(await addressesIn(netns), OWN);
});

Deno.test("VipManager says which package brings ip", async () => {
  // The name is looked up in PATH as it stands when the program starts: so in another process.
  const script = `
    import { VipManager } from "${new URL("./manager.ts", import.meta.url)}";
    import { systemClock } from "${new URL("../os/clock.ts", import.meta.url)}";
    const vips = new VipManager({ networks: [], role: "master", clock: systemClock });
    const errors = [];
    for (const call of [() => vips.refresh(), () => vips.mount(), () => vips.drop()]) {
      await call().catch((e) => errors.push(e.name + ": " + e.message));
    }
    console.log(errors.join("\\n"));
  `;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", script],
    cwd: new URL("../..", import.meta.url),
    env: { PATH: "/nonexistent" },
  }).output();
  const [refresh = "", mount = "", drop = ""] = new TextDecoder().decode(stdout).split("\n");
  assert.match(refresh, /^ToolMissingError: .* apt install iproute2$/);
  assert.match(mount, /^ToolMissingError: .* apt install iproute2$/);
  assert.match(drop, /^DropError: .* apt install iproute2; the kernel drops them within 3 s$/);
  assert.ok(ToolMissingError);
});

Deno.test("VipManager gives up on an ip that hangs", async () => {
  const vips = new VipManager({
    networks: [VOIP],
    role: "master",
    clock: systemClock,
    ipCommand: ["sh", "-c", "exec sleep 600"],
  });
  await assert.rejects(vips.refresh(), ToolTimeoutError);
  await assert.rejects(vips.mount(), ToolTimeoutError);
  await assert.rejects(vips.drop(), DropError);
});

/** An `ip` that does this first as long as the file is there. */
function slowIp(netns: Netns, file: string, first: string): readonly string[] {
  return ["sh", "-c", `if test -e "$0"; then ${first}; fi; exec "$@"`, file, ...netns.ipCommand];
}

Deno.test("VipManager reads the kernel although ip takes two seconds, also to adopt", async () => {
  await using netns = await Netns.create();
  using directory = new TempDirectory();
  const file = `${directory.path}/slow`;
  const vips = managerIn(netns, { ipCommand: slowIp(netns, file, "sleep 2") });
  Deno.writeTextFileSync(file, "");
  assert.ok((await vips.refresh()).some(({ name }) => name === "eth0"));
  assert.deepEqual(await vips.adopt(), { held: [] });
});

/** Says so, and is one process that a kill ends. */
const HANGS = 'touch "$0.hangs"; exec sleep 600';

Deno.test("VipManager: a reading that hangs holds up no mount, no renewal and no drop", async () => {
  await using netns = await Netns.create();
  using directory = new TempDirectory();
  const file = `${directory.path}/slow`;
  const vips = managerIn(netns, { ipCommand: slowIp(netns, file, HANGS) });
  await vips.refresh();
  const hang = async (): Promise<{ readonly reading: Promise<unknown> }> => {
    Deno.writeTextFileSync(file, "");
    const reading = vips.refresh();
    await until("the hanging ip", () => [...Deno.readDirSync(directory.path)].length === 2);
    for (const name of [file, `${file}.hangs`]) Deno.removeSync(name);
    return { reading };
  };
  let hung = await hang();
  await vips.mount();
  assert.deepEqual([...vips.held].sort(), ["10.0.0.1", "fd00::1"]);
  await hung.reading; // Begun again behind the mount, and not hanging any more.
  hung = await hang();
  await vips.renew().catch((error: unknown) => assert.ok(error instanceof VipLapsedError));
  await hung.reading;
  hung = await hang();
  await vips.drop();
  assert.deepEqual(await addressesIn(netns), OWN);
  await hung.reading;
});

Deno.test("VipManager.release() leaves all mounted to the manager of another configuration, which mounts and drops the difference", async () => {
  await using netns = await Netns.create();
  const first = managerIn(netns);
  await first.mount();
  const busy = first.renew();
  await first.release();
  await busy;
  assert.deepEqual(await first.renew(), [], "it holds nothing up any more");
  assert.equal(first.extend(), false);
  const next = managerIn(netns, {
    networks: [{ ...VOIP, vips: ["10.0.0.1", "10.0.0.9"] }, { ...VOIP6, vips: [], routes: [] }],
    formerVips: ["10.0.0.1", "fd00::1"],
  });
  assert.deepEqual(await next.adopt(), { held: ["10.0.0.1"] });
  await next.mount();
  assert.deepEqual(
    (await addressesIn(netns)).sort(),
    [...OWN, "10.0.0.1/32 eth0", "10.0.0.9/32 eth0"].sort(),
  );
  assert.doesNotMatch(await netns.ip("-6 route show table all proto 173"), /fd00/);
  await next.drop();
});

Deno.test("VipManager.release() in the middle of a mount ends that mount", async () => {
  await using netns = await Netns.create();
  const vips = managerIn(netns);
  const mount = vips.mount();
  const refused = assert.rejects(mount, { name: "AbortError" });
  await vips.release();
  await refused;
  assert.deepEqual(await vips.renew(), []);
  await vips.drop();
  assert.deepEqual(await addressesIn(netns), OWN);
});
