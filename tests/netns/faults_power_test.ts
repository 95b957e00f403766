// Power cuts, boots, and hosts that boot without all of their network, with the real program.
import assert from "node:assert/strict";
import { poll } from "../support/poll.ts";
import { DEADLINE_MS, heldVips, servicesRun, untilServes } from "./situations.ts";
import { untilNeighbour, useStage } from "./stage.ts";

const stage = useStage();

stage.test(
  "power cut of the master and boot: takeover, then the service goes back",
  async ({ cluster, lab, master, slave, client, decided }) => {
    await master.host.crash();
    await untilServes(cluster, slave, client);
    assert.ok((await decided(slave)).includes("S-TAKE"), `${await decided(slave)}`);
    await untilNeighbour(lab, "slave");
    await cluster.boot(master);
    await cluster.untilNormal(DEADLINE_MS);
    await untilServes(cluster, master, client);
    await untilNeighbour(lab, "master");
    assert.ok((await decided(master)).includes("M-BACK"), `${await decided(master)}`);
    assert.equal(await servicesRun(slave), false);
    assert.deepEqual(await heldVips(cluster, slave), []);
  },
);

stage.test(
  "power cut of the slave and boot: service is not touched",
  async ({ cluster, master, slave, lived }) => {
    const { epoch } = (await master.status())!.node;
    await slave.host.crash();
    await master.waitFor(({ peer }) => peer.verdict === "dead", {
      deadlineMs: DEADLINE_MS,
      what: "a dead slave",
    });
    await cluster.boot(slave);
    await cluster.untilNormal(DEADLINE_MS);
    assert.equal((await lived("vip")).lost, 0);
    assert.equal((await lived("sip")).lost, 0);
    assert.equal((await master.status())!.node.epoch, epoch);
  },
);

stage.test(
  "power cut of both and boot of both: the master serves, never both",
  async ({ cluster, lab, master, slave, client, decided }) => {
    await Promise.all([master.host.crash(), slave.host.crash()]);
    await Promise.all([cluster.boot(master), cluster.boot(slave)]);
    await cluster.untilNormal(DEADLINE_MS);
    await untilServes(cluster, master, client);
    await untilNeighbour(lab, "master");
    assert.ok(!(await decided(slave)).includes("S-TAKE"), `${await decided(slave)}`);
  },
);

stage.test(
  "power cut of both, the slave boots alone: it serves after its grace",
  async ({ cluster, lab, master, slave, client }) => {
    await Promise.all([master.host.crash(), slave.host.crash()]);
    await cluster.boot(slave);
    await untilServes(cluster, slave, client);
    await untilNeighbour(lab, "slave");
    const taken = (await slave.status())!.history.find(({ rule }) => rule === "S-TAKE");
    assert.ok(taken, "by silence of the master");
  },
);

stage.test(
  "power cut of both, the master boots alone: it serves",
  async ({ cluster, lab, master, slave, client }) => {
    await Promise.all([master.host.crash(), slave.host.crash()]);
    await cluster.boot(master);
    await untilServes(cluster, master, client);
    await untilNeighbour(lab, "master");
  },
);

stage.test(
  "a slave that boots with one network down watches through the other, and joins when it comes",
  async ({ cluster, master, slave, lived }) => {
    await slave.host.crash();
    await cluster.boot(slave, { daemon: false });
    await slave.host.exec(["ip", "link", "set", "eth0", "down"]);
    slave.start();
    const down = await slave.waitFor(
      ({ unfitReasons, peer }) =>
        peer.verdict === "alive" && unfitReasons.some((each) => each.includes("network voip")),
      { deadlineMs: DEADLINE_MS, what: "the network that is down, named" },
    );
    assert.equal(down.links.find(({ network }) => network === "voip")?.carrier, false);
    await poll(async () => {
      const { code, stdout, stderr } = await master.relais(["switchover"]);
      return code !== 0 && /unfit: network voip/.test(stdout + stderr);
    }, { deadlineMs: DEADLINE_MS, everyMs: 200, what: "a refusal that names the network" });
    await slave.host.exec(["ip", "link", "set", "eth0", "up"]);
    await cluster.untilNormal(DEADLINE_MS);
    await slave.waitFor(({ fit }) => fit, { deadlineMs: DEADLINE_MS, what: "fitness" });
    assert.equal((await lived("vip")).lost, 0);
  },
);

stage.test(
  "a slave that boots without any interface waits, says so, and joins when they come",
  async ({ cluster, lab, master, slave, lived }) => {
    const { interfaces } = slave.host;
    await slave.host.crash();
    await cluster.boot(slave, { daemon: false });
    // Nobody remembers its role: as on the first start.
    await slave.host.exec(["rm", "-f", "/var/lib/relais/state.json"]);
    await lab.ethernet.disconnect(interfaces.map(({ port }) => port));
    slave.start();
    await poll(() => /waiting for one of them/.test(slave.log(20)), {
      deadlineMs: DEADLINE_MS,
      what: "a line that says what it waits for",
      instead: () => slave.log(20),
    });
    assert.notEqual(slave.daemon, null, "it waits, it does not exit");
    assert.equal(await servicesRun(slave), false);
    for (const cable of interfaces) {
      await lab.ethernet.connect(cable, slave.host.pid);
      const { interfaceName, addresses } = cable;
      for (const address of addresses) {
        const nodad = address.includes(":") ? ["nodad"] : [];
        await slave.host.exec(["ip", "addr", "add", address, "dev", interfaceName, ...nodad]);
      }
      await slave.host.exec(["ip", "link", "set", interfaceName, "up"]);
    }
    await cluster.untilNormal(DEADLINE_MS);
    assert.equal((await lived("vip")).lost, 0);
    assert.equal((await master.status())!.node.state, "active");
  },
);

stage.test(
  "a master that boots without carrier serves as soon as the cables are plugged",
  async ({ cluster, lab, master, slave, client }) => {
    await Promise.all([master.host.crash(), slave.host.crash()]);
    await master.host.cable("pull");
    await cluster.boot(master);
    await poll(async () => (await master.status()) !== null, {
      deadlineMs: DEADLINE_MS,
      what: "a daemon that answers",
    });
    assert.deepEqual(await heldVips(cluster, master), []);
    await master.host.cable("plug");
    await untilServes(cluster, master, client);
    await untilNeighbour(lab, "master");
  },
);
