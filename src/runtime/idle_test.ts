import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { FailbackConfig } from "../config/types.ts";
import { poll } from "../../tests/support/poll.ts";
import { ManualClock } from "../../tests/support/manual_clock.ts";
import { IdleWatch, isWindowOpen, readCalls } from "./idle.ts";

Deno.test("readCalls() is the first whole number that the command printed", () => {
  assert.equal(readCalls("0 active channels\n0 active calls\n17 calls processed\n"), 0);
  assert.equal(readCalls("12 active channels\n6 active calls\n"), 12);
  assert.equal(readCalls("calls: 3"), 3);
  assert.equal(readCalls("Unable to connect to remote asterisk"), null);
  assert.equal(readCalls(""), null);
});

Deno.test("isWindowOpen() within a day, from its first minute to before its last", () => {
  const window = { fromMinute: 60, toMinute: 120 };
  const open = [0, 59, 60, 119, 120, 1439].map((minute) => isWindowOpen(window, minute));
  assert.deepEqual(open, [false, false, true, true, false, false]);
});

Deno.test("isWindowOpen() across midnight, and always without a window", () => {
  const window = { fromMinute: 22 * 60, toMinute: 6 * 60 };
  const minutes = [0, 359, 360, 720, 1319, 1320, 1439];
  const open = minutes.map((minute) => isWindowOpen(window, minute));
  assert.deepEqual(open, [true, true, false, false, false, true, true]);
  assert.ok(minutes.every((minute) => isWindowOpen(null, minute)));
});

interface Watched {
  readonly watch: IdleWatch;
  readonly clock: ManualClock;
  readonly troubles: string[];
}

function watching(command: readonly string[] | null): Watched {
  const clock = new ManualClock();
  const troubles: string[] = [];
  const config: FailbackConfig = {
    mode: "auto",
    window: null,
    stableMs: 30_000,
    whenIdle: command === null ? null : { command, deadlineMs: 600_000 },
  };
  const watch = new IdleWatch({ config, clock, onTrouble: (text) => troubles.push(text) });
  return { watch, clock, troubles };
}

/** A real command that prints the content of a file. */
async function withCount(
  test: (set: (text: string) => void, argv: string[]) => Promise<void>,
): Promise<void> {
  const file = await Deno.makeTempFile({ prefix: "relais-" });
  try {
    await test((text) => Deno.writeTextFileSync(file, text), ["cat", file]);
  } finally {
    await Deno.remove(file);
  }
}

Deno.test("IdleWatch asks only while it matters, at its pace, and forgets afterwards", async () => {
  await withCount(async (set, argv) => {
    const { watch, clock, troubles } = watching(argv);
    set("0 active calls\n");
    watch.pace(clock.nowMs(), false);
    assert.equal(watch.idle, null, "nobody waits for the answer");
    watch.pace(clock.nowMs(), true);
    await poll(() => watch.idle === true, { deadlineMs: 10_000, what: "nobody on the phone" });
    set("2 active calls\n");
    await clock.advance(4000);
    watch.pace(clock.nowMs(), true);
    assert.equal(watch.idle, true, "not asked again yet");
    await clock.advance(2000);
    watch.pace(clock.nowMs(), true);
    await poll(() => watch.idle === false, { deadlineMs: 10_000, what: "two calls" });
    watch.pace(clock.nowMs(), false);
    assert.equal(watch.idle, null);
    assert.deepEqual(troubles, []);
  });
});

Deno.test("IdleWatch does not know, and says so, when the command fails or prints no number", async () => {
  const self = fileURLToPath(import.meta.url);
  for (
    const argv of [["false"], ["echo", "no idea"], ["cat", `${self}/absent`], ["/absent/tool"]]
  ) {
    const { watch, clock, troubles } = watching(argv);
    watch.pace(clock.nowMs(), true);
    await poll(() => troubles.length > 0, { deadlineMs: 10_000, what: `trouble of ${argv}` });
    assert.equal(watch.idle, null);
  }
});

Deno.test("IdleWatch without a command knows nothing and runs nothing", () => {
  const { watch, clock, troubles } = watching(null);
  watch.pace(clock.nowMs(), true);
  assert.equal(watch.idle, null);
  assert.deepEqual(troubles, []);
});
