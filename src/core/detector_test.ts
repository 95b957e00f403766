import assert from "node:assert/strict";
import fc from "fast-check";
import "../../tests/support/seed.ts";
import { BALANCED, linkCase, NOW } from "../../tests/support/core_cases.ts";
import { daemonSilentMs, judgePeer, latest } from "./detector.ts";
import type { LinkEvidence } from "./types.ts";

const LONG_AGO = NOW - 600_000;

/** A link whose last signs are that old. */
function heard(icmpAgoMs: number | null, httpAgoMs: number | null): LinkEvidence {
  const at = (ago: number | null): number | null => ago === null ? null : NOW - ago;
  return linkCase({ lastIcmpAt: at(icmpAgoMs), lastHttpAt: at(httpAgoMs) });
}

function judge(links: readonly LinkEvidence[], since = LONG_AGO): ReturnType<typeof judgePeer> {
  return judgePeer(links, since, NOW, BALANCED);
}

Deno.test("judgePeer() says alive until two and a half intervals without a sign", () => {
  assert.equal(judge([heard(0, 0)]).verdict, "alive");
  assert.equal(judge([heard(499, 499)]).verdict, "alive");
  assert.equal(judge([heard(500, 500)]).verdict, "suspect");
});

Deno.test("judgePeer() says dead at dead_after_ms, not a millisecond before (B3, S1)", () => {
  assert.equal(judge([heard(2999, 2999)]).verdict, "suspect");
  assert.deepEqual(judge([heard(3000, 3000)]), {
    verdict: "dead",
    silentMs: 3000,
    everHeard: true,
  });
});

Deno.test("judgePeer() calls nobody dead that one signal on one link still hears", () => {
  const silent = heard(9000, 9000);
  assert.equal(judge([silent, heard(100, 9000)]).verdict, "alive");
  assert.equal(judge([silent, heard(9000, 100)]).verdict, "alive");
  assert.equal(judge([silent, silent]).verdict, "dead");
});

Deno.test("judgePeer() counts silence from the begin of the evidence: older signs are void", () => {
  assert.deepEqual(judge([heard(5000, 5000)], NOW - 1000), {
    verdict: "unknown",
    silentMs: 1000,
    everHeard: false,
  });
  assert.equal(judge([heard(5000, 5000)], NOW - 3000).verdict, "dead");
  assert.equal(judge([heard(1000, null)], NOW - 1000).verdict, "suspect");
});

Deno.test("judgePeer() without any link or sign is unknown, then dead", () => {
  assert.equal(judge([], NOW).verdict, "unknown");
  assert.equal(judge([heard(null, null)], NOW - 2999).verdict, "unknown");
  assert.equal(judge([], NOW - 3000).verdict, "dead");
});

Deno.test("judgePeer() never becomes surer of a death by hearing more", () => {
  const sureness = ["alive", "suspect", "unknown", "dead"];
  const ago = fc.option(fc.integer({ min: 0, max: 10_000 }));
  const link = fc.tuple(ago, ago).map(([icmp, http]) => heard(icmp, http));
  const since = fc.integer({ min: 0, max: 20_000 }).map((ms) => NOW - ms);
  fc.assert(fc.property(fc.array(link, { maxLength: 4 }), link, since, (links, more, from) => {
    const before = judge(links, from);
    const after = judge([...links, more], from);
    assert.ok(after.silentMs <= before.silentMs);
    assert.ok(
      before.verdict === "unknown" ||
        sureness.indexOf(after.verdict) <= sureness.indexOf(before.verdict),
    );
  }));
});

Deno.test("daemonSilentMs() counts HTTP on any link and ignores echoes", () => {
  assert.equal(daemonSilentMs([heard(0, 4000), heard(0, 2500)], LONG_AGO, NOW), 2500);
  assert.equal(daemonSilentMs([heard(0, null)], NOW - 700, NOW), 700);
});

Deno.test("latest() ignores what is older than the evidence, and nulls", () => {
  assert.equal(latest([1, null, 5, 3], 2), 5);
  assert.equal(latest([1, null], 2), null);
  assert.equal(latest([2], 2), 2);
});
