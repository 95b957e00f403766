/**
 * The master's daemon dies for good, with a real systemd: the clean-up of `OnFailure=`.
 *
 * @module
 */

import assert from "node:assert/strict";
import { poll } from "../support/poll.ts";
import type { LabHost } from "./lab_host.ts";
import { CONFIG_FILE, provisioned, untilNormal } from "./provision.ts";
import { untilState } from "./relais_status.ts";
import { assertServesAlone, untilServedBy } from "./served_by.ts";
import { type Scene, story } from "./stage.ts";

const DEADLINE_MS = 180_000;
const ASTERISK = "asterisk.service";
const OURS = [
  "sh",
  "-c",
  "ip -4 route show table all proto 173; ip -4 address show label '*:relais'",
];

/** Kills each daemon that systemd starts until it starts no more. */
async function untilGivenUp(host: LabHost): Promise<void> {
  await poll(async () => {
    if ((await host.try(["systemctl", "is-failed", "--quiet", "relais.service"])).code === 0) {
      return true;
    }
    // Between two starts there is nothing to kill.
    await host.try(["systemctl", "kill", "--kill-who=main", "-s", "KILL", "relais.service"]);
    return false;
  }, { deadlineMs: DEADLINE_MS, everyMs: 100, what: "a systemd that gives up" });
}

/** Does to the master's daemon what it does not survive, and sees that nothing of it is left there. */
async function dies(
  { master, slave, outside, note }: Scene,
  what: string,
  { kill, said }: { readonly kill: () => Promise<void>; readonly said: RegExp },
): Promise<void> {
  await outside.mark(what);
  const since = (await master.read(["date", "+%s.%N"])).trim();
  await kill();
  await untilServedBy("slave", { outside });
  await master.until(["systemctl", "show", "-p", "ActiveState", "relais-cleanup.service"], {
    deadlineMs: DEADLINE_MS,
    what: "the end of the clean-up",
    says: /=(inactive|failed)$/m,
  });
  const log = await master.journal([
    ...["-b", "-o", "cat", "-u", "relais-cleanup.service", `--since=@${since}`],
  ]);
  assert.match(log, said);
  assert.equal(await master.isActive(ASTERISK), false, log);
  assert.equal(await master.read(OURS), "");
  assert.equal(await master.exists("/run/relais/serving"), false);
  // The gate: it does not come back.
  await master.exec(["systemctl", "start", ASTERISK]);
  assert.equal(await master.isActive(ASTERISK), false);
  const seen = await outside.seen(what);
  note(what, seen);
  assert.equal(seen.answeredByTwo, 0);
  await untilState(slave, "active", DEADLINE_MS);
}

story(
  "story 13: a daemon that dies for good takes VIPs and services with it, whatever it died of; the slave serves alone",
  async (scene) => {
    const { laboratory, master, slave, outside } = scene;
    await untilNormal(laboratory);
    await untilServedBy("master", scene);

    await dies(scene, "configuration refused", {
      kill: async () => {
        await master.exec(["cp", CONFIG_FILE, "/root/good.toml"]);
        await master.writeFile(CONFIG_FILE, "this = [is no configuration\n");
        await master.try(["systemctl", "restart", "relais"], { deadlineMs: DEADLINE_MS });
        await master.until(["systemctl", "is-failed", "relais.service"], {
          deadlineMs: DEADLINE_MS,
          what: "a daemon that systemd does not start again",
        });
      },
      // Its name was found at the gate, as the configuration can't be read.
      said: /^asterisk\.service stopped$/m,
    });
    await master.exec(["cp", "/root/good.toml", CONFIG_FILE]);
    await master.exec(["systemctl", "start", "relais"], { deadlineMs: DEADLINE_MS });
    await untilNormal(laboratory);
    await untilServedBy("master", scene);

    await dies(scene, "killed again and again", {
      kill: () => untilGivenUp(master),
      said: /./,
    });
    await master.exec(["systemctl", "reset-failed", "relais.service"]);
    await master.exec(["systemctl", "start", "relais"], { deadlineMs: DEADLINE_MS });
    await untilNormal(laboratory);
    await untilServedBy("master", scene);

    // systemd itself is dead to it: nobody starts anything, the kernel alone lets go.
    await outside.mark("nobody notices");
    await master.exec(["systemctl", "mask", "--runtime", "relais-cleanup.service"]);
    await master.exec(["systemctl", "service-watchdogs", "no"]);
    const pid = await master.read(["systemctl", "show", "--value", "-p", "MainPID", "relais"]);
    await master.exec(["kill", "-STOP", pid]);
    await untilServedBy("slave", scene);
    assert.equal((await outside.seen("nobody notices")).answeredByTwo, 0);
    assert.equal(await master.isActive(ASTERISK), true, "nobody is there to stop it");
    await master.exec(["kill", "-CONT", pid]);
    await master.exec(["systemctl", "unmask", "--runtime", "relais-cleanup.service"]);
    await untilNormal(laboratory);
    await untilServedBy("master", scene);
    await assertServesAlone(master, slave, laboratory);
  },
  { from: provisioned() },
);
