/**
 * The switch separates the hosts from each other, while everybody else sees both.
 *
 * @module
 */

import assert from "node:assert/strict";
import { poll } from "../support/poll.ts";
import { PhonePair } from "./called_by.ts";
import { LabMachine } from "./lab_host.ts";
import { untilOnlyHolder } from "./one_holder.ts";
import { ARP_EVERY_MS } from "./outside.ts";
import { provisioned, untilNormal } from "./provision.ts";
import { statusOf, untilState, waitForStatus } from "./relais_status.ts";
import {
  assertServesAlone,
  heldVips,
  SERVED_DEADLINE_MS,
  untilContactCopied,
  untilNobodyServes,
  untilServedBy,
} from "./served_by.ts";
import { type Scene, story } from "./stage.ts";
import { journalDecisions } from "./unit_times.ts";

/** From the mending of the switch to the last answer of a second holder. */
const TWO_HOLDERS_MAX_MS = 20_000;
/** From the slave's letting go to the master's announcement; the peer's word is asked for once a second. */
const PHONE_OUTAGE_MAX_MS = 4_000;
/** Beyond the time after which a silent peer is dead (3 s). */
const SILENT_MS = 4_000;

/** The hosts see each other again: one holder is left, and the phone finds it. */
async function untilMended(
  scene: Scene,
  phones: PhonePair,
  phase: string,
): Promise<void> {
  const { laboratory, master, slave, outside, note } = scene;
  await outside.mark(phase);
  const start = performance.now();
  await laboratory.join();
  const settled = await untilOnlyHolder("master", scene, {
    phase,
    deadlineMs: SERVED_DEADLINE_MS,
  });
  await untilServedBy("master", scene);
  await phones.untilCalledBy("master");
  note(`${phase}: callable after, ms`, Math.round(performance.now() - start));
  note(`${phase}: two holders were seen for, ms`, settled.twoHoldersMs);
  note(`${phase}: last answer of the other host after, ms`, settled.settledAfterMs);
  const seen = await outside.seen(phase);
  note(phase, seen);
  // Left to the phone's own ARP table it is more than 5 s.
  assert.ok(seen.outageMs.vip < PHONE_OUTAGE_MAX_MS, JSON.stringify(seen));
  assert.ok(settled.settledAfterMs < TWO_HOLDERS_MAX_MS, JSON.stringify(settled));
  await untilNormal(laboratory);
  await assertServesAlone(master, slave, laboratory);
}

story(
  "story 4: the hosts see each other no more on one network: nothing moves; on both, with a witness that both see: both serve, until the switch is mended and one is left",
  async (scene) => {
    const { laboratory, master, slave, outside, note } = scene;
    await untilNormal(laboratory);
    await untilServedBy("master", scene);
    await using phones = await PhonePair.registered(laboratory);
    await untilContactCopied(slave, phones.called);
    const { epoch } = (await untilState(master, "active", SERVED_DEADLINE_MS)).node;

    await outside.mark("split on voip");
    await laboratory.split("voip");
    await waitForStatus(slave, ({ links, peer }) =>
      peer.verdict === "alive" &&
      links.some(({ network, icmp }) =>
        network === "voip" && (icmp.lastReplyAgoMs ?? 0) > SILENT_MS
      ), { deadlineMs: SERVED_DEADLINE_MS, what: "silence on voip, and a peer that lives" });
    await untilOnlyHolder("master", scene, {
      phase: "split on voip",
      deadlineMs: SERVED_DEADLINE_MS,
    });
    const one = await outside.seen("split on voip");
    note("split on voip", one);
    assert.equal(one.lost.vip + one.lost.data + one.lost.sip + one.answeredByTwo, 0);
    assert.deepEqual(await heldVips(slave, laboratory), []);
    assert.equal((await statusOf(master)).status?.node.epoch, epoch, "nobody took over");

    // Both hear the witness, neither hears the other: no host can tell this from the other one's death.
    await outside.mark("split");
    const splitAt = performance.now();
    await laboratory.split();
    await poll(async () => (await outside.watcher.summary("split", "arp")).answeredByTwo > 0, {
      deadlineMs: SERVED_DEADLINE_MS,
      everyMs: 100,
      what: "two holders",
    });
    note("split: two holders after, ms", Math.round(performance.now() - splitAt));
    await untilState(slave, "active", SERVED_DEADLINE_MS);
    // The master has no reason to let go: whoever has its MAC in his table goes on as if nothing had been.
    assert.deepEqual(await heldVips(master, laboratory), ["voip", "data"]);
    assert.ok(await master.isActive("asterisk.service"));
    await phones.caller.untilCallable("1001", SERVED_DEADLINE_MS);
    const split = await outside.seen("split");
    note("split", split);
    note("split: two holders were seen for, ms", split.answeredByTwo * ARP_EVERY_MS);
    note("split: the phone sends to the", laboratory.hostOf(await outside.phoneArp()) ?? "nobody");
    assert.ok(split.outageMs.vip < TWO_HOLDERS_MAX_MS, "the phone was served throughout");

    await untilMended(scene, phones, "mended");
    const yielded = (await journalDecisions(slave)).map(({ rule }) => rule);
    assert.ok(yielded.includes("S-TAKE") && yielded.includes("S-YIELD"), yielded.join(" "));
    const healed = (await untilState(master, "active", SERVED_DEADLINE_MS)).node.epoch;
    assert.ok(healed > epoch + 1, `the one that serves on overtakes: ${epoch}, ${healed}`);
  },
  { from: provisioned() },
);

story(
  "story 4: the hosts see neither each other nor any witness: nobody serves rather than two, until the switch is mended",
  async (scene) => {
    const { laboratory, master, slave, outside, note } = scene;
    const gateway = new LabMachine(laboratory.tool, "gateway");
    await untilNormal(laboratory);
    await untilServedBy("master", scene);
    await using phones = await PhonePair.registered(laboratory);
    await untilContactCopied(slave, phones.called);

    // The gateway alone is no reason for anything.
    await outside.mark("gateway silent");
    await gateway.mute();
    for (const host of [master, slave]) {
      await waitForStatus(
        host,
        ({ links }) =>
          links.every(({ witnesses }) =>
            witnesses.every(({ lastReplyAgoMs }) => (lastReplyAgoMs ?? 0) > SILENT_MS)
          ),
        { deadlineMs: SERVED_DEADLINE_MS, what: "silence of the witness" },
      );
    }
    const alone = await outside.seen("gateway silent");
    note("gateway silent", alone);
    assert.equal(alone.lost.vip + alone.lost.sip + alone.answeredByTwo, 0);

    await outside.mark("split without a witness");
    await laboratory.split();
    await untilNobodyServes(scene);
    for (const host of [master, slave]) {
      await waitForStatus(host, ({ isolated, peer }) => isolated && peer.verdict === "dead", {
        deadlineMs: SERVED_DEADLINE_MS,
        what: "isolation, and a peer that seems dead",
      });
      assert.deepEqual(await heldVips(host, laboratory), []);
    }
    const split = await outside.seen("split without a witness");
    note("split without a witness", split);
    assert.equal(split.answeredByTwo, 0);

    // The gateway is still silent: that the hosts hear each other is enough.
    await untilMended(scene, phones, "mended without a witness");
    await gateway.plug();
    assert.equal((await outside.seen("mended without a witness")).answeredByTwo, 0);
    const rules = (await journalDecisions(master)).map(({ rule }) => rule);
    assert.ok(rules.includes("M-ISOLATE"), rules.join(" "));
    assert.equal(phones.registeredAgain, 0);
  },
  { from: provisioned() },
);
