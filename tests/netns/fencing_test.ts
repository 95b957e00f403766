// Fencing with the real program: a partition that telephones span, with an agent that cuts the power of the
// lab's hosts, fails, hangs, lies or is slow.
import assert from "node:assert/strict";
import { poll } from "../support/poll.ts";
import { PASSWORD, PowerSwitch } from "../support/power_switch.ts";
import type { RelaisHost } from "../support/relais_host.ts";
import { DEADLINE_MS, heldVips, servicesRun, startedCluster, untilServes } from "./situations.ts";
import { type Scene, STEADY, terminate, untilAlert, useStage } from "./stage.ts";

/** Longer than a slow switch takes, and short enough to be waited for. */
const DEADLINE_S = 8;

const stage = useStage({
  config: {
    fencing: PowerSwitch.config(['mode = "required"', `deadline = "${DEADLINE_S}s"`]),
  },
  files: PowerSwitch.files,
});

/** A test with a switch that works until told otherwise. */
function fenceTest(
  name: string,
  work: (scene: Scene & { readonly power: PowerSwitch }) => Promise<void>,
): void {
  stage.test(name, async (scene) => {
    const { lab, slave, master } = scene;
    using power = new PowerSwitch([lab.master, lab.slave]);
    for (const { host } of [master, slave]) await host.exec(["rm", "-f", "/run/power_switch.sock"]);
    await power.plugIn();
    await work({ ...scene, power });
  });
}

/** The sentences of a host's history under a name, since the test began. */
async function told(host: RelaisHost, name: string): Promise<string[]> {
  return (await host.status())?.history.filter(({ rule }) => rule === name)
    .map(({ why }) => why) ?? [];
}

fenceTest(
  "a partition that telephones span: the master is really off before the slave answers",
  async ({ cluster, lab, master, slave, client, power, decided }) => {
    await lab.split();
    await untilServes(cluster, slave, client);
    assert.equal(master.host.on, false, "the agent has cut the power");
    assert.deepEqual(power.uses, ["off master"]);
    assert.equal(power.asked.at(-1), "status master", "it was looked at afterwards");
    const [sentence = ""] = await told(slave, "fence-peer");
    assert.match(
      sentence,
      /fence_lab, off of the master: done, and its status confirms that the power is off, after \d/,
    );
    const rules = await decided(slave);
    assert.ok(rules.indexOf("S-TAKE") < rules.indexOf("fence-peer"), rules.join());
    assert.ok(rules.indexOf("fence-peer") < rules.indexOf("N-ACTIVE"), rules.join());
    const { fencing } = (await slave.status())!;
    assert.deepEqual(fencing?.last?.ok, true);
    assert.equal(fencing?.counters.fenced, 1);
  },
);

fenceTest(
  "an agent that fails: nobody mounts, an alert says what to do, the confirmation lets it go on",
  async ({ cluster, lab, master, slave, client, power, lived }) => {
    power.mode = "fails";
    await lab.split();
    await untilAlert(
      slave,
      /The master could not be fenced .*the switch is out of order.*relais fence confirm/,
    );
    // Again and again, and each time before anything is mounted.
    await poll(() => power.uses.length >= 2, {
      deadlineMs: DEADLINE_MS,
      what: "two tries",
      instead: () => power.asked.join(),
    });
    assert.deepEqual(await heldVips(cluster, slave), []);
    assert.equal(await servicesRun(slave), false);
    assert.equal((await lived("vip")).lost, 0, "the master has served all the while");
    assert.ok((await told(slave, "N-FENCE-FAILED")).length >= 2);
    await master.host.crash();
    const confirmed = await slave.relais(["fence", "confirm", "--yes", "--json"]);
    assert.equal(confirmed.code, 0, confirmed.stdout + confirmed.stderr);
    assert.match(JSON.parse(confirmed.stdout).text, /Believed for 5 min/);
    await untilServes(cluster, slave, client);
    assert.equal((await told(slave, "FENCE-CONFIRM")).length, 1);
  },
);

fenceTest(
  "an agent that hangs is killed at the deadline with all that it started; mended, it is used again",
  async ({ cluster, lab, master, slave, client, power }) => {
    power.mode = "hangs";
    await lab.split();
    await slave.waitFor(({ goal }) => goal?.step === "fence-peer", {
      deadlineMs: DEADLINE_MS,
      what: "the step fence-peer",
    });
    await untilAlert(slave, new RegExp(`took longer than ${DEADLINE_S} s and was killed`));
    await poll(() => power.uses.length >= 2, { deadlineMs: DEADLINE_MS, what: "another try" });
    const { stdout } = await slave.host.exec(["ps", "-eo", "args"]);
    const agents = stdout.split("\n").filter((line) => line.includes("fence_lab"));
    assert.ok(agents.length <= 1, `only the one that is in use is left: ${agents.join("; ")}`);
    assert.deepEqual(await heldVips(cluster, slave), []);
    power.mode = "works";
    await untilServes(cluster, slave, client);
    assert.equal(master.host.on, false);
  },
);

fenceTest(
  "an agent that lies about its success is not believed: its status says that the power is on",
  async ({ cluster, lab, slave, power, lived }) => {
    power.mode = "lies";
    await lab.split();
    await untilAlert(slave, /reports success, but its status says that the power is on/);
    assert.deepEqual(await heldVips(cluster, slave), []);
    assert.equal((await lived("vip")).lost, 0);
  },
);

