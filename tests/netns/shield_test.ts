// The shield with real daemons, seen by a phone: during a move SIP is silent, never refused.
import assert from "node:assert/strict";
import type { Cluster } from "../support/cluster.ts";
import { PBX_START_DELAY_FILE } from "../support/pbx.ts";
import { poll } from "../support/poll.ts";
import { pbxLines } from "../support/relais_config.ts";
import type { RelaisHost } from "../support/relais_host.ts";
import { DEADLINE_MS, startedCluster, untilServes } from "./situations.ts";
import { STEADY } from "./stage.ts";

/** What nft shows of our table on a host; empty: there is none. */
async function table({ host }: RelaisHost): Promise<string> {
  return (await host.try(["nft", "list", "table", "inet", "relais"])).stdout;
}

async function slowStart({ host }: RelaisHost, seconds: number): Promise<void> {
  await host.exec(["mkdir", "-p", "/etc/test-pbx"]);
  await host.writeFile(PBX_START_DELAY_FILE, `${seconds}`);
}

/** Moves there and back, and kills the master; what a phone was refused in each move. */
async function refusedInMoves(cluster: Cluster): Promise<Record<string, number>> {
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await untilServes(cluster, master, client);
  // Long enough that a phone would call a closed port.
  for (const host of cluster.both) await slowStart(host, 1);
  await client.mark("switchover");
  assert.equal((await master.relais(["switchover"])).code, 0);
  await untilServes(cluster, slave, client);
  await master.untilState("standby", DEADLINE_MS);
  await slave.waitFor(({ peer }) => peer.report?.ready === true, {
    deadlineMs: DEADLINE_MS,
    what: "the master that stands by",
  });
  await client.mark("failback");
  assert.equal((await slave.relais(["failback"])).code, 0);
  await untilServes(cluster, master, client);
  await cluster.untilNormal(DEADLINE_MS);
  await client.mark("takeover");
  await master.host.crash();
  await untilServes(cluster, slave, client);
  const refused: Record<string, number> = {};
  for (const phase of ["switchover", "failback", "takeover"]) {
    refused[phase] = (await client.summary(phase, "sip")).refused;
  }
  return refused;
}

Deno.test("a phone that calls during a move hears nothing, and no refusal", async () => {
  await using cluster = await startedCluster({
    config: { ...STEADY, failback: ['mode = "manual"'] },
  });
  const { slave } = cluster;
  assert.deepEqual(await refusedInMoves(cluster), { switchover: 0, failback: 0, takeover: 0 });
  assert.equal(await table(slave), "", "gone when the services answer");
  const history = (await slave.status())!.history.filter(({ rule }) => rule === "lower-shield");
  assert.ok(history.length > 0 && history.every(({ why }) => /^the shield was up/.test(why)));
});

Deno.test("without a shield the same phone is refused: that is what the test above can see", async () => {
  await using cluster = await startedCluster({
    config: {
      ...STEADY,
      failback: ['mode = "manual"'],
      services: [...pbxLines(), "shield = []"],
    },
  });
  const { takeover } = await refusedInMoves(cluster);
  assert.ok(takeover! > 0, `${takeover} refused`);
});

Deno.test("the shield of a killed daemon is lowered by the next one, and by relais cleanup", async () => {
  await using cluster = await startedCluster({ config: STEADY });
  const { master, slave } = cluster;
  for (const end of ["daemon", "cleanup"] as const) {
    await slowStart(slave, 600);
    await master.host.crash();
    const { shield } = await slave.waitFor(
      ({ shield, goal }) => shield.up && goal?.step === "start-services",
      {
        deadlineMs: DEADLINE_MS,
        what: "the shield in the status while the services start",
      },
    );
    assert.ok(shield.since !== null && shield.endsInMs! > 0);
    assert.deepEqual(shield.ports, ["udp:5060", "tcp:5060", "tcp:5061"]);
    assert.match(await table(slave), /udp \. 5060 timeout \d+.* expires /s);
    const text = (await slave.relais(["status"])).stdout;
    assert.match(text, /^shield +up: udp:5060 tcp:5060 tcp:5061 dropped since /m);
    await slave.stop("kill");
    assert.notEqual(await table(slave), "", "nobody is left to lower it");
    if (end === "cleanup") {
      const { code, stdout } = await slave.relais(["cleanup"]);
      assert.equal(code, 0);
      assert.match(stdout, /^shield lowered$/m);
      assert.equal(await table(slave), "");
      return;
    }
    await slave.host.exec(["rm", PBX_START_DELAY_FILE]);
    slave.start();
    await poll(async () => await table(slave) === "", {
      deadlineMs: DEADLINE_MS,
      what: "the end of the shield",
    });
    await slave.untilState("active", DEADLINE_MS);
    await cluster.boot(master);
    await cluster.untilNormal(DEADLINE_MS);
  }
});
