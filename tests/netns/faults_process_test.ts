// Daemons that are killed, stopped, restarted or frozen, with the real program between two hosts.
import assert from "node:assert/strict";
import { poll } from "../support/poll.ts";
import { DEADLINE_MS, heldVips, servicesRun, untilServes } from "./situations.ts";
import { pbxPid, type Scene, terminate, untilAsked, untilNeighbour, useStage } from "./stage.ts";

const stage = useStage();

/** The kernel drops an address 3 s after its last renewal: long enough to see that. */
const BEYOND_LIFETIME_S = 4.5;

/** Ends the daemon of the master by `kind`, starts the next one and expects that nobody notices. */
async function restartUnnoticed(scene: Scene, kind: "restart" | "kill"): Promise<void> {
  const { cluster, master, slave, lived, decided } = scene;
  const before = (await master.status())!.node;
  const pid = await pbxPid(master);
  await master.stop(kind);
  master.start();
  const after = await master.waitFor(
    ({ node }) => node.instanceId !== before.instanceId && node.state === "active",
    { deadlineMs: DEADLINE_MS, what: "the new daemon, active" },
  );
  await cluster.untilNormal(DEADLINE_MS);
  await untilAsked(scene, BEYOND_LIFETIME_S);
  assert.equal((await lived("vip")).lost, 0);
  assert.equal((await lived("sip")).lost, 0);
  assert.equal(after.node.rule, "N-ADOPT");
  assert.equal(after.node.epoch, before.epoch, "nobody took over");
  assert.equal(await pbxPid(master), pid, "the services were not restarted");
  assert.deepEqual(await decided(slave), [], "the slave had nothing to decide");
}

stage.test(
  "SIGUSR1 to the active daemon and a new one: no packet on the VIP is lost",
  (scene) => restartUnnoticed(scene, "restart"),
);

stage.test(
  "kill -9 of the active daemon and a new one: no packet on the VIP is lost",
  (scene) => restartUnnoticed(scene, "kill"),
);

for (const kind of ["restart", "kill"] as const) {
  stage.test(
    `maintenance outlives the daemon (${kind}): the next one adopts, and still acts on nothing`,
    async (scene) => {
      const { cluster, master, slave, lived } = scene;
      const nodes = [master, slave];
      for (const node of nodes) {
        assert.equal((await node.relais(["maintenance", "on"])).code, 0);
        const before = (await node.untilState("maintenance", DEADLINE_MS)).node;
        await node.stop(kind);
        node.start();
        await node.waitFor(
          ({ node: now }) => now.instanceId !== before.instanceId && now.state === "maintenance",
          { deadlineMs: DEADLINE_MS, what: "the new daemon, in maintenance" },
        );
      }
      await untilAsked(scene, BEYOND_LIFETIME_S);
      assert.deepEqual((await master.status())!.vips.map(({ heldByMe }) => heldByMe), [true, true]);
      assert.equal(await servicesRun(slave), false);
      for (const node of nodes) {
        assert.equal((await node.relais(["maintenance", "off"])).code, 0);
      }
      const { node } = await master.untilState("active", DEADLINE_MS);
      assert.equal(node.rule, "N-RESUME");
      await cluster.untilNormal(DEADLINE_MS);
      assert.equal((await lived("vip")).lost, 0);
      assert.equal((await lived("sip")).lost, 0);
    },
  );
}

stage.test(
  "kill -9 of the standby daemon and a new one: service is not touched",
  async ({ cluster, master, slave, lived }) => {
    const { epoch } = (await master.status())!.node;
    await slave.stop("kill");
    slave.start();
    await cluster.untilNormal(DEADLINE_MS);
    assert.equal((await lived("vip")).lost, 0);
    assert.equal((await lived("sip")).lost, 0);
    assert.equal((await master.status())!.node.epoch, epoch);
    assert.equal(await servicesRun(slave), false);
  },
);

stage.test(
  "kill -9 of the standby daemon for good: the master serves on, and refuses a switchover",
  async ({ master, slave, lived }) => {
    await slave.stop("kill");
    await poll(async () => {
      const result = await master.relais(["switchover"]);
      return result.code !== 0 && /relais does not answer/.test(result.stdout + result.stderr);
    }, { deadlineMs: DEADLINE_MS, everyMs: 200, what: "a refusal that names the missing daemon" });
    assert.equal((await master.status())!.node.state, "active");
    assert.equal((await lived("vip")).lost, 0);
    assert.equal(await servicesRun(slave), false);
  },
);

stage.test(
  "kill -9 of the active daemon for good: its kernel drops the VIP, the slave takes over",
  async ({ cluster, lab, master, slave, client, decided }) => {
    await master.stop("kill");
    await untilServes(cluster, slave, client);
    assert.ok((await decided(slave)).includes("S-LOST"), `${await decided(slave)}`);
    assert.deepEqual(await heldVips(cluster, master), []);
    await untilNeighbour(lab, "slave");
    // Its services still run there; the next daemon brings them to rest before it stands by.
    master.start();
    await cluster.untilNormal(DEADLINE_MS);
    await untilServes(cluster, master, client);
    await untilNeighbour(lab, "master");
    assert.equal(await servicesRun(slave), false);
  },
);

