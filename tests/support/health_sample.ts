/** Well-formed documents of the HTTP side, for tests that change a field or two. */

import type { HealthBody, StatusDocument } from "../../src/health/types.ts";

/** A slave that stands by. */
export function sampleHealth(change: Partial<HealthBody> = {}): HealthBody {
  return {
    role: "slave",
    state: "standby",
    serving: false,
    epoch: 4,
    fit: true,
    unfitReasons: [],
    ready: true,
    hears: "alive",
    instanceId: "5d0c8f5e-0000-4000-8000-000000000002",
    version: "0.1.0",
    fingerprint: "f".repeat(64),
    seq: 17,
    bootId: "b00t",
    dataAges: { astdb: 61_000, database: 1_800_000, files: null },
    ...change,
  };
}

/** The status of a slave that took over and serves. */
export function sampleStatus(change: Partial<StatusDocument> = {}): StatusDocument {
  return {
    node: {
      role: "slave",
      state: "active",
      since: "2026-01-31T12:00:00.000Z",
      stateForMs: 90_000,
      epoch: 5,
      rule: "S-TAKE",
      why: "the peer is silent on all links",
      instanceId: "5d0c8f5e-0000-4000-8000-000000000002",
      bootId: "b00t",
      version: "0.1.0",
      denort: "official",
      configFingerprint: "f".repeat(64),
      clusterName: "siege",
      pid: 4242,
      uptimeMs: 3_600_000,
    },
    peer: {
      verdict: "dead",
      addresses: [{ network: "voip", address: "10.20.0.11" }],
      report: sampleHealth({ role: "master", state: "active", epoch: 4, serving: true }),
      reportAgeMs: 93_000,
      silentForMs: 93_000,
      configMatches: true,
      versionMatches: true,
    },
    links: [{
      network: "voip",
      interface: "eth0",
      carrier: true,
      icmp: { lastReplyAgoMs: 93_000, rttMs: 0.4, sent: 9000, received: 8900, ignored: 2 },
      http: {
        lastReplyAgoMs: 93_100,
        rttMs: 1.2,
        sent: 1800,
        received: 1790,
        ignored: 0,
        lastError: "Cannot get an answer of 10.20.0.11:8460 as it took longer than 500 ms",
      },
      witnesses: [{ address: "10.20.0.254", lastReplyAgoMs: 400 }],
    }],
    vips: [{
      vip: "10.20.0.10",
      network: "voip",
      heldByMe: true,
      holder: "me",
      holderMac: null,
      unansweredProbes: 3,
    }],
    services: { driver: "systemd", names: ["asterisk.service"], running: "all", healthy: true },
    dataSets: [{
      set: "astdb",
      direction: "received",
      snapshot: "2026-01-31T11:58:59.000Z",
      ageMs: 151_000,
      size: 45_056,
      sha256: "a".repeat(64),
      durationMs: 210,
      epoch: 4,
      origin: "master",
      lastError: null,
      lastErrorAt: null,
      nextRunInMs: null,
      running: null,
    }],
    goal: null,
    maintenance: false,
    isolated: false,
    fit: true,
    unfitReasons: [],
    ready: false,
    alerts: [],
    history: [{
      at: "2026-01-31T12:00:00.000Z",
      rule: "S-TAKE",
      from: "standby",
      to: "taking-over",
      why: "the peer is silent on all links",
    }],
    counters: {
      httpGarbage: 1,
      httpRefused: 2,
      icmpIgnored: 3,
      arpGarbage: 4,
      messagesRefused: 5,
      messagesAccepted: 6,
    },
    loop: { lagMs: 1.5, lastTickAgoMs: 40 },
    ...change,
  };
}
