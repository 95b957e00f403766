import assert from "node:assert/strict";
import { sampleHealth, sampleStatus } from "../../tests/support/health_sample.ts";
import { HealthBody, peerReport, StatusDocument } from "./types.ts";

Deno.test("StatusDocument is documented field by field in docs/status-json.md", async () => {
  const doc = await Deno.readTextFile(new URL("../../docs/status-json.md", import.meta.url));
  const names = new Set<string>();
  const collect = (value: unknown): void => {
    if (Array.isArray(value)) return value.forEach(collect);
    if (typeof value !== "object" || value === null) return;
    for (const [name, inner] of Object.entries(value)) {
      names.add(name);
      // The peer's report is described in http.md.
      if (name !== "report") collect(inner);
    }
  };
  collect(sampleStatus({ goal: { name: "take", step: "mount", sinceMs: 1 } }));
  const missing = [...names].filter((name) => !new RegExp(`\\b${name}\\b`).test(doc));
  assert.deepEqual(missing, []);
});

Deno.test("HealthBody takes what a newer peer adds, and nothing malformed or without bound", () => {
  const parsed = HealthBody.parse({ ...sampleHealth(), novelty: 1 });
  assert.deepEqual(parsed, sampleHealth());
  const bad: readonly Record<string, unknown>[] = [
    { state: "happy" },
    { epoch: -1 },
    { epoch: 1.5 },
    { instanceId: "" },
    { unfitReasons: ["x".repeat(3000)] },
    { unfitReasons: new Array(51).fill("x") },
    { dataAges: null },
  ];
  for (const change of bad) {
    assert.ok(!HealthBody.safeParse({ ...sampleHealth(), ...change }).success);
  }
});

Deno.test("peerReport() stamps the part of a body that the core decides on", () => {
  const report = peerReport(sampleHealth(), 40, 42);
  assert.equal(report.receivedAt, 42);
  assert.equal(report.state, "standby");
  assert.ok(!("seq" in report));
});

Deno.test("StatusDocument accepts its sample and refuses a state that is none", () => {
  const status = sampleStatus();
  assert.deepEqual(StatusDocument.parse(JSON.parse(JSON.stringify(status))), status);
  const node = { ...status.node, state: "happy" };
  assert.ok(!StatusDocument.safeParse({ ...status, node }).success);
});