stage.test(
  "SIGTERM of the standby daemon: it ends with 0, the master serves on",
  async ({ cluster, master, slave, lived }) => {
    assert.equal(await terminate(slave), 0);
    assert.equal((await master.status())!.node.state, "active");
    slave.start();
    await cluster.untilNormal(DEADLINE_MS);
    assert.equal((await lived("vip")).lost, 0);
    assert.equal((await lived("sip")).lost, 0);
  },
);

stage.test(
  "SIGTERM of the active daemon: the service is handed over first, then it ends with 0",
  async ({ cluster, lab, master, slave, client, decided }) => {
    assert.equal(await terminate(master), 0);
    assert.deepEqual(await heldVips(cluster, master), []);
    assert.equal(await servicesRun(master), false, "handed over, so stopped");
    await untilServes(cluster, slave, client);
    assert.ok((await decided(slave)).includes("S-NOTICE"), `${await decided(slave)}`);
    await untilNeighbour(lab, "slave");
  },
);

stage.test(
  "daemons that have just been started hand over as well: neither waits until the other knows it",
  async ({ cluster, master, slave, client, decided }) => {
    await slave.stop("kill");
    slave.start();
    await slave.waitFor(({ ready }) => ready, { deadlineMs: DEADLINE_MS, what: "readiness" });
    assert.equal(await terminate(master), 0);
    await untilServes(cluster, slave, client);
    assert.ok((await decided(slave)).includes("S-NOTICE"), `${await decided(slave)}`);
    assert.ok(!(await decided(slave)).includes("S-LOST"), `${await decided(slave)}`);
  },
);

stage.test(
  "SIGTERM of an active daemon whose peer is off: it drops the VIPs and ends with 0",
  async ({ cluster, master, slave, client }) => {
    await slave.host.crash();
    await master.waitFor(({ peer }) => peer.verdict === "dead", {
      deadlineMs: DEADLINE_MS,
      what: "a dead peer",
    });
    assert.equal((await master.status())!.node.state, "active");
    assert.equal(await terminate(master), 0);
    assert.deepEqual(await heldVips(cluster, master), []);
    await poll(() => !client.isUp("vip"), { deadlineMs: DEADLINE_MS, what: "silence on the VIP" });
    assert.equal(await servicesRun(master), true, "services stay as they are");
  },
);

stage.test(
  "a host that stands still for 10 s has lost its VIP before another one has it",
  async ({ cluster, lab, master, slave, client }) => {
    const frozenAt = performance.now();
    await master.host.freeze();
    await untilServes(cluster, slave, client);
    assert.deepEqual(await heldVips(cluster, master), [], "the kernel dropped what nobody renewed");
    await poll(() => performance.now() - frozenAt >= 10_000, {
      deadlineMs: DEADLINE_MS,
      everyMs: 100,
      what: "the ten seconds",
    });
    await master.host.thaw();
    await cluster.untilNormal(DEADLINE_MS);
    await untilServes(cluster, master, client);
    await untilNeighbour(lab, "master");
    assert.equal(await servicesRun(slave), false);
    assert.deepEqual(await heldVips(cluster, slave), []);
  },
);

stage.test(
  "a master whose services can't be started any more gives the service to the slave",
  async ({ cluster, lab, master, slave, client, decided }) => {
    await master.host.writeFile("/etc/test-pbx/broken", "");
    await master.host.exec(["sh", "-c", "kill -9 $(cat /run/test-pbx/pid)"]);
    await untilServes(cluster, slave, client);
    assert.deepEqual(await heldVips(cluster, master), []);
    await untilNeighbour(lab, "slave");
    const gave = (await slave.status())!.node;
    assert.ok((await decided(slave)).includes("S-NOTICE"), `${await decided(slave)}; ${gave.why}`);
    // Ill services are no fault that heals by itself: the way back waits for an operator.
    await master.host.exec(["rm", "/etc/test-pbx/broken"]);
    const said: string[] = [];
    await poll(async () => {
      const { code, stdout, stderr } = await master.relais(["failback"]);
      said.push(`${code} ${stdout}${stderr}`);
      return code === 0 || /serves already/.test(stdout + stderr);
    }, {
      deadlineMs: DEADLINE_MS,
      everyMs: 200,
      what: "the end of a failback",
      instead: () => said.slice(0, 5).join(""),
    });
    await cluster.untilNormal(DEADLINE_MS);
  },
);

stage.test(
  "an active daemon that is killed while the slave's is down, too: who comes first serves",
  async ({ cluster, master, slave, client }) => {
    await slave.stop("kill");
    await master.stop("kill");
    await poll(() => !client.isUp("vip"), { deadlineMs: DEADLINE_MS, what: "silence on the VIP" });
    slave.start();
    await untilServes(cluster, slave, client);
  },
);
