/**
 * What must hold at every instant. They look at the kernels, the wires and the disks, which the nodes
 * cannot: not at what a node believes.
 *
 * @module
 */

import { findBroken, type StepTrace } from "../../src/core/invariants.ts";
import type { Context, Rule } from "../../src/core/rule.ts";
import { SERVING_STATES } from "../../src/core/situation.ts";
import { RULES } from "../../src/core/transitions.ts";
import { boundOf, type Kind, terms } from "./bounds.ts";
import type { Daemon } from "./daemon.ts";
import { type Host, LEASE_MS } from "./host.ts";
import { CLIENTS, MASTER, SLAVE, WITNESS } from "./network.ts";
import type { World } from "./world.ts";

/** The worst that was seen of one kind, with its bound; milliseconds. */
export interface Worst {
  double: number;
  none: number;
  services: number;
  settle: number;
}

/** One host loses its peer and its witnesses at one moment, and nothing else happens. */
const CUT_KINDS: readonly Kind[] = ["cut", "cable", "cut-phones", "starved-cut"];

interface Span {
  /** Milliseconds that count. */
  counted: number;
  on: boolean;
  counts: boolean;
}

/** How often each guard was seen true, false, and its row taken. */
export const COVERAGE = new Map<string, { yes: number; no: number; taken: number }>(
  RULES.map(({ id }) => [id, { yes: 0, no: 0, taken: 0 }]),
);

/** The guards as they stand in the table. */
const ORIGINAL = RULES.map((rule) => ({ rule, guard: rule.guard }));

/** The last look at a guard. */
const last: { context: Context | null } = { context: null };

watchGuards();

/** See the module. */
export class Checkers {
  readonly violations: string[] = [];
  readonly worst = new Map<string, Worst>();
  /** What is being done to the world. */
  kind: Kind = "operator";
  /** The other node could take over: the time without a holder counts. */
  expectsTakeover = false;
  /** State changes since the last fault, by host. */
  readonly transitions = [0, 0];
  readonly #double: Span[] = Array.from({ length: CLIENTS }, newSpan);
  readonly #none: Span[] = Array.from({ length: CLIENTS }, newSpan);
  readonly #services: Span = newSpan();
  readonly #epochs = [0, 0];
  /** Since they cannot talk, this host has heard a witness. */
  readonly #heardWitness = [false, false];
  readonly #heardBefore = [false, false];
  #apartSince: number | null = null;
  #joinedSince: number | null = null;
  #lookedAt = 0;
  #maintainedAt = -Infinity;

  constructor(readonly world: World) {}

  /** A daemon starts: what it knows of epochs is what was persisted. */
  onStart(daemon: Daemon): void {
    this.#epochs[daemon.host.index] = daemon.host.disk?.epoch ?? 0;
  }

