/** Real packets between namespaces; root only. */

import assert from "node:assert/strict";
import { Lan, whyNoNamespaces } from "../../tests/support/netns_min.ts";
import { poll } from "../../tests/support/poll.ts";
import { isTcpRefused, UdpCaller } from "../../tests/support/refusal.ts";
import type { ShieldPort } from "../config/types.ts";
import { systemClock } from "../os/clock.ts";
import { libc } from "../os/libc.ts";
import { Shield, SHIELD_MAX_MS } from "./shield.ts";
import { LOWER_RULES, raiseRules } from "./shield_rules.ts";

libc(); // Opened here, as it stays open: inside a test it would count as a leak.

const ignore = whyNoNamespaces() !== null;
const WITHIN = { deadlineMs: 30_000 };
const PORTS: readonly ShieldPort[] = [
  { protocol: "udp", port: 5060 },
  { protocol: "tcp", port: 5060 },
];

interface Stage {
  readonly lan: Lan;
  readonly shield: Shield;
  /** A shield of another process on the same host. */
  readonly another: () => Shield;
  /** The table of relais as nft shows it; empty: there is none. */
  readonly table: () => Promise<string>;
  /** How many packets the shield has dropped. */
  readonly dropped: () => Promise<number>;
}

/** Two hosts; the first one has the shield. */
async function onStage(work: (stage: Stage) => Promise<void>): Promise<void> {
  await using lan = await Lan.open(2);
  const { netns } = lan.hosts[0]!;
  const nftCommand = ["nsenter", `--net=/proc/${netns.pid}/ns/net`, "--", "nft"];
  const another = (): Shield => new Shield({ ports: PORTS, clock: systemClock, nftCommand });
  const table = (): Promise<string> => netns.run("nft", "list", "table", "inet", "relais");
  const dropped = async (): Promise<number> =>
    Number(/counter packets (\d+)/.exec(await table())?.[1] ?? 0);
  await work({ lan, shield: another(), another, table, dropped });
}

/** Calls until the call is refused. */
async function untilRefused(caller: UdpCaller, what: string): Promise<void> {
  await poll(() => {
    if (caller.wasRefused()) return true;
    caller.call();
    return false;
  }, { ...WITHIN, what });
}

Deno.test({
  name:
    "the shield makes a closed port silent for the network and leaves loopback and other ports alone",
  ignore,
  fn: () =>
    onStage(async ({ lan, shield, table, dropped }) => {
      const [pbx, phone] = lan.hosts.map(({ netns }) => netns) as [
        typeof lan.wire,
        typeof lan.wire,
      ];
      for (const address of ["10.9.0.1", "fd09::1"]) {
        using caller = new UdpCaller(phone, { address, port: 5060 });
        await untilRefused(caller, "the refusal without a shield");
        await shield.raise(60_000);
        while (caller.wasRefused());
        const before = await dropped();
        for (let n = 0; n < 3; n++) caller.call();
        await poll(async () => await dropped() >= before + 3, { ...WITHIN, what: "three drops" });
        assert.equal(caller.wasRefused(), false);
        assert.equal(isTcpRefused(phone, { address, port: 5060 }), false);
        assert.equal(isTcpRefused(phone, { address, port: 5061 }), true, "not in the list");
        using other = new UdpCaller(phone, { address, port: 5062 });
        await untilRefused(other, "the refusal of another port");
        const own = address === "fd09::1" ? "::1" : "127.0.0.1";
        for (const local of [own, address]) {
          using inside = new UdpCaller(pbx, { address: local, port: 5060 });
          await untilRefused(inside, `the refusal on the host itself at ${local}`);
        }
        await shield.lower();
        assert.equal(await table(), "");
        await untilRefused(caller, "the refusal after the shield");
      }
    }),
});

Deno.test({
  name: "the kernel lets the shield go by itself when nobody lowers it",
  ignore,
  fn: () =>
    onStage(async ({ lan, shield, table }) => {
      using caller = new UdpCaller(lan.hosts[1]!.netns, { address: "10.9.0.1", port: 5060 });
      await shield.raise(2000);
      assert.ok(shield.up !== null);
      // From here on nothing of relais does anything, as after a kill -9.
      await untilRefused(caller, "the refusal after the time of the shield");
      assert.match(await table(), /drop/, "the rule is still there, its set is empty");
      await poll(() => shield.up === null, { ...WITHIN, what: "the end in the status" });
    }),
});

Deno.test({
  name: "Shield.lower() removes what another process left, and raise() replaces it",
  ignore,
  fn: () =>
    onStage(async ({ shield, another, table }) => {
      await shield.raise(60_000);
      const successor = another();
      await successor.raise(30_000);
      assert.equal((await table()).match(/ drop/g)?.length, 1, "one rule, not two");
      const { since } = successor.up!;
      await successor.raise(60_000);
      assert.equal(successor.up!.since, since, "raised again, it is up since the first time");
      assert.ok(await successor.lower() as number > 0);
      await shield.raise(60_000);
      assert.equal(await another().lower(), 0, "raised by another process");
      assert.equal(await table(), "");
      assert.equal(await another().lower(), null);
    }),
});

Deno.test({
  name: "Shield touches no table but its own",
  ignore,
  fn: () =>
    onStage(async ({ lan, shield }) => {
      const { netns } = lan.hosts[0]!;
      await netns.run("nft", "add", "table", "inet", "filter");
      await netns.run("nft", "add", "table", "ip", "relais");
      await shield.raise(60_000);
      await shield.lower();
      const tables = (await netns.run("nft", "list", "tables")).trim().split("\n");
      assert.deepEqual(tables, ["table inet filter", "table ip relais"]);
    }),
});

Deno.test("Shield without nft names the package, and lowering is then no trouble", async () => {
  const nftCommand = ["/nonexistent/nft"];
  const shield = new Shield({ ports: PORTS, clock: systemClock, nftCommand });
  await assert.rejects(shield.raise(1000), /as it is not installed/);
  assert.equal(shield.up, null);
  await shield.lower();
});

Deno.test("Shield without ports runs nothing when it is raised", async () => {
  const shield = new Shield({ ports: [], clock: systemClock, nftCommand: ["/nonexistent/nft"] });
  await shield.raise(1000);
  assert.equal(shield.up, null);
});

Deno.test("raiseRules() gives each port a bounded time in whole seconds, never none", () => {
  assert.match(raiseRules(PORTS, 1), /udp \. 5060 timeout 1s, tcp \. 5060 timeout 1s/);
  assert.match(raiseRules(PORTS, SHIELD_MAX_MS), /timeout 300s/);
  assert.equal(LOWER_RULES, "table inet relais\ndelete table inet relais\n");
});
