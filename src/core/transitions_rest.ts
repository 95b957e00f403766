/**
 * Rows of the states in which a node does not serve: starting, rejoining, standby, isolated, failed.
 *
 * @module
 */

import { didNotConsent, lastResortAfterMs, peerHadTimeToBoot } from "./fencing.ts";
import {
  bootIsOver,
  daemonHadTimeToStart,
  fitOrAlone,
  goalDone,
  goalFailed,
  peerIsGone,
  peerIsIdleTooLong,
  peerIsStuck,
  peerRestsIn,
  readyPeerHadItsTurn,
  rightIsMissed,
  vipsAreFree,
  wasGivenTheService,
} from "./guards.ts";
import { goal, type Rule } from "./rule.ts";
import { RIGHT_ALERT_EVERY_MS } from "./transitions_serving.ts";
import type { Situation } from "./situation.ts";

/**
 * A goal that runs longer than this is lost, whatever its steps may still have: each step has a deadline
 * of its own, but with many units their sum is hours, and nobody waits that long for a telephone.
 */
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
      "the previous daemon of this boot was active a moment ago, what it held is still there, and the arbiter, if there is one, lets it serve",
    guard: ({ seen, s, state }) =>
      seen.adoptable && (s.mayServe || state.maintenanceAsked === "on"),
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
    when: "the peer gave the service to me, and I am not isolated",
    guard: wasGivenTheService,
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
    when: "the peer gave the service to me, and I am not isolated",
    guard: wasGivenTheService,
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
    guard: (c) => c.state.peerLeftAt !== null && vipsAreFree(c),
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
    actions: () => [goal("take", { fence: true })],
    why: "the master is dead: silent on all links, by ICMP and by HTTP, and on its VIPs",
    detail: ({ s }) => `silent for ${Math.round(s.silentMs)} ms`,
  },
  {
    id: "S-LOST",
    role: "slave",
    from: ["standby"],
    when:
      "the peer's host answers echoes, its relais does not (and not because both just boot), and nobody answers for its VIPs",
    guard: (c) => c.s.daemonLost && c.s.hasVips && vipsAreFree(c) && daemonHadTimeToStart(c),
    to: "taking-over",
    actions: () => [goal("take", { fence: true })],
    why: "the master's host answers, but its relais is gone and nobody answers for the VIPs",
  },
  {
    id: "S-UNFIT",
    role: "slave",
    from: ["standby"],
    when:
      "the peer lives but has not been serving for long, and did not even when it was ready, nobody answers for the VIPs, and I am fit",
    guard: (c) =>
      peerIsIdleTooLong(c) && readyPeerHadItsTurn(c) && vipsAreFree(c) &&
      c.s.unfitReasons.length === 0 &&
      (peerRestsIn(c, ["standby", "failed", "maintenance", "isolated", "starting"]) ||
        (peerIsStuck(c) && peerRestsIn(c, ["rejoining"]))),
    to: "taking-over",
    actions: () => [goal("take", { fetch: true })],
    why: "the master lives but does not serve, and let go",
    detail: ({ s }) => [`state ${s.peer?.state}`, ...(s.peer?.unfitReasons ?? [])].join("; "),
  },
  {
    id: "N-RIGHT-FREE",
    role: "both",
    from: ["standby"],
    when:
      "the peer lives and let go as the arbiter does not answer it; it answers me, and nobody answers for the VIPs",
    guard: (c) =>
      peerRestsIn(c, ["isolated"]) && c.s.peer?.arbiter?.reaches === false && vipsAreFree(c) &&
      c.seen.arbiter?.reaches === true && c.s.unfitReasons.length === 0,
    to: "taking-over",
    actions: () => [goal("take", { fetch: true })],
    why: "the peer cannot renew its right to serve and let go; I can have it",
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
      text: `The master does not answer, but ${holders(s)}: no takeover. ` +
        (s.vipsHeldByPeer.length > 0
          ? "Look at the path between the two hosts"
          : "Find that host and take the address away from it"),
    }],
    why: "the VIPs are still answered: never a second holder",
  },
  {
    id: "M-HOLD",
    role: "master",
    from: ["standby"],
    when: "the peer does not serve, for long, but somebody still answers for the VIPs",
    guard: (c) =>
      (c.s.verdict === "dead" || c.s.daemonLost || peerIsIdleTooLong(c)) && !c.s.isolated &&
      c.s.vipsHeldByPeer.length + c.s.vipsHeldByStranger.length > 0,
    to: "stay",
    everyMs: 60_000,
    actions: ({ s }) => [{
      type: "alert",
      text: `The slave does not serve, but ${holders(s)}: not mounted. ` +
        "Find that host and take the address away from it",
    }],
    why: "the VIPs are answered by another host: never a second holder",
  },
  {
    id: "M-SERVE",
    role: "master",
    from: ["standby"],
    when:
      "nobody serves: the peer is dead, without its relais, leaving or at rest, and nobody answers for the VIPs",
    guard: (c) =>
      vipsAreFree(c) && fitOrAlone(c) && peerHadTimeToBoot(c) &&
      (peerIsGone(c) || c.s.daemonLost || c.state.peerLeftAt !== null ||
        peerRestsIn(c, ["standby", "failed", "maintenance"]) ||
        (peerIsIdleTooLong(c) && peerRestsIn(c, ["isolated", "rejoining", "starting"]))),
    to: "taking-over",
    actions: (c) => [
      goal("take", { fetch: c.s.peer !== null, fence: didNotConsent(c) }),
    ],
    why: "nobody holds the VIPs and the slave does not serve",
  },
  {
    id: "N-STRAY",
    role: "both",
    from: ["standby"],
    when: "services run here although this node does not serve",
    guard: ({ seen }) => seen.services.running === "all" || seen.services.running === "some",
    to: "rejoining",
    actions: () => [
      {
        type: "alert",
        text: "Services were started on this node, which does not serve, by something else than " +
          "relais: stopped again. Find what starts them (boot, cron, a package upgrade, somebody)",
      },
      goal("join"),
    ],
    why: "services run on the node that does not serve: they are stopped again",
  },
];

