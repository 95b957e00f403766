/**
 * The master loses its power while a phone is registered.
 *
 * @module
 */

import assert from "node:assert/strict";
import { provisioned, untilNormal } from "./provision.ts";
import { receivedCopy, statusOf } from "./relais_status.ts";
import { heldVips, SERVED_DEADLINE_MS, untilContactCopied, untilServedBy } from "./served_by.ts";
import { SipPhone } from "./sip_phone.ts";
import { SipWire } from "./sip_wire.ts";
import { story } from "./stage.ts";
import { contacts } from "./telephony.ts";

/** A minute, with the start of Asterisk on a busy machine: half of XiVO's best case. */
const OUTAGE_MAX_MS = 60_000;

story(
  "story 2: the master loses its power; the slave serves and calls a phone that does not register again (S1, B3, M3)",
  async (scene) => {
    const { laboratory, master, slave, outside, note } = scene;
    await untilNormal(laboratory);
    await untilServedBy("master", scene);
    await using wire = await SipWire.start(laboratory);
    await using called = await SipPhone.create(laboratory, "1001");
    await using caller = await SipPhone.create(laboratory, "1002");
    await called.register();
    await called.answer();
    note("registration on the slave's disk after, ms", await untilContactCopied(slave, called));
    await caller.untilCallable("1001", SERVED_DEADLINE_MS);
    await wire.untilInvited(called.port, laboratory.mac("master"));
    assert.deepEqual(await heldVips(slave, laboratory), []);
    await master.exec(["relais", "sync", "all"]); // so that each set has an age

    wire.clear();
    await outside.mark("power cut");
    const cutAt = performance.now();
    await master.crash();
    await untilServedBy("slave", scene);
    await caller.untilCallable("1001", SERVED_DEADLINE_MS);
    note("callable after, ms", Math.round(performance.now() - cutAt));

    // The call came from the VIP and from the slave's own card, and nobody had registered before it.
    const invite = await wire.untilInvited(called.port, laboratory.mac("slave"));
    assert.equal(invite.from, `${laboratory.vip()}:5060`);
    assert.deepEqual(wire.requests("REGISTER"), []);
    assert.deepEqual(await contacts(slave, "1001"), [`sip:1001@10.20.0.50:${called.port}`]);
    // A call proves a registration: who has none is not callable.
    assert.match(await called.tryCall("1002") ?? "it answered", /has ended/);

    const seen = await outside.seen("power cut");
    note("power cut", seen);
    for (const [target, outageMs] of Object.entries(seen.outageMs)) {
      assert.ok(outageMs > 0 && outageMs < OUTAGE_MAX_MS, `${target}: ${JSON.stringify(seen)}`);
    }
    assert.equal(seen.answeredByTwo, 0);
    assert.ok(
      outside.ear.announcements(laboratory.vip(), laboratory.mac("slave")).length > 0,
      "the slave announced the VIP",
    );
    const routes = await slave.read(["ip", "route", "show", "default"]);
    assert.match(routes, new RegExp(`src ${laboratory.vip()}\\b`), "routes of the VIP (S1)");

    // How old each set was, for the operator.
    const { status, said } = await statusOf(slave);
    assert.ok(status !== null, said);
    const history = status.history.map(({ rule, why }) => `${rule}: ${why}`);
    assert.ok(history.some((line) => line.startsWith("S-TAKE: ")), history.join("\n"));
    const logged = ["journalctl", "-u", "relais", "RELAIS_RULE=S-TAKE", "-p", "info"];
    assert.match(await slave.read([...logged, "-o", "cat", "--no-pager"]), /the master is dead/);
    const loss = history.findLast((line) => line.startsWith("LOSS: ")) ?? "";
    for (const set of ["astdb", "database", "files"] as const) {
      assert.match(loss, new RegExp(`\\b${set}: at most the last \\d+ (s|min)\\b`));
      const { ageMs, lastError } = await receivedCopy(slave, set);
      assert.equal(lastError, null);
      assert.ok(ageMs !== null, set);
    }
    assert.ok(
      (await slave.read(["relais", "status"])).includes(loss.split(": ").slice(1).join(": ")),
    );
    note("loss as told", loss);
  },
  { from: provisioned() },
);
