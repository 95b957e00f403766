import assert from "node:assert/strict";
import { ProgressRate } from "./progress_rate.ts";

Deno.test("ProgressRate says the rate of the last seconds and estimates the rest", () => {
  const rate = new ProgressRate(10_000_000);
  const at = (seconds: number, bytes: number, phase = "restore") => {
    const { bytesPerSecond, remainingMs } = rate.add(
      { phase, bytes, totalBytes: null },
      seconds * 1000,
    );
    return [bytesPerSecond, remainingMs];
  };
  assert.deepEqual(at(0, 0), [null, null], "nothing is known yet");
  assert.deepEqual(at(0.5, 500_000), [null, null]);
  assert.deepEqual(at(2, 2_000_000), [1_000_000, 8000]);
  // It stands still: the rate falls to 0, and nobody knows for how long.
  for (let second = 3; second < 40; second++) at(second, 2_000_000);
  assert.deepEqual(at(40, 2_000_000), [0, null]);
  // Larger than the last copy: no estimate instead of a wrong one.
  assert.equal(at(41, 11_000_000)[1], null);
  assert.deepEqual(at(42, 0, "verify"), [null, null], "another phase begins anew");
});

Deno.test("ProgressRate knows no rest without a size", () => {
  const rate = new ProgressRate(null);
  rate.add({ phase: "send", bytes: 0, totalBytes: null }, 0);
  const later = rate.add({ phase: "send", bytes: 5000, totalBytes: null }, 5000);
  assert.deepEqual([later.bytesPerSecond, later.remainingMs], [1000, null]);
  const known = rate.add({ phase: "send", bytes: 6000, totalBytes: 16_000 }, 6000);
  assert.deepEqual([known.bytesPerSecond, known.remainingMs], [1000, 10_000]);
});
