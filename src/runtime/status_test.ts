import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { localConfig, parseConfig } from "../config/load.ts";
import { HealthBody, StatusDocument } from "../health/types.ts";
import { NOW, sampleObservation, sampleResult } from "../../tests/support/core_sample.ts";
import { sampleHealth, sampleStatus } from "../../tests/support/health_sample.ts";
import type { LinkView } from "./links.ts";
import { gateAlert, isReady, isServing, makeHealth, makeStatus, peerMismatch } from "./status.ts";

const SAMPLE = fileURLToPath(new URL("../../packaging/conf/relais.toml", import.meta.url));
const CONFIG = localConfig(parseConfig(await Deno.readTextFile(SAMPLE)), "slave");
const IDENTITY = {
  instanceId: "me",
  bootId: "boot",
  version: "0.1.0",
  denort: "official",
  pid: 7,
  startedAt: 30_000,
} as const;

function view(change: Partial<LinkView> = {}): LinkView {
  return {
    network: CONFIG.networks[0]!,
    peerAddress: "10.20.0.11",
    interface: null,
    vipLink: null,
    lastIcmpAt: null,
    icmpRttMs: null,
    icmpSent: 3,
    icmpReceived: 0,
    lastHttpAt: null,
    httpRttMs: null,
    httpError: null,
    witnessAt: new Map([["10.20.0.254", NOW - 300]]),
    nextPingAt: 0,
    nextWitnessAt: 0,
    nextHttpAt: 0,
    lastVipProbeAt: 0,
    nextPeerMacAt: 0,
    ...change,
  };
}

function input(
  change: Partial<Parameters<typeof makeStatus>[0]> = {},
): Parameters<typeof makeStatus>[0] {
  return {
    config: CONFIG,
    configLoadedAt: Date.UTC(2026, 0, 31, 11),
    identity: IDENTITY,
    result: sampleResult({ rule: "S-TAKE", why: "the master is dead", detail: "silent for 3 s" }),
    observation: sampleObservation(),
    views: [view()],
    httpCounters: () => ({ sent: 1, received: 2, ignored: 3, skipped: 0 }),
    report: null,
    serviceNames: ["asterisk.service"],
    gate: { installed: ["asterisk.service"], missing: [], open: true, flag: "/run/relais/serving" },
    shield: null,
    dataSets: sampleStatus().dataSets,
    stream: null,
    arbiter: null,
    verification: sampleStatus().verification,
    fencing: sampleStatus().fencing,
    goal: null,
    history: [],
    alerts: [],
    counters: sampleStatus().counters,
    refusals: sampleStatus().refusals,
    keys: sampleStatus().node.keys,
    loop: { lagMs: 0, lastTickAgoMs: 1 },
    now: NOW,
    wallNow: Date.UTC(2026, 0, 31, 12),
    ...change,
  };
}

Deno.test("makeStatus() makes a document that the schema takes, with times as ages", () => {
  const status = makeStatus(input({ goal: { goal: "take", step: "announce", since: NOW - 1500 } }));
  StatusDocument.parse(JSON.parse(JSON.stringify(status)));
  assert.equal(status.node.stateForMs, 60_000);
  assert.equal(status.node.since, "2026-01-31T11:59:00.000Z");
  assert.equal(status.node.why, "the master is dead (silent for 3 s)");
  assert.equal(status.node.uptimeMs, 70_000);
  assert.equal(status.node.configLoadedAt, "2026-01-31T11:00:00.000Z");
  assert.deepEqual(status.goal, { name: "take", step: "announce", sinceMs: 1500 });
  assert.deepEqual(status.links[0]?.witnesses, [{ address: "10.20.0.254", lastReplyAgoMs: 300 }]);
});

Deno.test("makeStatus() says null, never zero, for what was not heard", () => {
  const { peer, links } = makeStatus(input());
  assert.deepEqual(
    [peer.report, peer.reportAgeMs, peer.silentForMs, peer.configMatches, peer.versionMatches],
    [null, null, null, null, null],
  );
  assert.deepEqual([links[0]?.icmp.lastReplyAgoMs, links[0]?.interface, links[0]?.carrier], [
    null,
    null,
    false,
  ]);
});

Deno.test("makeStatus() compares the peer's configuration and version, and measures its silence", () => {
  const body = sampleHealth({ fingerprint: CONFIG.fingerprint, version: "0.0.9" });
  const views = [view({ lastIcmpAt: NOW - 700, lastHttpAt: NOW - 900 })];
  const { peer } = makeStatus(input({ report: { body, at: NOW - 900 }, views }));
  assert.deepEqual([peer.configMatches, peer.versionMatches], [true, false]);
  assert.deepEqual([peer.silentForMs, peer.reportAgeMs], [700, 900]);
});

