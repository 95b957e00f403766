import assert from "node:assert/strict";
import { parseInterfaces } from "../vip/iproute.ts";
import { foundNetworks, parseHaConf } from "./found.ts";

function link(ifname: string, ...addr_info: readonly object[]): object {
  return { ifindex: 2, ifname, flags: ["UP", "LOWER_UP"], addr_info };
}

function v4(local: string, prefixlen: number, more: object = {}): object {
  return { family: "inet", local, prefixlen, ...more };
}

function v6(local: string, prefixlen: number, more: object = {}): object {
  return { family: "inet6", local, prefixlen, ...more };
}

Deno.test("foundNetworks() takes one own address of each interface that two hosts may share", () => {
  const interfaces = parseInterfaces(JSON.stringify([
    link("lo", v4("127.0.0.1", 8)),
    link("eth0", v6("fd20::11", 64), v4("10.20.0.11", 24), v4("10.20.0.99", 24)),
    link(
      "eth1",
      v6("fe80::1", 64),
      v6("2001:db8::5", 64, { valid_life_time: 60 }),
      v6("fd30::11", 64),
    ),
    link("docker0", v4("172.17.0.1", 16)),
    link("eth2", v4("10.40.0.11", 32)),
    link("eth3", v6("fe80::2", 64)),
    { ...link("eth4", v4("10.50.0.11", 24)), flags: [] },
  ]));
  assert.deepEqual(foundNetworks(interfaces), [
    { interface: "eth0", address: "10.20.0.11", prefix: 24 },
    { interface: "eth1", address: "fd30::11", prefix: 64 },
  ]);
});

Deno.test("foundNetworks() never takes a VIP of relais for an own address", () => {
  const vip = v4("10.20.0.10", 24, { label: "eth0:relais" });
  const own = v4("10.20.0.11", 24, { label: "eth0" });
  const interfaces = parseInterfaces(JSON.stringify([link("eth0", vip, own)]));
  assert.deepEqual(foundNetworks(interfaces).map(({ address }) => address), ["10.20.0.11"]);
});

Deno.test("parseHaConf() reads role and peer; what is disabled or broken suggests nothing", () => {
  const conf = '{"node_type": "slave", "remote_address": "10.20.0.11"}';
  assert.deepEqual(parseHaConf(conf), { role: "slave", peer: "10.20.0.11" });
  assert.deepEqual(parseHaConf('{"node_type": "master", "remote_address": "pbx2"}'), {
    role: "master",
    peer: null,
  });
  const nothing = [null, "", "{", "[]", '{"node_type": "disabled", "remote_address": ""}'];
  for (const text of nothing) assert.equal(parseHaConf(text), null, String(text));
});
