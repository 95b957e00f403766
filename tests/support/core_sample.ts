/**
 * One well-formed picture of the world and what the core makes of it, for tests of the runtime that change
 * a field or two.
 *
 * @module
 */

import { assess, type Situation } from "../../src/core/situation.ts";
import { initialState, type NodeState } from "../../src/core/state.ts";
import type { StepResult } from "../../src/core/step.ts";
import type { Observation, PeerReport } from "../../src/core/types.ts";
import { BALANCED, linkCase, peerCase, seenCase, vipCase } from "./core_cases.ts";

/** The moment of the samples, monotonic. */
export const NOW = 100_000;

/** A peer that stands by and could take over. */
export function samplePeer(change: Partial<PeerReport> = {}): PeerReport {
  return peerCase({ receivedAt: NOW - 100, epoch: 5, ...change });
}

/** Everything is well: the peer was heard, services run, the VIP is held here. */
export function sampleObservation(change: Partial<Observation> = {}): Observation {
  const heard = { lastIcmpAt: NOW - 50, lastHttpAt: NOW - 100, lastWitnessAt: NOW - 200 };
  return seenCase({
    links: [linkCase(heard)],
    peer: samplePeer(),
    vips: [vipCase({ heldByMe: true, unansweredProbes: 0 })],
    services: { running: "all", healthy: true },
    ...change,
  });
}

/** The result of a step in which nothing was decided. */
export function sampleResult(
  change: Partial<NodeState> = {},
  observation: Observation = sampleObservation(),
): StepResult & { readonly situation: Situation } {
  const memory = initialState(0, { epoch: 5, failbackHeld: false });
  const state: NodeState = { ...memory, name: "active", since: 40_000, ...change };
  const situation = assess(state, observation, NOW, BALANCED);
  return { state, actions: [], decision: null, situation };
}
