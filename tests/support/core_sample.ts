/**
 * One well-formed picture of the world and what the core makes of it, for tests of the runtime that change
 * a field or two.
 *
 * @module
 */

import { assess, type Situation } from "../../src/core/situation.ts";
import { initialState, type NodeState } from "../../src/core/state.ts";
import type { StepResult } from "../../src/core/step.ts";
import type { CoreConfig, Observation, PeerReport } from "../../src/core/types.ts";

/** The moment of the samples, monotonic. */
export const NOW = 100_000;

/** The balanced slave. */
export const SAMPLE_CORE: CoreConfig = {
  role: "slave",
  intervalMs: 200,
  isolatedAfterMs: 1500,
  deadAfterMs: 3000,
  unfitAfterMs: 10_000,
  bootGraceMs: 12_000,
  failback: { mode: "auto", stableMs: 30_000, idleDeadlineMs: null },
};

/** A peer that stands by and could take over. */
export function samplePeer(change: Partial<PeerReport> = {}): PeerReport {
  return {
    receivedAt: NOW - 100,
    role: "master",
    state: "standby",
    serving: false,
    epoch: 5,
    fit: true,
    unfitReasons: [],
    ready: true,
    hears: "alive",
    instanceId: "peer",
    version: "0.1.0",
    fingerprint: "f",
    ...change,
  };
}

/** Everything is well: the peer was heard, services run, the VIP is held here. */
export function sampleObservation(change: Partial<Observation> = {}): Observation {
  return {
    links: [{
      network: "voip",
      carrier: true,
      hasVip: true,
      lastIcmpAt: NOW - 50,
      lastHttpAt: NOW - 100,
      hasWitness: true,
      lastWitnessAt: NOW - 200,
    }],
    peer: samplePeer(),
    vips: [{
      vip: "10.20.0.10",
      network: "voip",
      heldByMe: true,
      lastAnswerBy: null,
      lastAnswerMac: null,
      lastAnswerAt: null,
      unansweredProbes: 0,
    }],
    services: { running: "all", healthy: true },
    adoptable: false,
    hostUptimeMs: 1_000_000,
    idle: null,
    failbackWindowOpen: true,
    peerMismatch: null,
    hasKey: true,
    localFaults: [],
    events: [],
    ...change,
  };
}

/** The result of a step in which nothing was decided. */
export function sampleResult(
  change: Partial<NodeState> = {},
  observation: Observation = sampleObservation(),
): StepResult & { readonly situation: Situation } {
  const memory = initialState(0, { epoch: 5, failbackHeld: false });
  const state: NodeState = { ...memory, name: "active", since: 40_000, ...change };
  const situation = assess(state, observation, NOW, SAMPLE_CORE);
  return { state, actions: [], decision: null, situation };
}
