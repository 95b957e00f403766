/**
 * Rows of the states in which a node does not serve: starting, rejoining, standby, isolated, failed.
 *
 * @module
 */

import {
  bootIsOver,
  fitOrAlone,
  goalDone,
  goalFailed,
  noticeIs,
  peerIsGone,
  peerIsIdleTooLong,
  peerRestsIn,
  vipsAreFree,
} from "./guards.ts";
import { goal, type Rule } from "./rule.ts";

/** A goal that runs longer than this is lost: the sum of its steps' deadlines is below it by far. */
export const GOAL_DEADLINE_MS = 600_000;

/** How long a failed node rests before it tries again by itself. */
export const FAILED_RETRY_MS = 30_000;

/** From the start of the daemon to standby. */
export const START_RULES: readonly Rule[] = [
  {
    id: "N-ADOPT",
    role: "both",
    from: ["starting"],
    when:
      "the previous daemon of this boot was active a moment ago and what it held is still there",
    guard: ({ seen }) => seen.adoptable,
    to: "active",
    actions: () => [{ type: "persist" }, { type: "announce" }],
    why: "the previous daemon served: its VIPs and services are adopted",
  },
  {
    id: "N-JOIN",
    role: "both",
    from: ["starting"],
    when: "the network is up and it is known whether the peer lives",
    guard: ({ s }) => s.networkUp && (s.peer !== null || s.verdict === "dead" || s.daemonLost),
    to: "rejoining",
    actions: ({ s }) => [goal("join", { fetch: s.peer !== null })],
    why: "the network is up: come to rest, ask the peer",
  },
];

/** Coming to rest. */
export const REJOINING_RULES: readonly Rule[] = [
  {
    id: "N-READY",
    role: "both",
    from: ["rejoining"],
    when: "VIPs are down, services are stopped, the peer was asked",
    guard: goalDone,
    to: "standby",
    actions: () => [{ type: "persist" }],
    why: "at rest and ready to serve",
  },
  {
    id: "N-JOIN-FAILED",
    role: "both",
    from: ["rejoining"],
    when: "a step of coming to rest failed",
    guard: goalFailed,
    to: "failed",
    actions: () => [],
    why: "could not come to rest",
    detail: ({ state }) => `${state.goal?.failedStep}: ${state.goal?.error}`,
  },
];

