import assert from "node:assert/strict";
import { poll } from "../../tests/support/poll.ts";
import { processState } from "../../tests/support/process_table.ts";
import { TempDirectory } from "../../tests/support/temp_directory.ts";
import { NO_HOOKS } from "../config/hooks_section.ts";
import type { HookConfig } from "../config/types.ts";
import { systemClock } from "../os/clock.ts";
import { hookFaults, type HookReport, hooksDeadlineMs, hookSentence, runHooks } from "./hooks.ts";

/** Far above what any of them needs. */
const LONG_MS = 60_000;
const PATH = "/usr/sbin:/usr/bin:/sbin:/bin";

function shell(script: string, deadlineMs = LONG_MS): HookConfig {
  return { command: ["sh", "-c", script], deadlineMs };
}

/** Runs them as hooks before a takeover of the slave, with real processes. */
async function runAll(
  hooks: readonly HookConfig[],
  signal: AbortSignal = new AbortController().signal,
): Promise<HookReport[]> {
  const reports: HookReport[] = [];
  await runHooks("beforeTakeover", {
    config: {
      hooks: { ...NO_HOOKS, beforeTakeover: hooks },
      role: "slave",
      cluster: { name: "siège", preset: "none" },
    },
    clock: systemClock,
    path: PATH,
    occasion: { goal: "take", epoch: 7, rule: "S-TAKE", reason: "the master is\ndead" },
    signal,
    onHook: (report) => reports.push(report),
  });
  return reports;
}

/** Waits until a hook has written its process id, and returns it. */
async function pidIn(file: string): Promise<number> {
  return await poll(() => {
    try {
      return Number(Deno.readTextFileSync(file)) || null;
    } catch {
      return null;
    }
  }, { deadlineMs: LONG_MS, what: `a process id in ${file}` });
}

async function untilGone(pid: number): Promise<void> {
  await poll(() => [null, "Z", "X"].includes(processState(pid)), {
    deadlineMs: LONG_MS,
    what: `the end of process ${pid}`,
  });
}

Deno.test("runHooks() runs one after the other, in order: each finds what the one before left when it ended", async () => {
  using directory = new TempDirectory();
  const log = `${directory.path}/log`;
  const one = (name: string): HookConfig =>
    // Overlapping ones would mix their lines, and the slow first one would end last.
    shell(
      `echo ${name} begins >>${log}; sleep 0.${name === "a" ? 3 : 1}; echo ${name} ends >>${log}`,
    );
  const reports = await runAll([one("a"), one("b"), one("c")]);
  const lines = ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"];
  assert.deepEqual(Deno.readTextFileSync(log).trim().split("\n"), lines);
  assert.deepEqual(reports.map(({ code, failure }) => [code, failure]), Array(3).fill([0, null]));
});

Deno.test("runHooks() goes on after a hook that fails, that is missing, and that anybody could have written", async () => {
  using directory = new TempDirectory();
  const open = `${directory.path}/open`;
  Deno.writeTextFileSync(open, `#!/bin/sh\ntouch ${directory.path}/ran\n`);
  Deno.chmodSync(open, 0o777);
  const [failed, missing, untrusted, last] = await runAll([
    shell("echo; echo '  no such trunk' >&2; echo more >&2; exit 3"),
    { command: ["relais-no-such-hook"], deadlineMs: LONG_MS },
    { command: [open], deadlineMs: LONG_MS },
    shell("exit 0"),
  ]);
  assert.deepEqual([failed?.code, failed?.said], [3, "no such trunk"]);
  assert.match(
    hookSentence(failed!),
    /^before_takeover sh -c .*: failed: it exited with 3, after /,
  );
  assert.match(hookSentence(failed!), /; it said: no such trunk$/);
  assert.match(missing?.failure ?? "", /Cannot run relais-no-such-hook as it is not installed/);
  assert.match(untrusted?.failure ?? "", /Cannot run .*open as root as others .* may write/);
  assert.throws(() => Deno.statSync(`${directory.path}/ran`), Deno.errors.NotFound);
  assert.deepEqual([last?.code, last?.failure], [0, null]);
});

