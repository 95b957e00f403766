import assert from "node:assert/strict";
import { ADDRESSES_MAX, PER_ADDRESS, RequestPace, TOGETHER, WAIT_MAX_MS } from "./request_pace.ts";

Deno.test("RequestPace lets the burst through at once, then holds back to the rate, then refuses", () => {
  const pace = new RequestPace();
  for (let i = 0; i < PER_ADDRESS.burst; i++) assert.equal(pace.ask("a", 0), 0);
  const everyMs = 1000 / PER_ADDRESS.perSecond;
  assert.equal(pace.ask("a", 0), everyMs);
  assert.equal(pace.ask("a", 0), 2 * everyMs);
  let last: number | null = 0;
  let held = 0;
  while ((last = pace.ask("a", 0)) !== null) {
    held++;
    assert.ok(last <= WAIT_MAX_MS && held < 1000);
  }
  assert.equal(pace.ask("b", 0), 0, "another address does not suffer");
  // Refused ones do not make it worse: once the debt is paid, the burst is there again.
  const restMs = WAIT_MAX_MS + 1000 * PER_ADDRESS.burst / PER_ADDRESS.perSecond;
  for (let i = 0; i < PER_ADDRESS.burst; i++) assert.equal(pace.ask("a", restMs), 0);
});

Deno.test("RequestPace bounds all addresses together", () => {
  const pace = new RequestPace();
  let atOnce = 0;
  for (let i = 0; i < 2000; i++) if (pace.ask(`a${i % 200}`, 0) === 0) atOnce++;
  assert.equal(atOnce, TOGETHER.burst);
});

Deno.test("RequestPace in steady use at half its rate never waits", () => {
  const pace = new RequestPace();
  for (let now = 0; now < 60_000; now += 2000 / PER_ADDRESS.perSecond) {
    assert.equal(pace.ask("a", now), 0);
  }
});

Deno.test("RequestPace remembers a bounded number of addresses", () => {
  const pace = new RequestPace();
  for (let i = 0; i < 10_000; i++) pace.ask(`fd00::${i.toString(16)}`, i);
  assert.ok(pace.size <= ADDRESSES_MAX + 1, `${pace.size}`);
  assert.equal(pace.ask("10.0.0.1", 1e9), 0);
});
