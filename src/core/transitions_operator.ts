/**
 * Rows that act on an operator's word: the end of the daemon, maintenance, planned moves.
 *
 * @module
 */

import { goalDone, goalFailed } from "./guards.ts";
import { goal, type Rule } from "./rule.ts";

/** What an operator asks for. */
export const OPERATOR_RULES: readonly Rule[] = [
  {
    id: "X-GAVE",
    role: "both",
    from: ["handing-back"],
    when: "the daemon ends and the service was handed over, or could not be",
    guard: (c) => c.state.stopAsked && (goalDone(c) || goalFailed(c)),
    to: "starting",
    actions: ({ state }) =>
      state.goal?.outcome === "done"
        ? [{ type: "persist" }, { type: "exit" }]
        : [{ type: "drop-vips" }, leaving("the hand-over failed"), { type: "persist" }, {
          type: "exit",
        }],
    why: "the daemon ends after the hand-over",
    detail: ({ state }) => state.goal?.error ?? "",
    then: () => ({ left: true }),
  },
  {
    id: "X-GIVE",
    role: "both",
    from: ["active"],
    when: "the daemon is asked to end and the peer can take over",
    guard: ({ state, s }) => state.stopAsked && s.peerCannotTake === null,
    to: "handing-back",
    actions: () => [goal("hand-over", { urgent: true })],
    why: "the daemon ends: the service goes to the peer first",
  },
  {
    id: "X-LEAVE",
    role: "both",
    from: [
      "starting",
      "rejoining",
      "standby",
      "taking-over",
      "active",
      "isolated",
      "failed",
      "maintenance",
    ],
    when: "the daemon is asked to end and there is nothing to hand over, or nobody to take it",
    guard: ({ state }) => state.stopAsked,
    to: "starting",
    actions: () => [
      { type: "cancel-goal" },
      { type: "drop-vips" },
      leaving("its relais was stopped"),
      { type: "persist" },
      { type: "exit" },
    ],
    why: "the daemon ends: VIPs are dropped, the peer is told, services stay as they are",
    then: () => ({ left: true }),
  },
  {
    id: "N-MAINTENANCE",
    role: "both",
    from: ["starting", "rejoining", "standby", "active", "isolated", "failed"],
    when: "the operator switched maintenance on (what a previous daemon held is adopted first)",
    guard: ({ state, seen }) =>
      state.maintenanceAsked === "on" && !(state.name === "starting" && seen.adoptable),
    to: "maintenance",
    actions: ({ state }) =>
      state.name === "active" ? [{ type: "persist" }] : [{ type: "cancel-goal" }],
    why: "maintenance: observe and report, act on nothing",
    then: ({ state }) => ({
      maintenanceAsked: null,
      servedBeforeMaintenance: state.name === "active",
    }),
  },
  {
    id: "N-RESUME",
    role: "both",
    from: ["maintenance"],
    when: "the operator switched maintenance off and this node still serves",
    guard: ({ state, s, seen }) =>
      state.maintenanceAsked === "off" && state.servedBeforeMaintenance &&
      (s.hasVips ? s.holdsVip : seen.services.running === "all"),
    to: "active",
    actions: () => [{ type: "announce" }],
    why: "maintenance is over: this node still serves",
    then: () => ({ maintenanceAsked: null }),
  },
  {
    id: "N-RESUME-REST",
    role: "both",
    from: ["maintenance"],
    when: "the operator switched maintenance off and this node does not serve",
    guard: ({ state }) => state.maintenanceAsked === "off",
    to: "rejoining",
    actions: ({ s }) => [goal("join", { fetch: s.peer !== null })],
    why: "maintenance is over: come to rest, ask the peer",
    then: () => ({ maintenanceAsked: null }),
  },
  {
    id: "N-SWITCH",
    role: "both",
    from: ["active"],
    when: "an operator asked for a switchover and the peer can take over",
    guard: ({ state, s }) => state.switchoverAskedAt !== null && s.peerCannotTakePlanned === null,
    to: "handing-back",
    actions: () => [goal("hand-over")],
    why: "planned switchover, with both nodes' consent",
  },
];

function leaving(reason: string): { type: "tell-peer"; kind: "leaving"; reason: string } {
  return { type: "tell-peer", kind: "leaving", reason };
}
