import assert from "node:assert/strict";
import {
  BALANCED,
  linkCase,
  NOW,
  peerCase,
  seenCase,
  stateCase,
  vipCase,
} from "../../tests/support/core_cases.ts";
import { assess, type Situation } from "./situation.ts";
import type { NodeState } from "./state.ts";
import type { LinkEvidence, Observation } from "./types.ts";

function look(seen: Partial<Observation>, state: Partial<NodeState> = {}): Situation {
  return assess(stateCase(state), seenCase(seen), NOW, BALANCED);
}

/** A link on which the peer is silent for that long. */
function silent(ms: number, changes: Partial<LinkEvidence> = {}): LinkEvidence {
  return linkCase({ lastIcmpAt: NOW - ms, lastHttpAt: NOW - ms, ...changes });
}

const NO_WITNESS_ANSWERS = { lastWitnessAt: NOW - 60_000 };

Deno.test("assess() calls a node isolated whose interfaces have no carrier, at once", () => {
  const down = linkCase({ carrier: false });
  assert.equal(look({ links: [down, down] }).isolatedWhy, "no interface has carrier");
  assert.equal(look({ links: [down, linkCase({ network: "data" })] }).isolated, false);
});

Deno.test("assess() calls a node isolated that hears neither peer nor witness for isolated_after_ms", () => {
  assert.equal(look({ links: [silent(1499, NO_WITNESS_ANSWERS)] }).isolated, false);
  const s = look({ links: [silent(1500, NO_WITNESS_ANSWERS)] });
  assert.equal(s.isolatedWhy, "neither the peer nor any witness answers on any network");
});

Deno.test("assess() calls nobody isolated whom one witness on any network answers", () => {
  const links = [silent(9000, NO_WITNESS_ANSWERS), silent(9000, { network: "data" })];
  assert.equal(look({ links }).isolated, false);
});

Deno.test("assess() cannot tell the silence of the peer from a cut without witnesses", () => {
  assert.equal(look({ links: [silent(9000, { hasWitness: false })] }).isolated, false);
});

Deno.test("assess() calls a node isolated whose VIP network has no carrier while the peer is silent", () => {
  const cut = silent(2000, { carrier: false });
  const other = silent(2000, { network: "data", hasVip: false });
  assert.match(look({ links: [cut, other] }).isolatedWhy, /no carrier on voip/);
  assert.equal(look({ links: [{ ...cut, hasVip: false }, other] }).isolated, false);
});

for (const name of ["active", "taking-over"] as const) {
  Deno.test(`assess() lets a node that is ${name} serve on when the witness falls silent after the peer`, () => {
    const links = [silent(60_000, NO_WITNESS_ANSWERS)];
    assert.equal(look({ links }, { name, peerDiedFirst: true }).isolated, false);
    assert.equal(look({ links }, { name, peerDiedFirst: false }).isolated, true);
    assert.equal(look({ links }, { name: "standby", peerDiedFirst: true }).isolated, true);
  });
}

Deno.test("assess() says nothing about isolation while the evidence is young", () => {
  const links = [silent(9000, NO_WITNESS_ANSWERS)];
  assert.equal(look({ links }, { evidenceSince: NOW - 1499 }).isolated, false);
  assert.equal(look({ links }, { evidenceSince: NOW - 1500 }).isolated, true);
});

Deno.test("assess() says daemonLost when echoes answer and HTTP does not for dead_after_ms", () => {
  assert.equal(look({ links: [linkCase({ lastHttpAt: NOW - 2999 })] }).daemonLost, false);
  assert.equal(look({ links: [linkCase({ lastHttpAt: NOW - 3000 })] }).daemonLost, true);
  assert.equal(look({ links: [silent(9000)] }).daemonLost, false);
});

Deno.test("assess() believes a report while it is fresh and newer than the evidence", () => {
  const report = (ago: number): Partial<Observation> => ({
    peer: peerCase({ receivedAt: NOW - ago }),
  });
  assert.equal(look(report(2999)).peer?.state, "standby");
  assert.equal(look(report(3000)).peer, null);
  assert.equal(look(report(500), { evidenceSince: NOW - 400 }).peer, null);
});

Deno.test("assess() calls the VIPs silent after three unanswered probes each (M1)", () => {
  assert.equal(look({ vips: [vipCase()] }).vipsSilent, true);
  assert.equal(look({ vips: [vipCase(), vipCase({ unansweredProbes: 2 })] }).vipsSilent, false);
  assert.equal(look({ vips: [] }).vipsSilent, true);
});

