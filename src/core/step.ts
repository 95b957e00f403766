/**
 * The decision: `step(state, observation, now) -> { state, actions, decision }`. Pure.
 *
 * A step first folds the events into the memory and keeps the "since when" latches, then looks for the
 * first row of the table that matches. At most one row fires in a step; the runtime calls again at once
 * after a transition, until none fires.
 *
 * @module
 */

import { fenceMode, stillSaidOff } from "./fencing.ts";
import { learntConsent } from "./right.ts";
import { type Context, type PlannedAction, type Rule } from "./rule.ts";
import { assess, SERVING_STATES, type Situation } from "./situation.ts";
import { type NodeState, TAKEOVERS_KEPT } from "./state.ts";
import { RULES } from "./transitions.ts";
import type { Action, CoreConfig, CoreEvent, Observation } from "./types.ts";

/** An operator's wish or a peer's word that could not be acted upon is forgotten after this long. */
export const WISH_EXPIRES_MS = 10_000;

/** A report that arrives this soon after a leaving notice may have been written before it. */
const LEAVING_GRACE_MS = 1000;

/**
 * An epoch grows by one with each takeover. One that is further ahead than this is no word of a peer that
 * served meanwhile (nobody takes over a million times), and is not learnt: it would soon be no whole number
 * any more that JSON and this language keep apart from the next one (2^53).
 */
export const EPOCH_JUMP_MAX = 1_000_000;

/** What one step decided. */
export interface Decision {
  readonly rule: string;
  readonly from: NodeState["name"];
  readonly to: NodeState["name"];
  readonly why: string;
  readonly detail: string;
}

/** The outcome of a step. */
export interface StepResult {
  readonly state: NodeState;
  /** To be done in this order; everything before a `drop-vips` is harmless, see `rule.ts`. */
  readonly actions: readonly Action[];
  /** The row that fired; null when nothing changed. */
  readonly decision: Decision | null;
  /** The facts that the decision was made on, for status and log. */
  readonly situation: Situation;
}

/** Decides. */
export function step(
  state: NodeState,
  seen: Observation,
  now: number,
  config: CoreConfig,
  rules: readonly Rule[] = RULES,
): StepResult {
  const heard = { ...state, consentUntil: learntConsent(state, seen, config) };
  const absorbed = seen.events.reduce((memory, event) => absorb(memory, event, now), heard);
  const s = assess(absorbed, seen, now, config);
  const kept = keepLatches(absorbed, s, seen, now, config);
  const c = { state: kept, seen, s, now, config };
  for (const rule of kept.left ? [] : rules) {
    if (rule.role !== "both" && rule.role !== config.role) continue;
    if (!rule.from.includes(kept.name) || isResting(rule, kept, now) || !rule.guard(c)) continue;
    const detail = rule.detail?.(c) ?? "";
    const numbered = numberGoals(rule.actions(c), c);
    const changes = { ...(rule.then?.(c) ?? {}), ...startedGoal(numbered.actions, now) };
    const base: NodeState = { ...kept, ...changes, nextGoalId: numbered.nextGoalId };
    const next = rule.to === "stay"
      ? { ...base, lastFired: { ...kept.lastFired, [rule.id]: now } }
      : enter(base, rule, { detail, now, peerEpoch: credible(s.peer?.epoch ?? 0, kept.epoch) });
    const decision = { rule: rule.id, from: kept.name, to: next.name, why: rule.why, detail };
    return { state: next, actions: numbered.actions, decision, situation: s };
  }
  return { state: kept, actions: [], decision: null, situation: s };
}

/** Folds one event into the memory. */
function absorb(state: NodeState, event: CoreEvent, now: number): NodeState {
  switch (event.type) {
    case "stalled":
      return {
        ...state,
        stalledMs: Math.max(state.stalledMs, event.stalledMs),
        evidenceSince: now,
        quietSince: state.quietSince ?? now,
        peerReadySince: null,
        peerIdleSince: null,
        peerUnfitSince: null,
      };
    case "goal-done":
      return state.goal?.id === event.goalId
        ? { ...state, goal: { ...state.goal, outcome: "done" } }
        : state;
    case "goal-failed":
      return state.goal?.id === event.goalId
        ? {
          ...state,
          goal: { ...state.goal, outcome: "failed", failedStep: event.step, error: event.error },
        }
        : state;
    case "fencing-over":
      return state.goal?.id === event.goalId
        ? { ...state, goal: { ...state.goal, fencing: false } }
        : state;
    case "notice":
      return absorbNotice(state, event.notice, now);
    case "command":
      return absorbCommand(state, event.command, now);
  }
}

function absorbNotice(
  state: NodeState,
  notice: Extract<CoreEvent, { type: "notice" }>["notice"],
  now: number,
): NodeState {
  switch (notice.kind) {
    case "yours":
      return {
        ...state,
        notice: { ...notice, epoch: credible(notice.epoch, state.epoch), at: now },
      };
    case "leaving":
      return { ...state, peerLeftAt: now };
    case "request-switchover":
      return { ...state, switchoverAskedAt: now };
    case "request-failback":
      return { ...state, failbackAskedAt: now };
  }
}

function absorbCommand(
  state: NodeState,
  command: Extract<CoreEvent, { type: "command" }>["command"],
  now: number,
): NodeState {
  switch (command) {
    case "switchover":
      return { ...state, switchoverAskedAt: now };
    case "failback":
      return { ...state, failbackAskedAt: now };
    case "maintenance-on":
      return { ...state, maintenanceAsked: "on" };
    case "maintenance-off":
      return { ...state, maintenanceAsked: "off" };
    case "fence-confirm":
      return { ...state, peerOffSaidAt: now };
    case "stop":
      return { ...state, stopAsked: true };
  }
}

