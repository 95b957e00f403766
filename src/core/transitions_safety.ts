/**
 * Rows that come before everything else: letting go of the VIPs.
 *
 * @module
 */

import { peerServesToo } from "./guards.ts";
import { goal, type Rule } from "./rule.ts";

/** Let go first, ask afterwards. */
export const SAFETY_RULES: readonly Rule[] = [
  {
    id: "M-ISOLATE",
    role: "master",
    from: ["active", "taking-over", "handing-back"],
    when: "I am isolated, or my loop stood still longer than isolated_after_ms",
    guard: ({ s, state, config }) => s.isolated || state.stalledMs >= config.isolatedAfterMs,
    to: "isolated",
    actions: isolate,
    why: "cut off, or stood still: the VIPs go before the slave may mount them",
    detail: isolationDetail,
  },
  {
    id: "S-ISOLATE",
    role: "slave",
    from: ["active", "taking-over", "handing-back"],
    when: "I am isolated, or my loop stood still longer than isolated_after_ms",
    guard: ({ s, state, config }) => s.isolated || state.stalledMs >= config.isolatedAfterMs,
    to: "isolated",
    actions: isolate,
    why: "cut off, or stood still: the VIPs go before the master may mount them",
    detail: isolationDetail,
  },
  {
    id: "S-YIELD",
    role: "slave",
    from: ["active", "taking-over", "handing-back"],
    when:
      "the master's MAC speaks for a VIP that I hold, or the master says that it serves while I have not let go",
    guard: (c) => peerServesToo(c) && (c.state.name !== "handing-back" || c.s.holdsVip),
    to: "rejoining",
    actions: () => [{ type: "cancel-goal" }, { type: "drop-vips" }, goal("join")],
    why: "the master serves too: the slave yields, VIPs first",
    detail: ({ s }) =>
      s.vipsHeldByPeer.map((vip) => `${vip.lastAnswerMac} speaks for ${vip.vip}`).join(", "),
  },
  {
    id: "N-RIGHT-LOST",
    role: "both",
    from: ["active", "taking-over", "handing-back"],
    when: "the arbiter's right to serve runs out or is the peer's, and the peer does not consent",
    guard: ({ s, state }) =>
      !s.mayServe && (state.name === "active" || s.holdsVip) && state.maintenanceAsked !== "on",
    to: "isolated",
    actions: () => [{ type: "drop-vips" }, { type: "cancel-goal" }],
    why: "without the right to serve: the VIPs go before the arbiter can give it to the peer",
    detail: rightDetail,
  },
  {
    id: "N-HEARS",
    role: "both",
    from: ["starting", "rejoining", "standby", "isolated", "failed"],
    when: "I was isolated and am no longer",
    guard: ({ s, state }) => state.wasCutOff && !s.isolated,
    to: "stay",
    everyMs: 1000,
    actions: () => [{ type: "discard-evidence" }],
    why: "no longer cut off: the silence of peer and VIPs was my own, look again from here on",
    then: ({ now }) => ({ wasCutOff: false, evidenceSince: now, peerDiedFirst: false }),
  },
];

function isolate(): [{ type: "drop-vips" }, { type: "cancel-goal" }, { type: "discard-evidence" }] {
  return [{ type: "drop-vips" }, { type: "cancel-goal" }, { type: "discard-evidence" }];
}

function isolationDetail({ s, state }: Parameters<NonNullable<Rule["detail"]>>[0]): string {
  return s.isolated ? s.isolatedWhy : `the loop stood still for ${Math.round(state.stalledMs)} ms`;
}

function rightDetail({ seen }: Parameters<NonNullable<Rule["detail"]>>[0]): string {
  return seen.arbiter?.right === "peer"
    ? "the arbiter says that the peer has it"
    : "the arbiter has not renewed it";
}
