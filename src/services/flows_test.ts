/** Real entries of connection tracking in a namespace; root only. */

import assert from "node:assert/strict";
import { Lan, Netns, whyNoNamespaces } from "../../tests/support/netns_min.ts";
import { poll } from "../../tests/support/poll.ts";
import { UdpCaller } from "../../tests/support/refusal.ts";
import { libc } from "../os/libc.ts";
import { deletedEntries, flushCommands, flushFlows } from "./flows.ts";

libc(); // Opened here, as it stays open: inside a test it would count as a leak.

const ignore = whyNoNamespaces() !== null;
/** Makes the kernel track connections in a namespace. */
const TRACK = ["nft", "add", "table", "inet", "track", ";", "add", "chain", "inet", "track", "in"];

function conntrackIn(netns: Netns): string[] {
  return ["nsenter", `--net=/proc/${netns.pid}/ns/net`, "--", "conntrack"];
}

/** `proto original-source>original-destination` of each entry, sorted. */
async function entries(netns: Netns): Promise<string[]> {
  const text = await netns.run("conntrack", "-L", "-f", "ipv4", "-o", "extended");
  const text6 = await netns.run("conntrack", "-L", "-f", "ipv6", "-o", "extended");
  return `${text}\n${text6}`.split("\n").flatMap((line) => {
    const match = /^ipv\d +\d+ (\w+) .*?src=(\S+) dst=(\S+)/.exec(line);
    return match === null ? [] : [`${match[1]} ${match[2]}>${match[3]}`];
  }).sort();
}

async function insert(netns: Netns, line: string): Promise<void> {
  await netns.run("conntrack", "-I", "-t", "600", ...line.split(" "));
}

Deno.test({
  name: "flushFlows() deletes the UDP flows of the VIP on every side, and no other entry",
  ignore,
  fn: async () => {
    const netns = await Netns.open();
    try {
      const ports = "--sport 5060 --dport 5060";
      const udp = (more: string): Promise<void> => insert(netns, `-p udp ${ports} ${more}`);
      await udp("-s 10.9.0.2 -d 10.9.0.10"); // a phone to the VIP
      await udp("-s 10.9.0.10 -d 10.9.0.3"); // from the VIP to a trunk
      await udp("-s 10.9.0.4 -d 10.9.0.77 --dst-nat 10.9.0.10"); // translated to the VIP
      await udp("-s 10.9.0.78 -d 10.9.0.5 --src-nat 10.9.0.10"); // leaves as the VIP
      await udp("-s fd09::2 -d fd09::10");
      await udp("-s 10.9.0.2 -d 10.9.0.1"); // to the host's own address
      await insert(
        netns,
        "-p tcp -s 10.9.0.2 -d 10.9.0.10 --sport 40000 --dport 5061 --state ESTABLISHED",
      );
      assert.equal((await entries(netns)).length, 7);
      const conntrackCommand = conntrackIn(netns);
      const options = { conntrackCommand, inUse: () => true };
      const vips = ["10.9.0.10", "fd09::10"];
      assert.equal(await flushFlows(vips, options), "5 stale UDP flows of the VIPs deleted");
      assert.deepEqual(await entries(netns), [
        "tcp 10.9.0.2>10.9.0.10",
        "udp 10.9.0.2>10.9.0.1",
      ]);
      assert.equal(await flushFlows(vips, options), "");
    } finally {
      await netns.close();
    }
  },
});

Deno.test({
  name: "flushFlows() deletes what real packets made",
  ignore,
  fn: async () => {
    await using lan = await Lan.open(2);
    const [host, phone] = lan.hosts.map(({ netns }) => netns) as [Netns, Netns];
    await host.ip("address", "add", "10.9.0.10/24", "dev", "eth0");
    await host.run(...TRACK, "{ type filter hook input priority 0; ct state new accept; }");
    using caller = new UdpCaller(phone, { address: "10.9.0.10", port: 5060 });
    await poll(async () => {
      caller.call();
      return (await entries(host)).includes("udp 10.9.0.2>10.9.0.10");
    }, {
      deadlineMs: 20_000,
      what: "the tracked flow",
      instead: () => host.run("conntrack", "-L"),
    });
    const options = { conntrackCommand: conntrackIn(host), inUse: () => true };
    assert.match(await flushFlows(["10.9.0.10"], options), /^[1-9]\d* stale/);
    assert.deepEqual(await entries(host), []);
  },
});

Deno.test("flushFlows() calls nothing where the kernel tracks no connections", async () => {
  const options = { conntrackCommand: ["/nonexistent/conntrack"], inUse: () => false };
  assert.equal(await flushFlows(["10.9.0.10"], options), "");
});

Deno.test("flushFlows() without conntrack names it, and a failure of it is one", async () => {
  const flush = (program: string): Promise<string> =>
    flushFlows(["10.9.0.10"], { conntrackCommand: [program], inUse: () => true });
  await assert.rejects(flush("/nonexistent/conntrack"), /as it is not installed/);
  await assert.rejects(flush("/bin/false"), { name: "ToolFailedError" });
});

Deno.test("flushCommands() ask for each side, in the family of the address", () => {
  assert.deepEqual(flushCommands("fd09::10", ["conntrack"])[0], [
    "conntrack",
    "--delete",
    "--family",
    "ipv6",
    "--proto",
    "udp",
    "--orig-dst",
    "fd09::10",
  ]);
  assert.equal(flushCommands("10.9.0.10", ["conntrack"]).length, 4);
});

Deno.test("deletedEntries() reads what conntrack says, and nothing else", () => {
  const said = (n: number): string =>
    `conntrack v1.4.7 (conntrack-tools): ${n} flow entries have been deleted.\n`;
  assert.equal(deletedEntries(said(0)), 0);
  assert.equal(deletedEntries(said(17)), 17);
  assert.equal(deletedEntries("conntrack v1.4.7: Operation failed: not permitted"), null);
});
