/**
 * Fencing with Debian's own agent, `fence_ipmilan`, run by the packaged daemon inside the sandbox of its unit,
 * against BMCs that cut the power of the laboratory's hosts.
 *
 * @module
 */

import assert from "node:assert/strict";
import { BMC_PASSWORD, Bmcs } from "./ipmi.ts";
import { CONFIG_FILE, labToml, provisioned, untilNormal } from "./provision.ts";
import { statusOf, untilState, waitForStatus } from "./relais_status.ts";
import { heldVips, SERVED_DEADLINE_MS, untilServedBy } from "./served_by.ts";
import { type Scene, story } from "./stage.ts";

/** The configuration with fencing on both hosts, the secrets, and a reload of the daemons that run. */
async function configure({ laboratory }: Scene, bmcs: Bmcs): Promise<void> {
  const toml = labToml({
    fencing: bmcs.config(['mode = "required"', 'action = "off"', 'deadline = "3m"']),
  });
  for (const host of laboratory.hosts) {
    for (const name of ["master", "slave"]) {
      await host.writeFile(`/etc/relais/fence-${name}.conf`, `password=${BMC_PASSWORD}\n`, {
        mode: "600",
      });
    }
    await host.writeFile(CONFIG_FILE, toml);
    const { stdout } = await host.exec(["relais", "reload"]);
    assert.match(stdout, /fencing\.mode/);
  }
}

story(
  "story 12: fence_ipmilan cuts the master's power before the slave answers, in a partition that telephones span",
  async (scene) => {
    const { laboratory, master, slave, outside, note } = scene;
    await untilNormal(laboratory);
    await untilServedBy("master", scene);
    await using bmcs = await Bmcs.start(laboratory);
    await configure(scene, bmcs);
    for (const [host, target] of [[master, "slave"], [slave, "master"]] as const) {
      await waitForStatus(host, ({ fencing }) => fencing?.checked?.ok === true, {
        deadlineMs: SERVED_DEADLINE_MS,
        what: "a look at the device by the daemon itself",
      });
      const { stdout } = await host.exec(["relais", "fence", "test"], { deadlineMs: 400_000 });
      assert.match(stdout, new RegExp(`Fencing works: .*the power of the ${target} is on`));
    }
    assert.deepEqual(bmcs.told, []);

    await outside.mark("partition");
    const splitAt = performance.now();
    await laboratory.split();
    await untilState(slave, "active", SERVED_DEADLINE_MS);
    note("partition: the slave serves after, ms", Math.round(performance.now() - splitAt));
    await untilServedBy("slave", scene);
    assert.ok(bmcs.told.length > 0 && bmcs.told.every((text) => text === "master off"));
    const seen = await outside.seen("partition");
    note("partition", seen);
    assert.equal(seen.answeredByTwo, 0, "never two holders");
    const { status } = await statusOf(slave);
    const sentence = status?.history.findLast(({ rule }) => rule === "fence-peer")?.why ?? "";
    note("the slave's history", sentence);
    assert.match(sentence, /fence_ipmilan, off of the master: done, and its status confirms/);

    // Switched on again by the operator of the slave, the master joins; the partition is over.
    await laboratory.join();
    await slave.exec(["relais", "fence", "on"], { deadlineMs: 400_000 });
    await untilNormal(laboratory);
    await untilServedBy("master", scene);
  },
  { from: provisioned() },
);

story(
  "story 12: a BMC that is out of order is an alert before it is needed; then nobody mounts until an operator confirms",
  async (scene) => {
    const { laboratory, master, slave, outside, note } = scene;
    await untilNormal(laboratory);
    await untilServedBy("master", scene);
    await using bmcs = await Bmcs.start(laboratory);
    await configure(scene, bmcs);
    await bmcs.stop("master");
    const test = await slave.try(["relais", "fence", "test"], { deadlineMs: 400_000 });
    assert.equal(test.code, 1);
    note("relais fence test", test.stderr.trim());
    await waitForStatus(
      slave,
      ({ alerts }) => alerts.some((text) => /Fencing does not work \(fence_ipmilan/.test(text)),
      { deadlineMs: SERVED_DEADLINE_MS, what: "an alert" },
    );
    await outside.mark("power cut");
    await master.crash();
    await waitForStatus(
      slave,
      ({ alerts }) => alerts.some((text) => /The master could not be fenced/.test(text)),
      { deadlineMs: SERVED_DEADLINE_MS, what: "an alert that says what to do" },
    );
    assert.deepEqual(await heldVips(slave, laboratory), []);
    assert.equal(await slave.isActive("asterisk.service"), false);
    await slave.exec(["relais", "fence", "confirm", "--yes"]);
    await untilState(slave, "active", SERVED_DEADLINE_MS);
    await untilServedBy("slave", scene);
    note("power cut", await outside.seen("power cut"));
  },
  { from: provisioned() },
);