Deno.test("assess() proves nothing about a VIP whose network has no carrier", () => {
  assert.equal(look({ vips: [vipCase({ network: "data" })] }).vipsSilent, false);
  assert.equal(look({ vips: [vipCase(), vipCase({ network: "data" })] }).vipsSilent, true);
});

Deno.test("assess() names the holder until three probes stay unanswered", () => {
  const answered = vipCase({
    lastAnswerBy: "peer",
    lastAnswerMac: "02:00:00:00:00:01",
    lastAnswerAt: NOW - 5000,
    unansweredProbes: 2,
  });
  assert.equal(look({ vips: [answered] }).vipsHeldByPeer.length, 1);
  assert.equal(look({ vips: [{ ...answered, unansweredProbes: 3 }] }).vipsHeldByPeer.length, 0);
  assert.equal(
    look({ vips: [{ ...answered, lastAnswerBy: "stranger" }] }).vipsHeldByStranger.length,
    1,
  );
});

Deno.test("assess() forgets a second holder of my VIP after 2 s, and answers from before the move", () => {
  const second = (ago: number): Partial<Observation> => ({
    vips: [vipCase({ heldByMe: true, lastAnswerBy: "peer", lastAnswerAt: NOW - ago })],
  });
  assert.equal(look(second(1999), { name: "active" }).vipsHeldByPeer.length, 1);
  assert.equal(look(second(2000), { name: "active" }).vipsHeldByPeer.length, 0);
  assert.equal(look(second(500), { name: "active", since: NOW - 400 }).vipsHeldByPeer.length, 0);
});

Deno.test("assess() does not call a VIP silent that I hold and the peer answers for too", () => {
  const vips = [vipCase({ heldByMe: true, lastAnswerBy: "peer", lastAnswerAt: NOW })];
  assert.equal(look({ vips }).vipsSilent, false);
});

Deno.test("assess() finds one dead network of two, and none when all are silent", () => {
  const quiet = silent(3000, { lastWitnessAt: NOW - 3000 });
  const s = look({ links: [quiet, linkCase({ network: "data" })] });
  assert.deepEqual(s.networkFaults, [
    "network voip: neither its witness nor the peer answers there",
  ]);
  assert.deepEqual(look({ links: [quiet, { ...quiet, network: "data" }] }).networkFaults, []);
  const noVip = linkCase({ carrier: false, hasVip: false });
  assert.deepEqual(look({ links: [noVip, linkCase()] }).networkFaults, []);
});

Deno.test("assess() calls services ill only where they should run (B2)", () => {
  const stopped = { services: { running: "none", healthy: null } } as const;
  assert.deepEqual(look(stopped, { name: "active" }).serviceFaults, ["services: stopped"]);
  assert.deepEqual(look(stopped, { name: "standby" }).serviceFaults, []);
  const deaf = { services: { running: "all", healthy: false } } as const;
  assert.match(look(deaf, { name: "active" }).unfitReasons.join(), /telephony check fails/);
  assert.deepEqual(look({ localFaults: ["no pg_dump"] }).unfitReasons, ["no pg_dump"]);
});

Deno.test("assess() says why the peer cannot be handed the service", () => {
  const cannot = (seen: Partial<Observation>): string | null => look(seen).peerCannotTake;
  assert.equal(cannot({}), null);
  assert.equal(cannot({ links: [silent(3000)] }), "the peer is dead");
  assert.equal(cannot({ peer: null }), "the peer's relais does not answer");
  assert.match(cannot({ hasKey: false }) ?? "", /cluster key/);
  assert.equal(
    cannot({ peer: peerCase({ state: "rejoining" }) }),
    "the peer is in state rejoining",
  );
  assert.equal(
    cannot({ peer: peerCase({ fit: false, unfitReasons: ["a", "b"] }) }),
    "the peer is unfit: a; b",
  );
  assert.equal(cannot({ peer: peerCase({ ready: false }) }), "the peer is not ready");
});

Deno.test("assess() lets planned moves wait for equal configurations, not forced ones", () => {
  const s = look({ peerMismatch: "another configuration" });
  assert.equal(s.peerCannotTake, null);
  assert.equal(s.peerCannotTakePlanned, "another configuration");
});
