import assert from "node:assert/strict";
import { emptySetState } from "../replication/set_state.ts";
import { sampleObservation, sampleResult } from "../../tests/support/core_sample.ts";
import { dataSetStatus, formatAge, lossSentence, mayRead } from "./data_sets.ts";

Deno.test("formatAge() says milliseconds as people do", () => {
  const said = [
    0,
    400,
    40_000,
    89_400,
    90_000,
    12 * 60_000,
    89 * 60_000,
    95 * 60_000,
    47 * 3_600_000,
  ]
    .map(formatAge);
  assert.deepEqual(said, [
    "0 s",
    "0 s",
    "40 s",
    "89 s",
    "2 min",
    "12 min",
    "89 min",
    "2 h",
    "47 h",
  ]);
  assert.equal(formatAge(72 * 3_600_000), "3 days");
});

Deno.test("lossSentence() names each set, and one that never came", () => {
  const ages = [{ set: "astdb", ageMs: 40_000 }, { set: "database", ageMs: null }];
  assert.equal(
    lossSentence(ages),
    "lost by this takeover: astdb: at most the last 40 s; database: no copy was ever received",
  );
});

Deno.test("dataSetStatus() shows both directions, and what runs only where it is sent", () => {
  const sent = {
    ...emptySetState("database", "sent"),
    snapshotWallMs: Date.UTC(2026, 0, 31, 12),
    epoch: 4,
    origin: "master" as const,
    size: 7,
    durationMs: 12.6,
  };
  const received = {
    ...emptySetState("database", "received"),
    lastError: "disk full",
    lastErrorWallMs: Date.UTC(2026, 0, 31, 13),
  };
  const [out, into, ...others] = dataSetStatus([{
    set: "database",
    sent,
    received,
    sentAgeMs: 60_000,
    receivedAgeMs: null,
    running: { progress: { phase: "copy", bytes: 3, totalBytes: null }, forMs: 1499.7 },
    nextInMs: 1000.4,
    failures: 0,
    maxAgeMs: 7_200_000,
  }]);
  assert.deepEqual(others, []);
  assert.deepEqual(out?.running, {
    phase: "copy",
    doneBytes: 3,
    totalBytes: null,
    elapsedMs: 1500,
    tablesDone: null,
    tablesTotal: null,
    bytesPerSecond: null,
    remainingMs: null,
  });
  assert.equal(out?.bytesPerSecond, Math.round(7 / 0.0126));
  assert.deepEqual([out?.maxAgeMs, into?.maxAgeMs], [7_200_000, 7_200_000]);
  assert.equal(out?.snapshot, "2026-01-31T12:00:00.000Z");
  assert.deepEqual([out?.direction, out?.ageMs, out?.durationMs, out?.nextRunInMs], [
    "sent",
    60_000,
    13,
    1000,
  ]);
  assert.deepEqual([into?.direction, into?.ageMs, into?.running, into?.nextRunInMs], [
    "received",
    null,
    null,
    null,
  ]);
  assert.deepEqual([into?.lastError, into?.lastErrorAt], ["disk full", "2026-01-31T13:00:00.000Z"]);
});

Deno.test("mayRead() lets only a node that serves, and serves well, be a source", () => {
  assert.deepEqual(mayRead(sampleResult()), { ok: true, epoch: 5 });
  assert.deepEqual(mayRead(sampleResult({ name: "handing-back" })), { ok: true, epoch: 5 });
  const refused = (result: Parameters<typeof mayRead>[0]): string => {
    const may = mayRead(result);
    assert.equal(may.ok, false);
    return may.ok ? "" : may.reason;
  };
  assert.match(refused(null), /starting/);
  assert.match(refused(sampleResult({ name: "standby" })), /only the one that serves/);
  assert.match(refused(sampleResult({ name: "maintenance" })), /only the one that serves/);
  const ill = sampleObservation({ services: { running: "all", healthy: false } });
  assert.match(refused(sampleResult({}, ill)), /unfit: .*telephony check/);
});
