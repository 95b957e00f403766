// captured/*.json: what nft 1.0.6 of Debian 12 printed for rules made by nft and by iptables 1.8.9.
import assert from "node:assert/strict";
import { isOfIptables, judgeNft, parseRuleset } from "./nft_rules.ts";
import type { Packet } from "./packet.ts";

async function captured(name: string): Promise<ReturnType<typeof parseRuleset>> {
  return parseRuleset(await Deno.readTextFile(new URL(`./captured/${name}.json`, import.meta.url)));
}

const native = await captured("nft_native");
const ofIptables = await captured("nft_of_iptables");
const PEER: Packet = {
  family: "ip",
  iif: "eth0",
  source: "10.20.0.12",
  destination: "10.20.0.11",
  protocol: "tcp",
  port: 8460,
};

Deno.test("judgeNft() follows sets, ranges, maps and jumps of a real ruleset", () => {
  assert.equal(judgeNft(native, PEER).fate, "accept", "8460-8461 from a prefix of @peers");
  assert.equal(judgeNft(native, { ...PEER, source: "10.30.0.12" }).fate, "accept");
  const refused = judgeNft(native, { ...PEER, source: "10.30.0.13" });
  assert.deepEqual(refused, { fate: "drop", by: "policy drop of inet filter input" });
  assert.equal(judgeNft(native, { ...PEER, port: 8462 }).fate, "drop");
  const phone: Packet = { ...PEER, protocol: "udp", port: 5060 };
  assert.equal(judgeNft(native, phone).fate, "accept", "jump phones");
  assert.equal(judgeNft(native, { ...phone, source: "10.99.0.1" }).fate, "drop", "return");
  assert.equal(judgeNft(native, { ...phone, iif: "ens3" }).fate, "drop", 'iifname "eth*"');
});

Deno.test("judgeNft() is sure of ping although a rate limit stands before the rule that accepts it", () => {
  const ping: Packet = { ...PEER, protocol: "icmp", port: null };
  assert.equal(judgeNft(native, ping).fate, "accept");
});

Deno.test("judgeNft() sees ARP dropped for the VIP and not for another address", () => {
  const ask: Packet = { ...PEER, family: "arp", protocol: null, port: null };
  const vip = judgeNft(native, { ...ask, destination: "10.20.0.10" });
  assert.equal(vip.fate, "drop");
  assert.match(vip.by, /^arp guard input: arp operation request arp daddr ip 10\.20\.0\.10 drop$/);
  assert.equal(judgeNft(native, ask).fate, "accept");
});

Deno.test("judgeNft() leaves out the tables that it is told to, and an empty ruleset accepts", () => {
  const refused = { ...PEER, port: 1 };
  assert.equal(judgeNft(native, refused, (_, table) => table === "filter").fate, "accept");
  assert.equal(judgeNft(parseRuleset('{"nftables": []}'), PEER).fate, "accept");
});

Deno.test("judgeNft() does not pretend to understand what iptables wrote", () => {
  assert.equal(isOfIptables(ofIptables, "ip", "filter"), true);
  assert.equal(isOfIptables(native, "inet", "filter"), false);
  assert.equal(judgeNft(ofIptables, PEER).fate, "unknown");
});

Deno.test("parseRuleset() throws on what is no ruleset", () => {
  assert.throws(() => parseRuleset("Error: syntax"));
  assert.throws(() => parseRuleset('{"tables": []}'));
});

Deno.test("judgeNft() ends on chains that jump to each other, and is not sure of them", () => {
  const place = { family: "ip", table: "t" };
  const jump = { rule: { ...place, chain: "in", expr: [{ jump: { target: "in" } }] } };
  const chain = { ...place, name: "in", type: "filter", hook: "input", prio: 0, policy: "drop" };
  const loop = { nftables: [{ chain }, ...Array.from({ length: 12 }, () => jump)] };
  assert.equal(judgeNft(parseRuleset(JSON.stringify(loop)), PEER).fate, "unknown");
});