  /** A step was made. */
  onStep(daemon: Daemon, trace: StepTrace): void {
    const { result, before } = trace;
    const { index } = daemon.host;
    for (const text of findBroken(trace)) this.#violate(`history: ${daemon.host.role}: ${text}`);
    if (result.state.epoch < this.#epochs[index]!) {
      this.#violate(`epoch: ${daemon.host.role} goes back to ${result.state.epoch}`);
    }
    this.#epochs[index] = result.state.epoch;
    this.#explains(trace);
    if (result.decision === null) return;
    const counted = COVERAGE.get(result.decision.rule);
    if (counted === undefined) {
      return this.#violate(`history: a decision names no row: ${result.decision.rule}`);
    }
    counted.taken++;
    if (before.name !== result.state.name) this.transitions[index]!++;
    const { hostUptimeMs } = trace.seen;
    const bootGraceMs = trace.config.bootGraceMs;
    if (
      result.decision.rule === "S-TAKE" && !result.situation.everHeard && hostUptimeMs < bootGraceMs
    ) {
      this.#violate(
        "history: a slave that just booted takes over from a master that it never heard",
      );
    }
  }

  /** An epoch reaches the disk. */
  onPersist(host: Host, epoch: number): void {
    if (host.disk !== null && epoch < host.disk.epoch) {
      this.#violate(`epoch: the disk of the ${host.role} goes from ${host.disk.epoch} to ${epoch}`);
    }
  }

  /** A data set replaces what was there. */
  onInstall(host: Host, epoch: number): void {
    const daemon = this.world.daemons[host.index];
    const state = daemon?.alive === true ? daemon.node.loop.state : null;
    if (state?.name === "active" || (host.vips.size > 0 && host.running !== "none")) {
      this.#violate(`data: a copy onto the ${host.role}, which is ${state?.name}`);
    }
    if (host.installedEpoch !== null && epoch < host.installedEpoch) {
      this.#violate(`data: epoch ${epoch} over epoch ${host.installedEpoch} on the ${host.role}`);
    }
    if (host.disk !== null && epoch < host.disk.epoch) {
      this.#violate(`data: epoch ${epoch} where epoch ${host.disk.epoch} served: ${host.role}`);
    }
  }

  /** A host switches the other one off: never one that is cut off, and a witness says so, the one that serves. */
  onFence(by: Host, target: Host): void {
    if (!CUT_KINDS.includes(this.kind) || !this.world.options.witness) return;
    const isCutOff = this.world.networks.every((network) =>
      !network.isJoined(by.index, WITNESS) && !network.isJoined(by.index, target.index)
    );
    if (isCutOff && target.answers && target.vips.size > 0) {
      this.#violate(
        `fencing: the ${by.role}, cut off, switches off the ${target.role} that serves`,
      );
    }
  }

  /** Something changed, or a second passed. */
  look(): void {
    const { now } = this.world.time;
    const passed = now - this.#lookedAt;
    this.#lookedAt = now;
    const bound = boundOf(this.kind, this.world.configs[0]);
    const apart = this.world.etcd === null ? this.#areApart() : this.#isOperators();
    for (let phone = 0; phone < CLIENTS; phone++) {
      const by = [MASTER, SLAVE].filter((host) =>
        this.world.phones.isAnsweredBy(phone, host as 0 | 1)
      );
      this.#span(this.#double[phone]!, passed, by.length > 1, !apart, (counted) => {
        this.#note("double", counted);
        // Cut off and not excused: it must have let go before the other one mounted.
        const limit = this.#joinedSince !== null || this.kind === "mixed"
          ? bound.double
          : Math.min(bound.double, bound.apart);
        return counted > limit
          ? `safety: two nodes answer telephone ${phone} for ${counted.toFixed(0)} ms, ` +
            `bound of ${this.kind}: ${limit} ms`
          : null;
      });
      const nobody = by.length === 0 && this.expectsTakeover;
      this.#span(this.#none[phone]!, passed, nobody, true, (counted) => {
        this.#note("none", counted);
        return bound.none !== null && counted > bound.none
          ? `liveness: nobody answers telephone ${phone} for ${counted.toFixed(0)} ms, ` +
            `bound of ${this.kind}: ${bound.none} ms`
          : null;
      });
    }
    const both = this.world.hosts.every((host) => host.answers && host.running !== "none");
    this.#span(
      this.#services,
      passed,
      both,
      this.world.canTalk() && !this.#isExcused(),
      (counted) => {
        this.#note("services", counted);
        return counted > bound.services
          ? `services: two sets for ${
            counted.toFixed(0)
          } ms, bound of ${this.kind}: ${bound.services} ms`
          : null;
      },
    );
  }

  /** A new episode: what is under way counts from now on for that kind. */
  begin(kind: Kind): void {
    this.look();
    this.kind = kind;
    this.expectsTakeover = false;
    for (const span of [...this.#double, ...this.#none, this.#services]) span.counted = 0;
  }

  /** All is well again after that long. */
  settled(ms: number): void {
    this.#note("settle", ms);
  }

  /** Says what is wrong. */
  fail(text: string): void {
    this.#violate(text);
  }

  /**
   * They cannot talk, and each may believe that the other one is dead: it has heard a witness when the
   * silence of the peer was old enough, or has none, or an operator told it to act on nothing.
   */
  #areApart(): boolean {
    const { networks, hosts, options, daemons, configs, time } = this.world;
    const { deadAfterMs, isolatedAfterMs, intervalMs } = configs[0].heartbeat;
    const joined = networks.some((network) => network.isJoined(MASTER, SLAVE)) &&
      hosts.every((host) => host.answers);
    // Who met for less than they need to hear each other has not met.
    const metMs = this.#joinedSince === null ? 0 : time.now - this.#joinedSince;
    const haveMet = metMs >= terms(configs[0])["heal"]!;
    this.#joinedSince = joined ? this.#joinedSince ?? time.now : null;
    if (haveMet) this.#apartSince = null;
    if (!joined) this.#apartSince ??= time.now;
    const apartMs = this.#apartSince === null ? 0 : time.now - this.#apartSince;
    // Who had to switch the other one off first has no excuse.
    let apart = !joined && options.fencing !== "required";
    for (const host of [MASTER, SLAVE]) {
      const hears = networks.some((network) =>
        network.witnessUp && network.isJoined(host, WITNESS)
      );
      const counts = (hears || this.#heardBefore[host]!) &&
        apartMs >= deadAfterMs - isolatedAfterMs - 3 * intervalMs;
      this.#heardWitness[host] = (!haveMet && this.#heardWitness[host]!) || (!joined && counts);
      this.#heardBefore[host] = hears;
      const inMaintenance = daemons[host]?.alive === true &&
        daemons[host].node.loop.state.name === "maintenance";
      apart &&= !options.witness || this.#heardWitness[host]! || inMaintenance;
    }
    return apart && hosts.every((host) => host.answers);
  }

  /** A host is, or was when its kernel last renewed its VIPs, in maintenance: an operator answers for it. */
  #isOperators(): boolean {
    const { daemons, time } = this.world;
    const isOne = daemons.some((daemon) =>
      daemon?.alive === true && daemon.node.loop.state.name === "maintenance"
    );
    if (isOne) this.#maintainedAt = time.now;
    return time.now - this.#maintainedAt <= LEASE_MS;
  }

  /** In maintenance nothing is acted upon: what runs there is the operator's. */
  #isExcused(): boolean {
    return this.world.daemons.some((daemon) =>
      daemon?.alive !== true || daemon.blocked || daemon.node.loop.state.name === "maintenance" ||
      daemon.host.serviceMode !== "ok"
    );
  }

  #span(
    span: Span,
    passed: number,
    on: boolean,
    counts: boolean,
    judge: (counted: number) => string | null,
  ): void {
    if (span.on && span.counts) span.counted += passed;
    if (span.on && span.counted > 0) {
      const wrong = judge(span.counted);
      if (wrong !== null) this.#violate(wrong);
    }
    if (!on) span.counted = 0;
    span.on = on;
    span.counts = counts;
  }

  #note(what: keyof Worst, ms: number): void {
    const { preset, fencing } = this.world.options;
    const third = this.world.etcd !== null ? "+arbiter" : fencing !== null ? "+fencing" : "";
    const key = `${preset}${third} ${this.kind}`;
    const worst = this.worst.get(key) ?? { double: 0, none: 0, services: 0, settle: 0 };
    worst[what] = Math.max(worst[what], ms);
    this.worst.set(key, worst);
  }

  /** The decision is the first row whose guard holds; without one, none does. */
  #explains({ result: { decision, state }, config, before }: StepTrace): void {
    const context = last.context;
    last.context = null;
    if (context === null || before.left || (decision === null && state.since % 16 >= 1)) return;
    const rested = (rule: Rule): boolean => {
      const fired = context.state.lastFired[rule.id];
      return rule.to === "stay" && fired !== undefined &&
        context.now - fired < (rule.everyMs ?? 0);
    };
    const first = ORIGINAL.find(({ rule, guard }) =>
      (rule.role === "both" || rule.role === config.role) &&
      rule.from.includes(context.state.name) && !rested(rule) && guard(context)
    );
    if ((first?.rule.id ?? null) !== (decision?.rule ?? null)) {
      this.#violate(`history: ${decision?.rule} was decided where ${first?.rule.id} holds`);
    }
  }

  #violate(text: string): void {
    if (this.violations.length < 20) {
      this.violations.push(`at ${(this.world.time.now / 1000).toFixed(3)} s: ${text}`);
      this.world.log(`VIOLATION ${text}`);
    }
  }
}

/** What the state names say is serving. */
export function serves(daemon: Daemon | null): boolean {
  return daemon?.alive === true && SERVING_STATES.includes(daemon.node.loop.state.name);
}

/** Counts how each guard answers, on its way. */
function watchGuards(): void {
  for (const { rule, guard } of ORIGINAL) {
    const counted = COVERAGE.get(rule.id)!;
    (rule as { guard: Rule["guard"] }).guard = (context) => {
      last.context = context;
      const holds = guard(context);
      if (holds) counted.yes++;
      else counted.no++;
      return holds;
    };
  }
}

function newSpan(): Span {
  return { counted: 0, on: false, counts: false };
}
