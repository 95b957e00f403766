import assert from "node:assert/strict";
import { Lab } from "./lab.ts";
import { Observer, type ProbeTarget } from "./observer.ts";
import { poll } from "./poll.ts";

const VIP = "10.20.0.10";
const PING: ProbeTarget = {
  name: "vip",
  kind: "icmp",
  address: VIP,
  interfaceName: "eth0",
  everyMs: 5,
};
const PING6: ProbeTarget = { ...PING, name: "vip6", address: "fd20::10" };
const SIP: ProbeTarget = { ...PING, name: "sip", kind: "sip", everyMs: 20 };
const ARP: ProbeTarget = { ...PING, name: "arp", kind: "arp", everyMs: 20 };

Deno.test("Observer sees an outage, its length, its losses and who answers afterwards", async () => {
  await using lab = await Lab.create({ networks: ["voip"] });
  const mount = ["ip", "addr", "add", `${VIP}/24`, "dev", "eth0"];
  await lab.master.exec(mount);
  await lab.master.exec(["ip", "addr", "add", "fd20::10/64", "dev", "eth0", "nodad"]);
  await using observer = await Observer.start(lab.client, [PING, PING6]);
  await observer.untilUp("vip", { deadlineMs: 30_000, holder: lab.mac("master") });
  await observer.untilUp("vip6", { deadlineMs: 30_000, holder: lab.mac("master") });

  await observer.mark("move");
  await poll(async () => (await observer.summary("move", "vip")).answered >= 20, {
    deadlineMs: 30_000,
    what: "twenty answers",
  });
  await lab.master.exec(["ip", "addr", "del", `${VIP}/24`, "dev", "eth0"]);
  await poll(() => !observer.isUp("vip"), { deadlineMs: 30_000, what: "the end of answers" });
  await lab.slave.exec(mount);
  await lab.slave.exec(["ip", "neigh", "flush", "all"]);
  await lab.client.exec(["ip", "neigh", "flush", "to", VIP]);
  await observer.untilUp("vip", { deadlineMs: 30_000, holder: lab.mac("slave") });

  const summary = await observer.summary("move", "vip");
  assert.equal(summary.outages.length, 1);
  const outage = summary.outages[0]!;
  assert.equal(outage.before, lab.mac("master"));
  assert.equal(outage.after, lab.mac("slave"));
  assert.ok(outage.lost >= 4 && outage.outageMs >= 20, JSON.stringify(outage));
  assert.equal(outage.lost, summary.lost);
  assert.equal(summary.by[lab.mac("master")]! + summary.by[lab.mac("slave")]!, summary.answered);
  const untouched = await observer.summary("move", "vip6");
  assert.equal(untouched.lost, 0);
  assert.ok(untouched.answered > 0);
});

Deno.test("Observer counts a SIP port that refuses, and sees two holders by ARP", async () => {
  await using lab = await Lab.create({ networks: ["voip"] });
  await lab.master.exec(["ip", "addr", "add", `${VIP}/24`, "dev", "eth0"]);
  await using client = await Observer.start(lab.client, [SIP]);
  await using watcher = await Observer.start(lab.watcher, [ARP]);
  await poll(async () => (await client.summary("start", "sip")).refused > 0, {
    deadlineMs: 30_000,
    what: "a refusal: nothing listens on the port",
  });
  await watcher.untilUp("arp", { deadlineMs: 30_000, holder: lab.mac("master") });
  await watcher.mark("two");
  assert.equal((await watcher.summary("start", "arp")).answeredByTwo, 0);
  await lab.slave.exec(["ip", "addr", "add", `${VIP}/24`, "dev", "eth0"]);
  await poll(async () => (await watcher.summary("two", "arp")).answeredByTwo > 0, {
    deadlineMs: 30_000,
    what: "an address with two holders",
  });
});
