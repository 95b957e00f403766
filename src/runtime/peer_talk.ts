/**
 * What this node and its peer say to each other beside health reports: authenticated, and answered with
 * what was done about it.
 *
 * @module
 */

import type { StepResult } from "../core/step.ts";
import type { PeerNotice } from "../core/types.ts";
import { SERVING_STATES } from "../core/situation.ts";

/** How a message of the peer was taken. */
export interface Taken {
  readonly accepted: boolean;
  /** Why not, or what happens now: a sentence for the operator over there. */
  readonly text: string;
}

/**
 * Whether a notice of the peer can be acted upon now. Pure: the answer goes back with the message, so that
 * a node that let go knows at once whether its word was taken.
 */
export function judgeNotice(notice: Pick<PeerNotice, "kind">, result: StepResult): Taken {
  const { state, situation } = result;
  switch (notice.kind) {
    case "yours":
      return state.name === "standby" && !state.stopAsked
        ? { accepted: true, text: "taking over" }
        : { accepted: false, text: `this node is ${state.name}, not in standby` };
    case "leaving":
      return { accepted: true, text: "noted" };
    case "request-switchover":
    case "request-failback":
      return judgeHandOver(state.name, situation.peerCannotTakePlanned);
  }
}

/** Whether this node can hand over now, with the reason why not. */
export function judgeHandOver(state: StepResult["state"]["name"], cannot: string | null): Taken {
  if (state !== "active") {
    return {
      accepted: false,
      text: SERVING_STATES.includes(state)
        ? `this node is ${state}: wait until it is active`
        : `this node does not serve: it is ${state}`,
    };
  }
  if (cannot !== null) return { accepted: false, text: `the service cannot move: ${cannot}` };
  return { accepted: true, text: "handing over" };
}