/** Becoming active, or seeing why not. */
export const STANDBY_RULES: readonly Rule[] = [
  {
    id: "S-NOTICE",
    role: "slave",
    from: ["standby"],
    when: "the peer gave the service to me",
    guard: (c) => noticeIs(c, "yours"),
    to: "taking-over",
    actions: () => [goal("take")],
    why: "the master gave the service to me",
    detail: ({ state }) => state.notice?.reason ?? "",
    then: ({ state }) => ({ failbackHeld: holdsFailback(state.notice?.reason ?? "") }),
  },
  {
    id: "M-BACK",
    role: "master",
    from: ["standby"],
    when: "the peer gave the service to me",
    guard: (c) => noticeIs(c, "yours"),
    to: "taking-over",
    actions: () => [goal("take")],
    why: "the slave gave the service back",
    detail: ({ state }) => state.notice?.reason ?? "",
  },
  {
    id: "S-LEFT",
    role: "slave",
    from: ["standby"],
    when: "the peer said that it leaves and nobody answers for the VIPs",
    guard: (c) => c.state.peerLeftAt !== null && !(c.s.peer?.serving ?? false) && vipsAreFree(c),
    to: "taking-over",
    actions: () => [goal("take")],
    why: "the master said that it leaves: its word is believed at once",
  },
  {
    id: "S-TAKE",
    role: "slave",
    from: ["standby"],
    when:
      "the peer is dead, I am not isolated, nobody answers for the VIPs, and I did not just boot",
    guard: (c) => peerIsGone(c) && vipsAreFree(c) && bootIsOver(c),
    to: "taking-over",
    actions: () => [goal("take")],
    why: "the master is dead: silent on all links, by ICMP and by HTTP, and on its VIPs",
    detail: ({ s }) => `silent for ${Math.round(s.silentMs)} ms`,
  },
  {
    id: "S-LOST",
    role: "slave",
    from: ["standby"],
    when: "the peer's host answers echoes, its relais does not, and nobody answers for its VIPs",
    guard: (c) => c.s.daemonLost && c.s.hasVips && vipsAreFree(c),
    to: "taking-over",
    actions: () => [goal("take")],
    why: "the master's host answers, but its relais is gone and nobody answers for the VIPs",
  },
  {
    id: "S-UNFIT",
    role: "slave",
    from: ["standby"],
    when:
      "the peer lives, is unfit, failed or in maintenance without serving, for long, and let go",
    guard: (c) =>
      peerIsIdleTooLong(c) && vipsAreFree(c) && c.s.unfitReasons.length === 0 &&
      peerRestsIn(c, ["standby", "failed", "maintenance", "isolated", "rejoining", "starting"]),
    to: "taking-over",
    actions: () => [goal("take", { fetch: true })],
    why: "the master lives but does not serve, and let go",
    detail: ({ s }) => [`state ${s.peer?.state}`, ...(s.peer?.unfitReasons ?? [])].join("; "),
  },
  {
    id: "S-HOLD",
    role: "slave",
    from: ["standby"],
    when: "the peer is silent but somebody still answers for the VIPs",
    guard: ({ s }) =>
      (s.verdict === "dead" || s.daemonLost) && !s.isolated &&
      s.vipsHeldByPeer.length + s.vipsHeldByStranger.length > 0,
    to: "stay",
    everyMs: 60_000,
    actions: ({ s }) => [{
      type: "alert",
      text: `The master does not answer, but ${
        [...s.vipsHeldByPeer, ...s.vipsHeldByStranger]
          .map((vip) => `${vip.lastAnswerMac} (${vip.lastAnswerBy}) still answers for ${vip.vip}`)
          .join(", ")
      }: no takeover. Look at the path between the two hosts`,
    }],
    why: "the VIPs are still answered: the path is broken, not the master",
  },
  {
    id: "M-SERVE",
    role: "master",
    from: ["standby"],
    when: "nobody serves: the peer is dead or at rest, and nobody answers for the VIPs",
    guard: (c) =>
      vipsAreFree(c) && fitOrAlone(c) &&
      (peerIsGone(c) || (c.s.daemonLost && c.s.hasVips) || c.state.peerLeftAt !== null ||
        peerRestsIn(c, ["standby", "failed", "maintenance"]) ||
        (peerIsIdleTooLong(c) && peerRestsIn(c, ["isolated", "rejoining", "starting"]))),
    to: "taking-over",
    actions: ({ s }) => [goal("take", { fetch: s.peer !== null })],
    why: "nobody holds the VIPs and the slave does not serve",
  },
];

/**
 * Why the master gave decides whether the way back waits for an operator: after a planned switchover he
 * has a reason, and after ill services nobody knows yet whether they are cured.
 */
function holdsFailback(reason: string): boolean {
  return reason.startsWith("N-SWITCH") ||
    (reason.startsWith("N-UNFIT") && reason.includes("services:"));
}

/** The way back from isolation. */
/** Out of what went wrong. */
export const FAILED_RETRY_MS = 30_000;

/** How long an ill node that nobody can relieve rests between two repairs. */
export const REPAIR_EVERY_MS = 10_000;

const START_RULES: readonly Rule[] = [
  {
    id: "N-ADOPT",
    role: "both",
    from: ["starting"],
    when:
      "the previous daemon of this boot was active a moment ago and what it held is still there",
    guard: ({ seen }) => seen.adoptable,
    to: "active",
    actions: () => [{ type: "persist" }, { type: "announce" }],
    why: "the previous daemon served: its VIPs and services are adopted",
  },
  {
    id: "N-JOIN",
    role: "both",
    from: ["starting"],
    when: "the network is up and it is known whether the peer lives",
    guard: ({ s }) => s.networkUp && (s.peer !== null || s.verdict === "dead" || s.daemonLost),
    to: "rejoining",
    actions: ({ s }) => [goal("join", { fetch: s.peer !== null })],
    why: "the network is up: come to rest, ask the peer",
  },
];

