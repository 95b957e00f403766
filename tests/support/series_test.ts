import assert from "node:assert/strict";
import fc from "fast-check";
import "./seed.ts";
import { median, Series } from "./series.ts";

/** One request each 5 ms; `.` answered by a, `b` answered by b, `x` lost. */
function seriesOf(picture: string): Series {
  const series = new Series();
  for (const [i, char] of [...picture].entries()) {
    series.sent(i * 5);
    if (char !== "x") series.answered(i, { rttMs: 0.2, by: char === "b" ? "b" : "a" });
  }
  return series;
}

Deno.test("Series measures an outage from the last answered to the next answered request", () => {
  const { outages, lost, longestOutageMs, by } = seriesOf("...xxxbb").summary(0, 8);
  assert.deepEqual(outages, [
    { fromMs: 10, toMs: 30, outageMs: 20, lost: 3, before: "a", after: "b" },
  ]);
  assert.equal(lost, 3);
  assert.equal(longestOutageMs, 20);
  assert.deepEqual(by, { a: 3, b: 2 });
});

Deno.test("Series counts an outage in the phase where it began and an open one up to now", () => {
  const series = seriesOf("..xxx.xx");
  assert.equal(series.summary(0, 3).outages.length, 1);
  assert.equal(series.summary(0, 3).outages[0]?.toMs, 25);
  assert.equal(series.summary(3, 6).outages.length, 0);
  assert.equal(series.summary(3, 6).lost, 2);
  assert.deepEqual(series.summary(6, 8).outages.map(({ toMs, outageMs }) => ({ toMs, outageMs })), [
    { toMs: null, outageMs: 10 },
  ]);
});

Deno.test("Series notes requests that two parties answered, and refusals", () => {
  const series = seriesOf("..");
  series.answered(1, { rttMs: 0.3, by: "b" });
  series.refused(0);
  assert.equal(series.answered(7, { rttMs: 1, by: "a" }), false);
  const summary = series.summary(0, 2);
  assert.equal(summary.answeredByTwo, 1);
  assert.equal(summary.refused, 1);
  assert.equal(summary.medianRttMs, 0.2);
});

Deno.test("Series loses nothing: requests of all outages are the lost requests", () => {
  fc.assert(fc.property(fc.array(fc.constantFrom(".", "x", "b"), { maxLength: 60 }), (picture) => {
    const { sent, answered, lost, outages } = seriesOf(picture.join("")).summary(0, picture.length);
    assert.equal(sent, answered + lost);
    assert.equal(lost, outages.reduce((sum, outage) => sum + outage.lost, 0));
  }));
});

Deno.test("Series draws a strip: who answered in each part, null where a request was lost", () => {
  const series = seriesOf("....xxxxbbbb"); // sent at 0, 5, … 55
  assert.deepEqual(series.strip(0, 60, 6), ["a", "a", null, null, "b", "b"]);
  assert.deepEqual(series.strip(15, 25, 1), [null]);
  assert.deepEqual(series.strip(0, 10, 4), ["a", "a", "a", "a"]);
});

Deno.test("median() of nothing, odd and even counts", () => {
  assert.equal(median([]), null);
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
});
