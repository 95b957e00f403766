/**
 * The gate and the shield on a real systemd.
 *
 * @module
 */

import assert from "node:assert/strict";
import { poll } from "../support/poll.ts";
import { PhonePair } from "./called_by.ts";
import type { LabHost } from "./lab_host.ts";
import { untilOnlyHolder } from "./one_holder.ts";
import { provisioned, untilNormal } from "./provision.ts";
import { untilState, waitForStatus } from "./relais_status.ts";
import { assertServesAlone, SERVED_DEADLINE_MS, untilServedBy } from "./served_by.ts";
import {
  ASTERISK_PACKAGES,
  installedVersion,
  offerNewerAsterisk,
  upgradeAll,
} from "./service_package.ts";
import { story } from "./stage.ts";

const ASTERISK = "asterisk.service";
const FLAG = "/run/relais/serving";
const PACKAGE_DEADLINE_MS = 180_000;
/** A planned move; the rest is margin for a busy machine. */
const VIP_OUTAGE_MAX_MS = 3_000;

/** What systemd says of Asterisk: `inactive no` where the gate kept it from starting. */
async function gateSaid(host: LabHost): Promise<string> {
  const show = (what: string) => host.read(["systemctl", "show", "--value", "-p", what, ASTERISK]);
  return `${await show("ActiveState")} ${await show("ConditionResult")}`;
}

/** How often systemd was asked to start Asterisk and the gate was shut, since the boot. */
async function skippedStarts(host: LabHost): Promise<number> {
  const text = await host.journal(["-b", "-o", "cat", "-u", ASTERISK]);
  assert.doesNotMatch(text, /^Started /m, "it has never run since the boot");
  return text.match(/skipped .*ConditionPathExists=\/run\/relais\/serving/g)?.length ?? 0;
}

/** Runs what would start Asterisk on a host without a gate, and sees that it was asked for in vain. */
async function keptShut(host: LabHost, act: () => Promise<unknown>): Promise<void> {
  const before = await skippedStarts(host);
  await act();
  await poll(async () => await skippedStarts(host) > before, {
    deadlineMs: SERVED_DEADLINE_MS,
    everyMs: 200,
    what: "a start that systemd was asked for and skipped",
    instead: () => gateSaid(host),
  });
  assert.equal(await gateSaid(host), "inactive no");
}

/** `Restart=`: Asterisk runs though the node does not serve, dies, and is not started again. */
async function diesBehindTheGate(host: LabHost): Promise<void> {
  // In maintenance relais acts on nothing: what is seen is the gate alone, not N-STRAY.
  await host.exec(["relais", "maintenance", "on"]);
  await untilState(host, "maintenance", SERVED_DEADLINE_MS);
  await host.exec(["touch", FLAG]);
  await host.exec(["systemctl", "start", ASTERISK]);
  await host.untilUnit(ASTERISK, "active");
  await host.exec(["rm", FLAG]);
  const restart = ["systemctl", "show", "--value", "-p", "Restart", ASTERISK];
  assert.notEqual(await host.read(restart), "no", "systemd would start it again");
  await host.exec(["systemctl", "kill", "--signal=SIGKILL", ASTERISK]);
  await host.until(["journalctl", "-b", "-o", "cat", "-u", ASTERISK, "-n", "1"], {
    deadlineMs: SERVED_DEADLINE_MS,
    what: "a restart that was skipped",
    says: /skipped .*ConditionPathExists/,
  });
  assert.equal(await gateSaid(host), "inactive no");
  await host.exec(["relais", "maintenance", "off"]);
}

