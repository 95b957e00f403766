import assert from "node:assert/strict";
import { sampleStatus } from "../../tests/support/health_sample.ts";
import { oldCopyText, withAlarm } from "./copy_age.ts";
import { CopyWatch } from "./copy_watch.ts";
import { readVerification, verificationAlert, writeVerification } from "./verification.ts";

const NOW = 10_000_000;
const ENTRY = {
  ...sampleStatus().dataSets[0]!,
  maxAgeMs: 600_000,
  ageMs: 601_000,
  nextRunInMs: 1000,
  lastError: null,
};
const slave = { role: "slave", now: NOW } as const;

Deno.test("withAlarm() judges what is received where one stands by, what is sent where one serves", () => {
  const standby = { ...slave, state: { name: "standby", since: 0 } } as const;
  const active = { ...slave, state: { name: "active", since: 0 } } as const;
  const master = { ...standby, role: "master" } as const;
  const database = { ...ENTRY, set: "database" } as const;
  const sent = { ...ENTRY, direction: "sent" } as const;
  assert.equal(withAlarm(ENTRY, standby).tooOld, true);
  assert.equal(withAlarm({ ...ENTRY, ageMs: 600_000 }, standby).tooOld, false);
  assert.equal(withAlarm({ ...ENTRY, ageMs: null }, standby).tooOld, true);
  assert.equal(withAlarm({ ...ENTRY, maxAgeMs: null }, standby).tooOld, false);
  assert.equal(withAlarm(ENTRY, active).tooOld, false);
  assert.equal(withAlarm(sent, active).tooOld, true);
  assert.equal(withAlarm({ ...sent, nextRunInMs: null }, active).tooOld, false);
  assert.equal(withAlarm(sent, standby).tooOld, false);
  assert.equal(withAlarm(database, standby).tooOld, true);
  assert.equal(withAlarm(database, master).tooOld, false);
  assert.equal(withAlarm(ENTRY, master).tooOld, true);
});

Deno.test("withAlarm() lets a node that has just begun make its first copy", () => {
  const state = (since: number) => ({ ...slave, state: { name: "standby", since } } as const);
  assert.equal(withAlarm({ ...ENTRY, ageMs: null }, state(NOW - 299_000)).tooOld, false);
  assert.equal(withAlarm({ ...ENTRY, ageMs: null }, state(NOW - 300_000)).tooOld, true);
});

Deno.test("CopyWatch tells of a failure once, of its end, and of a copy that gets too old", () => {
  let entry = { ...ENTRY, failures: 3, tooOld: false, lastError: null as string | null };
  const told: string[] = [];
  const watch = new CopyWatch({
    dataSets: () => [entry],
    tell: (rule, text) => told.push(`${rule} ${text}`),
  });
  let now = 0;
  const look = (change: Partial<typeof entry>): string[] => {
    entry = { ...entry, ...change };
    watch.pace(now += 5000);
    watch.pace(now + 1);
    return told.splice(0);
  };
  assert.deepEqual(look({}), []);
  assert.match(look({ failures: 4, lastError: "disk full" }).join(), /^COPY-FAILED .*: disk full$/);
  assert.deepEqual(look({ failures: 5 }), []);
  assert.match(look({ failures: 6, lastError: "no route" }).join(), /^COPY-FAILED .*: no route$/);
  assert.match(look({ tooOld: true }).join(), /^COPY-OLD .*\(max_age 10 min\)/);
  assert.deepEqual(look({ ageMs: 900_000 }), []);
  const good = look({ lastError: null, tooOld: false, ageMs: 1000 });
  assert.deepEqual(good.map((text) => text.split(" ")[0]), ["COPY-GOOD", "COPY-FRESH"]);
  assert.deepEqual(look({}), []);
});

Deno.test("CopyWatch counts a failure of before the daemon as told", () => {
  const told: string[] = [];
  const tell = (rule: string): number => told.push(rule);
  let failures = 1;
  const dataSets = () => [{ ...ENTRY, failures, lastError: "x" }];
  const watch = new CopyWatch({ dataSets, tell });
  watch.pace(0);
  failures = 2;
  watch.pace(6000);
  assert.deepEqual(told, []);
});

Deno.test("oldCopyText() stays the same while the copy ages", () => {
  assert.equal(oldCopyText(ENTRY), oldCopyText({ ...ENTRY, ageMs: 9e9 }));
  assert.match(oldCopyText({ ...ENTRY, ageMs: null }), /^There is no copy of the astdb/);
});

Deno.test("a verification is remembered, shown with its age, and is an alarm unless all is equal", async () => {
  const stateDir = await Deno.makeTempDir();
  try {
    const options = { wallMs: 20_000, everyMs: 10_000, standsBy: true };
    assert.equal(readVerification(stateDir, options), null);
    const record = { atWallMs: 15_000, durationMs: 70, text: "cel has 3 rows instead of 4" };
    await writeVerification(stateDir, { ...record, result: "different" });
    const found = readVerification(stateDir, options);
    assert.deepEqual([found?.ageMs, found?.overdue], [5000, false]);
    assert.match(verificationAlert(found) ?? "", /not what was copied: cel has 3 rows/);
    await writeVerification(stateDir, { ...record, result: "equal" });
    assert.equal(verificationAlert(readVerification(stateDir, options)), null);
    const late = { ...options, wallMs: 31_000 };
    assert.match(verificationAlert(readVerification(stateDir, late)) ?? "", /last proved 16 s ago/);
    assert.equal(readVerification(stateDir, { ...late, standsBy: false })?.overdue, false);
    // A clock that was set back shows no negative age.
    assert.equal(readVerification(stateDir, { ...options, wallMs: 1 })?.ageMs, 0);
  } finally {
    await Deno.remove(stateDir, { recursive: true });
  }
});
