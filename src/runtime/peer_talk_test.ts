import assert from "node:assert/strict";
import { sampleObservation, samplePeer, sampleResult } from "../../tests/support/core_sample.ts";
import { judgeHandOver, judgeNotice } from "./peer_talk.ts";

Deno.test('judgeNotice() takes "yours" only in standby, and never from an earlier epoch', () => {
  const yours = { kind: "yours", epoch: 5 } as const;
  assert.equal(judgeNotice(yours, sampleResult({ name: "standby" }), null).accepted, true);
  for (
    const name of ["starting", "rejoining", "active", "isolated", "failed", "maintenance"] as const
  ) {
    const taken = judgeNotice(yours, sampleResult({ name }), null);
    assert.equal(taken.accepted, false);
    assert.match(taken.text, new RegExp(name));
  }
  const ending = sampleResult({ name: "standby", stopAsked: true });
  assert.equal(judgeNotice(yours, ending, null).accepted, false);
  const old = judgeNotice({ kind: "yours", epoch: 4 }, sampleResult({ name: "standby" }), null);
  assert.equal(old.accepted, false);
  assert.match(old.text, /epoch 4 is over/);
});

Deno.test('judgeNotice() accepts the same "yours" again while it is being acted upon', () => {
  const yours = { kind: "yours", epoch: 5 } as const;
  for (const name of ["taking-over", "active"] as const) {
    assert.equal(judgeNotice(yours, sampleResult({ name, epoch: 6 }), 5).accepted, true);
    assert.equal(judgeNotice(yours, sampleResult({ name, epoch: 6 }), 4).accepted, false);
  }
});

Deno.test("judgeNotice() always notes that the peer leaves", () => {
  const taken = judgeNotice(
    { kind: "leaving", epoch: 1 },
    sampleResult({ name: "isolated" }),
    null,
  );
  assert.equal(taken.accepted, true);
});

Deno.test("judgeNotice() hands over for an operator there only if this node serves and the peer can", () => {
  const ask = { kind: "request-switchover", epoch: 5 } as const;
  assert.equal(judgeNotice(ask, sampleResult(), null).accepted, true);
  const unfit = sampleObservation({ peer: samplePeer({ fit: false, unfitReasons: ["no disk"] }) });
  const refused = judgeNotice(ask, sampleResult({}, unfit), null);
  assert.equal(refused.accepted, false);
  assert.match(refused.text, /no disk/);
  const unlike = sampleObservation({ peerMismatch: "the peer runs another configuration" });
  assert.match(judgeNotice(ask, sampleResult({}, unlike), null).text, /another configuration/);
});

Deno.test("judgeHandOver() tells a node that is busy from one that does not serve", () => {
  assert.match(judgeHandOver("taking-over", null).text, /wait until it is active/);
  assert.match(judgeHandOver("standby", null).text, /does not serve/);
  assert.equal(judgeHandOver("active", null).accepted, true);
});
