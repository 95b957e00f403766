/**
 * What must hold for every step of one node, whatever it sees. Tests check them over random sequences,
 * the simulation checks them at each step of both nodes.
 *
 * @module
 */

import { PROBES_FOR_SILENCE, SERVING_STATES } from "./situation.ts";
import type { NodeState } from "./state.ts";
import type { StepResult } from "./step.ts";
import type { CoreConfig, Observation, StateName } from "./types.ts";

/** One step with everything that went in and came out. */
export interface StepTrace {
  readonly before: NodeState;
  readonly seen: Observation;
  /** Monotonic ms. */
  readonly now: number;
  readonly config: CoreConfig;
  readonly result: StepResult;
}

/** One statement about every step. */
export interface Invariant {
  /** Unique, e.g. `I-EPOCH`. */
  readonly id: string;
  /** The statement in words. */
  readonly holds: string;
  readonly isBroken: (trace: StepTrace) => boolean;
}

/** Into these a serving node falls when it must not serve any longer. */
const FALLEN: readonly StateName[] = ["isolated", "rejoining", "failed"];

/** The statements. */
export const INVARIANTS: readonly Invariant[] = [
  {
    id: "I-CUT-OFF",
    holds: "a node that is isolated never sets out to serve",
    isBroken: (trace) => setsOut(trace) && trace.result.situation.isolated,
  },
  {
    id: "I-CUT-OFF-SERVING",
    holds: "a node that is isolated leaves every serving state in the same step",
    isBroken: ({ before, result }) =>
      SERVING_STATES.includes(before.name) && !before.left && result.situation.isolated &&
      result.state.name !== "isolated",
  },
  {
    id: "I-VETO",
    holds:
      "a slave never sets out to serve while the master's MAC answers for a VIP, except on its word",
    isBroken: (trace) =>
      trace.config.role === "slave" && entersTaking(trace) && masterAnswers(trace) &&
      !wasGiven(trace),
  },
  {
    id: "I-FENCE",
    holds:
      "where fencing is required, nobody sets out to serve beside a peer that was neither heard " +
      "nor gave its word, unless it is switched off first or an operator says that it is",
    isBroken: (trace) => {
      const { before, seen, config, result: { actions, situation, state } } = trace;
      if (config.fencing !== "required" || !setsOut(trace) || wasGiven(trace)) return false;
      const left = before.peerLeftAt !== null ||
        seen.events.some((event) => event.type === "notice" && event.notice.kind === "leaving");
      return situation.peer === null && !left && state.peerOffSaidAt === null &&
        actions.some((action) =>
          action.type === "start-goal" && action.goal === "take" && action.fence !== "required"
        );
    },
  },
  {
    id: "I-EPOCH",
    holds: "the epoch never goes back, and each takeover raises it beyond both nodes' epochs",
    isBroken: (trace) => {
      const { before, result } = trace;
      const known = Math.max(before.epoch, result.situation.peer?.epoch ?? 0);
      return result.state.epoch < before.epoch ||
        (entersTaking(trace) && result.state.epoch <= known);
    },
  },
  {
    id: "I-LET-GO",
    holds: "whoever falls out of serving drops the VIPs before any goal starts",
    isBroken: ({ result: { decision, actions } }) => {
      if (decision === null || !SERVING_STATES.includes(decision.from)) return false;
      if (!FALLEN.includes(decision.to)) return false;
      const drop = actions.findIndex((action) => action.type === "drop-vips");
      const start = actions.findIndex((action) => action.type === "start-goal");
      return drop < 0 || (start >= 0 && start < drop);
    },
  },
  {
    id: "I-STALL",
    holds:
      "an active node whose loop stood still for isolated_after_ms drops the VIPs in that step",
    isBroken: ({ before, seen, config, result }) =>
      before.name === "active" && !before.left &&
      seen.events.some((event) =>
        event.type === "stalled" && event.stalledMs >= config.isolatedAfterMs
      ) &&
      !result.actions.some((action) => action.type === "drop-vips"),
  },
  {
    id: "I-RIGHT",
    holds:
      "with an arbiter a node sets out to serve only on the peer's word or with a right that is free or its own",
    isBroken: (trace) =>
      (trace.config.arbiter ?? null) !== null && setsOut(trace) && !wasGiven(trace) &&
      trace.seen.arbiter?.right !== "free" && trace.seen.arbiter?.right !== "mine",
  },
  {
    id: "I-RIGHT-LOST",
    holds: "with an arbiter an active node without right and consent lets go in that step",
    isBroken: ({ before, config, result, now, seen }) =>
      (config.arbiter ?? null) !== null && before.name === "active" && !before.left &&
      before.maintenanceAsked !== "on" &&
      !seen.events.some((event) => event.type === "command") &&
      !((seen.arbiter?.validUntil ?? -Infinity) > now && seen.arbiter?.right === "mine") &&
      !((result.state.consentUntil ?? -Infinity) > now) &&
      !result.actions.some((action) => action.type === "drop-vips"),
  },
  {
    id: "I-ONE-GOAL",
    holds: "a step starts at most one goal, under a number that was never used before",
    isBroken: ({ before, result }) => {
      const started = result.actions.filter((action) => action.type === "start-goal");
      return started.length > 1 || result.state.nextGoalId !== before.nextGoalId + started.length ||
        started.some((action) => action.goalId !== result.state.goal?.id);
    },
  },
  {
    id: "I-TAKE",
    holds: "a take runs only in taking-over, a hand-over only in handing-back",
    isBroken: ({ result }) =>
      result.actions.some((action) =>
        action.type === "start-goal" &&
        ((action.goal === "take") !== (result.state.name === "taking-over") ||
          (action.goal === "hand-over") !== (result.state.name === "handing-back"))
      ),
  },
  {
    id: "I-MAINTENANCE",
    holds: "in maintenance nothing is done but at an operator's word",
    isBroken: ({ before, result }) =>
      before.name === "maintenance" && result.decision !== null &&
      !["N-RESUME", "N-RESUME-REST", "X-LEAVE"].includes(result.decision.rule),
  },
  {
    id: "I-LEFT",
    holds: "after the end nothing is decided any more",
    isBroken: ({ before, result }) =>
      before.left &&
      (result.decision !== null || result.actions.length > 0 || result.state.name !== before.name),
  },
  {
    id: "I-SILENT",
    holds: "without a decision there is no action and no change of state",
    isBroken: ({ before, result }) =>
      result.decision === null &&
      (result.actions.length > 0 || result.state.name !== before.name),
  },
];

