import assert from "node:assert/strict";
import type { ReloadResult } from "../health/control_app.ts";
import { refusalSentence, reloadText } from "./reload_text.ts";

function result(change: Partial<ReloadResult>): ReloadResult {
  const nothing = { changes: [], problems: [], notes: [] };
  return { ok: true, text: "", outcome: "applied", ...nothing, ...change };
}

Deno.test("reloadText() lists what was applied and what follows from it, a line each", () => {
  const changes = ["failback.stable_s: 90 s, was 2 s", "services.units: added b.service"];
  assert.equal(
    reloadText(result({ changes, notes: ["started: b.service"] })),
    "Applied 2 changes:\n  failback.stable_s: 90 s, was 2 s\n  services.units: added b.service\n" +
      "  started: b.service",
  );
  assert.match(reloadText(result({ outcome: "unchanged" })), /^Nothing to apply/);
});

Deno.test("reloadText() says of each refusal that nothing was changed, with all of its reasons", () => {
  const problems = ["a: must be b (got c)", "d: must be e (got f)"];
  assert.equal(
    reloadText(result({ outcome: "bad-config", problems })),
    "The configuration is refused, 2 problems; the one before stays in force:\n" +
      "  a: must be b (got c)\n  d: must be e (got f)",
  );
  for (const outcome of ["no-config", "misconfigured", "refused", "busy"] as const) {
    const text = reloadText(result({ outcome, problems }));
    assert.match(text, /^Nothing was changed/, outcome);
    for (const problem of problems) assert.ok(text.includes(problem), problem);
  }
});

Deno.test("refusalSentence() has the first reason, the number of the others, and what to do", () => {
  const problems = ["a: must be b (got c)", "d", "e"];
  const sentence = refusalSentence(result({ problems }), Date.UTC(2026, 0, 31, 11));
  assert.match(sentence, /\(a: must be b \(got c\) and 2 more\)/);
  assert.match(sentence, /of 2026-01-31T11:00:00\.000Z is in force; .* run: relais reload$/);
});
