/**
 * The words of relais as types (docs/glossary.md). Everything in `src/core` is pure: no I/O, no clock,
 * no randomness, no `await`. Times are milliseconds on the monotonic clock of the node that runs the
 * core (see `src/os/clock.ts`) unless a name says `wall`.
 *
 * @module
 */

/** Fixed by configuration: the master is preferred, the slave stands in (B1). */
export type Role = "master" | "slave";

/** What a node does now. `active` serves: its services are up and it holds the VIPs. */
export type StateName =
  | "starting"
  | "standby"
  | "taking-over"
  | "active"
  | "handing-back"
  | "isolated"
  | "rejoining"
  | "maintenance"
  | "failed";

/** Every {@linkcode StateName}, in the order in which documents list them. */
export const STATE_NAMES = [
  "starting",
  "rejoining",
  "standby",
  "taking-over",
  "active",
  "handing-back",
  "isolated",
  "maintenance",
  "failed",
] as const satisfies readonly StateName[];

/**
 * What the failure detector says of the peer. `unknown` means "not enough evidence yet": nothing was
 * heard since the evidence began, and the evidence is younger than the silence that proves a death.
 */
export type Verdict = "unknown" | "alive" | "suspect" | "dead";

/** The data sets of DESIGN section 7; `config` and `hot` are tables of the database (docs/design/tables.md). */
export type DataSetName = "astdb" | "database" | "config" | "hot" | "files";

/** Every {@linkcode DataSetName}, in the order in which they are shown and copied. */
export const DATA_SET_NAMES = [
  "astdb",
  "database",
  "config",
  "hot",
  "files",
] as const satisfies readonly DataSetName[];

/** Who answers for a VIP on its network. `unknown` until the first probes had time to be answered. */
export type Holder = "unknown" | "nobody" | "me" | "peer" | "stranger";

/** What one link (path between the two hosts over one network) has told us lately. */
export interface LinkEvidence {
  /** Name of the network, e.g. `voip`. */
  readonly network: string;
  /** The interface exists, is up and has carrier. */
  readonly carrier: boolean;
  /** This network carries at least one VIP. */
  readonly hasVip: boolean;
  /** Last ICMP echo reply of the peer; null if none since the daemon started. */
  readonly lastIcmpAt: number | null;
  /** Last good answer of the peer's `GET /health`; null if none since the daemon started. */
  readonly lastHttpAt: number | null;
  /** At least one witness is configured on this network. */
  readonly hasWitness: boolean;
  /** Last echo reply of any witness of this network. */
  readonly lastWitnessAt: number | null;
}

/** What the peer said of itself in its last `GET /health` body. */
export interface PeerReport {
  /** When it reached us. */
  readonly receivedAt: number;
  readonly role: Role;
  readonly state: StateName;
  /** It runs the services or holds the VIPs (also true in maintenance while it does). */
  readonly serving: boolean;
  readonly epoch: number;
  /** It could serve now, or serves well. */
  readonly fit: boolean;
  /** Why not, in words, empty when fit. */
  readonly unfitReasons: readonly string[];
  /** It stands by, has joined and can be handed the service. */
  readonly ready: boolean;
  /** What it hears of us. */
  readonly hears: Verdict;
  /** Random id of the peer's daemon process. */
  readonly instanceId: string;
  readonly version: string;
  /** Fingerprint of its configuration file; must equal ours. */
  readonly fingerprint: string;
  /** When we put the question that this answers; absent: not known. */
  readonly askedAt?: number;
  /** What it says of the arbiter; null or absent: it has none. */
  readonly arbiter?:
    | {
      /** The arbiter answered its last question. */
      readonly reaches: boolean;
      /** It does not serve, and will not for a while: we may serve on without the arbiter. */
      readonly consents: boolean;
    }
    | null
    | undefined;
}

/** What the arbiter, an etcd, says of the right to serve (docs/design/arbiter.md). */
export interface ArbiterEvidence {
  /**
   * Whose it is. `mine` only before {@linkcode ArbiterEvidence.validUntil}; `unknown`: the arbiter did not
   * answer lately.
   */
  readonly right: "mine" | "peer" | "free" | "unknown";
  /** Until then it is certainly mine; null: it is not. */
  readonly validUntil: number | null;
  /** The arbiter answered the last question. */
  readonly reaches: boolean;
  /** Until then I do not take the service, as I consented to the peer's serving without the arbiter. */
  readonly promisedUntil: number | null;
}

/** What ARP/ND and the kernel say about one VIP. */
export interface VipEvidence {
  /** Textual address, e.g. `10.20.0.10`. */
  readonly vip: string;
  readonly network: string;
  /** It is mounted on this host (exact address and prefix). */
  readonly heldByMe: boolean;
  /** Who was last heard to answer for it, other than this host. */
  readonly lastAnswerBy: "peer" | "stranger" | null;
  /** The MAC of that answer. */
  readonly lastAnswerMac: string | null;
  readonly lastAnswerAt: number | null;
  /** Probes that had time to be answered and were not, since the last answer. */
  readonly unansweredProbes: number;
}

/** The operator's services on this host. */
export interface ServicesEvidence {
  /** `none`: all stopped; `some`: between; `all`: all running; `unknown`: not read yet. */
  readonly running: "unknown" | "none" | "some" | "all";
  /** Telephony check after rise/fall counting; null if no check is configured or none has finished. */
  readonly healthy: boolean | null;
}

/** A message of the peer that passed authentication. */
export interface PeerNotice {
  /**
   * `yours`: it let go, take the service now. `leaving`: it goes away without having served.
   * `request-switchover` / `request-failback`: its operator asks us, who serve, to hand over.
   */
  readonly kind: "yours" | "leaving" | "request-switchover" | "request-failback";
  /** The sender's epoch. */
  readonly epoch: number;
  /** In words, for log and history. */
  readonly reason: string;
}