/** Where a node waits for a right that it does not get. */
export const WAITING_RULES: readonly Rule[] = [
  {
    id: "N-RIGHT-GONE",
    role: "both",
    from: ["isolated"],
    when: "the arbiter says that the peer has the right to serve, and I am not cut off",
    guard: ({ s, seen }) => seen.arbiter?.right === "peer" && s.networkUp && !s.isolated,
    to: "rejoining",
    actions: ({ s }) => [goal("join", { fetch: s.peer !== null })],
    why: "the peer has the right to serve: come to rest",
  },
  {
    id: "N-RIGHT-HELD",
    role: "both",
    from: ["standby", "isolated"],
    when: "nobody serves as far as I can see, and the arbiter does not give the right, for long",
    guard: rightIsMissed,
    to: "stay",
    everyMs: RIGHT_ALERT_EVERY_MS,
    actions: ({ seen }) => [{ type: "alert", text: rightMissedText(seen.arbiter?.right) }],
    why: "the right to serve is not to be had: this node does not serve",
    detail: ({ seen }) => `the right: ${seen.arbiter?.right ?? "unknown"}`,
  },
];

function rightMissedText(right: string | undefined): string {
  return right === "peer"
    ? "The peer does not answer, but the arbiter says that it serves: no takeover. Look at the " +
      "path between the two hosts"
    : "Nobody serves and the arbiter does not answer: no takeover. Mend etcd (relais arbiter " +
      "status); to serve without it, see that the other host does not, take [arbiter] out of the " +
      "configuration and run: relais reload";
}

/** Who answers for which VIP, for an alert. */
function holders(s: Situation): string {
  return [...s.vipsHeldByPeer, ...s.vipsHeldByStranger]
    .map((vip) => `${vip.lastAnswerMac} (${vip.lastAnswerBy}) still answers for ${vip.vip}`)
    .join(", ");
}

/**
 * Why the master gave decides whether the way back waits for an operator: after a planned switchover he
 * has a reason, and after ill services nobody knows yet whether they are cured.
 */
function holdsFailback(reason: string): boolean {
  return reason.startsWith("N-SWITCH") ||
    (reason.startsWith("N-UNFIT") && reason.includes("services:"));
}

/** The way back from isolation. */
export const ISOLATED_RULES: readonly Rule[] = [
  {
    id: "N-RETURN",
    role: "both",
    from: ["isolated"],
    when: "the network is back, my services still run, and nobody else has taken the service",
    guard: (c) =>
      vipsAreFree(c) && c.seen.services.running === "all" && fitOrAlone(c) &&
      (peerIsGone(c) || (c.s.daemonLost && (c.s.hasVips || c.config.role === "master")) ||
        peerRestsIn(c, ["standby", "failed", "maintenance"]) ||
        (peerIsIdleTooLong(c) && peerRestsIn(c, ["isolated", "rejoining", "starting"]))),
    to: "taking-over",
    actions: (c) => [goal("take", { fence: didNotConsent(c) })],
    why:
      "the network is back and nobody has taken over: the VIPs return to the services that still run",
  },
  {
    id: "N-REJOIN",
    role: "both",
    from: ["isolated"],
    when: "the network is back and the peer was heard, or is dead, or only its host answers",
    guard: ({ s, seen }) =>
      !s.isolated && s.networkUp &&
      (s.peer !== null
        ? s.peer.serving || seen.services.running !== "all" || s.peer.state === "isolated"
        : (s.verdict === "dead" && seen.services.running !== "all") ||
          (s.daemonLost && (seen.services.running !== "all" || !s.hasVips))),
    to: "rejoining",
    actions: ({ s }) => [goal("join", { fetch: s.peer !== null })],
    why: "the network is back: come to rest, ask the peer",
  },
];

/** Out of what went wrong. */
export const FAILED_RULES: readonly Rule[] = [
  {
    id: "N-STUCK",
    role: "both",
    from: ["rejoining", "taking-over", "handing-back", "failed"],
    when: `a goal runs longer than ${GOAL_DEADLINE_MS / 60_000} minutes`,
    guard: ({ state, now }) =>
      now - state.since >= GOAL_DEADLINE_MS &&
      (state.name !== "failed" || state.goal?.outcome === "running"),
    to: "failed",
    actions: () => [{ type: "cancel-goal" }, { type: "drop-vips" }, goal("join")],
    why: "a goal did not end within its deadline",
  },
  {
    id: "N-LAST-RESORT",
    role: "both",
    from: ["failed"],
    when: "this node failed at coming to rest, the peer is dead and nobody answers for the VIPs",
    guard: (c) =>
      c.now - c.state.since >= lastResortAfterMs(c.state) && c.state.goal?.outcome !== "running" &&
      peerIsGone(c) && vipsAreFree(c) && bootIsOver(c),
    to: "taking-over",
    actions: (c) => [goal("take", { fence: didNotConsent(c) })],
    why: "this node failed, but nobody else is left to serve",
    detail: ({ state }) => state.detail,
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
