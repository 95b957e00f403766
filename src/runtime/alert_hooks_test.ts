import assert from "node:assert/strict";
import { ManualClock } from "../../tests/support/manual_clock.ts";
import { poll } from "../../tests/support/poll.ts";
import { processState } from "../../tests/support/process_table.ts";
import { TempDirectory } from "../../tests/support/temp_directory.ts";
import { NO_HOOKS } from "../config/hooks_section.ts";
import type { AlertHookConfig } from "../config/types.ts";
import { AlertHooks } from "./alert_hooks.ts";

/** Far above what any of them needs; real processes run here, only the pauses between them are the clock's. */
const LONG_MS = 60_000;
const PATH = "/usr/sbin:/usr/bin:/sbin:/bin";

function shell(script: string, more: Partial<AlertHookConfig> = {}): AlertHookConfig {
  return { command: ["sh", "-c", script], deadlineMs: LONG_MS, input: "text", ...more };
}

/** A node's turns: real programs, and a clock that the test moves. */
class Turns {
  readonly clock = new ManualClock();
  readonly alertHooks = new AlertHooks({ clock: this.clock, path: PATH });
  readonly notes: string[] = [];
  /** What the status shows. */
  alerts: string[] = [];
  /** What the programs of this module raised. */
  raised: string[] = [];

  constructor(public hooks: readonly AlertHookConfig[]) {}

  /** Turns once after `ms`, and waits for what that begins. */
  async turn(ms = 1000): Promise<void> {
    await this.begin(ms);
    await this.alertHooks.settled();
  }

  /** Turns once after `ms`. */
  async begin(ms = 1000): Promise<void> {
    await this.clock.advance(ms);
    this.alertHooks.pace(this.clock.nowMs(), {
      config: {
        hooks: { ...NO_HOOKS, onAlert: this.hooks },
        role: "slave",
        cluster: { name: "test", preset: "none" },
      },
      alerts: () => [...this.alerts, ...this.raised],
      state: "active",
      epoch: 3,
      note: (text) => this.notes.push(text),
      raise: (text) => this.raised = [text],
    });
  }

  async turns(count: number): Promise<void> {
    for (let i = 0; i < count; i++) await this.turn();
  }
}

