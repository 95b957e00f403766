import assert from "node:assert/strict";
import { BALANCED, NOW, peerCase, seenCase, vipCase } from "../../tests/support/core_cases.ts";
import { learntConsent, rightOf } from "./right.ts";
import { initialState, type NodeState } from "./state.ts";
import { step } from "./step.ts";
import type { ArbiterEvidence, CoreConfig, PeerReport } from "./types.ts";

const HOLD: CoreConfig = {
  ...BALANCED,
  arbiter: { policy: "hold", ttlMs: 6000, consentMs: 3000 },
};
const RELEASE: CoreConfig = { ...HOLD, arbiter: { ...HOLD.arbiter!, policy: "release" } };

function evidence(change: Partial<ArbiterEvidence> = {}): ArbiterEvidence {
  return { right: "mine", validUntil: NOW + 3000, reaches: true, promisedUntil: null, ...change };
}

function state(name: NodeState["name"], change: Partial<NodeState> = {}): NodeState {
  const memory = initialState(NOW - 60_000, { epoch: 3, failbackHeld: false });
  return { ...memory, name, since: NOW - 30_000, ...change };
}

function consenting(askedAt: number, change: Partial<PeerReport> = {}): PeerReport {
  return peerCase({ askedAt, arbiter: { reaches: false, consents: true }, ...change });
}

const held = [vipCase({ heldByMe: true })];

Deno.test("rightOf() allows everything without an arbiter, and nothing without an answer", () => {
  const none = { consentUntil: null };
  assert.deepEqual(rightOf(none, seenCase(), NOW, BALANCED), {
    mayServe: true,
    byConsent: false,
    mayTake: true,
  });
  assert.deepEqual(rightOf(none, seenCase(), NOW, HOLD), {
    mayServe: false,
    byConsent: false,
    mayTake: false,
  });
});

Deno.test("rightOf() ends the right at validUntil, not a moment later", () => {
  const seen = seenCase({ arbiter: evidence({ validUntil: NOW }) });
  assert.equal(rightOf({ consentUntil: null }, seen, NOW - 1, HOLD).mayServe, true);
  assert.equal(rightOf({ consentUntil: null }, seen, NOW, HOLD).mayServe, false);
});

Deno.test("rightOf() takes no free right while a promise stands, and serves by consent whoever has the right", () => {
  const none = { consentUntil: null };
  const free = evidence({ right: "free", validUntil: null, promisedUntil: NOW + 1 });
  assert.equal(rightOf(none, seenCase({ arbiter: free }), NOW, HOLD).mayTake, false);
  assert.equal(rightOf(none, seenCase({ arbiter: free }), NOW + 1, HOLD).mayTake, true);
  const consent = { consentUntil: NOW + 1 };
  const unknown = evidence({ right: "unknown", validUntil: null, reaches: false });
  const seen = seenCase({ arbiter: unknown });
  assert.equal(rightOf(consent, seen, NOW, HOLD).byConsent, true);
  assert.equal(rightOf(consent, seen, NOW + 1, HOLD).mayServe, false);
  const peers = seenCase({ arbiter: evidence({ right: "peer", validUntil: null }) });
  assert.equal(rightOf(consent, peers, NOW, HOLD).byConsent, true);
  assert.equal(rightOf(consent, peers, NOW + 1, HOLD).mayServe, false);
});

Deno.test("learntConsent() counts from the question, and only under hold", () => {
  const none = { consentUntil: null };
  const seen = seenCase({ peer: consenting(NOW - 700) });
  assert.equal(learntConsent(none, seen, HOLD), NOW - 700 + 3000);
  assert.equal(learntConsent(none, seen, RELEASE), null);
  assert.equal(learntConsent(none, seen, BALANCED), null);
  const unasked = seenCase({ peer: peerCase({ arbiter: { reaches: false, consents: true } }) });
  assert.equal(learntConsent(none, unasked, HOLD), null, "a question of an unknown time is none");
});

Deno.test("learntConsent() keeps an earlier consent its time, and a peer that serves ends it", () => {
  const before = { consentUntil: NOW + 500 };
  const without = seenCase({ peer: peerCase({ arbiter: { reaches: true, consents: false } }) });
  assert.equal(learntConsent(before, without, HOLD), NOW + 500);
  assert.equal(learntConsent(before, seenCase({ peer: null }), HOLD), NOW + 500);
  const serves = seenCase({ peer: consenting(NOW, { serving: true, state: "active" }) });
  assert.equal(learntConsent(before, serves, HOLD), null);
});

Deno.test("an active node whose right ends drops its VIPs in that step; with a consent it serves on, loudly", () => {
  const arbiter = evidence({ right: "unknown", validUntil: null, reaches: false });
  const lost = step(state("active"), seenCase({ arbiter, vips: held }), NOW, HOLD);
  assert.equal(lost.decision?.rule, "N-RIGHT-LOST");
  assert.equal(lost.actions[0]?.type, "drop-vips");
  const peer = consenting(NOW - 100);
  const on = step(state("active"), seenCase({ arbiter, vips: held, peer }), NOW, HOLD);
  assert.equal(on.decision?.rule, "N-RIGHT-HOLD");
  assert.equal(on.state.name, "active");
  const release = step(state("active"), seenCase({ arbiter, vips: held, peer }), NOW, RELEASE);
  assert.equal(release.decision?.rule, "N-RIGHT-LOST");
});

Deno.test("maintenance outranks the arbiter: what is adopted for it is not let go", () => {
  const arbiter = evidence({ right: "unknown", validUntil: null });
  const seen = seenCase({ arbiter, vips: held, adoptable: true });
  const starting = state("starting", { maintenanceAsked: "on" });
  const adopted = step(starting, seen, NOW, HOLD);
  assert.equal(adopted.decision?.rule, "N-ADOPT");
  const next = step(adopted.state, { ...seen, adoptable: false }, NOW, HOLD);
  assert.equal(next.decision?.rule, "N-MAINTENANCE");
  const plain = step(state("starting"), seen, NOW, HOLD);
  assert.notEqual(plain.decision?.rule, "N-ADOPT");
});

Deno.test("a planned move under release needs an arbiter that both reach; under hold it does not", () => {
  const arbiter = evidence({ right: "unknown", validUntil: null, reaches: false });
  const peer = peerCase({ arbiter: { reaches: true, consents: false } });
  const why = (config: CoreConfig, reaches: boolean, peerReaches: boolean): string | null =>
    step(
      state("active"),
      seenCase({
        vips: held,
        arbiter: { ...arbiter, reaches },
        peer: { ...peer, arbiter: { reaches: peerReaches, consents: false } },
      }),
      NOW,
      config,
    ).situation.peerCannotTakePlanned;
  assert.match(why(RELEASE, false, true) ?? "", /does not answer this node/);
  assert.match(why(RELEASE, true, false) ?? "", /does not answer the peer/);
  assert.equal(why(RELEASE, true, true), null);
  assert.equal(why(HOLD, false, false), null);
});
