/**
 * Asterisk of the master dies and cannot be started again.
 *
 * @module
 */

import assert from "node:assert/strict";
import { PhonePair } from "./called_by.ts";
import { untilOnlyHolder } from "./one_holder.ts";
import { provisioned, untilNormal } from "./provision.ts";
import { untilState, waitForStatus } from "./relais_status.ts";
import { assertServesAlone, heldVips, SERVED_DEADLINE_MS, untilServedBy } from "./served_by.ts";
import { story } from "./stage.ts";
import { journalDecisions } from "./unit_times.ts";

const BINARY = "/usr/sbin/asterisk";
/** The VIP moves by agreement: milliseconds, and generous ones for a busy machine. */
const VIP_OUTAGE_MAX_MS = 3_000;
/** Longer than the hand-back of a master that nothing was wrong with would wait (stable_s = 2). */
const STAYS_MS = 6_000;

story(
  "story 6: Asterisk of the master is killed and cannot start; the slave takes over by agreement, and gives back when an operator says so (B3, what XiVO cannot do)",
  async (scene) => {
    const { laboratory, master, slave, outside, note } = scene;
    await untilNormal(laboratory);
    await untilServedBy("master", scene);
    await using phones = await PhonePair.registered(laboratory);
    await phones.untilCalledBy("master");

    await outside.mark("killed");
    const killedAt = performance.now();
    await master.exec(["mv", BINARY, `${BINARY}.away`]);
    await master.exec(["systemctl", "kill", "--signal=SIGKILL", "asterisk.service"]);
    await untilServedBy("slave", scene);
    await phones.untilCalledBy("slave");
    note("callable on the slave after, ms", Math.round(performance.now() - killedAt));
    await untilOnlyHolder("slave", scene, { phase: "killed", deadlineMs: SERVED_DEADLINE_MS });
    const killed = await outside.seen("killed");
    note("killed", killed);
    assert.equal(killed.answeredByTwo, 0);
    for (const target of ["vip", "data"] as const) {
      assert.ok(killed.outageMs[target] < VIP_OUTAGE_MAX_MS, JSON.stringify(killed));
    }
    await assertServesAlone(slave, master, laboratory);
    const gave = (await journalDecisions(master)).map(({ rule }) => rule).slice(-2);
    assert.deepEqual(gave, ["N-UNFIT", "N-GAVE"]);
    const took = (await journalDecisions(slave)).map(({ rule }) => rule).slice(-2);
    assert.deepEqual(took, ["S-NOTICE", "N-ACTIVE"]);
    const { history } = await untilState(slave, "active", SERVED_DEADLINE_MS);
    const why = history.findLast(({ rule }) => rule === "S-NOTICE")?.why ?? "";
    assert.match(why, /services:/, "the history says why");
    note("as told", why);

    // Mended. Nobody knows whether it is cured: the way back waits for an operator.
    await outside.mark("mended");
    await master.exec(["mv", `${BINARY}.away`, BINARY]);
    const { epoch } = (await waitForStatus(
      slave,
      ({ node, peer }) => node.stateForMs > STAYS_MS && peer.report?.ready === true,
      {
        deadlineMs: SERVED_DEADLINE_MS,
        what: "a master that is ready, and no hand-back",
      },
    )).node;
    await outside.untilHolder("slave", { deadlineMs: SERVED_DEADLINE_MS });
    assert.deepEqual(await heldVips(master, laboratory), []);
    assert.equal((await outside.seen("mended")).lost.vip, 0);

    await outside.mark("failback");
    const backAt = performance.now();
    await slave.exec(["relais", "failback"], { deadlineMs: SERVED_DEADLINE_MS });
    await untilServedBy("master", scene);
    await phones.untilCalledBy("master");
    note("callable on the master after, ms", Math.round(performance.now() - backAt));
    await untilOnlyHolder("master", scene, { phase: "failback", deadlineMs: SERVED_DEADLINE_MS });
    const failback = await outside.seen("failback");
    note("failback", failback);
    assert.equal(failback.answeredByTwo, 0);
    assert.equal(failback.sipRefused, 0);
    for (const target of ["vip", "data"] as const) {
      assert.ok(failback.outageMs[target] < VIP_OUTAGE_MAX_MS, JSON.stringify(failback));
    }
    assert.equal(phones.registeredAgain, 0);
    await untilNormal(laboratory);
    await assertServesAlone(master, slave, laboratory);
    assert.equal((await untilState(master, "active", SERVED_DEADLINE_MS)).node.epoch, epoch + 1);
  },
  { from: provisioned() },
);
