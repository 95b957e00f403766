/**
 * A slave that is alone is powered off while its Asterisk starts, and while it serves.
 *
 * @module
 */

import assert from "node:assert/strict";
import { poll } from "../support/poll.ts";
import type { LabHost } from "./lab_host.ts";
import { provisioned, untilNormal } from "./provision.ts";
import { SERVED_DEADLINE_MS, untilServedBy } from "./served_by.ts";
import { type Scene, story } from "./stage.ts";

/** An Asterisk that misses SIGTERM as it starts ends after 90 s: well below that, on a busy machine too. */
const OFF_WITHIN_MS = 60_000;
/** It is a race: the signal must fall into the half second in which Asterisk does not hear. */
const TRIES = 3;

story(
  "story 14: the slave, alone, is powered off while its Asterisk starts, then while it serves: it is off at once (X-LEAVE)",
  async (scene) => {
    const { laboratory, master, slave, note } = scene;
    for (let number = 1; number <= TRIES; number++) {
      await untilNormal(laboratory);
      await master.crash();
      await poll(() => isStarting(slave), {
        deadlineMs: SERVED_DEADLINE_MS,
        everyMs: 1,
        what: "an Asterisk that starts on the slave",
      });
      note(`off as Asterisk starts, ${number}, ms`, await powerOff(scene));
      await Promise.all([master.boot(), slave.boot()]);
    }
    await untilNormal(laboratory);
    await master.crash();
    await untilServedBy("slave", scene);
    note("off as it serves alone, ms", await powerOff(scene));
    await Promise.all([master.boot(), slave.boot()]);
    await untilNormal(laboratory);
    await untilServedBy("master", scene);
  },
  { from: provisioned() },
);

async function isStarting(host: LabHost): Promise<boolean> {
  const { stdout } = await host.try(["systemctl", "is-active", "asterisk.service"]);
  return ["activating", "active"].includes(stdout.trim());
}

/** Orderly; how long it took. */
async function powerOff({ slave }: Scene): Promise<number> {
  const start = performance.now();
  await slave.off();
  const tookMs = Math.round(performance.now() - start);
  assert.ok(tookMs < OFF_WITHIN_MS, `off after ${tookMs} ms`);
  return tookMs;
}
