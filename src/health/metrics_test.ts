import assert from "node:assert/strict";
import { sampleStatus } from "../../tests/support/health_sample.ts";
import { renderMetrics } from "./metrics.ts";

/** A line of the text format 0.0.4, label values with its escapes only. */
const SAMPLE =
  /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)+\})? (\S+)$/;

function parse(text: string): Map<string, number> {
  const values = new Map<string, number>();
  const typed = new Set<string>();
  for (const line of text.split("\n").slice(0, -1)) {
    const type = /^# TYPE (\S+) (gauge|counter)$/.exec(line);
    if (type?.[1] !== undefined) {
      assert.ok(!typed.has(type[1]), `${type[1]} appears once`);
      assert.equal(type[2] === "counter", type[1].endsWith("_total"), type[1]);
      typed.add(type[1]);
      continue;
    }
    if (line.startsWith("# HELP ")) continue;
    const sample = SAMPLE.exec(line);
    assert.ok(sample, `malformed: ${line}`);
    const [, name = "", labels = "", value = ""] = sample;
    assert.ok(typed.has(name), `${name} has a TYPE before it`);
    assert.ok(name.startsWith("relais_"));
    assert.ok(!values.has(name + labels), `${name}${labels} appears once`);
    assert.ok(Number.isFinite(Number(value)), line);
    values.set(name + labels, Number(value));
  }
  return values;
}

Deno.test("renderMetrics() prints the status in base units, every line well-formed", () => {
  const values = parse(renderMetrics(sampleStatus()));
  assert.equal(values.get('relais_state{state="active"}'), 1);
  assert.equal(values.get('relais_state{state="standby"}'), 0);
  assert.equal(values.get("relais_epoch"), 5);
  assert.equal(values.get('relais_peer_verdict{verdict="dead"}'), 1);
  assert.equal(values.get("relais_peer_silent_seconds"), 93);
  assert.equal(values.get('relais_vip_held{vip="10.20.0.10",network="voip"}'), 1);
  assert.equal(values.get('relais_data_set_age_seconds{set="astdb",direction="received"}'), 151);
  assertDataSet(values);
  assert.equal(values.get('relais_ignored_total{input="http"}'), 1);
  assert.equal(values.get("relais_gate_installed"), 1);
  assert.equal(values.get("relais_gate_open"), 1);
  assert.equal(values.get("relais_shield_up"), 0);
});

Deno.test("renderMetrics() escapes label values and leaves out what is not known", () => {
  const status = sampleStatus({ vips: [], links: [] });
  status.node.clusterName = 'a"b\\c\nd';
  status.peer = { ...status.peer, report: null, silentForMs: null, configMatches: null };
  const text = renderMetrics(status);
  parse(text);
  assert.ok(text.includes('cluster="a\\"b\\\\c\\nd"'));
  assert.ok(!text.includes("relais_peer_silent_seconds"));
  assert.ok(!text.includes("relais_peer_epoch"));
});

/** All that is known of the sample's astdb, and nothing of what is not. */
function assertDataSet(values: ReadonlyMap<string, number>): void {
  const of = (name: string): number | undefined =>
    values.get(`relais_data_set_${name}{set="astdb",direction="received"}`);
  assert.equal(of("snapshot_timestamp_seconds"), Date.UTC(2026, 0, 31, 11, 58, 59) / 1000);
  assert.equal(of("epoch"), 4);
  assert.equal(of("rate_bytes_per_second"), Math.round(45_056 / 0.21));
  for (const unknown of ["last_failure_timestamp_seconds", "next_run_seconds", "running_bytes"]) {
    assert.equal(of(unknown), undefined, unknown);
  }
}

Deno.test("renderMetrics() tells the failure, the next run and the progress of a set", () => {
  const [sample] = sampleStatus().dataSets;
  const values = parse(renderMetrics(sampleStatus({
    dataSets: [{
      ...sample!,
      durationMs: 0,
      bytesPerSecond: null,
      lastError: "disk full",
      lastErrorAt: "1970-01-01T00:01:00.000Z",
      failures: 2,
      nextRunInMs: 1500,
      running: { phase: "dump", doneBytes: 12, totalBytes: 600, elapsedMs: 1 },
    }],
  })));
  const of = (name: string): number | undefined =>
    values.get(`relais_data_set_${name}{set="astdb",direction="received"}`);
  assert.equal(of("failing"), 1);
  assert.equal(values.get('relais_copy_failures_total{set="astdb",direction="received"}'), 2);
  assert.equal(of("last_failure_timestamp_seconds"), 60);
  assert.equal(of("next_run_seconds"), 1.5);
  assert.equal(of("running_bytes"), 12);
  assert.equal(of("running_total_bytes"), 600);
  assert.equal(of("rate_bytes_per_second"), undefined, "no time, no rate");
});
