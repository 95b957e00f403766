/**
 * Plain input of the decision core for unit tests: everything is well, unless a test says otherwise.
 *
 * @module
 */

import { initialState, type NodeState } from "../../src/core/state.ts";
import type {
  CoreConfig,
  LinkEvidence,
  Observation,
  PeerReport,
  VipEvidence,
} from "../../src/core/types.ts";

/** The `now` of unit tests, monotonic ms. */
export const NOW = 1_000_000;

/** Preset `balanced`, a slave. */
export const BALANCED: CoreConfig = {
  role: "slave",
  intervalMs: 200,
  isolatedAfterMs: 1500,
  deadAfterMs: 3000,
  unfitAfterMs: 10_000,
  bootGraceMs: 12_000,
  failback: { mode: "auto", stableMs: 30_000, idleDeadlineMs: null },
};

/** A link on which everybody was heard at {@linkcode NOW}. */
export function linkCase(changes: Partial<LinkEvidence> = {}): LinkEvidence {
  return {
    network: "voip",
    carrier: true,
    hasVip: true,
    lastIcmpAt: NOW,
    lastHttpAt: NOW,
    hasWitness: true,
    lastWitnessAt: NOW,
    ...changes,
  };
}

/** A VIP that nobody answers for. */
export function vipCase(changes: Partial<VipEvidence> = {}): VipEvidence {
  return {
    vip: "10.20.0.10",
    network: "voip",
    heldByMe: false,
    lastAnswerBy: null,
    lastAnswerMac: null,
    lastAnswerAt: null,
    unansweredProbes: 3,
    ...changes,
  };
}

/** A fit peer in standby, heard at {@linkcode NOW}. */
export function peerCase(changes: Partial<PeerReport> = {}): PeerReport {
  return {
    receivedAt: NOW,
    role: "master",
    state: "standby",
    serving: false,
    epoch: 3,
    fit: true,
    unfitReasons: [],
    ready: true,
    hears: "alive",
    instanceId: "peer-1",
    version: "test",
    fingerprint: "same",
    ...changes,
  };
}

/** One link, one VIP, a peer in standby. */
export function seenCase(changes: Partial<Observation> = {}): Observation {
  return {
    links: [linkCase()],
    peer: peerCase(),
    vips: [vipCase()],
    services: { running: "none", healthy: null },
    adoptable: false,
    hostUptimeMs: 10_000_000,
    idle: null,
    failbackWindowOpen: true,
    peerMismatch: null,
    hasKey: true,
    localFaults: [],
    events: [],
    ...changes,
  };
}

/** A memory in that state, one minute old. */
export function stateCase(changes: Partial<NodeState> = {}): NodeState {
  return {
    ...initialState(NOW - 60_000, { epoch: 3, failbackHeld: false }),
    name: "standby",
    ...changes,
  };
}
