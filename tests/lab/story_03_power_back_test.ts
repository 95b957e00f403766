/**
 * The master has its power again.
 *
 * @module
 */

import assert from "node:assert/strict";
import { RETURN_PATH } from "../support/relais_config.ts";
import type { LabHost } from "./lab_host.ts";
import { provisioned, untilNormal } from "./provision.ts";
import { waitForStatus } from "./relais_status.ts";
import {
  assertServesAlone,
  SERVED_DEADLINE_MS,
  untilContactCopied,
  untilServedBy,
} from "./served_by.ts";
import { SipPhone } from "./sip_phone.ts";
import { SipWire } from "./sip_wire.ts";
import { story } from "./stage.ts";
import { journalSteps, saidOf, startedAtUs, startsOf } from "./unit_times.ts";

const ASTERISK = "asterisk.service";
const VOICEMAIL = `${RETURN_PATH}/default/1001/INBOX/msg0000.txt`;
/** What Asterisk finds at its start, put aside by its own unit. */
const FOUND_AT_START = "/root/astdb-at-start.sqlite3";
const OUTAGE_MAX_MS = 60_000;

/** Asterisk is to be started at boot, as on a PBX before relais came, and puts aside what it finds. */
async function watchAsteriskStart(host: LabHost): Promise<void> {
  await host.writeFile(
    `/etc/systemd/system/${ASTERISK}.d/80-story.conf`,
    `[Service]\nExecStartPre=/bin/cp /var/lib/asterisk/astdb.sqlite3 ${FOUND_AT_START}\n`,
  );
  await host.exec(["systemctl", "daemon-reload"]);
  await host.exec(["systemctl", "enable", ASTERISK]);
  await host.exec(["sync"]); // it must outlast the power cut
}

story(
  "story 3: the master's power is back; it has the slave's astdb before its Asterisk starts, and calls the phone that registered meanwhile (M4, S2, B2)",
  async (scene) => {
    const { laboratory, master, slave, outside, note } = scene;
    await untilNormal(laboratory);
    await untilServedBy("master", scene);
    await watchAsteriskStart(master);
    await using wire = await SipWire.start(laboratory);
    await using before = await SipPhone.create(laboratory, "1002");
    await using meanwhile = await SipPhone.create(laboratory, "1001");
    await before.register();
    await untilContactCopied(slave, before);
    await master.crash();
    await untilServedBy("slave", scene);

    // What the slave gains while it serves: a registration, a message.
    await meanwhile.register();
    await slave.writeFile(VOICEMAIL, "[message]\n", { owner: "asterisk:asterisk" });
    for (const phone of [before, meanwhile]) await phone.answer();
    await before.untilCallable("1001", SERVED_DEADLINE_MS);
    await wire.untilInvited(meanwhile.port, laboratory.mac("slave"));

    wire.clear();
    await outside.mark("power back");
    const backAt = performance.now();
    await master.boot();
    await untilServedBy("master", scene);
    await before.untilCallable("1001", SERVED_DEADLINE_MS);
    note("master serves after, ms", Math.round(performance.now() - backAt));
    await wire.untilInvited(meanwhile.port, laboratory.mac("master"));
    await meanwhile.untilCallable("1002", SERVED_DEADLINE_MS);
    await wire.untilInvited(before.port, laboratory.mac("master"));
    assert.deepEqual(wire.requests("REGISTER"), [], "nobody registered again");
    const seen = await outside.seen("power back");
    note("power back", seen);
    for (const outageMs of Object.values(seen.outageMs)) {
      assert.ok(outageMs < OUTAGE_MAX_MS, JSON.stringify(seen));
    }
    assert.equal(seen.answeredByTwo, 0);
    await assertServesAlone(master, slave, laboratory);

    // The order on the master: asked for the slave's astdb, and only then was Asterisk started, once.
    const steps = await journalSteps(master);
    const fetched = steps.find(({ goal, step }) => goal === "join" && step === "fetch-astdb");
    assert.match(fetched?.result ?? "no such step", /^fetched: /);
    assert.match(await saidOf(master, ASTERISK), /skipped .*ConditionPathExists/, "boot tried it");
    assert.equal(await startsOf(master, ASTERISK), 1, "the gate held at boot");
    const startedUs = await startedAtUs(master, ASTERISK);
    assert.ok(fetched!.atUs < startedUs, `${fetched!.atUs} ${startedUs}`);
    note(
      "astdb fetched before Asterisk's start by, ms",
      Math.round((startedUs - fetched!.atUs) / 1000),
    );
    const query = "SELECT key FROM astdb WHERE key LIKE '/registrar/contact/%' ORDER BY key";
    const found = await master.read(["sqlite3", "-readonly", FOUND_AT_START, query]);
    assert.match(found, /^\/registrar\/contact\/1001;.*\n\/registrar\/contact\/1002;/);

    assert.equal(await master.readFile(VOICEMAIL), "[message]\n");
    await waitForStatus(slave, ({ node, ready }) => node.state === "standby" && ready, {
      deadlineMs: SERVED_DEADLINE_MS,
      what: "a slave that stands by again",
    });
  },
  { from: provisioned() },
);
