/**
 * Cables of the master are pulled: of one network, of the other, of both.
 *
 * @module
 */

import assert from "node:assert/strict";
import { PhonePair } from "./called_by.ts";
import type { NetworkName } from "./lab_host.ts";
import { untilOnlyHolder } from "./one_holder.ts";
import { provisioned, untilNormal } from "./provision.ts";
import { waitForStatus } from "./relais_status.ts";
import {
  assertServesAlone,
  heldVips,
  SERVED_DEADLINE_MS,
  untilContactCopied,
  untilServedBy,
} from "./served_by.ts";
import { type Scene, story } from "./stage.ts";
import { journalDecisions } from "./unit_times.ts";

/** Detection, Asterisk's stop and start, on a busy machine. */
const OUTAGE_MAX_MS = 60_000;

/** A cable is pulled and the slave serves; `taken` is the rule by which. */
async function untilMovedAway(
  scene: Scene,
  phones: PhonePair,
  { phase, pulled, taken }: {
    readonly phase: string;
    readonly pulled: NetworkName | undefined;
    readonly taken: "S-NOTICE" | "S-TAKE";
  },
): Promise<void> {
  const { laboratory, master, slave, outside, note } = scene;
  const before = (await journalDecisions(slave)).length;
  await outside.mark(phase);
  const start = performance.now();
  await master.cut(pulled);
  await untilServedBy("slave", scene);
  await phones.untilCalledBy("slave");
  note(`${phase}: callable after, ms`, Math.round(performance.now() - start));
  await assertServes(scene, phase, "slave");
  assert.deepEqual(await heldVips(master, laboratory), []);
  const rules = (await journalDecisions(slave)).slice(before).map(({ rule }) => rule);
  assert.equal(rules[0], taken, rules.join(" "));
}

/** The cables are back and so is the master. */
async function untilBack(scene: Scene, phones: PhonePair, phase: string): Promise<void> {
  const { laboratory, master, slave, outside, note } = scene;
  await outside.mark(phase);
  const start = performance.now();
  await master.plug();
  await untilServedBy("master", scene);
  await phones.untilCalledBy("master");
  note(`${phase}: callable after, ms`, Math.round(performance.now() - start));
  await assertServes(scene, phase, "master");
  await untilNormal(laboratory);
  await assertServesAlone(master, slave, laboratory);
}

/** Exactly one holder is left, nobody saw two, and the outage is bounded. */
async function assertServes(
  scene: Scene,
  phase: string,
  host: "master" | "slave",
): Promise<void> {
  await untilOnlyHolder(host, scene, { phase, deadlineMs: SERVED_DEADLINE_MS });
  const seen = await scene.outside.seen(phase);
  scene.note(phase, seen);
  assert.equal(seen.answeredByTwo, 0, phase);
  assert.ok(seen.outageMs.sip < OUTAGE_MAX_MS, `${phase}: ${JSON.stringify(seen)}`);
}

story(
  "story 4: the master's cable of one network is pulled, then the other, then both; one host serves at a time, and the phone finds it (M2, S2)",
  async (scene) => {
    const { laboratory, master, slave, outside, note } = scene;
    await untilNormal(laboratory);
    await untilServedBy("master", scene);
    await using phones = await PhonePair.registered(laboratory);
    await untilContactCopied(slave, phones.called);

    // The cable of the phones: the other network is left to agree by.
    const voip = { phase: "voip pulled", pulled: "voip", taken: "S-NOTICE" } as const;
    await untilMovedAway(scene, phones, voip);

    // The other one as well: who serves sees nothing of it, who is cut off touches nothing.
    await outside.mark("data pulled, too");
    await master.cut("data");
    await waitForStatus(master, ({ isolated, peer }) => isolated && peer.verdict === "dead", {
      deadlineMs: SERVED_DEADLINE_MS,
      what: "isolation, and a slave that seems dead",
    });
    await untilOnlyHolder("slave", scene, {
      phase: "data pulled, too",
      deadlineMs: SERVED_DEADLINE_MS,
    });
    await assertServesAlone(slave, master, laboratory);
    const both = await outside.seen("data pulled, too");
    note("data pulled, too", both);
    assert.equal(both.lost.vip + both.lost.sip, 0, JSON.stringify(both));
    await untilBack(scene, phones, "both plugged in");

    // No phone notices the other network; the service goes where both are.
    const data = { phase: "data pulled", pulled: "data", taken: "S-NOTICE" } as const;
    await untilMovedAway(scene, phones, data);
    await untilBack(scene, phones, "data plugged in");

    // Both at once: nothing is left to agree by. The master drops its VIPs before the slave mounts them.
    const cutOff = { phase: "both pulled", pulled: undefined, taken: "S-TAKE" } as const;
    await untilMovedAway(scene, phones, cutOff);
    await untilBack(scene, phones, "both plugged in again");
    assert.equal(phones.registeredAgain, 0);
  },
  { from: provisioned() },
);
