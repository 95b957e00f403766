/**
 * The kinds of faults that are done to the real program, and what each may cost: the bounds are those of
 * the simulation (tests/sim/bounds.ts), each kind here has one there that it is like.
 *
 * @module
 */

import type { LocalConfig } from "../../src/config/types.ts";
import { boundOf, type Kind as SimulatedKind, livenessMs, terms } from "../sim/bounds.ts";

/** What is claimed of the time in which nobody answers. */
export type NoneClaim =
  /** What the simulation claims for the kind that it is like. */
  | "simulated"
  /** One able host is there all the time: even a needless takeover costs no more than a takeover. */
  | "takeover"
  /** Nothing: both are ill, or the able one cannot know. */
  | "nothing";

/** What a kind is. */
export interface KindFacts {
  /** The kind of the simulation with the same bounds. */
  readonly like: SimulatedKind;
  readonly none: NoneClaim;
  /** How long it lasts, seconds. */
  readonly lastsS: readonly [from: number, to: number];
  /** The share of its faults during which an operator moves the service. */
  readonly moves: number;
  /** In words, for the table of the manual. */
  readonly what: string;
}

function facts(
  like: SimulatedKind,
  none: NoneClaim,
  lastsS: readonly [number, number],
  what: string,
  moves = 0,
): KindFacts {
  return { like, none, lastsS, moves, what };
}

/** Every kind. A schedule takes each once before it takes one again. */
export const KIND_FACTS = {
  "kill": facts("kill", "simulated", [1, 3], "kill -9 of the daemon, started again"),
  "kill-in-takeover": facts("cut", "nothing", [3, 8], "kill -9 at a step of a takeover"),
  "kill-in-hand-over": facts("cut", "nothing", [2, 6], "kill -9 of who gives, at a step"),
  "kill-in-taking-back": facts("cut", "nothing", [2, 6], "kill -9 of who is given, at a step"),
  "kill-in-join": facts("kill", "nothing", [2, 5], "kill -9 while a node comes to rest"),
  "dead": facts("dead-for-good", "nothing", [4, 12], "kill -9 for good, with or without clean-up"),
  "stopped": facts("stall", "nothing", [1, 20], "SIGSTOP of the daemon"),
  "frozen": facts("stall", "nothing", [1, 20], "SIGSTOP of every process of the host"),
  "power": facts("power", "simulated", [2, 10], "power cut and boot"),
  "power-both": facts("power-both", "nothing", [1, 5], "power cut of both"),
  "reboot": facts("reboot", "nothing", [2, 8], "SIGTERM, power off in the middle, boot"),
  "leave": facts("stop", "nothing", [2, 8], "SIGTERM, started again later"),
  "disk-full": facts("disk", "takeover", [2, 10], "no space in the state directory", 0.7),
  "ip-fails": facts("ip", "nothing", [1, 10], "`ip` exits with 2", 0.5),
  "ip-hangs": facts("ip", "nothing", [1, 10], "`ip` hangs", 0.5),
  "nft-missing": facts("disk", "takeover", [2, 8], "`nft` is not there", 0.9),
  "ssh-hangs": facts("disk", "takeover", [3, 14], "`ssh` hangs", 0.9),
  "clock-back": facts(
    "clock",
    "takeover",
    [4, 10],
    "wall clock back an hour, and forth again",
    0.5,
  ),
  "cable": facts("cable", "simulated", [1, 10], "all cables of a host pulled"),
  "mute": facts("cut", "simulated", [1, 10], "all ports of a host carry nothing"),
  "one-cable": facts("one-cable", "nothing", [1, 8], "the cable of the VIP's network pulled"),
  "split": facts("split", "nothing", [1, 10], "the hosts do not hear each other, all else does"),
  "one-way": facts("one-way", "nothing", [1, 8], "nothing passes in one direction"),
  "half-lost": facts("one-way-loss", "nothing", [3, 12], "50 % lost in one direction"),
  "witness": facts("witness", "takeover", [2, 6], "the gateway is off"),
  "no-arp-requests": facts("disk", "takeover", [3, 6], "gratuitous ARP requests swallowed", 1),
  "no-arp-replies": facts("disk", "takeover", [3, 6], "gratuitous ARP replies swallowed", 1),
  "same-mac": facts("loss", "nothing", [2, 8], "a stranger with the MAC of a host"),
  "same-mac-pair": facts("loss", "nothing", [2, 8], "both hosts with one MAC on the VIP's network"),
  "flood": facts("disk", "takeover", [3, 8], "a flood on an interface", 0.3),
  "http-garbage": facts("disk", "takeover", [2, 8], "the HTTP port answers garbage", 0.3),
  "http-silent": facts("disk", "takeover", [2, 8], "the HTTP port never answers", 0.3),
  "half-open": facts("disk", "takeover", [3, 10], "TCP opens and carries nothing", 0.5),
  "pbx-dies": facts("unit-dies", "nothing", [1, 4], "the PBX is killed"),
  "operator": facts("operator", "takeover", [1, 5], "an operator moves the service", 1),
  "maintenance": facts("operator", "nothing", [1, 6], "maintenance on both hosts, and a restart"),
} as const satisfies Readonly<Record<string, KindFacts>>;

