/**
 * Rows of a takeover that begins with switching the peer off.
 *
 * @module
 */

import { peerIsBack } from "./fencing.ts";
import { goalFailed } from "./guards.ts";
import { goal, type Rule } from "./rule.ts";
import { isFencing } from "./state.ts";

/** While the peer is being switched off, and when it could not be. */
export const FENCING_RULES: readonly Rule[] = [
  {
    id: "N-SPARE",
    role: "both",
    from: ["taking-over"],
    when: "the peer is being fenced, and its relais speaks again or somebody answers for a VIP",
    guard: peerIsBack,
    to: "rejoining",
    actions: ({ s }) => [
      { type: "cancel-goal" },
      { type: "drop-vips" },
      goal("join", { fetch: s.peer !== null }),
    ],
    why: "the peer is back: it is spared, and nothing was mounted here",
    detail: ({ s }) => s.peer === null ? "" : `it is in state ${s.peer.state}`,
  },
  {
    id: "N-CONFIRMED",
    role: "both",
    from: ["taking-over"],
    when: "the peer is being fenced, and an operator says that he has switched it off by hand",
    guard: ({ state }) => isFencing(state) && state.peerOffSaidAt !== null,
    to: "stay",
    everyMs: 1000,
    actions: () => [goal("take", { fence: true })],
    why: "an operator has switched the peer off by hand: the takeover goes on without the agent",
  },
  {
    id: "N-FENCE-FAILED",
    role: "both",
    from: ["taking-over"],
    when: "the peer could not be fenced, and that is required",
    guard: (c) => goalFailed(c) && c.state.goal?.failedStep === "fence-peer",
    to: "failed",
    actions: ({ state, config }) => [
      {
        type: "alert",
        text: `The ${config.role === "master" ? "slave" : "master"} could not be fenced ` +
          `(${state.goal?.error}): nothing is mounted here, as it may still serve. This is tried ` +
          "again and again. If you have switched it off by hand, run here: relais fence confirm",
      },
      { type: "drop-vips" },
      goal("join"),
    ],
    why: "the peer could not be fenced: nothing is mounted",
    detail: ({ state }) => `${state.goal?.error}`,
  },
];
