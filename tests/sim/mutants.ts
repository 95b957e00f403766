/**
 * One rule broken at a time. Each is a textual edit of a file of src/core that must apply exactly once;
 * the simulation must notice each. `seed` is one that did, tried first.
 *
 * @module
 */

/** See the module. */
export interface Mutant {
  readonly name: string;
  /** In src/core. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
  readonly seed?: number;
  /** Only pairs that switch each other off can notice it. */
  readonly fencing?: true;
  /** Only where there is an arbiter can it be seen. */
  readonly arbiter?: true;
  /** Why no simulation can see it; then it is listed and does not fail the run. */
  readonly equivalent?: string;
}

const step = (name: string, rest: string): string => `step("${name}", ${rest}),`;
const LET_GO = step("drop-vips", '"fail", "never two holders: gone here before the word is given"');
const STOP = step("stop-services", '"fail", "S2: the data comes to rest before it travels"');
const JOIN_DROP = step("drop-vips", '"fail", "a node that does not serve holds no VIP"');
const JOIN_STOP = step(
  "stop-services",
  '"fail", "B2: services are stopped on the node that does not serve"',
);

/** The list. */
export const MUTANTS: readonly Mutant[] = [
  {
    name: "the veto is dropped",
    file: "guards.ts",
    seed: 3,
    from: "s.vipsSilent && !s.isolated &&",
    to: "!s.isolated &&",
  },
  {
    name: "one unanswered probe is no proof: none is needed",
    file: "situation.ts",
    seed: 19,
    from: "PROBES_FOR_SILENCE = 3",
    to: "PROBES_FOR_SILENCE = 0",
  },
  {
    name: "isolation drops no VIPs",
    file: "transitions_safety.ts",
    from:
      '  return [{ type: "drop-vips" }, { type: "cancel-goal" }, { type: "discard-evidence" }];',
    to: '  return [{ type: "cancel-goal" }, { type: "discard-evidence" }] as never;',
  },
  {
    name: "the master never isolates",
    file: "transitions_safety.ts",
    from: 'role: "master",\n    from: ["active", "taking-over", "handing-back"],',
    to: 'role: "master",\n    from: [],',
  },
  {
    name: "the slave never isolates",
    file: "transitions_safety.ts",
    seed: 4,
    from:
      'id: "S-ISOLATE",\n    role: "slave",\n    from: ["active", "taking-over", "handing-back"],',
    to: 'id: "S-ISOLATE",\n    role: "slave",\n    from: [],',
  },
  {
    name: "isolation comes after death: isolated_after is dead_after",
    file: "situation.ts",
    seed: 7,
    from: "if (quietMs < config.isolatedAfterMs) return",
    to: "if (quietMs < 2 * config.deadAfterMs) return",
  },
  {
    name: "isolation counts the wrong way round",
    file: "situation.ts",
    seed: 7,
    from: "if (quietMs < config.isolatedAfterMs) return",
    to: "if (quietMs >= config.isolatedAfterMs) return",
  },
  {
    name: "no carrier is no isolation",
    equivalent:
      "a VIP network without carrier and a silent peer isolate as well, S later: the first rule only lets go sooner",
    file: "situation.ts",
    from: "links.length > 0 && links.every((link) => !link.carrier)",
    to: "links.length < 0",
  },
  {
    name: "every peer died first",
    file: "step.ts",
    seed: 178,
    from: "state.peerDiedFirst || (s.verdict",
    to: "true || (s.verdict",
  },
  {
    name: "death at isolated_after",
    file: "detector.ts",
    seed: 7,
    from: "silentMs >= config.deadAfterMs",
    to: "silentMs >= config.isolatedAfterMs / 2",
  },
  {
    name: "death is never believed",
    file: "detector.ts",
    from: "silentMs >= config.deadAfterMs",
    to: "silentMs < 0",
  },
  {
    name: "the slave never yields",
    file: "transitions_safety.ts",
    from:
      'id: "S-YIELD",\n    role: "slave",\n    from: ["active", "taking-over", "handing-back"],',
    to: 'id: "S-YIELD",\n    role: "slave",\n    from: [],',
  },
  {
    name: "the slave yields and keeps its VIPs",
    file: "transitions_safety.ts",
    from: '[{ type: "cancel-goal" }, { type: "drop-vips" }, goal("join")]',
    to: '[{ type: "cancel-goal" }, goal("join")]',
  },
  {
    name: "a stalled loop is no reason to let go",
    file: "transitions_safety.ts",
    from:
      'state.stalledMs >= config.isolatedAfterMs,\n    to: "isolated",\n    actions: isolate,\n    why: "cut off, or stood still: the VIPs go before the slave',
    to:
      'false,\n    to: "isolated",\n    actions: isolate,\n    why: "cut off, or stood still: the VIPs go before the slave',
  },
  {
    name: "once cut off, cut off for ever",
    file: "step.ts",
    from: "(s.isolated || state.wasCutOff)",
    to: "true",
  },
  {
    name: "no looking again after isolation",
    file: "transitions_safety.ts",
    seed: 6,
    from: "state.wasCutOff && !s.isolated",
    to: "false",
  },
  {
    name: "the word is given before the VIPs go (two steps swapped)",
    file: "goals.ts",
    seed: 3,
    from: LET_GO,
    to: `step("tell-yours", "fail", "x"),\n        ${LET_GO}`,
  },
  { name: "a hand-over stops no services", file: "goals.ts", from: STOP, to: "" },
  {
    name: "a hand-over sends the astdb before the services stop (two steps swapped)",
    file: "goals.ts",
    from: STOP,
    to: `step("send-astdb", "go-on", "x"),\n        ${STOP}`,
  },
  { name: "a hand-over drops no VIPs", file: "goals.ts", from: LET_GO, to: "" },
  { name: "a node that joins stops no services", file: "goals.ts", from: JOIN_STOP, to: "" },
  {
    name: "a node that joins keeps its VIPs",
    file: "goals.ts",
    from: JOIN_DROP,
    to: "",
    equivalent:
      "every row that starts a join from a state with VIPs drops them itself first, and the kernel lets go after 3 s: the step is a second belt",
  },
  {
    name: "a takeover mounts nothing",
    file: "goals.ts",
    from: step(
      "mount-vips",
      '"fail", "M1, S1: the address first, phones wait for milliseconds only"',
    ),
    to: "",
  },
  {
    name: "a takeover starts no services",
    file: "goals.ts",
    from: step("start-services", '"fail", "S1, B3"'),
    to: "",
  },
  {
    name: "copies onto the one that serves",
    equivalent:
      "each takeover raises the epoch, so a set of before is refused by its epoch as well: two locks on one door (receiving_test.ts tries each; the next mutant breaks both)",
    file: "receiving.ts",
    from: "if (!resting) {",
    to: "if (resting && !resting) {",
  },
  {
    name: "every copy is welcome",
    file: "receiving.ts",
    from: "const subject = `Cannot take in",
    to: "if (offered.epoch >= 0) return null;\n  const subject = `Cannot take in",
  },
  {
    name: "older epochs are welcome",
    file: "receiving.ts",
    from: "offered.epoch < state.epoch",
    to: "offered.epoch > state.epoch + 1e9",
  },
  {
    name: "the same epoch is refused (< for <=), newer ones too",
    file: "receiving.ts",
    from: "offered.epoch < state.epoch",
    to: "offered.epoch >= state.epoch",
  },
  {
    name: "a takeover raises no epoch",
    file: "step.ts",
    from: "base.notice?.epoch ?? 0) + 1",
    to: "base.notice?.epoch ?? 0)",
  },
  {
    name: "a takeover forgets the peer's epoch",
    file: "step.ts",
    from: "Math.max(base.epoch, peerEpoch, base.notice",
    to: "Math.max(base.epoch - 1, base.notice",
  },
  {
    name: "a goal's number is used twice",
    file: "step.ts",
    from: "goalId: nextGoalId++",
    to: "goalId: nextGoalId",
  },
  {
    name: "the roles of rows do not count",
    file: "step.ts",
    from: 'if (rule.role !== "both" && rule.role !== config.role) continue;',
    to: "",
  },
  {
    name: "no boot grace",
    file: "guards.ts",
    seed: 17,
    from: "s.everHeard || seen.hostUptimeMs >= config.bootGraceMs",
    to: "s.everHeard || seen.hostUptimeMs >= 0",
  },
  {
    name: "an idle peer is relieved at once (>= turned)",
    file: "guards.ts",
    from: "now - Math.max(state.peerIdleSince, state.since) >= config.deadAfterMs",
    to: "now - Math.max(state.peerIdleSince, state.since) < config.deadAfterMs",
    equivalent:
      "a ready peer has its turn in any case (readyPeerHadItsTurn), and one that is not ready is harmed by " +
      "nobody who serves sooner; guards_test.ts holds the figure",
  },
  {
    name: "a master that does not serve is relieved at once, ready or not",
    file: "transitions_rest.ts",
    seed: 54,
    from: "peerIsIdleTooLong(c) && readyPeerHadItsTurn(c) && vipsAreFree(c) && c.s.unfitReasons",
    to: "vipsAreFree(c) && c.s.unfitReasons",
  },
  {
    name: "a goal is done before it is",
    file: "guards.ts",
    from: 'state.goal?.outcome === "done"',
    to: 'state.goal?.outcome !== "failed"',
  },
  {
    name: "goals never end",
    file: "guards.ts",
    from: 'state.goal?.outcome === "done"',
    to: "state.goal === undefined",
  },
  {
    name: "failures of goals go unseen",
    file: "guards.ts",
    seed: 11,
    from: 'state.goal?.outcome === "failed"',
    to: "state.goal === undefined",
  },
  {
    name: "failed is for ever",
    file: "transitions_rest.ts",
    seed: 3,
    from: "now - state.since >= FAILED_RETRY_MS &&",
    to: "now - state.since < 0 &&",
  },
  {
    name: "no adoption",
    file: "transitions_rest.ts",
    seed: 6,
    from: 'seen.adoptable && (s.mayServe || state.maintenanceAsked === "on"),',
    to: "false && (seen.adoptable || s.mayServe || state.stopAsked),",
  },
  {
    name: "stray services stay",
    file: "transitions_rest.ts",
    seed: 3,
    from:
      'guard: ({ seen }) => seen.services.running === "all" || seen.services.running === "some",',
    to: "guard: () => false,",
  },
  {
    name: "no way back from isolation",
    file: "transitions_rest.ts",
    from: "!s.isolated && s.networkUp &&\n",
    to: "s.isolated && s.networkUp &&\n",
  },
  {
    name: "the master serves beside the slave",
    file: "transitions_rest.ts",
    seed: 2,
    from:
      "vipsAreFree(c) && fitOrAlone(c) && peerHadTimeToBoot(c) &&\n      (peerIsGone(c) || c.s.daemonLost ||",
    to: "fitOrAlone(c) &&\n      (c.s.peer !== null || peerIsGone(c) || c.s.daemonLost ||",
  },
  {
    name: "an ill node keeps the service",
    file: "guards.ts",
    seed: 11,
    from: "now - state.servicesUnfitSince >= config.unfitAfterMs",
    to: "now - state.servicesUnfitSince < 0",
  },
  {
    name: "failback without end: stable for no time",
    file: "guards.ts",
    from: "if (stableFor < stableNeededMs(c)) return false;",
    to: "",
    equivalent: "only a policy of the operator: an early failback is neither two nor none",
  },
  {
    name: "a required fencing that fails is no obstacle",
    file: "goals.ts",
    fencing: true,
    from: 'mode === "required" ? "fail" : "go-on"',
    to: '"go-on"',
  },
  {
    name: "the peer is fenced after the VIPs are mounted (two steps swapped)",
    file: "goals.ts",
    fencing: true,
    from:
      '        ...fencing(options.fence ?? null),\n        step("raise-shield", "go-on", "phones that find the VIP before the services wait"),\n        step("mount-vips", "fail", "M1, S1: the address first, phones wait for milliseconds only"),',
    to:
      '        step("raise-shield", "go-on", "phones that find the VIP before the services wait"),\n        step("mount-vips", "fail", "M1, S1: the address first, phones wait for milliseconds only"),\n        ...fencing(options.fence ?? null),',
  },
  {
    name: "nobody is ever fenced",
    file: "fencing.ts",
    fencing: true,
    from: "return fence && peerOffSaidAt === null ? fencing ?? null : null;",
    to: "return null;",
  },
  {
    name: "a silent peer has consented",
    file: "fencing.ts",
    fencing: true,
    from: "return s.peer === null && state.peerLeftAt === null;",
    to: "return s.peer !== null && state.peerLeftAt === null;",
  },
  {
    name: "the slave takes over from a dead master without fencing",
    file: "transitions_rest.ts",
    fencing: true,
    from: 'actions: () => [goal("take", { fence: true })],\n    why: "the master is dead: silent',
    to: 'actions: () => [goal("take")],\n    why: "the master is dead: silent',
  },
  {
    name: "an operator's word stands although the peer is heard",
    file: "fencing.ts",
    fencing: true,
    from: "everHeard && now - silentMs > peerOffSaidAt ? null : peerOffSaidAt",
    to: "peerOffSaidAt",
    equivalent:
      "while the peer is heard nothing is decided that would fence it; the word matters only if it falls silent again within five minutes (fencing_test.ts)",
  },
  {
    name: "the slave lets a ready master have no turn",
    file: "transitions_rest.ts",
    from: "readyPeerHadItsTurn(c) && ",
    to: "",
    equivalent:
      "both set out at one instant, and the slave yields within the bound; ready_master_first.scenario holds it",
  },
  {
    name: "arbiter: a takeover acquires no right",
    file: "goals.ts",
    seed: 1000001,
    arbiter: true,
    from: step(
      "acquire-right",
      '"fail", "where an arbiter gives it: nothing is mounted or started without the right to serve"',
    ),
    to: "",
  },
  {
    name: "arbiter: the VIPs are mounted before the right is had (two steps swapped)",
    file: "goals.ts",
    equivalent: "mounting looks at the right itself (create_goal_runner.ts): two locks on one door",
    arbiter: true,
    from: step(
      "acquire-right",
      '"fail", "where an arbiter gives it: nothing is mounted or started without the right to serve"',
    ),
    to: 'step("mount-vips", "go-on", "x"),\n step("acquire-right", "fail", "x"),',
  },
  {
    name: "arbiter: hold for ever, once the peer consented",
    file: "right.ts",
    seed: 1000002,
    arbiter: true,
    from: "consentUntil !== null && now < consentUntil;",
    to: "consentUntil !== null;",
  },
  {
    name: "arbiter: a promise does not bind",
    file: "right.ts",
    seed: 1000090,
    arbiter: true,
    from: "&& now >= (arbiter?.promisedUntil ?? -Infinity)",
    to: "",
  },
  {
    name: "arbiter: who lost the right keeps the VIPs",
    file: "transitions_safety.ts",
    seed: 1000002,
    arbiter: true,
    from: '[{ type: "drop-vips" }, { type: "cancel-goal" }],',
    to: '[{ type: "cancel-goal" }],',
  },
  {
    name: "arbiter: a right that ran out is no reason to let go",
    file: "right.ts",
    seed: 1000002,
    arbiter: true,
    from: "mayServe: isMine || byConsent,",
    to: "mayServe: true,",
  },
  {
    name: "arbiter: the right is never to be had",
    file: "right.ts",
    seed: 1000001,
    arbiter: true,
    from: '(isMine || right === "free") &&',
    to: "isMine &&",
  },
  {
    name: "arbiter: a promise ends when the consent does, with VIPs still in the kernel",
    file: "../config/arbiter_timing.ts",
    seed: 1000182,
    arbiter: true,
    from: "return consentMs(deadAfterMs) + KERNEL_KEEPS_MS + PROMISE_SLACK_MS;",
    to: "return consentMs(deadAfterMs) / 2;",
  },
  {
    name: "arbiter: a node that came to rest keeps the right",
    file: "../arbiter/right_keeper.ts",
    seed: 1000001,
    arbiter: true,
    from: "const letsGo = !serves && vipsGone;",
    to: "const letsGo = serves && vipsGone;",
  },
  {
    name: "arbiter: the right is given back while VIPs are mounted",
    file: "../arbiter/right_keeper.ts",
    seed: 1000001,
    arbiter: true,
    from: "const letsGo = !serves && vipsGone;",
    to: "const letsGo = !serves || !vipsGone;",
  },
  {
    name: "arbiter: a renewal by a leader that is none any more counts",
    file: "../arbiter/right_keeper.ts",
    seed: 1000017,
    arbiter: true,
    from: "if (alive.term === seen.term) this.#lease =",
    to: "this.#lease =",
  },
  {
    name: "arbiter: hold without the peer's consent",
    file: "right.ts",
    arbiter: true,
    equivalent:
      "a peer that does not consent takes nothing while it hears this node, and when the two lose each other no report renews the consent, which ends with dead_after; the answered VIP vetoes until then",
    from: "if (peer.arbiter?.consents !== true || peer.askedAt === undefined) return consentUntil;",
    to: "if (peer.askedAt === undefined) return consentUntil;",
  },
];
