import assert from "node:assert/strict";
import { after, lastByFirst, type Point, slopePerHour } from "./flat.ts";

const HOUR_MS = 3_600_000;

/** One point each 5 s for an hour. */
function hour(value: (index: number) => number): Point[] {
  return Array.from({ length: 720 }, (_, i) => ({ atMs: i * 5000, value: value(i) }));
}

Deno.test("slopePerHour() finds a leak of 3 MB per hour under the saw teeth of a garbage collector", () => {
  const slope = slopePerHour(hour((i) => 90 + 3 * i / 720 + (i % 13) * 0.4));
  assert.ok(Math.abs(slope - 3) < 0.1, `${slope}`);
});

Deno.test("slopePerHour() is not moved by a fifth of the points being anything", () => {
  const slope = slopePerHour(hour((i) => i % 5 === 0 ? 90 + i : 90));
  assert.equal(slope, 0);
});

Deno.test("slopePerHour() of a step is its rise by the time, not zero", () => {
  assert.ok(slopePerHour(hour((i) => i < 360 ? 90 : 96)) > 0);
});

Deno.test("slopePerHour() of one point is NaN", () => {
  assert.ok(Number.isNaN(slopePerHour([{ atMs: 0, value: 1 }])));
  assert.ok(Number.isNaN(slopePerHour([])));
});

Deno.test("lastByFirst() compares medians, and says nothing of too few values", () => {
  assert.equal(lastByFirst([10, 10, 99, 20, 20, 0], 3), 2);
  assert.ok(Number.isNaN(lastByFirst([10, 10, 10], 2)));
});

Deno.test("after() leaves the warm-up out", () => {
  const points = [{ atMs: 0, value: 1 }, { atMs: HOUR_MS, value: 2 }];
  assert.deepEqual(after(points, HOUR_MS), [points[1]]);
});
