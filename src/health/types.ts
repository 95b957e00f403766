/**
 * The JSON contracts of the HTTP side: what `GET /health` answers (and the peer's probe parses) and
 * what `GET /status` and `relais status --json` answer. Explained for users in docs/status-json.md.
 *
 * Unknown keys are ignored, so that a newer relais can be watched by an older one. Strings and lists
 * are bounded: what a peer says is input like any other.
 *
 * @module
 */

import { z } from "zod";
import { LIMITS } from "../config/defaults.ts";
import { DATA_SET_NAMES, type PeerReport, STATE_NAMES } from "../core/types.ts";

const role = z.enum(["master", "slave"]);
const state = z.enum(STATE_NAMES);
const verdict = z.enum(["unknown", "alive", "suspect", "dead"]);
const dataSet = z.enum(DATA_SET_NAMES);
const word = z.string().max(200);
const sentence = z.string().max(2000);
const sentences = z.array(sentence).max(50);
/** systemd.unit(5): at most 255 characters. */
const unit = z.string().max(255);
const count = z.number().int().min(0);
/** Milliseconds that have passed since something; null: it never happened. */
const ago = z.number().min(0).nullable();
/** Wall clock, ISO 8601 in UTC (`2026-01-31T12:00:00.000Z`), for people. */
const wall = z.string().max(40);

/** Why a message was refused that claims to be the peer's; docs/http.md explains each. */
export const REFUSAL_REASONS = [
  "no-key",
  "address",
  "malformed",
  "mac",
  "own",
  "addressee",
  "late",
  "sender",
  "replay",
  "body",
  "senders",
] as const;
/** One of {@linkcode REFUSAL_REASONS}. */
export type RefusalReason = typeof REFUSAL_REASONS[number];

/** Nothing was refused yet. */
export function noRefusals(): Record<RefusalReason, number> {
  return Object.fromEntries(REFUSAL_REASONS.map((reason) => [reason, 0])) as Record<
    RefusalReason,
    number
  >;
}

/** The stream of the database as the master sees it. */
const stream = z.object({
  state: z.enum(["off", "unprepared", "seeding", "streaming", "behind", "broken"]),
  /** Milliseconds since the oldest change that the slave has not applied; null: not known. */
  lagMs: z.number().min(0).nullable(),
  /** Bytes of log that the slave has not applied. */
  lagBytes: z.number().min(0).nullable(),
});

/** Body of `GET /health`: what this node says of itself, small and quick to make. */
export const HealthBody = z.object({
  role,
  state,
  /** It runs the services or holds the VIPs. */
  serving: z.boolean(),
  epoch: count,
  fit: z.boolean(),
  unfitReasons: sentences,
  /** It stands by, has joined and can be handed the service. */
  ready: z.boolean(),
  /** What it hears of its peer. */
  hears: verdict,
  /** Random id of the daemon process. */
  instanceId: z.string().min(1).max(100),
  version: word,
  /** Fingerprint of its configuration. */
  fingerprint: word,
  /** Counts the answers of this process. */
  seq: count,
  /** The kernel's boot id. */
  bootId: word,
  /** Age in milliseconds of the node's copy of each data set; null: it has none. */
  dataAges: z.object({ astdb: ago, database: ago, files: ago }),
  /** Null: the database is not streamed from here. */
  stream: stream.nullable().default(null),
  /** To whom messages to this process are to be addressed now; renewed every few seconds. */
  addressee: word.default(""),
  /** Names of its cluster keys; the first signs, all are accepted. */
  keys: z.array(word).max(16).default([]),
  /** Null: no arbiter is configured. */
  arbiter: z.object({
    /** It answered this node's last question. */
    reaches: z.boolean(),
    /** This node does not serve, and will not for a while: the peer may serve on without the arbiter. */
    consents: z.boolean(),
  }).nullable().default(null),
});
/** See the schema of the same name. */
export type HealthBody = z.infer<typeof HealthBody>;

/**
 * The part of a {@linkcode HealthBody} that the core decides on, stamped with the moments of the question
 * and of its arrival (monotonic ms).
 */
export function peerReport(body: HealthBody, askedAt: number, receivedAt: number): PeerReport {
  const { role, state, serving, epoch, fit, unfitReasons, ready, hears, arbiter } = body;
  const { instanceId, version, fingerprint } = body;
  return {
    receivedAt,
    role,
    state,
    serving,
    epoch,
    fit,
    unfitReasons,
    ready,
    hears,
    instanceId,
    version,
    fingerprint,
    askedAt,
    arbiter,
  };
}

