import assert from "node:assert/strict";
import { localConfig, parseConfig } from "../../src/config/load.ts";
import { relaisToml } from "../support/relais_config.ts";
import type { LabFaultKind, PlannedLabFault } from "./faults_schedule.ts";
import { judgeLabFault, type MeasuredLabFault } from "./faults_verdict.ts";
import type { Seen } from "./outside.ts";

const CONFIG = localConfig(parseConfig(relaisToml()), "slave");

function seen(change: Partial<Seen> = {}): Seen {
  const none = { vip: 0, data: 0, sip: 0 };
  return {
    outageMs: none,
    lost: none,
    sent: { vip: 500, data: 500, sip: 50 },
    sipRefused: 0,
    answeredByTwo: 0,
    maxSendGapMs: 12,
    ...change,
  };
}

function judged(
  kind: LabFaultKind,
  change: Partial<MeasuredLabFault>,
  victim: PlannedLabFault["victim"] = "serving",
): readonly string[] {
  return judgeLabFault({
    fault: { number: 1, kind, victim, gapMs: 0, lastsMs: 5_000, move: null },
    host: "master",
    during: seen(),
    after: seen(),
    restMs: 2_000,
    daemonLateMs: 0,
    notes: [],
    broken: [],
    ...change,
  }, CONFIG).violations;
}

const DARK: Seen = seen({ outageMs: { vip: 9_000, data: 0, sip: 9_000 } });

Deno.test("judgeLabFault() finds nothing wrong with a fault that cost nothing", () => {
  assert.deepEqual(judged("power cut", {}), []);
});

Deno.test("judgeLabFault() finds two that answer, during the fault and after it", () => {
  const two = seen({ answeredByTwo: 20 });
  assert.match(judged("power cut", { during: two })[0] ?? "", /two hosts answered for 400 ms/);
  assert.match(judged("frozen", { after: two })[0] ?? "", /two hosts answered for 400 ms/);
  assert.deepEqual(judged("cables", { after: two }), [], "below the bound of a cut that heals");
});

Deno.test("judgeLabFault() finds nobody that answers where the other host could, and only there", () => {
  assert.match(judged("power cut", { during: DARK })[0] ?? "", /nobody answered for 9000 ms/);
  assert.deepEqual(judged("cable voip", { during: DARK }), [], "not claimed");
  assert.deepEqual(judged("power cut", { during: DARK }, "standby"), [], "not of the serving one");
});

Deno.test("judgeLabFault() adds to the bounds how late the machine was, and excuses a machine that stood", () => {
  const short = seen({ outageMs: { vip: 4_200, data: 0, sip: 0 } });
  assert.equal(judged("power cut", { during: short }).length, 1);
  assert.deepEqual(judged("power cut", { during: short, daemonLateMs: 300 }), []);
  assert.deepEqual(judged("power cut", { during: DARK, daemonLateMs: 1_600 }), []);
});

Deno.test("judgeLabFault() finds a pair that does not come to rest", () => {
  assert.match(judged("disk full", { restMs: null })[0] ?? "", /no rest within \d+ ms/);
});
