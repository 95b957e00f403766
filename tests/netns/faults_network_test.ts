// Cables that are pulled or carry nothing, and paths that are broken, with the real program.
import assert from "node:assert/strict";
import { Cluster } from "../support/cluster.ts";
import type { CableAction } from "../support/switch.ts";
import {
  assertNeverTwoHolders,
  DEADLINE_MS,
  heldVips,
  servicesRun,
  untilServes,
} from "./situations.ts";
import { type Scene, STEADY, untilNeighbour, useStage } from "./stage.ts";

const stage = useStage();

/** Cuts the slave off; it must find out that it is the one, and do nothing. */
async function cutOffSlave(scene: Scene, action: CableAction): Promise<void> {
  const { cluster, master, slave, lived } = scene;
  const { epoch } = (await master.status())!.node;
  await slave.host.cable(action);
  await slave.waitFor(({ isolated, peer }) => isolated && peer.verdict === "dead", {
    deadlineMs: DEADLINE_MS,
    what: "isolation, and a peer that seems dead",
  });
  assert.equal(await servicesRun(slave), false);
  assert.deepEqual(await heldVips(cluster, slave), []);
  await master.waitFor(({ peer }) => peer.verdict === "dead", {
    deadlineMs: DEADLINE_MS,
    what: "a slave that is gone",
  });
  await slave.host.cable("plug");
  await cluster.untilNormal(DEADLINE_MS);
  assert.equal((await master.status())!.node.epoch, epoch, "nobody took over");
  assert.equal((await lived("vip")).lost, 0);
  assert.equal((await lived("sip")).lost, 0);
}

stage.test(
  "a slave whose cables are pulled takes nothing over, and stands by again when they are back",
  (scene) => cutOffSlave(scene, "pull"),
);

stage.test(
  "a slave whose cables carry nothing takes nothing over, and stands by again when they do",
  (scene) => cutOffSlave(scene, "mute"),
);

/** Takes the VIP's network away from the master; the other one is left to hand over by. */
async function loseOneNetwork(scene: Scene, action: CableAction): Promise<void> {
  const { cluster, lab, master, slave, client, decided } = scene;
  await master.host.cable(action, ["voip"]);
  await untilServes(cluster, slave, client);
  assert.ok((await decided(slave)).includes("S-NOTICE"), `by agreement: ${await decided(slave)}`);
  assert.ok((await decided(master)).includes("N-UNFIT"), `${await decided(master)}`);
  assert.deepEqual(await heldVips(cluster, master), []);
  assert.equal(await servicesRun(master), false);
  await untilNeighbour(lab, "slave");
  await master.host.cable("plug", ["voip"]);
  await cluster.untilNormal(DEADLINE_MS);
  await untilServes(cluster, master, client);
  await untilNeighbour(lab, "master");
}

stage.test(
  "the master's cable of one network is pulled: it hands over through the other one",
  (scene) => loseOneNetwork(scene, "pull"),
);

stage.test(
  "the master's cable of one network carries nothing: it hands over through the other one",
  (scene) => loseOneNetwork(scene, "mute"),
);

stage.test(
  "the data network of the master fails: the service goes where both networks are",
  async ({ cluster, lab, master, slave, client }) => {
    await master.host.cable("pull", ["data"]);
    await untilServes(cluster, slave, client);
    await client.untilUp("data", { deadlineMs: DEADLINE_MS, holder: lab.mac("slave", 1) });
    assert.deepEqual(await heldVips(cluster, master), []);
  },
);

/** Cuts the master off; its VIPs must be gone before the slave has them. */
async function cutOffMaster(scene: Scene, action: CableAction): Promise<void> {
  const { cluster, lab, master, slave, client, decided } = scene;
  await master.host.cable(action);
  await untilServes(cluster, slave, client);
  assert.deepEqual(await heldVips(cluster, master), []);
  assert.ok((await decided(master)).includes("M-ISOLATE"), `${await decided(master)}`);
  await untilNeighbour(lab, "slave");
  await master.host.cable("plug");
  await cluster.untilNormal(DEADLINE_MS);
  await untilServes(cluster, master, client);
  await untilNeighbour(lab, "master");
  assert.equal(await servicesRun(slave), false);
  assert.deepEqual(await heldVips(cluster, slave), []);
}

stage.test(
  "a master whose cables are pulled has dropped its VIPs before the slave mounts them",
  (scene) => cutOffMaster(scene, "pull"),
);

stage.test(
  "a master whose cables carry nothing has dropped its VIPs before the slave mounts them",
  (scene) => cutOffMaster(scene, "mute"),
);

