/**
 * Random input of the decision core for fast-check. Times are generated as ages (negative, relative to
 * 0) that lie around the thresholds of {@linkcode BALANCED}; {@linkcode shiftObservation} and
 * {@linkcode shiftState} move them to a `now`.
 *
 * @module
 */

import fc from "fast-check";
import { initialState, type NodeState } from "../../src/core/state.ts";
import {
  type ArbiterEvidence,
  type CoreConfig,
  type CoreEvent,
  type LinkEvidence,
  type Observation,
  type PeerReport,
  type Role,
  STATE_NAMES,
  type VipEvidence,
} from "../../src/core/types.ts";
import { BALANCED } from "./core_cases.ts";

const AGES = [0, 100, 450, 600, 1400, 1600, 2900, 3100, 5000, 12_000, 31_000, 70_000, 700_000];

const ago = fc.constantFrom(...AGES).map((ms) => -ms);
const recent = fc.constantFrom(0, 100, 450, 600).map((ms) => -ms);
const sign = fc.oneof(
  { weight: 4, arbitrary: recent },
  { weight: 4, arbitrary: ago },
  { weight: 1, arbitrary: fc.constant(null) },
);
const since = fc.oneof({ weight: 2, arbitrary: fc.constant(null) }, { weight: 3, arbitrary: ago });
const mostly = fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, {
  weight: 1,
  arbitrary: fc.constant(false),
});
const rarely = mostly.map((value) => !value);
const epoch = fc.integer({ min: 0, max: 9 });

function link(network: string): fc.Arbitrary<LinkEvidence> {
  return fc.record({
    network: fc.constant(network),
    carrier: mostly,
    hasVip: mostly,
    lastIcmpAt: sign,
    lastHttpAt: sign,
    hasWitness: mostly,
    lastWitnessAt: sign,
  });
}

const peer: fc.Arbitrary<PeerReport | null> = fc.option(
  fc.record({
    receivedAt: recent,
    role: fc.constant<Role>("master"),
    state: fc.oneof(fc.constant("standby" as const), fc.constantFrom(...STATE_NAMES)),
    serving: fc.boolean(),
    epoch,
    fit: mostly,
    unfitReasons: fc.constant(["network voip: no carrier"]),
    ready: mostly,
    hears: fc.constant("alive" as const),
    instanceId: fc.constant("peer-1"),
    version: fc.constant("test"),
    fingerprint: fc.constant("same"),
    askedAt: recent,
    arbiter: fc.oneof(
      fc.constant(null),
      fc.record({ reaches: fc.boolean(), consents: fc.boolean() }),
    ),
  }),
  { freq: 5 },
) as fc.Arbitrary<PeerReport | null>;

/** Mostly none, as in most clusters. */
const arbiter: fc.Arbitrary<ArbiterEvidence> = fc.record({
  right: fc.constantFrom(
    ...(["mine", "mine", "peer", "free", "free", "free", "unknown"] as const),
  ),
  validUntil: fc.constantFrom(null, 4000, 4000, -1),
  reaches: mostly,
  promisedUntil: fc.constantFrom(null, null, -1, 3000),
});

function vip(network: string): fc.Arbitrary<VipEvidence> {
  return fc.record({
    vip: fc.constant(`vip-${network}`),
    network: fc.constant(network),
    heldByMe: fc.boolean(),
    lastAnswerBy: fc.constantFrom(null, "peer" as const, "stranger" as const),
    lastAnswerMac: fc.constant("02:00:00:00:00:01"),
    lastAnswerAt: recent,
    unansweredProbes: fc.constantFrom(0, 2, 3, 3, 9),
  });
}

