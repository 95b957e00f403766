import assert from "node:assert/strict";
import { BALANCED, linkCase, NOW, seenCase, stateCase } from "../../tests/support/core_cases.ts";
import { ManualClock } from "../../tests/support/manual_clock.ts";
import { TempDirectory } from "../../tests/support/temp_directory.ts";
import { goalSteps } from "../core/goals.ts";
import { step, type StepResult } from "../core/step.ts";
import { configureLog, flushLog, resetLog } from "../os/log.ts";
import { Alerts } from "./alerts.ts";
import { History } from "./history.ts";
import { Recorder, type RecorderOptions } from "./recorder.ts";

interface Place {
  readonly alerts: Alerts;
  readonly history: History;
  readonly recorder: Recorder;
}

function make(
  directory: TempDirectory,
  lossReport: RecorderOptions["lossReport"] = () => [{ set: "astdb", ageMs: 30_000 }],
): Place {
  const clock = new ManualClock();
  const alerts = new Alerts({ clock, onNew: () => {} });
  const history = new History({
    stateDir: directory.path,
    onTrouble: (text) => assert.fail(text),
  });
  const recorder = new Recorder({
    clock,
    history,
    alerts,
    stateName: () => "taking-over",
    lossReport,
  });
  return { alerts, history, recorder };
}

/** A decision of the real core: the master died, or gave the service. */
function decision(kind: "death" | "consent"): StepResult {
  const state = stateCase({ name: "standby", since: 0, evidenceSince: 0 });
  if (kind === "death") {
    const silent = linkCase({ lastIcmpAt: 1, lastHttpAt: 1 });
    return step(state, seenCase({ links: [silent], peer: null }), NOW, BALANCED);
  }
  const notice = { kind: "yours", epoch: 3, reason: "switchover" } as const;
  return step(state, seenCase({ events: [{ type: "notice", notice }] }), NOW, BALANCED);
}

Deno.test("Recorder.decision() writes the rule with its reason, and what a takeover loses", () => {
  using directory = new TempDirectory();
  const { recorder, history } = make(directory);
  const result = decision("death");
  recorder.decision(result);
  const [taken, loss, ...more] = history.entries;
  assert.deepEqual([taken?.rule, taken?.from, taken?.to], ["S-TAKE", "standby", "taking-over"]);
  assert.ok(taken?.why.startsWith(result.decision?.why ?? "?"));
  assert.equal(loss?.rule, "LOSS");
  assert.match(loss?.why ?? "", /astdb: at most the last 30 s/);
  assert.deepEqual(more, []);
});

Deno.test("Recorder.decision() speaks of no loss where nothing can be lost", () => {
  using directory = new TempDirectory();
  for (const lossReport of [null, () => []]) {
    const { recorder, history } = make(directory, lossReport);
    const before = history.entries.length;
    recorder.decision(decision("death"));
    assert.deepEqual(history.entries.slice(before).map(({ rule }) => rule), ["S-TAKE"]);
  }
});

Deno.test("Recorder.hook() puts each hook into the history, and a failed one into the alerts", () => {
  using directory = new TempDirectory();
  const { recorder, history, alerts } = make(directory);
  const good = {
    moment: "afterTakeover",
    command: ["/usr/local/sbin/tell", "up"],
    code: 0,
    tookMs: 1234,
    said: "",
    failure: null,
  } as const;
  recorder.hook(good);
  assert.deepEqual(alerts.texts, []);
  recorder.hook({ ...good, code: 3, said: "no route", failure: "it exited with 3" });
  assert.deepEqual(history.entries.map(({ rule, why }) => [rule, why]), [
    ["HOOK", "after_takeover /usr/local/sbin/tell up: exit status 0, after 1.2 s"],
    [
      "HOOK",
      "after_takeover /usr/local/sbin/tell up: failed: it exited with 3, after 1.2 s; it said: no route",
    ],
  ]);
  assert.equal(alerts.texts.length, 1);
  assert.match(alerts.texts[0] ?? "", /^The hook after_takeover .*: failed: it exited with 3/);
});

Deno.test("Recorder.decision() speaks of no loss when the peer gave the service, and of nothing when nothing was decided", () => {
  using directory = new TempDirectory();
  const { recorder, history } = make(directory);
  recorder.decision(decision("consent"));
  assert.deepEqual(history.entries.map(({ rule }) => rule), ["S-NOTICE"]);
  recorder.decision({ ...decision("death"), decision: null });
  assert.equal(history.entries.length, 1);
});

Deno.test("Recorder.step() keeps what a step said, and makes an alert of a failure", () => {
  using directory = new TempDirectory();
  const { recorder, history, alerts } = make(directory);
  const report = { goal: "take", tookMs: 12.3, text: null, error: null } as const;
  recorder.step({ ...report, step: "mount-vips" });
  recorder.step({ ...report, step: "install-astdb", text: "installed: newer" });
  recorder.step({ ...report, step: "start-services", error: "asterisk.service failed" });
  assert.deepEqual(history.entries.map(({ rule, why, to }) => [rule, why, to]), [
    ["install-astdb", "installed: newer", "taking-over"],
    ["start-services", "failed: asterisk.service failed", "taking-over"],
  ]);
  assert.deepEqual(alerts.texts, ["take, start-services: asterisk.service failed"]);
});

Deno.test("Recorder.step() logs every step of a takeover by its name", async () => {
  using directory = new TempDirectory();
  const { recorder } = make(directory);
  let text = "";
  const write = (bytes: Uint8Array): Promise<number> => {
    text += new TextDecoder().decode(bytes);
    return Promise.resolve(bytes.length);
  };
  configureLog({ format: "logfmt", out: { write }, context: () => ({ state: "taking-over" }) });
  try {
    const names = goalSteps("take", { fetch: true, urgent: false }).map(({ name }) => name);
    for (const step of names) {
      recorder.step({ goal: "take", step, tookMs: 12.3, text: null, error: null });
    }
    await flushLog();
    const logged = [...text.matchAll(/msg="take, ([a-z-]+): done"/g)].map(([, name]) => name);
    assert.deepEqual(logged, names);
  } finally {
    await resetLog();
  }
});

Deno.test("Recorder.note() cuts what is too long for the history", () => {
  using directory = new TempDirectory();
  const { recorder, history } = make(directory);
  recorder.note("VIP-REPAIR", "x".repeat(5000));
  assert.equal(history.entries[0]?.why.length, 2000);
  const again = new History({ stateDir: directory.path, onTrouble: (text) => assert.fail(text) });
  assert.equal(again.entries.length, 1, "it can be read back");
});
