/**
 * The world of a scenario file: what one node sees, turned by commands that a person can read, and a
 * clock of its own. It runs the real core; only the goals are stood in for by durations and outcomes.
 *
 * @module
 */

import type { StepTrace } from "../../src/core/invariants.ts";
import { initialState, type NodeState } from "../../src/core/state.ts";
import { step } from "../../src/core/step.ts";
import {
  type Action,
  type CoreConfig,
  type CoreEvent,
  type GoalName,
  type OperatorCommand,
  type PeerNotice,
  type PeerReport,
  type Role,
  STATE_NAMES,
  type StateName,
} from "../../src/core/types.ts";

/** Time between two steps, in milliseconds of the scenario. */
const TICK_MS = 20;
/** A VIP that nobody answers for is proven silent after this long (three probes, 40 ms apart). */
const SILENCE_PROVEN_MS = 150;

interface Network {
  readonly name: string;
  readonly vip: string | null;
  readonly hasWitness: boolean;
  icmp: boolean;
  http: boolean;
  witness: boolean;
  carrier: boolean;
  holder: "nobody" | "peer" | "stranger";
  holderSince: number;
  lastIcmpAt: number | null;
  lastHttpAt: number | null;
  lastWitnessAt: number | null;
}

interface RunningGoal {
  readonly id: number;
  readonly name: GoalName;
  readonly endsAt: number;
}

