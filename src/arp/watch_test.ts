import assert from "node:assert/strict";
import { ProbeCount } from "./probe.ts";
import { VipWatch } from "./watch.ts";

const OWN = "02:00:00:00:00:01";
const PEER = "02:00:00:00:00:02";
const STRANGER = "02:00:00:00:00:03";
const VIP = "10.0.0.10";

function watching(): VipWatch {
  return new VipWatch({
    network: "voip",
    vips: [VIP, "10.0.0.20"],
    peerAddress: "10.0.0.2",
    ownMacs: [OWN, "02:00:00:00:01:01"],
  });
}

Deno.test("ProbeCount counts a probe once it had time to be answered", () => {
  const count = new ProbeCount();
  count.sent(0);
  assert.equal(count.unanswered(24.9), 0);
  assert.equal(count.unanswered(25), 1);
  count.sent(30);
  count.sent(40);
  assert.equal(count.unanswered(60), 2);
  assert.equal(count.unanswered(65), 3);
  count.sent(70);
  count.reset();
  assert.equal(count.unanswered(1000), 0, "an answer takes waiting probes back too");
});

Deno.test("ProbeCount stays bounded and never counts more probes than were sent", () => {
  const count = new ProbeCount();
  for (let i = 0; i < 1000; i++) count.sent(0);
  const unanswered = count.unanswered(100);
  assert.ok(unanswered > 0 && unanswered < 1000);
});

Deno.test("VipWatch says nothing of a VIP that nobody spoke for", () => {
  assert.deepEqual(watching().evidence(0)[0], {
    vip: VIP,
    network: "voip",
    lastAnswerBy: null,
    lastAnswerMac: null,
    lastAnswerAt: null,
    unansweredProbes: 0,
  });
});

Deno.test("VipWatch judges an answer when it is read: the peer may be known later", () => {
  const watch = watching();
  watch.heard({ address: VIP, mac: PEER }, 5);
  assert.equal(watch.evidence(6)[0]?.lastAnswerBy, "stranger");
  watch.heard({ address: "10.0.0.2", mac: PEER }, 7);
  assert.equal(watch.peerMac, PEER);
  const [answers] = watch.evidence(8);
  assert.equal(answers?.lastAnswerBy, "peer");
  assert.equal(answers?.lastAnswerMac, PEER);
  assert.equal(answers?.lastAnswerAt, 5);
});

Deno.test("VipWatch takes every Ethernet address that spoke for the peer's own address as the peer's", () => {
  const watch = watching();
  watch.heard({ address: "10.0.0.2", mac: PEER }, 0);
  watch.heard({ address: "10.0.0.2", mac: "02:00:00:00:00:22" }, 0);
  watch.heard({ address: VIP, mac: PEER }, 0);
  assert.equal(watch.evidence(0)[0]?.lastAnswerBy, "peer");
  // Bounded: the oldest are forgotten.
  for (let i = 0; i < 8; i++) watch.heard({ address: "10.0.0.2", mac: `02:00:00:00:07:0${i}` }, 0);
  assert.equal(watch.evidence(0)[0]?.lastAnswerBy, "stranger");
});

Deno.test("VipWatch takes frames of this host's own interfaces for no evidence", () => {
  const watch = watching();
  assert.equal(watch.heard({ address: VIP, mac: OWN }, 0), "own");
  assert.equal(watch.heard({ address: VIP, mac: "02:00:00:00:01:01" }, 0), "own");
  assert.equal(watch.evidence(0)[0]?.lastAnswerMac, null);
});

Deno.test("VipWatch: an answer resets the unanswered probes of its VIP only", () => {
  const watch = watching();
  for (const vip of watch.notHeld) watch.probed(vip, 0);
  assert.deepEqual(watch.evidence(30).map((answers) => answers.unansweredProbes), [1, 1]);
  watch.heard({ address: VIP, mac: STRANGER }, 31);
  assert.deepEqual(watch.evidence(31).map((answers) => answers.unansweredProbes), [0, 1]);
});

Deno.test("VipWatch reports others who speak for a VIP while it is held, not in a flood", () => {
  const watch = watching();
  const claim = { address: VIP, mac: STRANGER };
  assert.equal(watch.heard(claim, 0), null, "not held");
  watch.setHeld(new Set([VIP]));
  assert.deepEqual(watch.heard(claim, 1), { vip: VIP, mac: STRANGER, by: "stranger", atMs: 1 });
  assert.equal(watch.heard(claim, 100), null);
  assert.notEqual(watch.heard(claim, 101), null);
  watch.heard({ address: "10.0.0.2", mac: PEER }, 102);
  assert.deepEqual(
    watch.heard({ address: VIP, mac: PEER }, 103),
    { vip: VIP, mac: PEER, by: "peer", atMs: 103 },
    "another holder is news",
  );
  watch.setHeld(new Set());
  assert.equal(watch.heard(claim, 500), null);
});

Deno.test("VipWatch asks for VIPs that are not held and forgets probes when that changes", () => {
  const watch = watching();
  watch.probed(VIP, 0);
  watch.setHeld(new Set([VIP]));
  assert.deepEqual(watch.notHeld, ["10.0.0.20"]);
  assert.equal(watch.evidence(100)[0]?.unansweredProbes, 0);
});

Deno.test("VipWatch.discard() forgets answers and probes but not who the peer is", () => {
  const watch = watching();
  watch.heard({ address: "10.0.0.2", mac: PEER }, 0);
  watch.heard({ address: VIP, mac: PEER }, 0);
  watch.probed("10.0.0.20", 0);
  watch.discard();
  for (const answers of watch.evidence(100)) {
    assert.equal(answers.lastAnswerAt, null);
    assert.equal(answers.unansweredProbes, 0);
  }
  assert.equal(watch.peerMac, PEER);
});
