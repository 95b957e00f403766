import assert from "node:assert/strict";
import {
  canonicalAddress,
  canonicalDestination,
  IpRoute,
  parseInterfaces,
  parseRoutes,
  readInterfaces,
} from "./iproute.ts";
import { Netns } from "./netns_testing.ts";
import { parseTables, resolveTables } from "./tables.ts";

Deno.test("readInterfaces() reads names, MACs, states and addresses of the kernel", async () => {
  await using netns = await Netns.create();
  await netns.batch(`
    address add 10.0.0.5/32 dev eth0 label eth0:x valid_lft 600 preferred_lft 300
    link set eth0 address 02:00:00:00:00:01
    link add eth7 type veth peer name wire7
  `);
  const interfaces = await readInterfaces(netns.ipCommand);
  const eth0 = interfaces.find(({ name }) => name === "eth0");
  assert.equal(eth0?.mac, "02:00:00:00:00:01");
  assert.equal(eth0?.up, true);
  assert.equal(eth0?.carrier, true);
  const temporary = eth0?.addresses.find(({ address }) => address === "10.0.0.5");
  assert.equal(temporary?.label, "eth0:x");
  assert.equal(temporary?.prefix, 32);
  assert.ok(temporary?.validS !== null && (temporary?.validS ?? 0) > 500);
  const own6 = eth0?.addresses.find(({ address }) => address === "fd00::2");
  assert.deepEqual([own6?.family, own6?.prefix, own6?.validS, own6?.nodad], [6, 64, null, true]);
  assert.equal(interfaces.find(({ name }) => name === "lo")?.mac, null);
  const eth7 = interfaces.find(({ name }) => name === "eth7");
  assert.deepEqual([eth7?.up, eth7?.carrier], [false, false]);
  await netns.ip("link set wire down");
  const unplugged = (await readInterfaces(netns.ipCommand)).find(({ name }) => name === "eth0");
  assert.deepEqual([unplugged?.up, unplugged?.carrier], [true, false]);
});

Deno.test("IpRoute.batch() executes all lines and names those that fail", async () => {
  await using netns = await Netns.create();
  const ip = new IpRoute(netns.ipCommand);
  const result = await ip.batch([
    "address add 10.0.0.5/32 dev nowhere",
    "bogus",
    "address add 10.0.0.6/32 dev eth0",
    "address add 10.0.0.6/32 dev eth0",
  ]);
  assert.deepEqual(result.failed.map(({ line }) => line), [
    "address add 10.0.0.5/32 dev nowhere",
    "bogus",
    "address add 10.0.0.6/32 dev eth0",
  ]);
  assert.match(result.failed[0]?.message ?? "", /Cannot find device "nowhere"/);
  assert.match(result.failed[2]?.message ?? "", /already assigned|File exists/);
  const has = (r: typeof result): boolean =>
    r.interfaces.some(({ addresses }) => addresses.some(({ address }) => address === "10.0.0.6"));
  assert.ok(has(result));
  const before = await ip.batch(["address del 10.0.0.6/32 dev eth0"], { readFirst: true });
  assert.ok(has(before));
  assert.ok(!has(await ip.batch([])));
});

Deno.test("IpRoute.batch() lists the routes of a destination in the kernel's order, once each", async () => {
  await using netns = await Netns.create();
  await netns.batch(`
    route add default via 10.0.0.254
    route prepend default via 10.0.0.253 proto 173
    route add default via 10.0.0.252 metric 9 table 77
    route add default via fd00::fe
    route add default dev wire metric 5
  `);
  const { routes } = await new IpRoute(netns.ipCommand).batch([], {
    destinations: ["0.0.0.0/0", "::/0", "0.0.0.0/0"],
  });
  assert.deepEqual(
    routes.map(({ family, via, table, metric, protocol }) =>
      [family, via, table, metric, protocol].join(" ")
    ).sort(),
    [
      "4  254 5 ",
      "4 10.0.0.252 77 9 ",
      "4 10.0.0.253 254 0 173",
      "4 10.0.0.254 254 0 ",
      "6 fd00::fe 254 1024 ",
    ],
  );
  const main = routes.filter(({ family, metric, table }) =>
    family === 4 && metric === 0 && table === 254
  );
  assert.deepEqual(main.map(({ via }) => via), ["10.0.0.253", "10.0.0.254"]);
});

Deno.test("IpRoute.batch() says what a program that is not iproute2 answered", async () => {
  await assert.rejects(
    new IpRoute(["sh", "-c", "echo BusyBox; exit 1"]).batch([]),
    /Cannot read the network as "sh .*" exited with 1/,
  );
  await assert.rejects(new IpRoute(["sh", "-c", "echo hi"]).batch([]), /printed 1 lines of JSON/);
  await assert.rejects(
    new IpRoute(["sh", "-c", "echo hi; echo ho"]).batch([]),
    /not the JSON that iproute2/,
  );
});

Deno.test("parseInterfaces() and parseRoutes() skip what they do not know and refuse garbage", () => {
  assert.deepEqual(parseInterfaces('[{},{"ifindex":1,"ifname":"a","new":[1]}]'), [
    { name: "a", index: 1, mac: null, up: false, carrier: false, addresses: [] },
  ]);
  for (const bad of ["", "{}", "[1]", '[{"dst":4}]']) {
    assert.throws(() => parseRoutes(bad, null), /not the JSON that iproute2/);
  }
  for (const odd of ['"table":"main"', '"protocol":"x"', '"metric":-1', '"metric":1.5']) {
    assert.throws(
      () => parseRoutes(`[{"dst":"default",${odd}}]`, null),
      /not the JSON that iproute2/,
    );
  }
  for (const odd of ['"ifname":7', '"ifname":"a b"', '"ifindex":0', '"ifindex":1e9999']) {
    assert.throws(() => parseInterfaces(`[{${odd}}]`), /not the JSON that iproute2/);
  }
});

Deno.test("canonicalAddress() and canonicalDestination() write one address in one way", () => {
  assert.equal(canonicalAddress("10.0.0.1"), "10.0.0.1");
  assert.equal(canonicalAddress("FD00:0:0::0001"), "fd00::1");
  assert.equal(canonicalDestination("default", 4), "0.0.0.0/0");
  assert.equal(canonicalDestination("default", 6), "::/0");
  assert.equal(canonicalDestination("10.1.2.3", 4), "10.1.2.3/32");
  assert.equal(canonicalDestination("FD00:0::/32", 6), "fd00::/32");
});

Deno.test("resolveTables() knows numbers and built-in names, and says where names come from", () => {
  assert.deepEqual([...resolveTables(["main", "100", "local"])], [
    ["main", 254],
    ["100", 100],
    ["local", 255],
  ]);
  assert.throws(() => resolveTables(["no-such-table-x"]), /rt_tables.*use its number/);
  assert.deepEqual([
    ...parseTables("4294967296 far\n# 1 no\n255\tlocal\n 0x64 voip # x\nbad line\n"),
  ], [
    ["local", 255],
    ["voip", 100],
  ]);
});
