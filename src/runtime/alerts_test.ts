import assert from "node:assert/strict";
import { ManualClock } from "../../tests/support/manual_clock.ts";
import { Alerts } from "./alerts.ts";

const MINUTE = 60_000;

function make(): { clock: ManualClock; alerts: Alerts; said: string[] } {
  const clock = new ManualClock();
  const said: string[] = [];
  return { clock, said, alerts: new Alerts({ clock, onNew: (text) => said.push(text) }) };
}

Deno.test("Alerts says a text once and shows it while it is raised again", async () => {
  const { clock, alerts, said } = make();
  alerts.raise("a");
  alerts.raise("b");
  for (let minute = 0; minute < 30; minute++) {
    await clock.advance(MINUTE);
    alerts.raise("a");
  }
  assert.deepEqual(said, ["a", "b"]);
  assert.deepEqual(alerts.texts, ["a"], "b was over for more than ten minutes");
});

Deno.test("Alerts says a text again when it comes back after it was over, also if nobody looked", async () => {
  const { clock, alerts, said } = make();
  alerts.raise("a");
  await clock.advance(11 * MINUTE);
  alerts.raise("a");
  assert.deepEqual(said, ["a", "a"]);
});

Deno.test("Alerts keeps the newest fifty", () => {
  const { alerts } = make();
  for (let i = 0; i < 80; i++) alerts.raise(`alert ${i}`);
  assert.equal(alerts.texts.length, 50);
  assert.equal(alerts.texts[0], "alert 30");
  assert.equal(alerts.texts.at(-1), "alert 79");
});