Deno.test("runHooks() kills a late hook with all that it started, then runs the next one", async () => {
  using directory = new TempDirectory();
  const file = `${directory.path}/pid`;
  const next = `${directory.path}/next`;
  // What it left in the background is what would hold a line, a lock or a port afterwards.
  const [late, after] = await runAll([
    shell(`sleep 600 & echo $! >${file}.new; mv ${file}.new ${file}; wait`, 2000),
    shell(`cat ${file} >${next}`),
  ]);
  assert.equal(late?.code, null);
  assert.match(late?.failure ?? "", /took longer than 2 s and was killed with all that it started/);
  assert.ok(late!.tookMs >= 2000);
  assert.equal(after?.failure, null);
  await untilGone(await pidIn(next));
});

Deno.test("runHooks() that is aborted kills the hook in progress and leaves out the others", async () => {
  using directory = new TempDirectory();
  const file = `${directory.path}/pid`;
  const never = `${directory.path}/never`;
  const abort = new AbortController();
  const running = runAll(
    [shell(`echo $$ >${file}.new; mv ${file}.new ${file}; sleep 600`), shell(`touch ${never}`)],
    abort.signal,
  );
  running.catch(() => {}); // Judged below.
  const pid = await pidIn(file);
  abort.abort(new Error("cancelled by a newer decision"));
  await assert.rejects(running, /cancelled by a newer decision/);
  await untilGone(pid);
  assert.throws(() => Deno.statSync(never), Deno.errors.NotFound);
});

Deno.test("runHooks() tells a hook what is going on, and nothing of relais' own environment", async () => {
  using directory = new TempDirectory();
  const file = `${directory.path}/env`;
  const [report] = await runAll([{
    command: ["/bin/sh", "-c", `env >${file}`],
    deadlineMs: LONG_MS,
  }]);
  assert.equal(report?.failure, null);
  const entries = Deno.readTextFileSync(file).trim().split("\n").map((line) => line.split("="));
  const env = new Map(entries.map(([key = "", ...value]) => [key, value.join("=")]));
  for (const own of ["PWD", "SHLVL", "_", "OLDPWD"]) env.delete(own); // the shell's
  assert.deepEqual(Object.fromEntries(env), {
    PATH,
    LANG: "C.UTF-8",
    RELAIS_HOOK: "before_takeover",
    RELAIS_CLUSTER: "siège",
    RELAIS_ROLE: "slave",
    RELAIS_STATE: "taking-over",
    RELAIS_EPOCH: "7",
    RELAIS_GOAL: "take",
    RELAIS_RULE: "S-TAKE",
    RELAIS_REASON: "the master is dead",
  });
});

Deno.test("hooksDeadlineMs() leaves each hook its own deadline and the time to be killed", () => {
  const two = [shell("exit 0", 10_000), shell("exit 0", 5000)];
  assert.ok(hooksDeadlineMs(two) >= 15_000 + 2 * 1000);
  assert.ok(hooksDeadlineMs(two) <= 30_000);
});

Deno.test("hookFaults() finds at start what could not be run later", () => {
  const missing = { command: ["relais-no-such-hook", "x"], deadlineMs: LONG_MS };
  const onAlert = [{ ...missing, input: "text" } as const];
  const faults = hookFaults(
    { ...NO_HOOKS, afterHandback: [shell("exit 0"), missing], onAlert },
    PATH,
  );
  assert.equal(faults.length, 2, faults.join("\n"));
  assert.match(faults[1]!, /^the hook on_alert: Cannot run relais-no-such-hook as it is not/);
  assert.match(faults[0]!, /^the hook after_handback: Cannot run relais-no-such-hook as it is not/);
});