const node = z.object({
  role,
  state,
  /** Since when it is in this state. */
  since: wall,
  stateForMs: count,
  epoch: count,
  /** Id of the row of the transition table that led here. */
  rule: word,
  /** The reason of that row, as a sentence. */
  why: sentence,
  instanceId: word,
  bootId: word,
  version: word,
  /** Where the compiled program's runtime came from; `none` when it runs from source. */
  denort: z.enum(["official", "fallback", "custom", "none"]),
  configFingerprint: word,
  /** When that configuration was read: at the start of the daemon or by `relais reload`. */
  configLoadedAt: wall,
  clusterName: word,
  /** Names of the cluster keys in use; the first signs, all are accepted. */
  keys: z.array(word).max(16).default([]),
  pid: count,
  uptimeMs: count,
});

const peer = z.object({
  verdict,
  addresses: z.array(z.object({ network: word, address: word })).max(50),
  /** Its last answer, as it arrived; null: none since this daemon started. */
  report: HealthBody.nullable(),
  reportAgeMs: ago,
  /** Since when nothing at all was heard of it, on any link; null: never heard. */
  silentForMs: ago,
  /** Null: not known, as it never answered. */
  configMatches: z.boolean().nullable(),
  versionMatches: z.boolean().nullable(),
});

const signal = z.object({
  lastReplyAgoMs: ago,
  /** Round trip of the last answer. */
  rttMs: z.number().min(0).nullable(),
  sent: count,
  received: count,
  /** Answers that were no answers: garbage, wrong id, too late. */
  ignored: count,
});

const link = z.object({
  network: word,
  interface: word.nullable(),
  carrier: z.boolean(),
  icmp: signal,
  http: signal.extend({ lastError: sentence.nullable() }),
  witnesses: z.array(z.object({ address: word, lastReplyAgoMs: ago })).max(50),
});

const vip = z.object({
  vip: word,
  network: word,
  heldByMe: z.boolean(),
  holder: z.enum(["unknown", "nobody", "me", "peer", "stranger"]),
  holderMac: word.nullable(),
  unansweredProbes: count,
});

const services = z.object({
  driver: z.enum(["systemd", "command"]),
  names: z.array(unit).max(LIMITS.units),
  running: z.enum(["unknown", "none", "some", "all"]),
  healthy: z.boolean().nullable(),
});

const gate = z.object({
  /** Every unit that shall be behind the gate is (`true` also if there is none). */
  installed: z.boolean(),
  /** The services may start. */
  open: z.boolean(),
  /** The file that opens it. */
  flag: z.string().max(4096),
  /** Units behind the gate. */
  units: z.array(unit).max(LIMITS.units),
  /** Units that should be and are not. */
  missing: z.array(unit).max(LIMITS.units),
});

const shield = z.object({
  up: z.boolean(),
  since: wall.nullable(),
  /** The kernel lets it go by itself after that. */
  endsInMs: count.nullable(),
  /** `udp:5060`; empty: there is no shield. */
  ports: z.array(word).max(LIMITS.shieldPorts),
});

/** How far a copy is. */
const CopyProgress = z.object({
  /** What it does now, in words. */
  phase: word,
  doneBytes: count,
  totalBytes: count.nullable(),
  elapsedMs: count,
  /** Absent from a node of an earlier version; null: not known. */
  tablesDone: count.nullish(),
  tablesTotal: count.nullish(),
  bytesPerSecond: count.nullish(),
  /** An estimate of the rest of this phase. */
  remainingMs: count.nullish(),
});
/** See the schema of the same name. */
type CopyProgress = z.infer<typeof CopyProgress>;

const dataSetStatus = z.object({
  set: dataSet,
  /** `sent`: the last copy given to the peer; `received`: the last copy got from it. */
  direction: z.enum(["sent", "received"]),
  /** When the source was read; null: never copied. */
  snapshot: wall.nullable(),
  ageMs: ago,
  size: count.nullable(),
  sha256: word.nullable(),
  durationMs: count.nullable(),
  epoch: count.nullable(),
  /** The role of the node that it came from. */
  origin: role.nullable(),
  lastError: sentence.nullable(),
  lastErrorAt: wall.nullable(),
  nextRunInMs: count.nullable(),
  running: CopyProgress.nullable(),
  // A node of an earlier version says nothing of what follows.
  /** When the source last proved that nothing had changed since; null: not since the copy. */
  checkedAt: wall.nullable().default(null),
  /** When the last good copy ended. */
  lastSuccessAt: wall.nullable().default(null),
  /** Of the last good copy: size by duration. */
  bytesPerSecond: count.nullable().default(null),
  /** The age at which a copy is an alarm. */
  maxAgeMs: count.nullable().default(null),
  /** This copy should be fresh on this node now, and is older than that. */
  tooOld: z.boolean().default(false),
  /** Copies since this host knows the set. */
  successes: count.default(0),
  failures: count.default(0),
});

