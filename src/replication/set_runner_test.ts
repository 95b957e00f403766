import assert from "node:assert/strict";
import { ManualClock } from "../../tests/support/manual_clock.ts";
import { poll } from "../../tests/support/poll.ts";
import { TempDirectory } from "../../tests/support/temp_directory.ts";
import { SetRunner } from "./set_runner.ts";
import { SetStates } from "./set_state.ts";

/** A runner whose copies wait until they are cut, or fail with `why`. */
function runnerIn(folder: string, why: string | null): {
  readonly runner: SetRunner;
  readonly states: SetStates;
  readonly ends: unknown[];
} {
  const states = new SetStates(folder, assert.fail);
  const ends: unknown[] = [];
  const runner = new SetRunner({
    set: "astdb",
    clock: new ManualClock(),
    states,
    everyMs: 120_000,
    minGapMs: 1000,
    firstDelayMs: 0,
    copy: ({ signal }) => {
      const { promise, reject } = Promise.withResolvers<never>();
      if (why !== null) reject(new Error(why));
      else signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      return promise;
    },
    onEnd: (_state, error) => ends.push(error),
  });
  return { runner, states, ends };
}

const NOW = {
  epoch: 1,
  signal: new AbortController().signal,
  onProgress: (): void => {},
  allowMassDeletion: false,
};

Deno.test("SetRunner takes a copy that is cut as the node stops serving for no failure", async () => {
  using temporary = new TempDirectory();
  const { runner, states, ends } = runnerIn(temporary.path, null);
  runner.becomeSource(1);
  const copied = runner.copyNow(NOW);
  const rejected = assert.rejects(copied, /Cannot go on copying the astdb as this node is standby/);
  await poll(() => runner.running !== null, { deadlineMs: 20_000, what: "the copy in progress" });
  runner.ceaseSource("this node is standby");
  await rejected;
  assert.equal(states.read("astdb", "sent").lastError, null);
  assert.equal(runner.failures, 0);
  assert.deepEqual(ends, []);
  assert.equal(runner.running, null);
});

Deno.test("SetRunner remembers and tells a copy that failed by itself", async () => {
  using temporary = new TempDirectory();
  const { runner, states, ends } = runnerIn(temporary.path, "the disk is full");
  runner.becomeSource(1);
  await assert.rejects(runner.copyNow(NOW), /disk is full/);
  assert.equal(states.read("astdb", "sent").lastError, "the disk is full");
  assert.equal(runner.failures, 1);
  assert.equal(ends.length, 1);
});
