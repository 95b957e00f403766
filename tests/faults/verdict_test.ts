import assert from "node:assert/strict";
import type { RealBound } from "./kinds.ts";
import { VipRecord } from "./ruler.ts";
import { allowanceMs, judge, type Measured } from "./verdict.ts";

const VIP = "10.20.0.10";
const BOUND: RealBound = {
  doubleDuring: 0,
  doubleAfter: 100,
  none: 200,
  noneUntil: "rest",
  stale: 500,
  rest: 60_000,
  isolated: 250,
  interval: 50,
};

/** A question each 10 ms for 3 s; `answers` says how many answer at that time. */
function measured(
  answers: (at: number) => number,
  more: Partial<Measured> = {},
): Measured {
  const vip = new VipRecord(VIP, ["10.20.0.51"]);
  for (let at = 0; at < 3000; at += 10) {
    const ask = { at, senderMac: "02:00:00:00:00:51" };
    vip.take({ ...ask, operation: "request", senderIp: "10.20.0.51", targetIp: VIP });
    for (let n = 0; n < answers(at); n++) {
      const senderMac = `02:00:00:00:00:0${n}`;
      vip.take({ at, operation: "reply", senderMac, senderIp: VIP, targetIp: "10.20.0.51" });
    }
  }
  return {
    number: 1,
    kind: "power",
    host: "master",
    served: true,
    bound: BOUND,
    during: { from: 500, to: 1500 },
    after: { from: 1500, to: 2500 },
    undoMs: 0,
    restMs: 1000,
    vips: [vip],
    stalledMs: 0,
    daemonLateMs: 0,
    staleArpMs: 0,
    lost: 0,
    sipLost: 0,
    notes: [],
    broken: [],
    ...more,
  };
}

Deno.test("within its bounds: figures, and no violation", () => {
  const result = judge(
    measured((at) => at >= 1600 && at < 1690 ? 2 : at >= 700 && at < 850 ? 0 : 1),
  );
  assert.deepEqual(result.violations, []);
  assert.deepEqual([result.double_during_ms, result.double_ms, result.none_ms], [0, 90, 160]);
  assert.equal(result.allowance_ms, allowanceMs(0));
});

Deno.test("each bound that is broken is named, before and after the end of the fault", () => {
  const two = judge(measured((at) => at >= 1300 && at < 1700 ? 2 : 1));
  assert.equal(two.double_during_ms, 200);
  assert.equal(two.double_ms, 200);
  assert.equal(two.violations.length, 2);
  assert.match(two.violations[0]!, /during the fault: 200 ms, bound 0 \+ 20/);
  const none = judge(measured((at) => at >= 700 && at < 1000 ? 0 : 1));
  assert.match(none.violations[0]!, /nobody answered: 310 ms/);
  const rest = judge(measured(() => 1, { restMs: null, staleArpMs: 600 }));
  assert.equal(rest.violations.length, 2);
});

Deno.test("a machine that is late is allowed for, and said; a daemon that stood still excuses nobody only", () => {
  const late = judge(measured((at) => at >= 700 && at < 950 ? 0 : 1, { stalledMs: 30 }));
  assert.deepEqual(late.violations, []);
  assert.equal(late.allowance_ms, allowanceMs(30));
  const still = judge(
    measured((at) => at >= 700 && at < 1400 ? 0 : at >= 1500 && at < 2000 ? 2 : 1, {
      daemonLateMs: 300,
    }),
  );
  assert.match(still.none_excused!, /stood still for 300 ms/);
  assert.match(still.violations.join(), /^two hosts answered after/);
});

Deno.test("what is not claimed is measured all the same", () => {
  const bound = { ...BOUND, none: null, doubleDuring: null };
  const result = judge(measured((at) => at < 1000 ? 2 : at < 1400 ? 0 : 1, { bound }));
  assert.deepEqual(result.violations, []);
  assert.ok(result.double_during_ms >= 490 && result.none_ms >= 400);
});

Deno.test("a switch that is said to swallow frames must swallow them", () => {
  const one = measured(() => 1, { kind: "no-arp-requests" });
  const seen = { at: 600, senderMac: "02:00:00:00:00:00", senderIp: VIP, targetIp: VIP };
  one.vips[0]!.take({ ...seen, operation: "reply" });
  assert.deepEqual(judge(one).violations, []);
  one.vips[0]!.take({ ...seen, operation: "request" });
  assert.deepEqual(judge(one).violations, ["requests passed"]);
});