/** See {@linkcode KIND_FACTS}. */
export type RealKind = keyof typeof KIND_FACTS;

/** Every kind. */
export const REAL_KINDS = Object.keys(KIND_FACTS) as readonly RealKind[];

/** What a fault may cost, milliseconds; null: not claimed. */
export interface RealBound {
  /** Two hosts answer, while the fault is there. */
  readonly doubleDuring: number | null;
  /** Two hosts answer, from the end of the fault on. */
  readonly doubleAfter: number;
  /** Longest time in which nobody answers. */
  readonly none: number | null;
  /**
   * Until when that is claimed: to the end of the fault (a cut that ends before the other host could believe
   * in it leaves a host that has to join again), or to rest.
   */
  readonly noneUntil: "end" | "rest";
  /** The client's ARP entry is another host's than the one that answers. */
  readonly stale: number | null;
  /** From the end of the fault to one that serves and one that stands by. */
  readonly rest: number;
  /** `isolated_after_ms` and `interval_ms`: a daemon that could not run for so long lets go. */
  readonly isolated: number;
  readonly interval: number;
}

/** Kinds in which nothing can tell the hosts that the other one lives (safety.md, "What is not claimed"). */
const NOT_CLAIMED_DURING: readonly RealKind[] = ["split", "same-mac", "same-mac-pair"];
/** Kinds that cut one host off, which knows it: nobody answers twice before the cut ends. */
const APART: readonly RealKind[] = ["cable", "mute", "kill-in-takeover"];

/** Kinds in which an announcement may be lost, or there are two who announce. */
const ANNOUNCEMENTS_LOST: readonly RealKind[] = [
  ...NOT_CLAIMED_DURING,
  ...["cable", "mute", "kill-in-takeover", "one-cable", "one-way", "half-lost", "flood"] as const,
];
/**
 * The kernel of the client takes an announcement for a known entry unless the entry changed less than 1 s
 * ago (`locktime`); announcements go out at 0, 0.1, 0.5, 1 and 2 s.
 */
const STALE_MS = 2_000;

/** The bound of a kind with this configuration. */
export function realBound(kind: RealKind, config: LocalConfig): RealBound {
  const facts = KIND_FACTS[kind];
  const { double, none } = boundOf(facts.like, config);
  const claims = { simulated: none, takeover: terms(config).takeover!, nothing: null };
  return {
    doubleDuring: NOT_CLAIMED_DURING.includes(kind) ? null : APART.includes(kind) ? 0 : double,
    doubleAfter: double,
    none: claims[facts.none],
    noneUntil: facts.none === "simulated" && kind !== "kill" ? "end" : "rest",
    stale: ANNOUNCEMENTS_LOST.includes(kind) ? null : STALE_MS,
    rest: livenessMs(config),
    isolated: config.heartbeat.isolatedAfterMs,
    interval: config.heartbeat.intervalMs,
  };
}
