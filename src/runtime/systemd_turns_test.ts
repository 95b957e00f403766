import assert from "node:assert/strict";
import { ManualClock } from "../../tests/support/manual_clock.ts";
import { TempDirectory } from "../../tests/support/temp_directory.ts";
import { UnixReceiver } from "../../tests/support/unix_receiver.ts";
import { libc } from "../os/libc.ts";
import { Notifier } from "../os/notify.ts";
import { STATUS_LINE_EVERY_MS, systemdTurns } from "./systemd_turns.ts";

// Stays open for the life of the process.
libc();

interface Place extends Disposable {
  readonly clock: ManualClock;
  readonly turn: (sentence: string) => void;
  readonly heard: () => string[];
}

function make(watchdogMs: number | null): Place {
  const stack = new DisposableStack();
  const directory = stack.use(new TempDirectory());
  const name = `${directory.path}/notify`;
  const receiver = stack.use(new UnixReceiver(name));
  const notifier = stack.use(new Notifier({ environment: { NOTIFY_SOCKET: name } }));
  const clock = new ManualClock();
  return {
    clock,
    turn: systemdTurns({ notifier, clock, watchdogMs }),
    heard: () => receiver.takeText(),
    [Symbol.dispose]: () => stack.dispose(),
  };
}

Deno.test("systemdTurns() feeds the watchdog at half of its time, from turns only", async () => {
  using place = make(2000);
  const { clock, turn, heard } = place;
  turn("");
  assert.deepEqual(heard(), ["WATCHDOG=1"]);
  await clock.advance(999);
  turn("");
  assert.deepEqual(heard(), []);
  await clock.advance(1);
  turn("");
  assert.deepEqual(heard(), ["WATCHDOG=1"]);
  await clock.advance(60_000);
  assert.deepEqual(heard(), [], "a loop that stands still says nothing");
});

Deno.test("systemdTurns() says a sentence once, a new one at most each second, the last one surely", async () => {
  using place = make(null);
  const { clock, turn, heard } = place;
  turn("standby");
  turn("standby");
  turn("taking-over");
  assert.deepEqual(heard(), ["STATUS=standby"]);
  await clock.advance(STATUS_LINE_EVERY_MS);
  turn("active");
  turn("active");
  assert.deepEqual(heard(), ["STATUS=active"]);
});
