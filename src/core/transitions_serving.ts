/**
 * Rows of the states in which a node serves: taking-over, active, handing-back.
 *
 * @module
 */

import { failbackIsDue, goalDone, goalFailed, handOverMayBeTried, unfitForLong } from "./guards.ts";
import { STEPS_AFTER_LETTING_GO, STEPS_THAT_MAY_FAIL_ALONE } from "./goals.ts";
import { goal, type Rule } from "./rule.ts";
import type { Situation } from "./situation.ts";
import type { Role, VipEvidence } from "./types.ts";

/** How long an ill node that nobody can relieve rests between two repairs. */
const REPAIR_EVERY_MS = 10_000;

/**
 * A node whose peer served unseen announces again at most so often; the burst of announcements goes on for
 * longer than that.
 */
const OVERTAKE_EVERY_MS = 5000;

/** An arbiter that is missed is told again this often. */
export const RIGHT_ALERT_EVERY_MS = 60_000;

/** Becoming active. */
export const TAKING_RULES: readonly Rule[] = [
  {
    id: "N-ACTIVE",
    role: "both",
    from: ["taking-over"],
    when: "VIPs are mounted, services run and answer",
    guard: goalDone,
    to: "active",
    actions: () => [{ type: "persist" }],
    why: "VIPs are mounted, services run and answer",
  },
  {
    id: "N-ACTIVE-ILL",
    role: "both",
    from: ["taking-over"],
    when: "services did not all start or do not answer, and nobody else can serve",
    guard: (c) =>
      goalFailed(c) && STEPS_THAT_MAY_FAIL_ALONE.includes(c.state.goal?.failedStep ?? "") &&
      c.s.peerCannotTake !== null && !(c.s.peer?.serving ?? false),
    to: "active",
    actions: ({ state, s }) => [
      { type: "persist" },
      {
        type: "alert",
        text:
          `${state.goal?.error ?? "not all services run"}, and ${s.peerCannotTake}: this node ` +
          "serves with what runs and starts the rest again and again",
      },
    ],
    why: "not all is well, but nobody else can serve: half a telephone system is better than none",
    detail: ({ state }) => `${state.goal?.failedStep}: ${state.goal?.error}`,
  },
  {
    id: "N-RIGHT-REFUSED",
    role: "both",
    from: ["taking-over"],
    when: "the arbiter did not give the right to serve, or did not answer in time",
    guard: (c) => goalFailed(c) && c.state.goal?.failedStep === "acquire-right",
    to: "isolated",
    actions: () => [{ type: "drop-vips" }],
    why: "no right to serve from the arbiter: look again",
    detail: ({ state }) => state.goal?.error ?? "",
  },
  {
    id: "N-TAKE-FAILED",
    role: "both",
    from: ["taking-over"],
    when: "a step of becoming active failed",
    guard: goalFailed,
    to: "failed",
    actions: () => [{ type: "drop-vips" }, goal("join")],
    why: "could not become active",
    detail: ({ state }) => `${state.goal?.failedStep}: ${state.goal?.error}`,
  },
];

