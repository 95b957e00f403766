import assert from "node:assert/strict";
import { systemClock } from "../os/clock.ts";
import { type ChangeKind, changeOf, LinkMonitor } from "./monitor.ts";
import { Netns, until } from "./netns_testing.ts";
import { VipManager } from "./manager.ts";

// Lines as iproute2 6.1 printed them.
const LINES: readonly (readonly [string, ChangeKind | null])[] = [
  [
    "[LINK]2: e1@e0: <BROADCAST,MULTICAST> mtu 1500 qdisc noqueue state DOWN group 0 \\    " +
    "link/[1] 46:24:2f:69:dd:91 brd ff:ff:ff:ff:ff:ff",
    "link",
  ],
  [
    "[ADDR]3: e0    inet 10.0.0.1/32 scope 0 dynamic e0:relais\\       valid_lft 3sec " +
    "preferred_lft 3sec",
    null,
  ],
  [
    "[ADDR]Deleted 3: e0    inet 10.0.0.1/32 scope 0 dynamic e0:relais\\       valid_lft 0sec " +
    "preferred_lft 0sec",
    "address",
  ],
  [
    "[ADDR]3: e0    inet 10.7.7.7/24 scope 0 e0\\       valid_lft forever preferred_lft forever",
    "address",
  ],
  [
    "[ADDR]3: e0    inet6 fd00::1/128 scope 0 nodad deprecated dynamic noprefixroute \\       " +
    "valid_lft 3sec preferred_lft 0sec",
    null,
  ],
  [
    "[ADDR]3: e0    inet6 fd00::1/128 scope 0 \\       valid_lft forever preferred_lft forever",
    "address",
  ],
  ["[ROUTE]default via 10.0.0.254 dev e0 proto 173 src 10.0.0.1 ", null],
  ["[ROUTE]Deleted default via 10.0.0.254 dev e0 proto 173 src 10.0.0.1 linkdown ", "route"],
  ["[ROUTE]default via 10.0.0.254 dev e0 ", "route"],
  ["[ROUTE]2 10.0.0.1 dev e0 table 255 proto 2 scope 254 src 10.0.0.1 ", null],
  ["", null],
  ["garbage", null],
];

Deno.test("changeOf() tells changes from our own renewals", () => {
  for (const [line, kind] of LINES) assert.equal(changeOf(line), kind, line);
});

Deno.test("LinkMonitor tells link, address and route changes, and not our renewals", async () => {
  await using netns = await Netns.create();
  const seen = new Map<ChangeKind, number>();
  const count = (kind: ChangeKind): number => seen.get(kind) ?? 0;
  const monitor = new LinkMonitor({
    ipCommand: netns.ipCommand,
    onChange: (kind) => seen.set(kind, count(kind) + 1),
  });
  monitor.start();
  monitor.start();
  try {
    // It listens when it has told the first change.
    let n = 0;
    await until("the monitor to listen", async () => {
      await netns.ip(`route replace 198.51.100.0/24 via 10.0.0.${200 + (n++ % 20)}`);
      return count("route") > 0;
    });
    await netns.ip("address add 10.0.0.77/32 dev eth0");
    await until("an address", () => count("address") > 0);
    await netns.ip("link set wire down");
    await until("a link", () => count("link") > 0);
    await netns.ip("link set wire up");

    const vips = new VipManager({
      networks: [{
        name: "voip",
        master: "10.0.0.2",
        slave: "10.0.0.3",
        family: 4,
        prefix: 24,
        vips: ["10.0.0.1", "fd00::1"],
        routes: [],
        witnesses: [],
        interface: null,
      }],
      role: "master",
      clock: systemClock,
      ipCommand: netns.ipCommand,
    });
    // The end of what the changes above bring about (duplicate detection after link up).
    await until("settled addresses", async () => !/tentative/.test(await netns.ip("address")));
    await netns.ip("address add 10.0.0.78/32 dev eth0");
    // An ordered channel: once a link change is told, so is everything before it, but for the end of a
    // burst, which waits on a timer of this process that is due before the one of the sleep.
    const allTold = async (mtu: number): Promise<void> => {
      const links = count("link");
      await netns.ip(`link set eth0 mtu ${mtu}`);
      await until("the link change", () => count("link") > links);
      await systemClock.sleep(400);
    };
    await allTold(1450);
    const before = count("address");
    await vips.mount();
    for (let i = 0; i < 5; i++) await vips.renew();
    await allTold(1400);
    assert.equal(count("address"), before);
    await netns.ip("address del 10.0.0.1/32 dev eth0");
    await until("the removal of a VIP", () => count("address") > before);
  } finally {
    await monitor.stop();
  }
});

Deno.test("LinkMonitor starts ip monitor again with growing pauses and tells the gap", async () => {
  const troubles: string[] = [];
  const kinds = new Set<ChangeKind>();
  const monitor = new LinkMonitor({
    ipCommand: ["false"],
    onChange: (kind) => kinds.add(kind),
    onTrouble: (text) => troubles.push(text),
  });
  monitor.start();
  try {
    await until("two failures", () => troubles.length >= 2);
    assert.match(troubles[0] ?? "", /exit status 1; again in 500 ms$/);
    assert.match(troubles[1] ?? "", /again in 1000 ms$/);
    assert.deepEqual([...kinds].sort(), ["address", "link", "route"]);
  } finally {
    await monitor.stop();
  }
  await monitor.stop();
});

Deno.test("LinkMonitor says which package brings ip", async () => {
  const troubles: string[] = [];
  const monitor = new LinkMonitor({
    ipCommand: ["relais-no-such-ip"],
    onChange: () => {},
    onTrouble: (text) => troubles.push(text),
  });
  monitor.start();
  await until("a failure", () => troubles.length > 0);
  await monitor.stop();
  assert.match(troubles[0] ?? "", /it is not installed/);
});