fenceTest(
  "a master that is heard again while it is being fenced is spared: the agent is killed in time",
  async ({ cluster, lab, master, slave, power, lived, decided }) => {
    power.mode = "slow";
    await lab.split();
    await poll(() => power.uses.length > 0, { deadlineMs: DEADLINE_MS, what: "the agent at work" });
    await lab.join();
    await cluster.untilNormal(DEADLINE_MS);
    assert.ok((await decided(slave)).includes("N-SPARE"), (await decided(slave)).join());
    assert.equal(master.host.on, true);
    assert.deepEqual(power.uses, ["off master"], "asked once, and hung up before it was done");
    assert.equal((await lived("vip")).lost, 0);
    assert.equal((await lived("sip")).lost, 0);
  },
);

fenceTest(
  "a slave that is cut off fences nobody; it is the one that is cut off",
  async ({ cluster, master, slave, power, lived }) => {
    await slave.host.cable("mute");
    await slave.waitFor(({ isolated }) => isolated, {
      deadlineMs: DEADLINE_MS,
      what: "the isolation",
    });
    // Longer than it takes to believe that the peer is dead.
    await new Promise((resolve) => setTimeout(resolve, 5000));
    assert.deepEqual(power.uses, []);
    await slave.host.cable("plug");
    await cluster.untilNormal(DEADLINE_MS);
    assert.equal(master.host.on && slave.host.on, true);
    assert.equal((await lived("vip")).lost, 0);
  },
);

fenceTest(
  "who leaves in order, or gives by agreement, is not fenced",
  async ({ cluster, master, slave, client, power }) => {
    assert.equal(await terminate(master), 0);
    await untilServes(cluster, slave, client);
    master.start();
    await cluster.untilNormal(DEADLINE_MS);
    await untilServes(cluster, master, client);
    assert.deepEqual(power.uses, []);
  },
);

fenceTest(
  "a master that comes back from a power cut of both does not cut the power of a slave that boots",
  async ({ cluster, master, slave, power }) => {
    await Promise.all([master.host.crash(), slave.host.crash()]);
    await cluster.boot(master);
    await cluster.boot(slave);
    await power.plugIn();
    await cluster.untilNormal(DEADLINE_MS);
    assert.deepEqual(power.uses, []);
  },
);

fenceTest(
  "relais fence: seen, tried and used by hand; the word of an operator is refused for a peer that lives",
  async ({ cluster, master, slave, client, power }) => {
    const tried = await slave.relais(["fence", "test"]);
    assert.equal(tried.code, 0, tried.stderr);
    assert.match(
      tried.stdout,
      /Fencing works: .*its device answers; the power of the master is on/,
    );
    const refused = await slave.relais(["fence", "confirm", "--yes"]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /Refused: the master is heard alive/);
    const unasked = await slave.relais(["fence", "off"]);
    assert.equal(unasked.code, 1);
    assert.match(unasked.stderr, /no terminal: relais fence off --yes/);
    assert.deepEqual(power.uses, []);
    power.mode = "fails";
    const broken = await slave.relais(["fence", "test"]);
    assert.equal(broken.code, 1);
    assert.match(
      broken.stderr,
      /Fencing does not work: .*exited with 1: the switch is out of order/,
    );
    await untilAlert(slave, /this host would not take over from a dead master.*relais fence test/);
    power.mode = "works";
    const off = await slave.relais(["fence", "off", "--yes"]);
    assert.equal(off.code, 0, off.stderr);
    assert.equal(master.host.on, false);
    await untilServes(cluster, slave, client);
    const shown = await slave.relais(["fence", "status"]);
    assert.match(shown.stdout, /required: off of the master by \/usr\/local\/sbin\/fence_lab/);
    assert.match(
      (await told(slave, "FENCE"))[0] ?? "",
      /asked by an operator: .*off of the master/,
    );
    const on = await slave.relais(["fence", "on"]);
    assert.equal(on.code, 0, on.stderr);
    assert.equal(master.host.on, true);
  },
);

fenceTest("a password that is refused stands in no log, history or status", async (
  { lab, slave },
) => {
  await slave.host.writeFile("/etc/relais/fence-lab.conf", "password=wrong-password\n", 0o600);
  await lab.split();
  await untilAlert(slave, /could not be fenced .*Unable to log in with the password \*\*\*/);
  const everything = JSON.stringify(await slave.status()) + slave.log(10_000);
  assert.ok(!everything.includes("wrong-password"));
  assert.ok(!everything.includes(PASSWORD));
  await slave.host.exec(["chmod", "644", "/etc/relais/fence-lab.conf"]);
  await untilAlert(slave, /fence-lab.conf as others than root may read .*chmod 600/);
});

Deno.test("best-effort: an agent that fails is noted, and the takeover goes on", async () => {
  await using cluster = await startedCluster({
    config: {
      ...STEADY,
      fencing: PowerSwitch.config(['mode = "best-effort"', `deadline = "${DEADLINE_S}s"`]),
    },
    files: PowerSwitch.files,
  });
  const { lab, master, slave } = cluster;
  using power = new PowerSwitch([lab.master, lab.slave]);
  await power.plugIn();
  await using client = await cluster.observe();
  await untilServes(cluster, master, client);
  power.mode = "fails";
  await master.host.crash();
  await untilServes(cluster, slave, client);
  assert.deepEqual(power.uses, ["off master"], "tried once");
  assert.match((await told(slave, "fence-peer"))[0] ?? "", /failed: .*the switch is out of order/);
  const { alerts, fencing } = (await slave.status())!;
  assert.ok(alerts.some((text) => text.includes("the switch is out of order")), alerts.join("\n"));
  assert.equal(fencing?.counters.failed, 1);
});