/** The arbiter as this node sees it. */
const arbiter = z.object({
  endpoints: z.array(z.string().max(300)).max(LIMITS.arbiterEndpoints),
  /** The key in etcd that is the right of this cluster. */
  key: z.string().max(300),
  policy: z.enum(["hold", "release"]),
  ttlMs: count,
  right: z.enum(["mine", "peer", "free", "unknown"]),
  /** How long the right is still certainly this node's; null: it is not. */
  validForMs: ago,
  /** It serves without the right, as the peer consents. */
  byConsent: z.boolean(),
  /** How long the last consent of the peer still counts; null: there is none. */
  consentForMs: ago,
  /** How long this node does not take the service, as it consented; null: it may. */
  promisedForMs: ago,
  /** It answered the last question. */
  reaches: z.boolean(),
  lastAnswerAgoMs: ago,
  lastError: sentence.nullable(),
  /** Questions since the daemon started. */
  answers: count,
  failures: count,
  /** Who holds the right by the last answer; null: nobody, or nobody that relais understands. */
  holder: z.object({ role, host: word, epoch: count, instanceId: word }).nullable(),
});

/** One entry of the node's history. */
export const HistoryEntry = z.object({
  at: wall,
  rule: word,
  from: word,
  to: word,
  why: sentence,
});
/** See the schema of the same name. */
export type HistoryEntry = z.infer<typeof HistoryEntry>;

/** The last proof of the copies on this host (`relais verify`). */
const verification = z.object({
  /** When it ended. */
  at: wall,
  ageMs: ago,
  durationMs: count,
  result: z.enum(["equal", "different", "unchecked"]),
  /** What differs or could not be checked; one sentence when all is equal. */
  text: sentence,
  /** How often this host proves them by itself; null: never. */
  everyMs: count.nullable(),
  /** It should have been done again by now. */
  overdue: z.boolean(),
});

const fencingOutcome = z.object({
  action: z.enum(["off", "on", "reboot", "status", "monitor", "metadata"]),
  ok: z.boolean(),
  text: sentence,
  at: wall,
  tookMs: count,
});

/** How this host would switch its peer off, and how that went lately. */
const fencing = z.object({
  mode: z.enum(["required", "best-effort"]),
  action: z.enum(["off", "reboot"]),
  /** The host that is switched off from here. */
  target: role,
  agent: z.string().max(1024),
  deadlineMs: count,
  /** What the agent does now. */
  busy: fencingOutcome.shape.action.nullable(),
  /** The last time that the peer was switched off, on or over, since the daemon started. */
  last: fencingOutcome.nullable(),
  /** The last look at whether the device answers; null: none yet. */
  checked: fencingOutcome.nullable(),
  /** An operator said that the peer is off: how long that still stands. */
  confirmedForMs: count.nullable(),
  /** Since the daemon started. */
  counters: z.object({ fenced: count, failed: count, checksFailed: count }),
});

/** Answer of `GET /status` and of `relais status --json`: everything an operator may ask. */
export const StatusDocument = z.object({
  node,
  peer,
  links: z.array(link).max(50),
  vips: z.array(vip).max(100),
  services,
  gate,
  shield,
  dataSets: z.array(dataSetStatus).max(20),
  /** Null: `mode` is not `stream`. */
  stream: stream.extend({
    /** What is wrong, as a sentence; empty: nothing. */
    why: sentence,
    slot: word.nullable(),
    /** Commits wait for the slave now. */
    synchronous: z.boolean(),
    /** New copies that a fault made necessary since the daemon started. */
    reseeds: count,
  }).nullable().default(null),
  /** Null: the copies on this host were never proved. */
  verification: verification.nullable().default(null),
  /** Null: not configured. */
  fencing: fencing.nullable().default(null),
  /** Null: none is configured. */
  arbiter: arbiter.nullable().default(null),
  /** What the node works on. */
  goal: z.object({ name: word, step: word, sinceMs: count }).nullable(),
  maintenance: z.boolean(),
  isolated: z.boolean(),
  fit: z.boolean(),
  unfitReasons: sentences,
  ready: z.boolean(),
  /** What an operator should know now, as sentences. */
  alerts: z.array(sentence).max(100),
  /** Newest last. */
  history: z.array(HistoryEntry).max(200),
  /** What was ignored, refused or lost since the daemon started. */
  counters: z.object({
    httpGarbage: count,
    httpRefused: count,
    icmpIgnored: count,
    arpGarbage: count,
    messagesRefused: count,
    messagesAccepted: count,
    /** Requests that were held back or refused as their address asked too often. */
    httpPaced: count.default(0),
    /** Answers in the peer's place that did not prove that they were the peer's. */
    healthUnproved: count.default(0),
  }),
  /** The messages among `messagesRefused`, by why. */
  refusals: z.record(z.enum(REFUSAL_REASONS), count).default(noRefusals),
  loop: z.object({ lagMs: z.number().min(0), lastTickAgoMs: z.number().min(0) }),
});
/** See the schema of the same name. */
export type StatusDocument = z.infer<typeof StatusDocument>;
