/**
 * The master's host is frozen and thawed.
 *
 * @module
 */

import assert from "node:assert/strict";
import { PhonePair } from "./called_by.ts";
import { untilOnlyHolder } from "./one_holder.ts";
import { provisioned, untilNormal } from "./provision.ts";
import {
  assertServesAlone,
  SERVED_DEADLINE_MS,
  untilContactCopied,
  untilServedBy,
} from "./served_by.ts";
import { story } from "./stage.ts";
import { journalDecisions } from "./unit_times.ts";

const FROZEN_MS = 20_000;
const OUTAGE_MAX_MS = 60_000;

story(
  "story 5: the master's host is frozen for 20 s; the slave serves, and after the thaw nobody sees two holders (M1, S2)",
  async (scene) => {
    const { laboratory, master, slave, outside, note } = scene;
    await untilNormal(laboratory);
    await untilServedBy("master", scene);
    await using phones = await PhonePair.registered(laboratory);
    await untilContactCopied(slave, phones.called);

    // Its kernel still answers ping and ARP, until the lifetime of the VIPs is over.
    await outside.mark("frozen");
    const frozenAt = performance.now();
    await master.freeze();
    await untilServedBy("slave", scene);
    await phones.untilCalledBy("slave");
    const servedMs = Math.round(performance.now() - frozenAt);
    note("callable on the slave after, ms", servedMs);
    // How long it is frozen is the story, not a proof.
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, FROZEN_MS - servedMs)));
    const frozen = await outside.seen("frozen");
    note("frozen", frozen);
    assert.equal(frozen.answeredByTwo, 0);
    for (const [target, outageMs] of Object.entries(frozen.outageMs)) {
      assert.ok(outageMs > 0 && outageMs < OUTAGE_MAX_MS, `${target}: ${JSON.stringify(frozen)}`);
    }

    // Its Asterisk and its relais go on where they stood, as if they served.
    await outside.mark("thawed");
    const thawedAt = performance.now();
    await master.thaw();
    await untilServedBy("master", scene);
    await untilOnlyHolder("master", scene, { phase: "thawed", deadlineMs: SERVED_DEADLINE_MS });
    await phones.untilCalledBy("master");
    note("callable on the master after, ms", Math.round(performance.now() - thawedAt));
    const thawed = await outside.seen("thawed");
    note("thawed", thawed);
    assert.equal(thawed.answeredByTwo, 0, "what the kernel has dropped is not mounted again");
    assert.equal(thawed.sipRefused, 0);
    assert.ok(thawed.outageMs.sip < OUTAGE_MAX_MS, JSON.stringify(thawed));
    assert.equal(phones.registeredAgain, 0);
    await untilNormal(laboratory);
    await assertServesAlone(master, slave, laboratory);
    const rules = (await journalDecisions(slave)).map(({ rule }) => rule);
    assert.ok(rules.includes("S-LOST"), rules.join(" "));
    assert.equal(rules.at(-1), "N-GAVE", "the service went back in order");
    // Who is first after the thaw: systemd, whose watchdog ends the daemon, or the daemon that sees its stall.
    const back = (await journalDecisions(master)).map(({ rule }) => rule);
    assert.ok(back.includes("M-ISOLATE") || back.lastIndexOf("N-JOIN") > 0, back.join(" "));
    assert.deepEqual(back.slice(-2), ["M-BACK", "N-ACTIVE"], back.join(" "));
    note("the master's decisions", back.join(" "));
  },
  { from: provisioned() },
);