/** One event; goal ids lie near `goalId`. */
function event(goalId: fc.Arbitrary<number>): fc.Arbitrary<CoreEvent> {
  return fc.oneof(
    fc.record({
      type: fc.constant("notice" as const),
      notice: fc.record({
        kind: fc.constantFrom(
          "yours" as const,
          "leaving" as const,
          "request-switchover" as const,
          "request-failback" as const,
        ),
        epoch,
        reason: fc.constantFrom("X-GIVE: the daemon ends", "N-SWITCH: planned", ""),
      }),
    }),
    fc.record({
      type: fc.constant("command" as const),
      command: fc.constantFrom(
        "switchover" as const,
        "failback" as const,
        "maintenance-on" as const,
        "maintenance-off" as const,
        "fence-confirm" as const,
      ),
    }),
    fc.record({ type: fc.constant("goal-done" as const), goalId }),
    fc.record({ type: fc.constant("fencing-over" as const), goalId }),
    fc.record({
      type: fc.constant("goal-failed" as const),
      goalId,
      step: fc.constantFrom(
        "start-services",
        "tell-yours",
        "check-transport",
        "drop-vips",
        "fence-peer",
      ),
      error: fc.constant("it failed"),
    }),
    fc.record({
      type: fc.constant("stalled" as const),
      stalledMs: fc.constantFrom(400, 1400, 1500, 4000),
    }),
  );
}

/** An observation with times as ages; events about the goals 1 to 6. */
export const anyObservation: fc.Arbitrary<Observation> = fc.record({
  links: fc.oneof(
    fc.tuple(link("voip")),
    fc.tuple(link("voip"), link("data")),
  ),
  peer,
  vips: fc.oneof(
    fc.constant([]),
    fc.tuple(vip("voip")),
    fc.tuple(vip("voip"), vip("data")),
  ),
  services: fc.record({
    running: fc.constantFrom("unknown" as const, "none" as const, "some" as const, "all" as const),
    healthy: fc.constantFrom(null, true, false),
  }),
  adoptable: rarely,
  hostUptimeMs: fc.constantFrom(1000, 11_000, 13_000, 10_000_000),
  idle: fc.constantFrom(null, true, false),
  failbackWindowOpen: mostly,
  peerMismatch: fc.option(fc.constant("the peer runs another configuration"), {
    freq: 1,
    nil: null,
  })
    .chain((value) => rarely.map((use) => use ? value : null)),
  hasKey: mostly,
  arbiter,
  localFaults: rarely.map((has) => has ? ["pg_dump is missing"] : []),
  events: fc.oneof(
    { weight: 4, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(event(fc.integer({ min: 1, max: 6 })), { maxLength: 3 }) },
  ),
}) as fc.Arbitrary<Observation>;

const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> =>
  fc.oneof(
    { weight: 3, arbitrary: fc.constant(null) },
    { weight: 2, arbitrary },
  );

/** A memory with times as ages, reachable or not. */
export const anyState: fc.Arbitrary<NodeState> = fc.record({
  name: fc.constantFrom(...STATE_NAMES),
  since: ago,
  epoch,
  evidenceSince: ago,
  goal: fc.option(
    fc.record({
      id: fc.constant(1),
      name: fc.constantFrom("join" as const, "take" as const, "hand-over" as const),
      startedAt: ago,
      outcome: fc.constantFrom("running" as const, "done" as const, "failed" as const),
      failedStep: fc.constantFrom(
        "start-services",
        "tell-yours",
        "check-transport",
        "acquire-right",
        "fence-peer",
      ),
      error: fc.constant("it failed"),
      fencing: fc.boolean(),
    }),
    { freq: 5 },
  ),
  notice: maybe(fc.record({
    kind: fc.constantFrom("yours" as const, "leaving" as const),
    epoch,
    reason: fc.constant("X-GIVE: the daemon ends"),
    at: recent,
  })),
  peerLeftAt: maybe(ago),
  switchoverAskedAt: maybe(recent),
  failbackAskedAt: maybe(recent),
  maintenanceAsked: maybe(fc.constantFrom("on" as const, "off" as const)),
  stopAsked: rarely,
  servedBeforeMaintenance: fc.boolean(),
  wasCutOff: rarely,
  stalledMs: rarely.map((stalled) => stalled ? 1600 : 0),
  peerReadySince: since,
  peerIdleSince: since,
  peerUnfitSince: since,
  networkUnfitSince: since,
  servicesUnfitSince: since,
  failbackHeld: rarely,
  peerDiedFirst: fc.boolean(),
  handOverFailedAt: maybe(ago),
  peerOffSaidAt: maybe(recent),
  consentUntil: fc.constantFrom(null, null, -1, 3000),
}).map((drawn) => ({
  ...initialState(0, { epoch: 0, failbackHeld: false }),
  ...drawn,
  nextGoalId: 2,
}));