/** What happened since the last step; delivered once, in order. */
export type CoreEvent =
  | { readonly type: "notice"; readonly notice: PeerNotice }
  | { readonly type: "command"; readonly command: OperatorCommand }
  | { readonly type: "goal-done"; readonly goalId: number }
  | {
    readonly type: "goal-failed";
    readonly goalId: number;
    /** Name of the step that failed. */
    readonly step: string;
    /** What happened, to what, and what to do next. */
    readonly error: string;
  }
  /** The step `fence-peer` of that goal is over, well or, where fencing is best-effort, badly. */
  | { readonly type: "fencing-over"; readonly goalId: number }
  /** The loop stood still for that long: evidence older than this event is void. */
  | { readonly type: "stalled"; readonly stalledMs: number };

/** What an operator asked this node to do. */
export type OperatorCommand =
  | "switchover"
  | "failback"
  | "maintenance-on"
  | "maintenance-off"
  /** "I have switched the peer off by hand": stands for fencing, for a while. */
  | "fence-confirm"
  /** The daemon is asked to end for good: an orderly leave. */
  | "stop";

/** Whether a takeover that the peer did not agree to may go on where the peer cannot be switched off. */
export type FencingMode = "required" | "best-effort";

/**
 * What the runtime works on, one at a time; the ordered steps of each are in `goals.ts`.
 * `join`: come to rest (VIPs down, services stopped) and fetch what is newer. `take`: become active.
 * `hand-over`: give the service to the peer by consent. `repair`: start the services again in place.
 */
export type GoalName = "join" | "take" | "hand-over" | "repair";

/** One read-only picture of the world, taken by the runtime for one step. */
export interface Observation {
  readonly links: readonly LinkEvidence[];
  readonly peer: PeerReport | null;
  readonly vips: readonly VipEvidence[];
  readonly services: ServicesEvidence;
  /** What a previous daemon on this boot left behind: it was active and VIPs/services are still there. */
  readonly adoptable: boolean;
  /** How long this host is up. */
  readonly hostUptimeMs: number;
  /** No call in progress (`failback.when_idle`); null when not asked for or not known. */
  readonly idle: boolean | null;
  /** The failback window (`failback.mode = "window"`) is open now; true in the other modes. */
  readonly failbackWindowOpen: boolean;
  /** The peer runs another configuration than this node, in words; null when they agree or it is unknown. */
  readonly peerMismatch: string | null;
  /** Why what this node's database gained can't go to the peer now, in words; null or absent: it can. */
  readonly returnBlocked?: string | null;
  /** Null or absent: no arbiter is configured. */
  readonly arbiter?: ArbiterEvidence | null | undefined;
  /** A cluster key is loaded, so planned moves can be agreed. */
  readonly hasKey: boolean;
  /** Reasons, in words, why this host could not serve, other than its network and services. */
  readonly localFaults: readonly string[];
  readonly events: readonly CoreEvent[];
}

/** The part of the configuration that decisions depend on; all in milliseconds. */
export interface CoreConfig {
  readonly role: Role;
  readonly intervalMs: number;
  readonly isolatedAfterMs: number;
  readonly deadAfterMs: number;
  /** Illness of the active node is believed after this long. */
  readonly unfitAfterMs: number;
  /** A host that booted less than this ago does not take over from a peer it never heard. */
  readonly bootGraceMs: number;
  /** Null or absent: the peer is never switched off. */
  readonly fencing?: FencingMode | null;
  readonly failback: {
    readonly mode: "auto" | "manual" | "window";
    readonly stableMs: number;
    /** Null: do not wait for idle. Otherwise how long at most. */
    readonly idleDeadlineMs: number | null;
  };
  /** Null or absent: no arbiter; the two hosts decide between themselves. */
  readonly arbiter?: {
    /** What the node that serves does when the arbiter does not answer. */
    readonly policy: "hold" | "release";
    /** Time to live of the lease. */
    readonly ttlMs: number;
    /** How long a consent of the peer counts, from the question that it answered. */
    readonly consentMs: number;
  } | null;
}

/** What the runtime must do, in this order. Data only. */
export type Action =
  /** At once, before anything else and before the answer to any message: a safety action. */
  | { readonly type: "drop-vips" }
  /** Cancel the goal in progress (its step in progress is aborted), undo what must not stay. */
  | { readonly type: "cancel-goal" }
  | {
    readonly type: "start-goal";
    readonly goal: GoalName;
    /** Comes back in `goal-done` / `goal-failed`, so that a cancelled goal's result is not believed. */
    readonly goalId: number;
    /** `take` and `join`: ask the peer for a newer astdb before the services start (M4). */
    readonly fetch: boolean;
    /** `hand-over`: this node cannot stay; go also if data cannot travel. */
    readonly urgent: boolean;
    /** `take`: switch the peer off before anything else; null or absent: not. */
    readonly fence?: FencingMode | null;
  }
  /** Announce the VIPs that we hold again (a second holder was seen). */
  | { readonly type: "announce" }
  /** Tell the peer, authenticated, best effort within a deadline. */
  | { readonly type: "tell-peer"; readonly kind: PeerNotice["kind"]; readonly reason: string }
  | { readonly type: "alert"; readonly text: string }
  /** Discard all evidence and look again. */
  | { readonly type: "discard-evidence" }
  /** Persist epoch and state before anything that follows. */
  | { readonly type: "persist" }
  /** The orderly end of the daemon. */
  | { readonly type: "exit" };
