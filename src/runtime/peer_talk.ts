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
 *
 * @param takenEpoch epoch of the last "yours" that was accepted
 */
export function judgeNotice(
  notice: Pick<PeerNotice, "kind" | "epoch">,
  result: StepResult,
  takenEpoch: number | null,
): Taken {
  const { state, situation } = result;
  switch (notice.kind) {
    case "yours":
      return judgeYours(notice, state, takenEpoch);
    case "leaving":
      return { accepted: true, text: "noted" };
    case "request-switchover":
    case "request-failback":
      return judgeHandOver(state.name, situation.peerCannotTakePlanned);
  }
}

/**
 * The word that the service is ours. It may come twice, when the answer to the first was lost; and never
 * from an earlier time: whoever served since then raised the epoch.
 */
function judgeYours(
  { epoch }: Pick<PeerNotice, "epoch">,
  state: StepResult["state"],
  takenEpoch: number | null,
): Taken {
  if (epoch === takenEpoch && (state.name === "taking-over" || state.name === "active")) {
    return { accepted: true, text: "taking over already" };
  }
  if (state.name !== "standby" || state.stopAsked) {
    return { accepted: false, text: `this node is ${state.name}, not in standby` };
  }
  return epoch < state.epoch
    ? { accepted: false, text: `epoch ${epoch} is over: this node knows of epoch ${state.epoch}` }
    : { accepted: true, text: "taking over" };
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
