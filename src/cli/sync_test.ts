import assert from "node:assert/strict";
import { progressText } from "./sync.ts";

Deno.test("progressText() says what is known, and calls an estimate one", () => {
  const progress = { phase: "restore", bytes: 61_200_000, totalBytes: null };
  assert.equal(progressText(progress), "restore: 61.2 MB");
  assert.equal(
    progressText({
      ...progress,
      tablesDone: 80,
      tablesTotal: 142,
      bytesPerSecond: 5_100_000,
      remainingMs: 12_000,
    }),
    "restore: 61.2 MB, 80 of 142 tables, 5.1 MB/s, about 12 s left",
  );
  assert.equal(
    progressText({ ...progress, totalBytes: 70e6, bytesPerSecond: null, remainingMs: null }),
    "restore: 61.2 MB of 70.0 MB",
  );
  assert.equal(progressText({ phase: "verify", bytes: 0, totalBytes: null }), "verify");
});