/** Either role, each failback policy. */
export const anyConfig: fc.Arbitrary<CoreConfig> = fc.record({
  role: fc.constantFrom("master" as const, "slave" as const),
  mode: fc.constantFrom("auto" as const, "auto" as const, "manual" as const, "window" as const),
  idleDeadlineMs: fc.constantFrom(null, 600_000),
  fencing: fc.constantFrom(null, null, "required" as const, "best-effort" as const),
  policy: fc.constantFrom(null, null, null, null, "hold" as const, "release" as const),
}).map(({ role, mode, idleDeadlineMs, fencing, policy }) => ({
  ...BALANCED,
  role,
  fencing,
  arbiter: policy === null ? null : { policy, ttlMs: 6000, consentMs: 3000 },
  failback: { ...BALANCED.failback, mode, idleDeadlineMs },
}));

/** Moves the ages of an observation to `now`. */
export function shiftObservation(drawn: Observation, now: number): Observation {
  const at = (age: number | null): number | null => age === null ? null : now + age;
  return {
    ...drawn,
    links: drawn.links.map((link) => ({
      ...link,
      lastIcmpAt: at(link.lastIcmpAt),
      lastHttpAt: at(link.lastHttpAt),
      lastWitnessAt: at(link.lastWitnessAt),
    })),
    peer: drawn.peer === null ? null : {
      ...drawn.peer,
      receivedAt: now + drawn.peer.receivedAt,
      ...(drawn.peer.askedAt === undefined ? {} : { askedAt: now + drawn.peer.askedAt }),
    },
    arbiter: (drawn.arbiter ?? null) === null ? null : {
      ...drawn.arbiter!,
      validUntil: at(drawn.arbiter!.validUntil),
      promisedUntil: at(drawn.arbiter!.promisedUntil),
    },
    vips: drawn.vips.map((vip) => ({ ...vip, lastAnswerAt: at(vip.lastAnswerAt) })),
  };
}

/** Moves the ages of a memory to `now`. */
export function shiftState(drawn: NodeState, now: number): NodeState {
  const at = (age: number | null): number | null => age === null ? null : now + age;
  return {
    ...drawn,
    since: now + drawn.since,
    evidenceSince: now + drawn.evidenceSince,
    goal: drawn.goal === null ? null : { ...drawn.goal, startedAt: now + drawn.goal.startedAt },
    notice: drawn.notice === null ? null : { ...drawn.notice, at: now + drawn.notice.at },
    peerLeftAt: at(drawn.peerLeftAt),
    switchoverAskedAt: at(drawn.switchoverAskedAt),
    failbackAskedAt: at(drawn.failbackAskedAt),
    peerReadySince: at(drawn.peerReadySince),
    peerIdleSince: at(drawn.peerIdleSince),
    peerUnfitSince: at(drawn.peerUnfitSince),
    networkUnfitSince: at(drawn.networkUnfitSince),
    servicesUnfitSince: at(drawn.servicesUnfitSince),
    handOverFailedAt: at(drawn.handOverFailedAt),
    peerOffSaidAt: at(drawn.peerOffSaidAt),
    consentUntil: at(drawn.consentUntil),
  };
}