Deno.test("makeStatus() shows the gate, and since when the shield is up and until when", () => {
  const gate = { installed: ["a.service"], missing: ["b.service"], open: false, flag: "/f" };
  const shield = { since: NOW - 2000, until: NOW + 60_000 };
  const status = makeStatus(input({ gate, shield }));
  StatusDocument.parse(JSON.parse(JSON.stringify(status)));
  assert.deepEqual(status.gate, {
    installed: false,
    open: false,
    flag: "/f",
    units: ["a.service"],
    missing: ["b.service"],
  });
  assert.equal(status.shield.since, new Date(Date.UTC(2026, 0, 31, 12) - 2000).toISOString());
  assert.equal(status.shield.endsInMs, 60_000);
  assert.match(gateAlert(gate) ?? "", /^The gate is missing on b\.service: something else/);
  const without = makeStatus(input());
  assert.equal(without.gate.installed, true);
  assert.deepEqual(without.shield, { ...without.shield, up: false, since: null, endsInMs: null });
  assert.equal(gateAlert({ missing: [] }), null);
});

Deno.test("makeStatus() tells who holds a VIP", () => {
  const [vip] = sampleObservation().vips;
  const mac = "02:00:00:00:00:99";
  const holders = [
    { heldByMe: true },
    { heldByMe: false, unansweredProbes: 3, lastAnswerBy: "peer" as const, lastAnswerMac: mac },
    { heldByMe: false, unansweredProbes: 1, lastAnswerBy: "stranger" as const, lastAnswerMac: mac },
    { heldByMe: false, unansweredProbes: 1 },
  ].map((change) => ({ ...vip!, ...change }));
  const { vips } = makeStatus(input({ observation: sampleObservation({ vips: holders }) }));
  assert.deepEqual(vips.map(({ holder, holderMac }) => [holder, holderMac]), [
    ["me", null],
    ["nobody", null],
    ["stranger", mac],
    ["unknown", null],
  ]);
});

Deno.test("makeStatus() keeps its bounds whatever the parts show", () => {
  const alerts = Array.from({ length: 300 }, (_, i) => `alert ${i}`);
  const long = sampleResult({ why: "w".repeat(1000), detail: "d".repeat(5000) });
  const status = makeStatus(input({ alerts, result: long }));
  assert.equal(status.alerts.length, 100);
  assert.equal(status.alerts.at(-1), "alert 299");
  assert.equal(status.node.why.length, 2000);
  StatusDocument.parse(status);
});

Deno.test("makeHealth() carries the ages of what was received, for the peer and for probes", () => {
  const addressee = "our name";
  const body = makeHealth({ ...input(), addressee }, 17);
  HealthBody.parse(body);
  assert.deepEqual([body.addressee, body.keys], [addressee, sampleStatus().node.keys]);
  assert.deepEqual(body.dataAges, { astdb: 151_000, database: null, files: null });
  assert.deepEqual([body.state, body.serving, body.ready, body.fit, body.seq], [
    "active",
    true,
    false,
    true,
    17,
  ]);
  const observation = sampleObservation({ services: { running: "none", healthy: false } });
  const result = sampleResult({}, observation);
  const ill = makeHealth({ ...input({ result }), addressee }, 18);
  assert.deepEqual([ill.fit, ill.unfitReasons], [false, ["services: stopped"]]);
});

Deno.test("isServing() and isReady() by state", () => {
  const serves = ["taking-over", "active", "handing-back"] as const;
  for (const name of serves) assert.equal(isServing(sampleResult({ name })), true, name);
  assert.equal(isServing(sampleResult({ name: "standby" })), false);
  for (const servedBeforeMaintenance of [true, false]) {
    const result = sampleResult({ name: "maintenance", servedBeforeMaintenance });
    assert.equal(isServing(result), servedBeforeMaintenance);
  }
  assert.equal(isReady(sampleResult({ name: "standby" })), true);
  assert.equal(isReady(sampleResult({ name: "standby", stopAsked: true })), false);
  assert.equal(isReady(sampleResult()), false);
});

Deno.test("peerMismatch() is silent while the peer is unknown or agrees", () => {
  assert.equal(peerMismatch({ fingerprint: "a" }, null), null);
  assert.equal(peerMismatch({ fingerprint: "a" }, sampleHealth({ fingerprint: "a" })), null);
  assert.match(peerMismatch({ fingerprint: "a" }, sampleHealth()) ?? "", /another configuration/);
});
