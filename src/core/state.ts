/**
 * The memory of the core between two steps: the state's name and the few latches that decisions need.
 * Replaced whole at each step, never mutated.
 *
 * @module
 */

import type { GoalName, PeerNotice, StateName } from "./types.ts";

/** The goal that was started last and how it stands. */
export interface GoalState {
  readonly id: number;
  readonly name: GoalName;
  readonly startedAt: number;
  readonly outcome: "running" | "done" | "failed";
  /** The step that failed; null unless `outcome` is `failed`. */
  readonly failedStep: string | null;
  readonly error: string | null;
  /** It began with switching the peer off, which is not over: nothing is mounted yet. */
  readonly fencing?: boolean;
}

/** The whole memory of the core. All times are monotonic milliseconds of this node. */
export interface NodeState {
  readonly name: StateName;
  readonly since: number;
  /** Raised each time this node sets out to become active; never goes back. */
  readonly epoch: number;
  /** Rule, reason and particulars of the last transition. */
  readonly rule: string;
  readonly why: string;
  readonly detail: string;
  /** Evidence older than this is void. */
  readonly evidenceSince: number;
  readonly goal: GoalState | null;
  readonly nextGoalId: number;
  /** A peer's word that waits to be acted upon; null once used or expired. */
  readonly notice: (PeerNotice & { readonly at: number }) | null;
  /** The peer said that it leaves; forgotten when it is heard serving or ready again. */
  readonly peerLeftAt: number | null;
  /** Operator wishes that wait for their moment. */
  readonly switchoverAskedAt: number | null;
  readonly failbackAskedAt: number | null;
  readonly maintenanceAsked: "on" | "off" | null;
  readonly stopAsked: boolean;
  /** The daemon ends: nothing is decided any more. */
  readonly left: boolean;
  /** In maintenance: this node was active when it began. */
  readonly servedBeforeMaintenance: boolean;
  /**
   * The loop stood still, and nobody was heard since: repeated stalls, each of which voids the evidence,
   * must not keep a cut-off node from noticing. The time of the first of them.
   */
  readonly quietSince: number | null;
  /** This node was isolated, at rest, in the step before: what it did not hear proves nothing. */
  readonly wasCutOff: boolean;
  /** The loop stood still that long and nobody has drawn the consequence yet. */
  readonly stalledMs: number;
  /** The peer can be handed the service since then, without interruption. */
  readonly peerReadySince: number | null;
  /** The peer is alive, does not serve and cannot or will not, since then. */
  readonly peerIdleSince: number | null;
  /** The peer is alive but unfit since then. */
  readonly peerUnfitSince: number | null;
  /** A VIP network of this node is dead since then. */
  readonly networkUnfitSince: number | null;
  /** This node is unfit for another reason (its services, a local fault) since then. */
  readonly servicesUnfitSince: number | null;
  /** The service came here by an operator's switchover, or because the peer's services were ill. */
  readonly failbackHeld: boolean;
  /** The peer fell silent while a witness still answered: a later silence of all is not our own cable. */
  readonly peerDiedFirst: boolean;
  /** When this node became active because of a fault, oldest first, at most {@linkcode TAKEOVERS_KEPT}. */
  readonly takeovers: readonly number[];
  /** When a hand-over last failed; the next automatic one waits {@linkcode HAND_OVER_RETRY_MS}. */
  readonly handOverFailedAt: number | null;
  /**
   * When an operator said that he has switched the peer off by hand; null once it is too old, or the peer was
   * heard again.
   */
  readonly peerOffSaidAt: number | null;
  /** The peer consented to our serving without the arbiter until then; null: it did not. */
  readonly consentUntil: number | null;
  /** When a self-transition (alert, announce, repair) last fired, by rule id; bounded by the table. */
  readonly lastFired: Readonly<Record<string, number>>;
}

/** Bound of {@linkcode NodeState.takeovers}. */
export const TAKEOVERS_KEPT = 8;

/** Pause after a failed hand-over: its cause is rarely gone sooner, and each try may stop services. */
export const HAND_OVER_RETRY_MS = 60_000;

/** It is busy switching its peer off; what comes after that has not begun. */
export function isFencing({ goal }: Pick<NodeState, "goal">): boolean {
  return goal !== null && goal.outcome === "running" && goal.fencing === true;
}

/** The memory of a daemon that has just started, with what it persisted. */
export function initialState(
  now: number,
  { epoch, failbackHeld }: { readonly epoch: number; readonly failbackHeld: boolean },
): NodeState {
  return {
    name: "starting",
    since: now,
    epoch,
    rule: "START",
    why: "the daemon started",
    detail: "",
    evidenceSince: now,
    goal: null,
    nextGoalId: 1,
    notice: null,
    peerLeftAt: null,
    switchoverAskedAt: null,
    failbackAskedAt: null,
    maintenanceAsked: null,
    stopAsked: false,
    left: false,
    servedBeforeMaintenance: false,
    quietSince: null,
    wasCutOff: false,
    stalledMs: 0,
    peerReadySince: null,
    peerIdleSince: null,
    peerUnfitSince: null,
    networkUnfitSince: null,
    servicesUnfitSince: null,
    failbackHeld,
    peerDiedFirst: false,
    takeovers: [],
    handOverFailedAt: null,
    peerOffSaidAt: null,
    consentUntil: null,
    lastFired: {},
  };
}