/** One node and what it sees. */
export class World {
  readonly #config: CoreConfig;
  readonly #networks: Network[];
  readonly #durations = new Map<GoalName, number>();
  readonly #failures = new Map<GoalName, { step: string; error: string }>();
  #peer: Omit<PeerReport, "receivedAt">;
  #services: { running: "none" | "some" | "all"; healthy: boolean | null } = {
    running: "none",
    healthy: null,
  };
  #held = false;
  #now = 0;
  #goal: RunningGoal | null = null;
  #events: CoreEvent[] = [];
  #state: NodeState;
  #adoptable = false;
  #key = true;
  #mismatch = false;
  #returnBlocked = false;
  #uptimeMs = 10_000_000;
  #idle: boolean | null = null;
  #windowOpen = true;
  #fault: string | null = null;
  readonly #onStep: (trace: StepTrace) => void;

  /**
   * @param line the first line of a scenario, e.g. `node slave epoch=4`
   * @param onStep sees each step as it was made
   */
  constructor(line: string, onStep: (trace: StepTrace) => void = () => {}) {
    this.#onStep = onStep;
    const { words, values } = parse(line);
    const role = words[1] as Role;
    if (words[0] !== "node" || (role !== "master" && role !== "slave")) {
      throw new SyntaxError(`Cannot begin a scenario with "${line}": node master|slave is first`);
    }
    const number = (key: string, otherwise: number): number => Number(values.get(key) ?? otherwise);
    this.#config = {
      role,
      intervalMs: number("interval", 200),
      isolatedAfterMs: number("isolated", 1500),
      deadAfterMs: number("dead", 3000),
      unfitAfterMs: number("unfit", 10_000),
      bootGraceMs: number("boot", 12_000),
      failback: {
        mode: (values.get("failback") ?? "auto") as CoreConfig["failback"]["mode"],
        stableMs: number("stable", 30_000),
        idleDeadlineMs: values.has("idle") ? number("idle", 0) : null,
      },
    };
    const names = (values.get("networks") ?? "voip,data").split(",");
    const vips = values.get("vips") === "none"
      ? []
      : (values.get("vips") ?? "voip,data").split(",");
    this.#networks = names.map((name): Network => ({
      name,
      vip: vips.includes(name) ? `vip-${name}` : null,
      hasWitness: values.get("witnesses") !== "none",
      icmp: true,
      http: true,
      witness: true,
      carrier: true,
      holder: "nobody",
      holderSince: 0,
      lastIcmpAt: null,
      lastHttpAt: null,
      lastWitnessAt: null,
    }));
    this.#uptimeMs = number("uptime", 10_000_000);
    this.#state = initialState(0, { epoch: number("epoch", 1), failbackHeld: false });
    this.#peer = {
      role: role === "master" ? "slave" : "master",
      state: "standby",
      serving: false,
      epoch: 1,
      fit: true,
      unfitReasons: [],
      ready: true,
      hears: "alive",
      instanceId: "peer-1",
      version: "test",
      fingerprint: "same",
    };
  }

  /** The node's memory now. */
  get state(): NodeState {
    return this.#state;
  }

  /** The peer says that it serves. */
  get peerServes(): boolean {
    return this.#peer.serving;
  }

  /** Carries out one command line and returns what the node decided meanwhile. */
  command(line: string): string[] {
    const { words, values } = parse(line);
    const [verb, first, second] = words;
    switch (verb) {
      case "run":
        return this.#run(milliseconds(first ?? "0"));
      case "peer":
        this.#setPeer(words.slice(1), values);
        return [];
      case "silent":
      case "heard":
        this.#each(words.slice(1), (network) => {
          network.icmp = network.http = verb === "heard";
        });
        return [];
      case "icmp":
      case "http":
      case "witness":
      case "carrier":
        this.#each(words.slice(2), (network) => {
          network[verb] = first === "on";
          if (verb === "carrier" && first === "off") {
            network.icmp = network.http = network.witness = false;
          }
        });
        return [];
      case "holder":
        this.#each(words.slice(2), (network) => {
          network.holder = first as Network["holder"];
          network.holderSince = this.#now;
        });
        return [];
      case "services":
        if (values.has("running")) this.#services.running = values.get("running") as "none";
        if (values.has("healthy")) this.#services.healthy = values.get("healthy") === "yes";
        return [];
      case "goal":
        this.#setGoal(first as GoalName, second ?? "", words.slice(3).join(" "));
        return [];
      case "set":
        this.#setFlag(first ?? "", second ?? "");
        return [];
      case "stalled":
        this.#events.push({ type: "stalled", stalledMs: milliseconds(first ?? "0") });
        return [];
      case "operator":
        this.#events.push({ type: "command", command: first as OperatorCommand });
        return [];
      case "notice":
        this.#events.push({
          type: "notice",
          notice: {
            kind: first as PeerNotice["kind"],
            epoch: Number(values.get("epoch") ?? 1),
            reason: values.get("reason") ?? "",
          },
        });
        return [];
      default:
        throw new SyntaxError(`Cannot understand "${line}": no such command`);
    }
  }

  #run(ms: number): string[] {
    const out: string[] = [];
    for (const end = this.#now + ms; this.#now < end;) {
      this.#now += TICK_MS;
      this.#hear();
      this.#endGoal();
      for (let n = 0; n < 8; n++) {
        const [before, seen, now, config] = [this.#state, this.#observe(), this.#now, this.#config];
        const result = step(before, seen, now, config);
        this.#state = result.state;
        this.#onStep({ before, seen, now, config, result });
        if (result.decision === null) break;
        const { rule, from, to, detail } = result.decision;
        const actions = result.actions.map((action) => this.#act(action)).join(", ");
        out.push(
          `${(this.#now / 1000).toFixed(2)}s ${rule}: ${from} -> ${to}` +
            (detail === "" ? "" : ` (${detail})`) + (actions === "" ? "" : ` do: ${actions}`),
        );
      }
    }
    out.push(
      `${(this.#now / 1000).toFixed(2)}s is ${this.#state.name}, epoch ${this.#state.epoch}`,
    );
    return out;
  }

  #hear(): void {
    for (const network of this.#networks) {
      if (network.icmp && network.carrier) network.lastIcmpAt = this.#now;
      if (network.http && network.carrier) network.lastHttpAt = this.#now;
      if (network.witness && network.carrier) network.lastWitnessAt = this.#now;
    }
  }

  #observe(): Parameters<typeof step>[1] {
    const events = this.#events;
    this.#events = [];
    const heardAt = this.#networks.map((network) => network.lastHttpAt).filter((at) => at !== null);
    return {
      links: this.#networks.map((network) => ({
        network: network.name,
        carrier: network.carrier,
        hasVip: network.vip !== null,
        lastIcmpAt: network.lastIcmpAt,
        lastHttpAt: network.lastHttpAt,
        hasWitness: network.hasWitness,
        lastWitnessAt: network.lastWitnessAt,
      })),
      peer: heardAt.length === 0 ? null : { ...this.#peer, receivedAt: Math.max(...heardAt) },
      vips: this.#networks.filter((network) => network.vip !== null).map((network) => ({
        vip: network.vip ?? "",
        network: network.name,
        heldByMe: this.#held,
        lastAnswerBy: network.holder === "nobody" ? null : network.holder,
        lastAnswerMac: network.holder === "nobody" ? null : `mac-of-${network.holder}`,
        lastAnswerAt: network.holder === "nobody" ? null : this.#now,
        unansweredProbes:
          network.holder === "nobody" && this.#now - network.holderSince >= SILENCE_PROVEN_MS
            ? 3
            : 0,
      })),
      services: this.#services,
      adoptable: this.#adoptable,
      hostUptimeMs: this.#uptimeMs + this.#now,
      idle: this.#idle,
      failbackWindowOpen: this.#windowOpen,
      peerMismatch: this.#mismatch ? "the peer runs another configuration" : null,
      returnBlocked: this.#returnBlocked
        ? "The service stays here: 1 row differs on both hosts, decide: relais return conflicts"
        : null,
      hasKey: this.#key,
      localFaults: this.#fault === null ? [] : [this.#fault],
      events,
    };
  }

  #act(action: Action): string {
    switch (action.type) {
      case "drop-vips":
        this.#held = false;
        return action.type;
      case "cancel-goal":
        this.#goal = null;
        return action.type;
      case "start-goal": {
        const duration = this.#durations.get(action.goal) ?? 500;
        this.#goal = { id: action.goalId, name: action.goal, endsAt: this.#now + duration };
        if (action.goal === "take") this.#held = true;
        if (action.goal === "join" || action.goal === "hand-over") this.#services.running = "some";
        const options = [
          ...(action.fetch ? ["fetch"] : []),
          ...(action.urgent ? ["urgent"] : []),
        ];
        return [action.goal, ...options].join("+");
      }
      case "tell-peer":
        return `tell ${action.kind}`;
      case "alert":
        return `alert "${action.text}"`;
      default:
        return action.type;
    }
  }

  #endGoal(): void {
    if (this.#goal === null || this.#now < this.#goal.endsAt) return;
    const { id, name } = this.#goal;
    this.#goal = null;
    const failure = this.#failures.get(name);
    if (failure !== undefined) {
      this.#events.push({ type: "goal-failed", goalId: id, ...failure });
      return;
    }
    if (name === "take" || name === "repair") this.#services = { running: "all", healthy: true };
    else this.#services = { running: "none", healthy: null };
    if (name === "hand-over") this.#peerTakes();
    this.#events.push({ type: "goal-done", goalId: id });
  }

  /** The peer was given the word: it mounts at once. */
  #peerTakes(): void {
    this.#held = false;
    this.#peer = { ...this.#peer, state: "taking-over", serving: true, ready: false };
    this.#each(["all"], (network) => {
      network.holder = "peer";
      network.holderSince = this.#now;
    });
  }

  #setPeer(words: readonly string[], values: ReadonlyMap<string, string>): void {
    const state = (values.get("state") ?? this.#peer.state) as StateName;
    if (!STATE_NAMES.includes(state)) {
      throw new SyntaxError(`Cannot set the peer's state: ${state}`);
    }
    const reason = values.get("unfit");
    this.#peer = {
      ...this.#peer,
      state,
      serving: ["active", "taking-over", "handing-back"].includes(state) ||
        words.includes("serving"),
      ready: state === "standby",
      fit: reason === undefined,
      unfitReasons: reason === undefined ? [] : [reason],
      epoch: Number(values.get("epoch") ?? this.#peer.epoch),
      instanceId: values.get("instance") ?? this.#peer.instanceId,
    };
  }

  #setGoal(name: GoalName, outcome: string, rest: string): void {
    if (outcome === "fails") {
      const [step = "", ...error] = rest.split(" ");
      this.#failures.set(name, { step, error: error.join(" ") });
    } else {
      this.#failures.delete(name);
      this.#durations.set(name, milliseconds(outcome));
    }
  }

  #setFlag(name: string, value: string): void {
    const yes = value === "yes";
    if (name === "adoptable") {
      this.#adoptable = yes;
      this.#held = yes;
      this.#services = { running: "all", healthy: true };
    } else if (name === "key") this.#key = yes;
    else if (name === "mismatch") this.#mismatch = yes;
    else if (name === "blocked") this.#returnBlocked = yes;
    else if (name === "idle") this.#idle = yes;
    else if (name === "window") this.#windowOpen = yes;
    else if (name === "fault") {
      this.#fault = yes ? "pg_dump is missing: apt install postgresql-client" : null;
    } else throw new SyntaxError(`Cannot set "${name}": no such flag`);
  }

  #each(names: readonly string[], change: (network: Network) => void): void {
    for (const network of this.#networks) {
      if (names.includes(network.name) || names.includes("all")) change(network);
    }
  }
}

function parse(line: string): { words: string[]; values: Map<string, string> } {
  const words: string[] = [];
  const values = new Map<string, string>();
  for (const part of line.match(/\S+="[^"]*"|\S+/g) ?? []) {
    const equals = part.indexOf("=");
    if (equals < 0) words.push(part);
    else values.set(part.slice(0, equals), part.slice(equals + 1).replaceAll('"', ""));
  }
  return { words, values };
}

function milliseconds(text: string): number {
  const found = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(text);
  if (found === null) throw new SyntaxError(`Cannot read the duration "${text}": 200ms, 3s, 2m`);
  return Number(found[1]) * ({ ms: 1, s: 1000, m: 60_000 }[found[2] ?? "ms"] ?? 1);
}