const REJOINING_RULES: readonly Rule[] = [
  {
    id: "N-READY",
    role: "both",
    from: ["rejoining"],
    when: "VIPs are down, services are stopped, the peer was asked",
    guard: goalDone,
    to: "standby",
    actions: () => [{ type: "persist" }],
    why: "at rest and ready to serve",
  },
  {
    id: "N-JOIN-FAILED",
    role: "both",
    from: ["rejoining"],
    when: "a step of coming to rest failed",
    guard: goalFailed,
    to: "failed",
    actions: () => [],
    why: "could not come to rest",
    detail: ({ state }) => `${state.goal?.failedStep}: ${state.goal?.error}`,
  },
];

const STANDBY_RULES: readonly Rule[] = [
  {
    id: "S-NOTICE",
    role: "slave",
    from: ["standby"],
    when: "the peer gave the service to me",
    guard: (c) => noticeIs(c, "yours"),
    to: "taking-over",
    actions: () => [goal("take")],
    why: "the master gave the service to me",
    detail: ({ state }) => state.notice?.reason ?? "",
    then: ({ state }) => ({ failbackHeld: holdsFailback(state.notice?.reason ?? "") }),
  },
  {
    id: "M-BACK",
    role: "master",
    from: ["standby"],
    when: "the peer gave the service to me",
    guard: (c) => noticeIs(c, "yours"),
    to: "taking-over",
    actions: () => [goal("take")],
    why: "the slave gave the service back",
    detail: ({ state }) => state.notice?.reason ?? "",
  },
  {
    id: "S-LEFT",
    role: "slave",
    from: ["standby"],
    when: "the peer said that it leaves and nobody answers for the VIPs",
    guard: (c) => c.state.peerLeftAt !== null && !(c.s.peer?.serving ?? false) && vipsAreFree(c),
    to: "taking-over",
    actions: () => [goal("take")],
    why: "the master said that it leaves: its word is believed at once",
  },
  {
    id: "S-TAKE",
    role: "slave",
    from: ["standby"],
    when:
      "the peer is dead, I am not isolated, nobody answers for the VIPs, and I did not just boot",
    guard: (c) => peerIsGone(c) && vipsAreFree(c) && bootIsOver(c),
    to: "taking-over",
    actions: () => [goal("take")],
    why: "the master is dead: silent on all links, by ICMP and by HTTP, and on its VIPs",
    detail: ({ s }) => `silent for ${Math.round(s.silentMs)} ms`,
  },
  {
    id: "S-LOST",
    role: "slave",
    from: ["standby"],
    when: "the peer's host answers echoes, its relais does not, and nobody answers for its VIPs",
    guard: (c) => c.s.daemonLost && c.s.hasVips && vipsAreFree(c),
    to: "taking-over",
    actions: () => [goal("take")],
    why: "the master's host answers, but its relais is gone and nobody answers for the VIPs",
  },
  {
    id: "S-UNFIT",
    role: "slave",
    from: ["standby"],
    when:
      "the peer lives, is unfit, failed or in maintenance without serving, for long, and let go",
    guard: (c) =>
      peerIsIdleTooLong(c) && vipsAreFree(c) && c.s.unfitReasons.length === 0 &&
      peerRestsIn(c, ["standby", "failed", "maintenance", "isolated", "rejoining", "starting"]),
    to: "taking-over",
    actions: () => [goal("take", { fetch: true })],
    why: "the master lives but does not serve, and let go",
    detail: ({ s }) => [`state ${s.peer?.state}`, ...(s.peer?.unfitReasons ?? [])].join("; "),
  },
  {
    id: "S-HOLD",
    role: "slave",
    from: ["standby"],
    when: "the peer is silent but somebody still answers for the VIPs",
    guard: ({ s }) =>
      (s.verdict === "dead" || s.daemonLost) && !s.isolated &&
      s.vipsHeldByPeer.length + s.vipsHeldByStranger.length > 0,
    to: "stay",
    everyMs: 60_000,
    actions: ({ s }) => [{
      type: "alert",
      text: `The master does not answer, but ${
        [...s.vipsHeldByPeer, ...s.vipsHeldByStranger]
          .map((vip) => `${vip.lastAnswerMac} (${vip.lastAnswerBy}) still answers for ${vip.vip}`)
          .join(", ")
      }: no takeover. Look at the path between the two hosts`,
    }],
    why: "the VIPs are still answered: the path is broken, not the master",
  },
  {
    id: "M-SERVE",
    role: "master",
    from: ["standby"],
    when: "nobody serves: the peer is dead or at rest, and nobody answers for the VIPs",
    guard: (c) =>
      vipsAreFree(c) && fitOrAlone(c) &&
      (peerIsGone(c) || (c.s.daemonLost && c.s.hasVips) || c.state.peerLeftAt !== null ||
        peerRestsIn(c, ["standby", "failed", "maintenance"]) ||
        (peerIsIdleTooLong(c) && peerRestsIn(c, ["isolated", "rejoining", "starting"]))),
    to: "taking-over",
    actions: ({ s }) => [goal("take", { fetch: s.peer !== null })],
    why: "nobody holds the VIPs and the slave does not serve",
  },
];

