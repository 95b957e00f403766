// The serving host is rebooted, its daemon is stopped, its daemon dies for good: the slave serves, and the
// service comes back.
import assert from "node:assert/strict";
import { poll } from "../support/poll.ts";
import type { LabHost } from "./lab_host.ts";
import { provisioned, untilNormal } from "./provision.ts";
import { SipPhone } from "./sip_phone.ts";
import { type Scene, story } from "./stage.ts";

const DEADLINE_MS = 180_000;

story(
  "story 7: reboot, stop, and a daemon that keeps dying hand the service to the slave",
  async (scene) => {
    const { laboratory, master, slave, outside } = scene;
    await untilNormal(laboratory);
    await outside.untilHolder("master", { deadlineMs: DEADLINE_MS });
    await outside.untilSip(DEADLINE_MS);
    await using desk = await SipPhone.create(laboratory, "1001");
    await using other = await SipPhone.create(laboratory, "1002");
    await desk.register();
    await desk.answer();
    await master.exec(["relais", "sync", "astdb"], { deadlineMs: DEADLINE_MS });
    const phones = { desk, other };

    await moves(scene, phones, "reboot", () => master.reboot());
    assert.notEqual(await moved(slave, "S-NOTICE"), "", "by agreement, not by silence");

    await moves(scene, phones, "systemctl stop", async () => {
      await master.exec(["systemctl", "stop", "relais"], { deadlineMs: DEADLINE_MS });
      await outside.untilHolder("slave", { deadlineMs: DEADLINE_MS });
      await other.untilCallable("1001", DEADLINE_MS);
      assert.equal(await holdsVip(scene), false, "the master let go");
      await master.exec(["systemctl", "start", "relais"], { deadlineMs: DEADLINE_MS });
    });

    await moves(scene, phones, "daemon that keeps dying", async () => {
      await untilGivenUp(master);
      await master.until(["sh", "-c", `! ip -4 address show | grep -qF "${laboratory.vip()}/"`], {
        deadlineMs: DEADLINE_MS,
        what: "no VIP on the master",
      });
      await outside.untilHolder("slave", { deadlineMs: DEADLINE_MS });
      await other.untilCallable("1001", DEADLINE_MS);
      const cleanUp = [
        "systemctl",
        "show",
        "-p",
        "Result,ExecMainStatus",
        "relais-cleanup.service",
      ];
      const said = (await master.read(cleanUp)).split("\n").sort();
      assert.deepEqual(said, ["ExecMainStatus=0", "Result=success"]);
      const log = await master.read(["journalctl", "-u", "relais-cleanup", "-q", "--no-pager"]);
      assert.notEqual(log, "", "the clean-up ran");
      await master.exec(["systemctl", "reset-failed", "relais.service"]);
      await master.exec(["systemctl", "start", "relais.service"], { deadlineMs: DEADLINE_MS });
    });
  },
  { from: provisioned() },
);

/** Does it to the master; the slave serves meanwhile, then the master again, and nobody registers anew. */
async function moves(
  { laboratory, outside, note }: Scene,
  { other }: { readonly desk: SipPhone; readonly other: SipPhone },
  what: string,
  work: () => Promise<void>,
): Promise<void> {
  await outside.mark(what);
  const away = outside.untilHolder("slave", { deadlineMs: DEADLINE_MS });
  await Promise.all([away, work()]);
  await outside.untilHolder("master", { deadlineMs: DEADLINE_MS });
  await outside.untilPhoneArp("master", { deadlineMs: DEADLINE_MS });
  await untilNormal(laboratory);
  await outside.untilSip(DEADLINE_MS);
  await other.untilCallable("1001", DEADLINE_MS);
  await outside.mark(`after ${what}`);
  const seen = await outside.seen(what);
  note(what, seen);
  assert.ok(seen.outageMs.vip < 60_000, `${what}: the VIP was silent for ${seen.outageMs.vip} ms`);
  assert.ok(seen.outageMs.sip < 120_000, `${what}: SIP was silent for ${seen.outageMs.sip} ms`);
}

/** Kills each daemon that systemd starts until it starts no more. */
async function untilGivenUp(host: LabHost): Promise<void> {
  const failed = ["systemctl", "is-failed", "--quiet", "relais.service"];
  const kill = ["systemctl", "kill", "--kill-who=main", "-s", "KILL", "relais.service"];
  await poll(async () => {
    if ((await host.try(failed)).code === 0) return true;
    await host.try(kill); // between two starts there is nothing to kill
    return false;
  }, { deadlineMs: DEADLINE_MS, everyMs: 100, what: "a systemd that gives up" });
}

/** Journal lines of a rule, of this boot. */
async function moved(host: LabHost, rule: string): Promise<string> {
  return await host.read(["journalctl", "-b", "-q", "--no-pager", `RELAIS_RULE=${rule}`]);
}

async function holdsVip({ laboratory, master }: Scene): Promise<boolean> {
  return (await master.read(["ip", "-4", "address", "show"])).includes(`${laboratory.vip()}/`);
}
