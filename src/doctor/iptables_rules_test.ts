// captured/iptables.txt: what `iptables -S` 1.8.9 of Debian 12 printed.
import assert from "node:assert/strict";
import { judgeIptables } from "./iptables_rules.ts";
import type { Packet } from "./packet.ts";

const listing = await Deno.readTextFile(new URL("./captured/iptables.txt", import.meta.url));
const PEER: Packet = {
  family: "ip",
  iif: "eth0",
  source: "10.20.0.12",
  destination: "10.20.0.11",
  protocol: "tcp",
  port: 8460,
};

Deno.test("judgeIptables() follows a real listing", () => {
  const dropped = judgeIptables(listing, PEER);
  assert.equal(dropped.fate, "drop");
  assert.match(dropped.by, /--dport 8460/);
  assert.equal(judgeIptables(listing, { ...PEER, port: 22 }).fate, "accept");
  assert.equal(judgeIptables(listing, { ...PEER, source: "10.20.0.13" }).fate, "accept");
  const phone: Packet = { ...PEER, protocol: "udp", port: 5060 };
  assert.equal(judgeIptables(listing, phone).fate, "accept");
  assert.match(judgeIptables(listing, { ...phone, source: "10.9.9.9" }).by, /phones ! -s/);
});

Deno.test("judgeIptables() obeys the policy and is unsure of what it does not know", () => {
  assert.equal(judgeIptables("-P INPUT DROP", PEER).fate, "drop");
  assert.equal(judgeIptables("-P INPUT DROP\n-A INPUT -i eth+ -j ACCEPT", PEER).fate, "accept");
  const odd = "-P INPUT DROP\n-A INPUT -m geoip --source-country FR -j ACCEPT";
  assert.equal(judgeIptables(odd, PEER).fate, "unknown");
  const limited = "-P INPUT ACCEPT\n-A INPUT -p tcp -m recent --update --seconds 9 -j DROP";
  assert.equal(judgeIptables(limited, PEER).fate, "unknown");
  assert.equal(judgeIptables(limited, { ...PEER, protocol: "udp" }).fate, "accept");
});

Deno.test("judgeIptables() ends on chains that jump to each other, and is not sure of them", () => {
  const loop = `-P INPUT DROP\n-A INPUT -j A\n${"-A A -j A\n".repeat(12)}`;
  assert.equal(judgeIptables(loop, PEER).fate, "unknown");
});

Deno.test("judgeIptables() is not sure of a source that is no address", () => {
  assert.equal(judgeIptables("-A INPUT -s -j DROP\n-A INPUT -s x/8 -j DROP", PEER).fate, "unknown");
});