story(
  "story 11: the gate: neither systemctl, nor cron, nor an upgrade or reinstall of the service's package, nor Restart=, nor a boot starts Asterisk on the slave (B2)",
  async (scene) => {
    const { laboratory, master, slave, outside, note } = scene;
    await untilNormal(laboratory);
    await untilServedBy("master", scene);
    await outside.mark("gate");
    // As on a PBX before relais came.
    await slave.exec(["systemctl", "enable", ASTERISK]);

    await keptShut(slave, () => slave.exec(["systemctl", "start", ASTERISK]));
    await keptShut(slave, () => slave.exec(["systemctl", "restart", ASTERISK]));
    await keptShut(
      slave,
      () => slave.exec(["systemd-run", "--wait", "service", "asterisk", "start"]),
    );
    const soon = ["--on-active=1s", "--timer-property=AccuracySec=100ms"]; // as cron would
    await keptShut(
      slave,
      () => slave.exec(["systemd-run", ...soon, "systemctl", "restart", ASTERISK]),
    );

    const before = await installedVersion(slave, "asterisk");
    await offerNewerAsterisk(slave, 1);
    await keptShut(slave, () => upgradeAll(slave));
    const after = await installedVersion(slave, "asterisk");
    assert.notEqual(after, before);
    assert.match(after, /\+lab1$/);
    const again = [
      "env",
      "DEBIAN_FRONTEND=noninteractive",
      "apt-get",
      "-y",
      "--reinstall",
      "install",
    ];
    await keptShut(
      slave,
      () => slave.exec([...again, ...ASTERISK_PACKAGES], { deadlineMs: PACKAGE_DEADLINE_MS }),
    );

    await slave.reboot();
    assert.ok(await skippedStarts(slave) > 0, "the boot wanted to start it");
    assert.equal(await gateSaid(slave), "inactive no");
    await untilNormal(laboratory);

    const shut = await waitForStatus(slave, ({ ready }) => ready, {
      deadlineMs: SERVED_DEADLINE_MS,
      what: "a slave that stands by",
    });
    const behind = { installed: true, flag: FLAG, units: [ASTERISK], missing: [] };
    assert.deepEqual(shut.gate, { ...behind, open: false });
    assert.ok(!shut.history.some(({ rule }) => rule === "N-STRAY"), "relais had nothing to stop");
    await diesBehindTheGate(slave);
    await untilNormal(laboratory);

    // The master served meanwhile; its own gate is open.
    const open = await untilState(master, "active", SERVED_DEADLINE_MS);
    assert.deepEqual(open.gate, { ...behind, open: true });
    await assertServesAlone(master, slave, laboratory);
    await untilOnlyHolder("master", scene, { phase: "gate", deadlineMs: SERVED_DEADLINE_MS });
    const seen = await outside.seen("gate");
    note("gate", seen);
    assert.equal(seen.lost.vip + seen.lost.sip + seen.answeredByTwo, 0, JSON.stringify(seen));
  },
  { from: provisioned() },
);

story(
  "story 11: the shield: a switchover and back refuse no phone, and leave no table of relais behind",
  async (scene) => {
    const { laboratory, master, slave, outside, note } = scene;
    await untilNormal(laboratory);
    await untilServedBy("master", scene);
    await using phones = await PhonePair.registered(laboratory);
    await phones.untilCalledBy("master");

    for (const [from, to] of [["master", "slave"], ["slave", "master"]] as const) {
      const phase = `switchover to the ${to}`;
      await outside.mark(phase);
      const start = performance.now();
      const verb = from === "master" ? "switchover" : "failback";
      await laboratory[from].exec(["relais", verb], { deadlineMs: SERVED_DEADLINE_MS });
      await untilServedBy(to, scene);
      await phones.untilCalledBy(to);
      note(`${phase}: callable after, ms`, Math.round(performance.now() - start));
      await untilOnlyHolder(to, scene, { phase, deadlineMs: SERVED_DEADLINE_MS });
      const seen = await outside.seen(phase);
      note(phase, seen);
      assert.equal(seen.sipRefused, 0, phase);
      assert.ok(seen.lost.sip > 0, "Asterisk was stopped and started: the shield had work to do");
      assert.equal(seen.answeredByTwo, 0, phase);
      assert.ok(seen.outageMs.vip < VIP_OUTAGE_MAX_MS, JSON.stringify(seen));
      for (const host of [master, slave]) {
        const { shield } = await waitForStatus(host, ({ goal }) => goal === null, {
          deadlineMs: SERVED_DEADLINE_MS,
          what: "the end of the move",
        });
        assert.equal(shield.up, false);
        assert.ok(shield.ports.includes("udp:5060"), JSON.stringify(shield));
        assert.doesNotMatch(await host.read(["nft", "list", "tables"]), /relais/, host.name);
      }
    }
    assert.equal(phones.registeredAgain, 0);
  },
  { from: provisioned() },
);
