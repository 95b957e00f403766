/**
 * The form of one row of the decision table.
 *
 * @module
 */

import type { Situation } from "./situation.ts";
import type { NodeState } from "./state.ts";
import type { Action, CoreConfig, GoalName, Observation, Role, StateName } from "./types.ts";

/** Everything a guard may look at; read-only, with one `now`. */
export interface Context {
  readonly state: NodeState;
  readonly seen: Observation;
  readonly s: Situation;
  readonly now: number;
  readonly config: CoreConfig;
}

/** One row. First match wins; `id`, `when` and `why` go into log, status, history and docs as they stand. */
export interface Rule {
  /** Unique, e.g. `S-TAKE`: S slave only, M master only, N either node, X the end of the daemon. */
  readonly id: string;
  readonly role: Role | "both";
  readonly from: readonly StateName[];
  /** The guard in words. */
  readonly when: string;
  readonly guard: (c: Context) => boolean;
  /** `stay`: act without leaving the state (alert, announce, repair); fires at most each `everyMs`. */
  readonly to: StateName | "stay";
  readonly everyMs?: number;
  readonly actions: (c: Context) => readonly PlannedAction[];
  readonly why: string;
  /** Particulars of this case, for people. */
  readonly detail?: (c: Context) => string;
  /** Latches that this row uses up or sets, beside those that every transition resets. */
  readonly then?: (c: Context) => Partial<NodeState>;
}

/** An {@linkcode Action} whose goal id `step()` fills in. */
export type PlannedAction =
  | Exclude<Action, { type: "start-goal" }>
  | {
    readonly type: "start-goal";
    readonly goal: GoalName;
    readonly fetch: boolean;
    readonly urgent: boolean;
    /** The peer did not agree: it is switched off first, where that is configured (`fencing.ts`). */
    readonly fence: boolean;
  };

/** Plans a goal. */
export function goal(
  name: GoalName,
  options: {
    readonly fetch?: boolean;
    readonly urgent?: boolean;
    readonly fence?: boolean;
  } = {},
): PlannedAction {
  return {
    type: "start-goal",
    goal: name,
    fetch: options.fetch ?? false,
    urgent: options.urgent ?? false,
    fence: options.fence ?? false,
  };
}