function lines(file: string): string[] {
  try {
    return Deno.readTextFileSync(file).split("\n").filter((line) => line !== "");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

Deno.test("AlertHooks tells a program of an alert, of what comes with it, and when it is over", async () => {
  using directory = new TempDirectory();
  const log = `${directory.path}/log`;
  const turns = new Turns([shell(`echo "$RELAIS_HOOK: $RELAIS_ALERT" >>${log}; cat >>${log}`)]);
  await turns.turns(5);
  assert.deepEqual(lines(log), [], "nothing to tell, nothing run");
  turns.alerts = ["the disk is full"];
  await turns.turn();
  turns.alerts.push("the copy fails");
  await turns.turns(3);
  assert.deepEqual(lines(log), [
    "on_alert: the disk is full",
    `relais of test, the slave is active (epoch 3), 1970-01-01T00:00:08.000Z`,
    "New:",
    "- the disk is full (1970-01-01T00:00:06.000Z)",
    "- the copy fails (1970-01-01T00:00:07.000Z)",
  ]);
  Deno.removeSync(log);
  await turns.turns(60);
  assert.deepEqual(lines(log), [], "told once");
  turns.alerts = ["the copy fails"];
  await turns.turns(80);
  assert.deepEqual(lines(log).slice(0, 1), ["on_alert: the disk is full"]);
  assert.deepEqual(lines(log).slice(2), ["Over:", "- the disk is full"]);
  assert.deepEqual(turns.notes, []);
});

Deno.test("AlertHooks tells again what a program did not take; its failure is one alert and one line of history", async () => {
  using directory = new TempDirectory();
  const [works, log] = [`${directory.path}/works`, `${directory.path}/log`];
  const turns = new Turns([
    shell(`echo run >>${log}; test -e ${works} || { echo no route >&2; exit 7; }; cat >>${log}`),
  ]);
  turns.alerts = ["first"];
  await turns.turns(10);
  assert.deepEqual(lines(log), ["run"]);
  assert.match(
    turns.raised[0]!,
    /^The hook on_alert\[0\] sh failed: it exited with 7; it said: no/,
  );
  turns.alerts = []; // over long before the program works again
  await turns.turns(200);
  const runs = lines(log).length;
  assert.ok(runs >= 3 && runs <= 5, `${runs} runs in 200 s: pauses of 30, 60, 120 s`);
  assert.equal(turns.notes.length, 1, turns.notes.join("\n"));
  Deno.writeTextFileSync(works, "");
  await turns.turns(300);
  const told = lines(log).filter((line) => line !== "run");
  assert.deepEqual(told.slice(1), ["New:", "- first (1970-01-01T00:00:01.000Z)"]);
  assert.match(turns.notes[1]!, /^on_alert\[0\] sh: works again$/);
  assert.equal(turns.notes.length, 2);
});

Deno.test("AlertHooks runs one program at a time, and goes on while one of them hangs until its deadline", async () => {
  using directory = new TempDirectory();
  const [pid, log] = [`${directory.path}/pid`, `${directory.path}/log`];
  const turns = new Turns([
    shell(`echo $$ >${pid}; sleep 600 & wait`, { deadlineMs: 500 }),
    shell(`cat >>${log}`, { input: "json" }),
  ]);
  turns.alerts = ["first"];
  await turns.turn();
  await turns.turn();
  const before = performance.now();
  await turns.begin();
  assert.ok(performance.now() - before < 400, "a turn does not wait for a program");
  await turns.begin();
  assert.deepEqual(lines(log), [], "the second waits for the first");
  await turns.alertHooks.settled();
  assert.match(turns.raised[0]!, /took longer than 0.5 s and was killed with all that it started/);
  await turns.turn();
  assert.equal(JSON.parse(Deno.readTextFileSync(log)).new[0].text, "first");
});

Deno.test("AlertHooks: a storm of alerts is a bounded number of runs, and nothing is lost", async () => {
  using directory = new TempDirectory();
  const log = `${directory.path}/log`;
  const turns = new Turns([shell(`echo RUN >>${log}; cat >>${log}`)]);
  for (let second = 0; second < 600; second++) {
    turns.alertHooks.moved(`move number-${second}`);
    await turns.turn();
  }
  await turns.turns(130);
  const text = lines(log);
  const runs = text.filter((line) => line === "RUN").length;
  // Six in a row, then one in two minutes.
  assert.ok(runs >= 8 && runs <= 6 + Math.ceil(730 / 120), `${runs} runs`);
  const told = text.filter((line) => line.startsWith("- move number-"));
  assert.equal(told.length, new Set(told).size);
  // A move before the first look has nobody to be told to.
  assert.equal(told.length, 599);
});

Deno.test("AlertHooks keeps what was told over a reload, forgets a program that is gone, and ends with the daemon", async () => {
  using directory = new TempDirectory();
  const [a, b, pid] = ["a", "b", "pid"].map((name) => `${directory.path}/${name}`);
  const [first, second] = [shell(`cat >>${a}`), shell(`cat >>${b}`)];
  const turns = new Turns([first]);
  turns.alerts = ["old"];
  await turns.turns(5);
  turns.hooks = [second, first];
  await turns.turns(20);
  assert.equal(lines(a!).filter((line) => line.startsWith("- old")).length, 1);
  assert.equal(lines(b!).filter((line) => line.startsWith("- old")).length, 1);
  turns.hooks = [];
  await turns.turns(2);
  turns.hooks = [first];
  await turns.turns(5);
  assert.equal(lines(a!).filter((line) => line.startsWith("- old")).length, 2, "it begins anew");
  turns.hooks = [shell(`echo $$ >${pid}; sleep 600 & wait`)];
  for (let i = 0; i < 4; i++) await turns.begin();
  const running = await poll(() => Number(lines(pid!)[0] ?? 0) || null, {
    deadlineMs: LONG_MS,
    what: "a process id",
  });
  turns.alertHooks.close();
  await turns.alertHooks.settled();
  await poll(() => [null, "Z", "X"].includes(processState(running)), {
    deadlineMs: LONG_MS,
    what: `the end of process ${running}`,
  });
  await turns.turns(20);
  assert.deepEqual(turns.raised, [], "an end of the daemon is no failure of the program");
});
