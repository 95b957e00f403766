// A machine on the network that takes the address of a host and answers in its place: with the real program
// on both sides. What it says without the cluster key must move nothing.
import assert from "node:assert/strict";
import type { HealthBody } from "../../src/health/types.ts";
import { generateKey, keyFileText } from "../../src/heartbeat/key.ts";
import { sampleHealth } from "../support/health_sample.ts";
import { startAttack } from "../support/hostile.ts";
import type { HostProcess } from "../support/host_process.ts";
import { KEY_FILE, type RelaisHost } from "../support/relais_host.ts";
import { DEADLINE_MS, heldVips, servicesRun, untilServes } from "./situations.ts";
import { type Scene, untilAlert, useStage } from "./stage.ts";

const PORT = 8460;
const stage = useStage({ lab: { stranger: true } });

/** The stranger takes the master's addresses, after it died, and answers pings and `/health` as told. */
async function takeMastersPlace(
  { lab, slave }: Scene,
  says: Partial<HealthBody>,
): Promise<{ readonly impostor: HostProcess; readonly end: () => Promise<void> }> {
  const addresses = [0, 1].map((network) => lab.address("master", network));
  const report = (await slave.status())!.peer.report!;
  for (const [network, address] of addresses.entries()) {
    await lab.stranger.exec(["ip", "addr", "add", `${address}/24`, "dev", `eth${network}`]);
  }
  const body = { ...sampleHealth(), ...report, ...says };
  const impostor = startAttack(lab.stranger, [
    ...["impostor", `${PORT}`, JSON.stringify(body)],
    ...addresses,
  ]);
  return {
    impostor,
    end: async () => {
      await impostor.signal("SIGKILL");
      await impostor.ended(DEADLINE_MS);
      for (const [network, address] of addresses.entries()) {
        await lab.stranger.exec(["ip", "addr", "del", `${address}/24`, "dev", `eth${network}`]);
      }
    },
  };
}

async function unproved(host: RelaisHost): Promise<number> {
  return (await host.status())!.counters.healthUnproved;
}

stage.test(
  "who takes a dead master's address and answers as if it served keeps no slave from taking over",
  async (scene) => {
    const { cluster, master, slave, client } = scene;
    const epoch = (await slave.status())!.node.epoch;
    await master.host.crash();
    const before = await unproved(slave);
    const { end } = await takeMastersPlace(scene, {
      state: "active",
      serving: true,
      fit: true,
      epoch: Number.MAX_SAFE_INTEGER,
    });
    try {
      await untilServes(cluster, slave, client);
      await untilAlert(slave, /does not prove that it has our cluster key/);
      assert.ok(await unproved(slave) > before);
      const { node } = (await slave.status())!;
      assert.equal(node.epoch, epoch + 1, "no epoch was learnt from it");
    } finally {
      await end();
    }
  },
);

stage.test(
  "who takes a dead master's address makes the slave that serves neither yield nor hand back nor learn",
  async (scene) => {
    const { cluster, master, slave, client, lived } = scene;
    await master.host.crash();
    await untilServes(cluster, slave, client);
    await client.mark("impostor");
    const { epoch } = (await slave.status())!.node;
    const claims: readonly Partial<HealthBody>[] = [
      { role: "master", state: "active", serving: true, fit: true },
      { role: "master", state: "standby", serving: false, fit: true, ready: true },
      { role: "master", state: "rejoining", serving: false, epoch: epoch + 1_000_000 },
      { role: "master", state: "maintenance", serving: true, instanceId: crypto.randomUUID() },
    ];
    for (const says of claims) {
      const before = await unproved(slave);
      const { end } = await takeMastersPlace(scene, { ...says, seq: 1e9 });
      try {
        // It is heard, often enough for every rule to have had its time (dead after 2 s, stable for 0 s).
        await slave.waitFor(({ counters }) => counters.healthUnproved >= before + 8, {
          deadlineMs: DEADLINE_MS,
          what: "eight answers of the impostor",
        });
        const { node, peer } = (await slave.status())!;
        assert.deepEqual([node.state, node.epoch], ["active", epoch], JSON.stringify(says));
        assert.notEqual(peer.report?.seq, 1e9, "nothing of it is shown as the peer's word");
        const failback = await slave.relais(["failback", "--wait", "0"], DEADLINE_MS);
        assert.notEqual(failback.code, 0, "nothing is handed to it, even when asked");
      } finally {
        await end();
      }
    }
    assert.equal(await servicesRun(slave), true);
    assert.equal((await heldVips(cluster, slave)).length, 2);
    void lived;
    const { lost } = await client.summary("impostor", "sip");
    assert.equal(lost, 0, "no telephone noticed");
  },
);

stage.test(
  "hosts with different keys move nothing by agreement and say why; a dead master is relieved all the same",
  async (scene) => {
    const { cluster, master, slave, client } = scene;
    const key = await slave.host.readFile(KEY_FILE);
    try {
      await slave.host.writeFile(KEY_FILE, keyFileText(generateKey()), 0o600);
      assert.equal((await slave.relais(["reload"])).code, 0);
      for (const host of cluster.both) await untilAlert(host, /does not prove/);
      await master.waitFor(({ peer }) => (peer.reportAgeMs ?? 0) > 3000, {
        deadlineMs: DEADLINE_MS,
        what: "no word of the slave any more",
      });
      const refused = await master.relais(["switchover"], DEADLINE_MS);
      assert.notEqual(refused.code, 0);
      assert.match(refused.stdout + refused.stderr, /does not answer/);
      const { node } = (await master.status())!;
      assert.deepEqual([node.state, (await slave.status())!.node.state], ["active", "standby"]);
      await master.host.crash();
      await untilServes(cluster, slave, client);
    } finally {
      await slave.host.writeFile(KEY_FILE, key, 0o600);
      await slave.relais(["reload"]);
    }
  },
);