/** The broken statements of this step, as sentences with their ids; empty when all is well. */
export function findBroken(trace: StepTrace): string[] {
  return INVARIANTS.filter((invariant) => invariant.isBroken(trace)).map(({ id, holds }) => {
    const { decision } = trace.result;
    return `${id} is broken: ${holds} (${decision?.rule ?? "no decision"} in ${trace.before.name})`;
  });
}

/** From not serving towards serving. */
function setsOut({ result: { decision } }: StepTrace): boolean {
  return decision !== null && decision.to === "taking-over" &&
    !SERVING_STATES.includes(decision.from);
}

function entersTaking({ result: { decision } }: StepTrace): boolean {
  return decision !== null && decision.to === "taking-over" && decision.from !== "taking-over";
}

/** By the raw evidence, not by what the situation made of it. */
function masterAnswers({ seen, result }: StepTrace): boolean {
  const reachable = (network: string): boolean =>
    seen.links.some((link) => link.network === network && link.carrier);
  return result.situation.vipsHeldByPeer.length > 0 ||
    seen.vips.some((vip) =>
      !vip.heldByMe && vip.lastAnswerBy === "peer" && vip.lastAnswerAt !== null &&
      vip.unansweredProbes < PROBES_FOR_SILENCE && reachable(vip.network)
    );
}

function wasGiven({ before, seen }: StepTrace): boolean {
  return before.notice?.kind === "yours" ||
    seen.events.some((event) => event.type === "notice" && event.notice.kind === "yours");
}