/** Keeps the "since when" latches true; called each step, whatever the state. */
function keepLatches(
  state: NodeState,
  s: Situation,
  seen: Observation,
  now: number,
  config: CoreConfig,
): NodeState {
  const { peer } = s;
  const alive = peer !== null && s.verdict !== "dead";
  const since = (before: number | null, holds: boolean): number | null =>
    holds ? before ?? now : null;
  const expired = (at: number | null): number | null =>
    at !== null && now - at < WISH_EXPIRES_MS ? at : null;
  const back = alive && state.peerLeftAt !== null &&
    peer.receivedAt > state.peerLeftAt + LEAVING_GRACE_MS &&
    (peer.serving || peer.ready);
  return {
    ...state,
    epoch: learntEpoch(state, s),
    quietSince: s.everHeard || s.hearsWitness ? null : state.quietSince,
    wasCutOff: !SERVING_STATES.includes(state.name) && (s.isolated || state.wasCutOff),
    notice: state.notice !== null && now - state.notice.at < WISH_EXPIRES_MS ? state.notice : null,
    switchoverAskedAt: expired(state.switchoverAskedAt),
    failbackAskedAt: expired(state.failbackAskedAt),
    peerLeftAt: back ? null : state.peerLeftAt,
    peerOffSaidAt: stillSaidOff(state, s, now),
    peerReadySince: since(
      state.peerReadySince,
      alive && peer.state === "standby" && peer.fit && peer.ready &&
        // A word that is older than its death says nothing about the time after it.
        peer.receivedAt > (state.takeovers.at(-1) ?? -Infinity),
    ),
    peerIdleSince: since(state.peerIdleSince, alive && !peer.serving),
    peerUnfitSince: since(state.peerUnfitSince, alive && !peer.fit),
    networkUnfitSince: since(state.networkUnfitSince, s.networkFaults.length > 0),
    servicesUnfitSince: since(state.servicesUnfitSince, s.serviceFaults.length > 0),
    peerDiedFirst: s.everHeard && s.silentMs < config.isolatedAfterMs
      ? false
      : state.peerDiedFirst || (s.verdict === "dead" && s.hearsWitness && seen.links.length > 0),
    stalledMs: state.name === "active" || state.name === "taking-over" ||
        state.name === "handing-back"
      ? state.stalledMs
      : 0,
    takeovers: state.takeovers.slice(-TAKEOVERS_KEPT),
  };
}

/**
 * The epoch of the pair: a node that does not serve learns it from its peer, so that a later takeover
 * raises it beyond everything that was served before. After a conflict the node that goes on serving must
 * not keep the older one, or its data sets would be refused by the one that yielded.
 */
function learntEpoch({ name, epoch }: NodeState, { peer }: Situation): number {
  if (peer === null || credible(peer.epoch, epoch) <= epoch) return epoch;
  if (!SERVING_STATES.includes(name) && name !== "maintenance") return peer.epoch;
  return name === "active" && !peer.serving ? peer.epoch + 1 : epoch;
}

/** The epoch that is heard, or ours if that one is out of all proportion. */
function credible(theirs: number, ours: number): number {
  return theirs - ours <= EPOCH_JUMP_MAX ? theirs : ours;
}

/** Enters the state that the row names. */
function enter(
  base: NodeState,
  rule: Rule,
  { detail, now, peerEpoch }: {
    readonly detail: string;
    readonly now: number;
    readonly peerEpoch: number;
  },
): NodeState {
  if (rule.to === "stay") return base;
  const becomes = rule.to === "taking-over" && base.name !== "taking-over";
  const epoch = becomes ? Math.max(base.epoch, peerEpoch, base.notice?.epoch ?? 0) + 1 : base.epoch;
  const fault = becomes && base.notice === null && base.name === "standby";
  return {
    ...base,
    name: rule.to,
    since: now,
    rule: rule.id,
    why: rule.why,
    detail,
    epoch,
    evidenceSince: rule.to === "isolated" ? now : base.evidenceSince,
    stalledMs: 0,
    notice: becomes ? null : base.notice,
    peerLeftAt: becomes ? null : base.peerLeftAt,
    switchoverAskedAt: null,
    failbackAskedAt: null,
    failbackHeld: rule.to === "standby" ? false : base.failbackHeld,
    takeovers: fault ? [...base.takeovers, now].slice(-TAKEOVERS_KEPT) : base.takeovers,
    lastFired: {},
  };
}

function isResting(rule: Rule, state: NodeState, now: number): boolean {
  const fired = state.lastFired[rule.id];
  return rule.to === "stay" && fired !== undefined && now - fired < (rule.everyMs ?? 0);
}

function numberGoals(
  planned: readonly PlannedAction[],
  { state, config }: Pick<Context, "state" | "config">,
): { actions: Action[]; nextGoalId: number } {
  let { nextGoalId } = state;
  const actions = planned.map((action): Action =>
    action.type === "start-goal"
      ? { ...action, fence: fenceMode(action, state, config), goalId: nextGoalId++ }
      : action
  );
  return { actions, nextGoalId };
}

function startedGoal(actions: readonly Action[], now: number): Partial<NodeState> {
  const started = actions.findLast((action) => action.type === "start-goal");
  if (started === undefined || started.type !== "start-goal") {
    return actions.some((action) => action.type === "cancel-goal") ? { goal: null } : {};
  }
  return {
    goal: {
      id: started.goalId,
      name: started.goal,
      startedAt: now,
      outcome: "running",
      failedStep: null,
      error: null,
      fencing: (started.fence ?? null) !== null,
    },
  };
}
