// Hosts and daemons that stand still and wake while the other one serves: what a telephone could hear of
// them, frame by frame. A host whose kernel stands still too: tests/bench/frozen.
import assert from "node:assert/strict";
import { earNowMs, VipEar } from "../support/vip_ear.ts";
import { DEADLINE_MS, heldVips, servicesRun, untilServes } from "./situations.ts";
import { type Scene, useStage } from "./stage.ts";

const stage = useStage();

/**
 * Every frame of the master for the first VIP, asked for it itself each 2 ms. At the gateway: answers to
 * the watcher's address would be taken for answers to the watcher's own questions.
 */
async function hearMaster({ lab }: Scene): Promise<VipEar> {
  return await VipEar.start(lab.gateway, {
    interfaceName: "eth0",
    mac: lab.mac("master"),
    vip: lab.vip(0),
    own: lab.address("gateway"),
    everyMs: 2,
  });
}

/** From the moment on, the master is at rest again and has not said a word for the VIP. */
async function assertSilentUntilRest(scene: Scene, ear: VipEar, sinceMs: number): Promise<void> {
  const { cluster, master, slave } = scene;
  assert.ok(ear.since(0).some(({ atMs }) => atMs < sinceMs), "it was heard while it held the VIP");
  await master.waitFor(({ node }) => node.state === "standby" || node.state === "active", {
    deadlineMs: DEADLINE_MS,
    what: "a master that has come to rest",
  });
  // With auto failback it serves again soon, by agreement: what came before that is what counts.
  const back = (await master.status())!.history.findLast(({ rule }) => rule === "M-BACK");
  const untilMs = back === undefined ? Infinity : Date.parse(back.at);
  const heard = ear.since(sinceMs).filter(({ atMs }) => atMs < untilMs);
  assert.deepEqual(heard, [], `frames of a host that had lost the VIP, from ${sinceMs}`);
  await cluster.untilNormal(DEADLINE_MS);
  assert.equal(await servicesRun(slave), false);
}

for (let round = 1; round <= 3; round++) {
  stage.test(
    `a host that wakes says nothing for the VIP it lost, though announcements were due (${round})`,
    async (scene) => {
      const { cluster, master, slave, client } = scene;
      await using ear = await hearMaster(scene);
      // The burst: the next announcements are due within the first moments of the sleep.
      assert.equal((await master.relais(["announce"])).code, 0);
      await master.host.freeze();
      await untilServes(cluster, slave, client);
      assert.deepEqual(await heldVips(cluster, master), []);
      const thawedAt = earNowMs();
      await master.host.thaw();
      await assertSilentUntilRest(scene, ear, thawedAt);
    },
  );
}

stage.test(
  "a daemon that hangs loses its VIPs by the kernel; when it goes on it takes nothing back",
  async (scene) => {
    const { cluster, master, slave, client, decided } = scene;
    await using ear = await hearMaster(scene);
    await master.daemon!.signal("SIGSTOP");
    await untilServes(cluster, slave, client);
    assert.deepEqual(await heldVips(cluster, master), [], "nobody renewed them");
    assert.equal(await servicesRun(master), true, "nobody is there to stop them");
    const heldUntil = ear.since(0).at(-1)?.atMs ?? 0;
    const wokenAt = earNowMs();
    assert.ok(heldUntil < wokenAt);
    await master.host.thaw(); // Also what started the daemon, which stops with it.
    await assertSilentUntilRest(scene, ear, wokenAt);
    assert.ok((await decided(master)).includes("M-ISOLATE"), `${await decided(master)}`);
  },
);
