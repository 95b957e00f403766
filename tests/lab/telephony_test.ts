/**
 * The stage's telephones, observers and Asterisk do what stories need of them, with relais' part played by
 * hand: stop, copy the astdb, start, move the VIP.
 *
 * @module
 */

import assert from "node:assert/strict";
import { poll } from "../support/poll.ts";
import { TempDirectory } from "../support/temp_directory.ts";
import type { LabHost } from "./lab_host.ts";
import { Laboratory } from "./laboratory.ts";
import { Outside } from "./outside.ts";
import { SipPhone } from "./sip_phone.ts";
import { asterisk, configureAsterisk, contacts, startAsterisk } from "./telephony.ts";

const DEADLINE_MS = 30_000;
const ASTDB = "/var/lib/asterisk/astdb.sqlite3";

async function mount(host: LabHost, vip: string): Promise<void> {
  await host.exec(["ip", "addr", "add", `${vip}/24`, "dev", "eth0"]);
  // Answers leave from it, too (it goes with the address).
  const subnet = vip.replace(/\d+$/, "0/24");
  await host.exec(["ip", "route", "prepend", subnet, "dev", "eth0", "src", vip]);
  await host.exec(["arping", "-q", "-U", "-c", "2", "-I", "eth0", vip]);
}

async function copyAstdb(from: LabHost, to: LabHost): Promise<void> {
  using directory = new TempDirectory();
  await from.pull(ASTDB, `${directory.path}/astdb`);
  await to.exec(["rm", "-f", `${ASTDB}-journal`]);
  await to.push(`${directory.path}/astdb`, ASTDB);
  await to.exec(["chown", "asterisk:asterisk", ASTDB]);
}

Deno.test("a registered phone is callable on the other host with a copy of the astdb", async () => {
  await using laboratory = await Laboratory.open();
  const { master, slave } = laboratory;
  await configureAsterisk(laboratory);
  await mount(master, laboratory.vip());
  await startAsterisk(master);
  await using outside = await Outside.start(laboratory);
  await outside.untilHolder("master", { deadlineMs: DEADLINE_MS });
  await outside.untilSip(DEADLINE_MS);

  await using called = await SipPhone.create(laboratory, "1001");
  await using caller = await SipPhone.create(laboratory, "1002");
  assert.match(await caller.tryCall("1001") ?? "", /has ended|answer/, "not registered yet");
  await called.register();
  await called.answer();
  assert.deepEqual(await contacts(master, "1001"), [`sip:1001@10.20.0.50:${called.port}`]);
  assert.equal(await caller.tryCall("1001"), null);
  assert.equal(await called.callsReceived(), 1);

  // A call stays while nothing happens, and its end is seen.
  const held = await caller.call("1001");
  assert.match(await asterisk(master, "core show channels"), /1 active call/);
  assert.equal(held.running, true);
  await held.hangUp();
  const dropped = await caller.call("1001");
  await asterisk(master, "channel request hangup all");
  await assert.rejects(dropped.hangUp(), /Cannot hang up in order/);
  assert.equal(await dropped.wasDropped(), true);

  // What relais will do, by hand.
  await outside.mark("move");
  await master.exec(["systemctl", "stop", "asterisk.service"]);
  await copyAstdb(master, slave);
  await master.exec(["ip", "addr", "del", `${laboratory.vip()}/24`, "dev", "eth0"]);
  await mount(slave, laboratory.vip());
  await startAsterisk(slave);
  await outside.untilHolder("slave", { deadlineMs: DEADLINE_MS });
  await outside.untilSip(DEADLINE_MS);
  await outside.untilPhoneArp("slave", { deadlineMs: DEADLINE_MS });
  // The called phone only answers: SIPp's scenario cannot register.
  assert.deepEqual(await contacts(slave, "1001"), [`sip:1001@10.20.0.50:${called.port}`]);
  await caller.untilCallable("1001", DEADLINE_MS);
  assert.ok(await called.callsReceived() >= 4);

  const seen = await outside.seen("move");
  assert.ok(seen.outageMs.vip > 0 && seen.outageMs.sip > 0, JSON.stringify(seen));
  assert.ok(seen.lost.vip > 0 && seen.lost.vip < seen.sent.vip, JSON.stringify(seen));
  const { length } = outside.ear.announcements(laboratory.vip(), laboratory.mac("slave"));
  assert.ok(length > 0, "the slave's announcements were heard");

  // Both hold it: an observer must notice.
  await outside.mark("two holders");
  await mount(master, laboratory.vip());
  await poll(async () => (await outside.seen("two holders")).answeredByTwo > 0, {
    deadlineMs: DEADLINE_MS,
    everyMs: 100,
    what: "two answers to one ARP request",
  });
});
