// The gate with real daemons; systemd is stood in for (the real one is in the laboratory).
import assert from "node:assert/strict";
import { FAKE_SYSTEMCTL, unitProperties } from "../../src/services/systemd_fixture.ts";
import { Cluster } from "../support/cluster.ts";
import { poll } from "../support/poll.ts";
import type { RelaisHost } from "../support/relais_host.ts";
import { DEADLINE_MS } from "./situations.ts";
import { STEADY } from "./stage.ts";

const FOLDER = "/opt/fake-systemd";
const UNIT = "asterisk.service";
const UNIT_DIR = `${FOLDER}/etc`;
const DROP_IN = `${UNIT_DIR}/${UNIT}.d/50-relais-gate.conf`;
const FLAG = "/run/relais/serving";

/** Both hosts with systemd's stand-in, relais not yet running. */
async function makeCluster(): Promise<Cluster> {
  const cluster = await Cluster.create({
    config: {
      ...STEADY,
      failback: ['mode = "manual"'],
      services: [`units = ["${UNIT}"]`],
    },
  });
  for (const host of cluster.both) await installSystemd(host);
  return cluster;
}

async function installSystemd({ host }: RelaisHost): Promise<void> {
  await host.exec(["mkdir", "-p", UNIT_DIR]);
  await host.writeFile(`${FOLDER}/systemctl`, FAKE_SYSTEMCTL, 0o755);
  await host.writeFile(`${FOLDER}/${UNIT}`, unitProperties(UNIT));
  const wrapper = `#!/bin/sh\nexec ${FOLDER}/systemctl "$@"\n`;
  await host.writeFile("/usr/local/bin/systemctl", wrapper, 0o755);
}

/** What boot, cron and package upgrades do; whether the unit runs afterwards. */
async function startsByHand({ host }: RelaisHost): Promise<boolean> {
  await host.exec(["systemctl", "start", "--", UNIT]);
  return /^ActiveState=active$/m.test(await host.readFile(`${FOLDER}/${UNIT}`));
}

Deno.test("only relais starts the services, and only where it serves; cleanup --all gives them back", async () => {
  await using cluster = await makeCluster();
  const { master, slave } = cluster;
  assert.equal(await startsByHand(slave), true, "without relais it starts");
  for (const host of cluster.both) host.start(["--unit-dir", UNIT_DIR]);
  await cluster.untilNormal(DEADLINE_MS);

  const { gate } = (await slave.status())!;
  assert.deepEqual(gate, {
    installed: true,
    open: false,
    flag: FLAG,
    units: [UNIT],
    missing: [],
  });
  assert.match((await slave.relais(["status"])).stdout, /^gate +closed$/m);
  assert.equal(await startsByHand(slave), false, "behind the closed gate");
  assert.ok(master.host.exists(FLAG));
  assert.equal((await master.status())!.gate.open, true);

  // A crash: the next daemon adopts, and the gate stays open.
  await master.stop("kill");
  master.start(["--unit-dir", UNIT_DIR]);
  await cluster.untilNormal(DEADLINE_MS);
  assert.deepEqual(
    (await master.status())!.history.map(({ rule }) => rule).filter((rule) => rule === "N-ADOPT"),
    ["N-ADOPT"],
  );
  assert.ok(master.host.exists(FLAG));

  // A drop-in that somebody removed comes back when the gate closes.
  await master.host.exec(["rm", "-r", `${UNIT_DIR}/${UNIT}.d`]);
  assert.equal((await master.status())!.gate.installed, false);
  assert.equal((await master.relais(["switchover"])).code, 0);
  await slave.untilState("active", DEADLINE_MS);
  assert.ok(slave.host.exists(FLAG));
  await poll(() => !master.host.exists(FLAG) && master.host.exists(DROP_IN), {
    deadlineMs: DEADLINE_MS,
    what: "the closed gate on the node that handed over",
  });
  assert.equal(await startsByHand(master), false);

  // It dies for good: no VIP is left, and nothing starts the services here again.
  await slave.stop("kill");
  const clean = await slave.relais(["cleanup", "--unit-dir", UNIT_DIR]);
  assert.equal(clean.code, 0, clean.stderr);
  assert.ok(!slave.host.exists(FLAG) && slave.host.exists(DROP_IN));
  await slave.host.exec(["systemctl", "stop", "--", UNIT]);
  assert.equal(await startsByHand(slave), false);

  // relais is removed: the services are systemd's again.
  const all = await slave.relais(["cleanup", "--all", "--unit-dir", UNIT_DIR, "--json"]);
  assert.equal(all.code, 0, all.stderr);
  assert.deepEqual(JSON.parse(all.stdout).undone, [`drop-in of the gate removed from ${UNIT}`]);
  assert.ok(!slave.host.exists(`${UNIT_DIR}/${UNIT}.d`));
  assert.equal(await startsByHand(slave), true);
});

Deno.test("in maintenance the gate stays as the operator left it, also over a restart; afterwards it closes", async () => {
  await using cluster = await makeCluster();
  const { slave } = cluster;
  for (const host of cluster.both) host.start(["--unit-dir", UNIT_DIR]);
  await cluster.untilNormal(DEADLINE_MS);
  assert.equal((await slave.relais(["maintenance", "on"])).code, 0);
  await slave.host.writeFile(FLAG, "");
  assert.equal(await startsByHand(slave), true);
  await slave.stop("kill");
  slave.start(["--unit-dir", UNIT_DIR]);
  const { gate } = await slave.untilState("maintenance", DEADLINE_MS);
  assert.equal(gate.open, true);
  assert.equal((await slave.relais(["maintenance", "off"])).code, 0);
  await slave.waitFor(
    ({ node, gate, services }) =>
      node.state === "standby" && !gate.open && services.running === "none",
    {
      deadlineMs: DEADLINE_MS,
      what: "a node at rest behind its gate",
    },
  );
});

Deno.test("a gate that cannot be installed is an alert, and the pair works all the same", async () => {
  await using cluster = await makeCluster();
  const { master, slave } = cluster;
  // A file where the folder should be: no drop-in can be written, not even by root.
  for (const host of cluster.both) host.start(["--unit-dir", "/etc/hostname"]);
  await cluster.untilNormal(DEADLINE_MS);
  const { alerts, gate } = (await slave.status())!;
  assert.deepEqual(gate.missing, [UNIT]);
  for (const text of [`The gate is missing on ${UNIT}`, `Cannot put ${UNIT} behind the gate as`]) {
    assert.ok(alerts.some((alert) => alert.startsWith(text)), `${text} in ${alerts.join("\n")}`);
  }
  assert.equal(await startsByHand(slave), true, "there is nothing that would keep it from it");
  await slave.waitFor(
    ({ history, services }) =>
      history.some(({ rule }) => rule === "N-STRAY") && services.running === "none",
    {
      deadlineMs: DEADLINE_MS,
      what: "the stopped stray service",
    },
  );
  assert.equal((await master.relais(["switchover"])).code, 0);
  await slave.untilState("active", DEADLINE_MS);
});