/** Serving, and giving the service away. */
export const ACTIVE_RULES: readonly Rule[] = [
  defend("M-DEFEND", "master"),
  defend("S-DEFEND", "slave"),
  {
    id: "S-BACK",
    role: "slave",
    from: ["active"],
    when: "the peer is ready and stable, and the failback policy or the operator says go",
    guard: (c) => c.s.peerCannotTakePlanned === null && failbackIsDue(c),
    to: "handing-back",
    actions: () => [goal("hand-over")],
    why: "the master is back, ready and stable: the service goes back",
  },
  {
    id: "S-BACK-SILENT",
    role: "slave",
    from: ["active"],
    when: "as S-BACK, but without a cluster key: let go, the master sees it by itself",
    guard: (c) => !c.seen.hasKey && c.s.peer !== null && failbackIsDue(c),
    to: "rejoining",
    actions: () => [{ type: "drop-vips" }, goal("join")],
    why: "the master is back; no cluster key, so I let go and it mounts on silence",
  },
  {
    id: "N-UNFIT",
    role: "both",
    from: ["active"],
    when: "I have been unfit for long and the peer can take over",
    guard: (c) => unfitForLong(c) && c.s.peerCannotTake === null && handOverMayBeTried(c),
    to: "handing-back",
    actions: () => [goal("hand-over", { urgent: true })],
    why: "this node is unfit to serve and the peer is fit: it takes over by agreement",
    detail: ({ s }) => s.unfitReasons.join("; "),
  },
  {
    id: "N-UNFIT-SILENT",
    role: "both",
    from: ["active"],
    when:
      "as N-UNFIT for a dead VIP network, but without a cluster key: let go, the peer sees it by itself",
    guard: (c) =>
      !c.seen.hasKey && c.s.networkFaults.length > 0 && unfitForLong(c) &&
      c.state.peerReadySince !== null,
    to: "rejoining",
    actions: () => [{ type: "drop-vips" }, goal("join")],
    why:
      "a VIP network is dead from here; no cluster key, so I let go and the peer mounts on silence",
    detail: ({ s }) => s.networkFaults.join("; "),
  },
  {
    id: "N-REPAIR",
    role: "both",
    from: ["active"],
    when: "my services have been ill for long and nobody can take over",
    guard: (c) =>
      unfitForLong(c) && c.s.peerCannotTake !== null && c.state.goal?.outcome !== "running" &&
      (c.seen.services.running !== "all" || c.seen.services.healthy === false),
    to: "stay",
    everyMs: REPAIR_EVERY_MS,
    actions: ({ s }) => [
      {
        type: "alert",
        text: `${s.unfitReasons.join("; ")}, and ${s.peerCannotTake}: started again here`,
      },
      goal("repair"),
    ],
    why: "unfit, and nobody can take over: start the services again in place",
  },
  {
    id: "N-OVERTAKE",
    role: "both",
    from: ["active"],
    when: "the peer's epoch is newer than mine: it served meanwhile, and I did not see it",
    guard: ({ s }) => s.peerServedMeanwhile && s.hasVips,
    to: "stay",
    everyMs: OVERTAKE_EVERY_MS,
    // The peer may have let go before I saw it hold anything: those who learnt its MAC still send there.
    actions: () => [{ type: "announce" }],
    why:
      "both served while they did not hear each other: announce, for those who learnt the peer's MAC",
    detail: ({ s }) => `its epoch is ${s.peer?.epoch}`,
  },
  {
    id: "N-RIGHT-HOLD",
    role: "both",
    from: ["active"],
    when: "the right has run out, and the peer consents that I serve on (policy hold)",
    guard: ({ s }) => s.byConsent,
    to: "stay",
    everyMs: RIGHT_ALERT_EVERY_MS,
    actions: () => [{
      type: "alert",
      text: "The arbiter has not renewed the right to serve: this node serves on as its peer " +
        'consents (arbiter.policy = "hold"), and lets go if it no longer hears it. Mend etcd: ' +
        "relais arbiter status",
    }],
    why: "without the arbiter, but the peer consents: serve on",
  },
];

function defend(id: string, role: Role): Rule {
  return {
    id,
    role,
    from: ["active", "taking-over"],
    when: "another MAC speaks for a VIP that I hold",
    guard: ({ s }) => secondHolders(s).length > 0,
    to: "stay",
    everyMs: 1000,
    actions: ({ s }) => [{ type: "announce" }, {
      type: "alert",
      text: secondHolders(s)
        .map((vip) =>
          `${vip.lastAnswerMac} (${vip.lastAnswerBy}) also speaks for the VIP ${vip.vip}`
        )
        .join(", ") + ": announced again. Find that host and take the address away from it",
    }],
    why: "a second holder speaks for my VIP: announce again",
  };
}

function secondHolders(s: Situation): VipEvidence[] {
  return [...s.vipsHeldByPeer, ...s.vipsHeldByStranger].filter((vip) => vip.heldByMe);
}

/** The hand-over in progress. */
export const HANDING_RULES: readonly Rule[] = [
  {
    id: "N-GAVE",
    role: "both",
    from: ["handing-back"],
    when: "the peer has the word that the service is its own",
    guard: goalDone,
    to: "standby",
    actions: () => [{ type: "persist" }],
    why: "the service was given to the peer",
  },
  {
    id: "N-GAVE-UNHEARD",
    role: "both",
    from: ["handing-back"],
    when: "I let go, but the peer did not confirm the word, or its MAC answers for a VIP already",
    guard: (c) =>
      goalFailed(c) &&
      (STEPS_AFTER_LETTING_GO.includes(c.state.goal?.failedStep ?? "") ||
        c.s.vipsHeldByPeer.some((vip) => !vip.heldByMe)),
    to: "rejoining",
    actions: () => [{ type: "drop-vips" }, goal("join")],
    why: "let go, but the peer did not confirm: whoever sees the VIPs free takes them",
    detail: ({ state }) => state.goal?.error ?? "",
    then: ({ now }) => ({ handOverFailedAt: now }),
  },
  {
    id: "N-KEPT",
    role: "both",
    from: ["handing-back"],
    when: "a step failed before I let go",
    guard: goalFailed,
    to: "taking-over",
    actions: ({ state }) => [
      {
        type: "alert",
        text:
          `The hand-over failed (${state.goal?.failedStep}: ${state.goal?.error}): this node goes on serving`,
      },
      goal("take"),
    ],
    why: "the hand-over failed before anything was let go: serve on",
    detail: ({ state }) => `${state.goal?.failedStep}: ${state.goal?.error}`,
    then: ({ now }) => ({ handOverFailedAt: now }),
  },
];