/**
 * Why the master gave decides whether the way back waits for an operator: after a planned switchover he
 * has a reason, and after ill services nobody knows yet whether they are cured.
 */
function holdsFailback(reason: string): boolean {
  return reason.startsWith("N-SWITCH") ||
    (reason.startsWith("N-UNFIT") && reason.includes("services:"));
}

const TAKING_RULES: readonly Rule[] = [
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

const ACTIVE_RULES: readonly Rule[] = [
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

const HANDING_RULES: readonly Rule[] = [
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
    when: "I let go, but the peer did not confirm the word",
    guard: (c) => goalFailed(c) && STEPS_AFTER_LETTING_GO.includes(c.state.goal?.failedStep ?? ""),
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

const ISOLATED_RULES: readonly Rule[] = [
  {
    id: "N-RETURN",
    role: "both",
    from: ["isolated"],
    when: "the network is back, my services still run, and nobody else has taken the service",
    guard: (c) =>
      vipsAreFree(c) && c.seen.services.running === "all" && fitOrAlone(c) &&
      (peerIsGone(c) || peerRestsIn(c, ["standby", "failed", "maintenance"])),
    to: "taking-over",
    actions: () => [goal("take")],
    why:
      "the network is back and nobody has taken over: the VIPs return to the services that still run",
  },
  {
    id: "N-REJOIN",
    role: "both",
    from: ["isolated"],
    when: "the network is back and the peer was heard, or is dead",
    guard: ({ s, seen }) =>
      !s.isolated && s.networkUp &&
      (s.peer !== null
        ? s.peer.serving || seen.services.running !== "all" || s.peer.state === "isolated"
        : s.verdict === "dead" && seen.services.running !== "all"),
    to: "rejoining",
    actions: ({ s }) => [goal("join", { fetch: s.peer !== null })],
    why: "the network is back: come to rest, ask the peer",
  },
];

const FAILED_RULES: readonly Rule[] = [
  {
    id: "N-STUCK",
    role: "both",
    from: ["rejoining", "taking-over", "handing-back"],
    when: `a goal runs longer than ${GOAL_DEADLINE_MS / 60_000} minutes`,
    guard: ({ state, now }) => now - state.since >= GOAL_DEADLINE_MS,
    to: "failed",
    actions: () => [{ type: "cancel-goal" }, { type: "drop-vips" }, goal("join")],
    why: "a goal did not end within its deadline",
  },
  {
    id: "N-RETRY",
    role: "both",
    from: ["failed"],
    when: `${FAILED_RETRY_MS / 1000} s have passed since the failure`,
    guard: ({ state, now, s }) =>
      now - state.since >= FAILED_RETRY_MS && state.goal?.outcome !== "running" && s.networkUp,
    to: "rejoining",
    actions: ({ s }) => [goal("join", { fetch: s.peer !== null })],
    why: "a failure is not for ever: try again",
  },
];