stage.test(
  "the path between the hosts is broken but the VIP is answered: no takeover, an alert",
  async ({ cluster, lab, master, slave, lived }) => {
    const { epoch } = (await master.status())!.node;
    // Every echo and HTTP between the hosts is dropped, ARP is not.
    const rules = [
      "table ip split {",
      "  chain in {",
      "    type filter hook input priority 0",
      `    ip saddr { ${lab.address("slave", 0)}, ${lab.address("slave", 1)} } drop`,
      "  }",
      "}",
    ];
    await master.host.exec(["nft", "-f", "-"], { stdin: `${rules.join("\n")}\n` });
    const held = await slave.waitFor(
      ({ node, alerts, peer }) =>
        node.state === "standby" && peer.verdict === "dead" &&
        alerts.some((alert) => alert.includes(lab.mac("master"))),
      { deadlineMs: DEADLINE_MS, what: "the alert that the path is broken" },
    );
    assert.ok(held.history.some(({ rule }) => rule === "S-HOLD"));
    assert.equal(held.vips[0]?.holder, "peer");
    assert.equal(held.vips[0]?.holderMac, lab.mac("master"));
    assert.equal(await servicesRun(slave), false);
    await master.host.exec(["nft", "delete", "table", "ip", "split"]);
    await cluster.untilNormal(DEADLINE_MS);
    assert.equal((await lived("vip")).lost, 0);
    assert.equal((await master.status())!.node.epoch, epoch, "nobody took over");
  },
);

stage.test(
  "the hosts lose sight of each other on one network only: nothing moves",
  async ({ cluster, lab, master, slave, lived }) => {
    const { epoch } = (await master.status())!.node;
    await lab.split(["voip"]);
    await slave.waitFor(
      ({ links }) =>
        links.some(({ network, icmp }) => network === "voip" && (icmp.lastReplyAgoMs ?? 0) > 3_000),
      { deadlineMs: DEADLINE_MS, what: "3 s of silence on voip" },
    );
    assert.equal((await slave.status())!.peer.verdict, "alive");
    assert.equal((await slave.status())!.node.state, "standby");
    await lab.join(["voip"]);
    await cluster.untilNormal(DEADLINE_MS);
    assert.equal((await lived("vip")).lost, 0);
    assert.equal((await master.status())!.node.epoch, epoch, "nobody took over");
  },
);

// What two hosts alone can't tell from a death: the switch separates them, and everybody else sees both.
stage.test(
  "after a split that hid the hosts from each other one holder is left, and the client finds it",
  async ({ cluster, lab, master, slave, client, decided }) => {
    await lab.split();
    await slave.untilState("active", DEADLINE_MS);
    assert.equal((await master.status())!.node.state, "active");
    await lab.join();
    await cluster.untilNormal(DEADLINE_MS);
    assert.deepEqual(await heldVips(cluster, slave), []);
    assert.equal(await servicesRun(slave), false);
    await untilServes(cluster, master, client);
    await untilNeighbour(lab, "master");
    assert.ok((await decided(slave)).includes("S-YIELD"), `${await decided(slave)}`);
  },
  { twoHolders: true },
);

stage.test(
  "the gateway, the only witness, is off: nothing moves, and a death is still seen",
  async ({ cluster, lab, master, slave, client, lived }) => {
    await lab.gateway.crash();
    await slave.waitFor(
      ({ links }) =>
        links.every(({ witnesses }) =>
          witnesses.every(({ lastReplyAgoMs }) => (lastReplyAgoMs ?? 0) > 3_000)
        ),
      { deadlineMs: DEADLINE_MS, what: "3 s of silence of the witness" },
    );
    assert.equal((await master.status())!.node.state, "active");
    assert.equal((await lived("vip")).lost, 0);
    await lab.gateway.boot();
    await slave.waitFor(({ isolated }) => !isolated, {
      deadlineMs: DEADLINE_MS,
      what: "a network",
    });
    await master.host.crash();
    await untilServes(cluster, slave, client);
  },
);

Deno.test("a master whose cables were out for long comes back to rest, not to service", async () => {
  const failback = ['mode = "manual"'];
  await using cluster = await Cluster.create({ config: { ...STEADY, failback } });
  await cluster.start(DEADLINE_MS);
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await using watcher = await cluster.watch();
  await untilServes(cluster, master, client);
  await master.host.cable("pull");
  await master.untilState("isolated", DEADLINE_MS);
  await untilServes(cluster, slave, client);
  await master.waitFor(({ peer, node }) => peer.verdict === "dead" && node.stateForMs > 4_000, {
    deadlineMs: DEADLINE_MS,
    what: "a slave that seems dead from there",
  });
  await master.host.cable("plug");
  await master.waitFor(({ node, ready }) => node.state === "standby" && ready, {
    deadlineMs: DEADLINE_MS,
    what: "rest",
  });
  const { history } = (await master.status())!;
  assert.ok(
    !history.some(({ rule }) => rule === "N-RETURN"),
    "silence of a dead cable is no proof",
  );
  assert.equal((await slave.status())!.node.state, "active");
  await untilNeighbour(cluster.lab, "slave");
  await assertNeverTwoHolders(watcher);
});
