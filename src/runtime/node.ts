/**
 * One node of the pair: joins loop, links, VIPs, services and data sets into a running whole, and is the
 * only place that carries out the core's actions.
 *
 * @module
 */

import { coreConfig } from "../config/load.ts";
import type { LocalConfig } from "../config/types.ts";
import { initialState } from "../core/state.ts";
import type { StepResult } from "../core/step.ts";
import type { Action, CoreEvent, Observation, PeerNotice } from "../core/types.ts";
import type { HealthBody, StatusDocument } from "../health/types.ts";
import type { PeerMessenger } from "../heartbeat/notice.ts";
import type { Clock } from "../os/clock.ts";
import { getLog } from "../os/log.ts";
import type { Poller } from "../os/poller.ts";
import type { Replicator } from "../replication/replicator.ts";
import type { ServiceDriver } from "../services/driver.ts";
import type { VipManager } from "../vip/manager.ts";
import { Alerts } from "./alerts.ts";
import { askPeer } from "./ask_peer.ts";
import { GoalRunner, type StepReport } from "./goal_runner.ts";
import { History } from "./history.ts";
import { IdleWatch, isWindowOpen } from "./idle.ts";
import { Links } from "./links.ts";
import { Loop } from "./loop.ts";
import type { Memory } from "./memory.ts";
import { judgeNotice, type Taken } from "./peer_talk.ts";
import { ServicesWatch } from "./services_watch.ts";
import { type Identity, isServing, makeHealth, makeStatus, peerMismatch } from "./status.ts";
import { createStepPerformer, stepDeadlineMs } from "./steps.ts";
import { dataSetStatus, lossSentence } from "./data_sets.ts";
import { VipKeeper } from "./vip_keeper.ts";

const log = getLog("node");

/** Rows in which the data came along with the service: nothing was lost. */
const CONSENTED_RULES: readonly string[] = ["S-NOTICE", "M-BACK"];
/** A leaving node waits this long for its last words to arrive and its addresses to go. */
const FAREWELL_MS = 2000;
/** Word for the next daemon of this boot is renewed this often while serving. */
const SERVING_EVERY_MS = 1000;
/** With VIPs, what a dead daemon held is adoptable as long as the kernel still holds the addresses. */
const ADOPT_WITH_VIPS_MS = 10_000;
/** How long the status of the data sets is kept before it is read again. */
const DATA_SETS_FRESH_MS = 5000;
/** The telling of one notice, all tries together. */
const TELL_MS = 1500;

/** What {@linkcode Node} is made of. */
export interface NodeOptions {
  readonly config: LocalConfig;
  readonly clock: Clock;
  readonly poller: Poller;
  readonly identity: Identity;
  readonly stateDir: string;
  readonly memory: Memory;
  readonly vips: VipManager;
  readonly driver: ServiceDriver;
  readonly replicator: Replicator | null;
  /** Null: no cluster key, nothing can be agreed with the peer. */
  readonly messenger: PeerMessenger | null;
  /** Reasons why this host could not serve, found at start (a missing tool). */
  readonly localFaults: readonly string[];
  /** Told at each turn, for systemd's watchdog and status line. */
  readonly onTurn: (sentence: string) => void;
}

/** See the module. */
export class Node {
  readonly alerts: Alerts;
  readonly history: History;
  readonly links: Links;
  readonly keeper: VipKeeper;
  readonly loop: Loop;
  readonly services: ServicesWatch;
  readonly #options: NodeOptions;
  readonly #runner: GoalRunner;
  readonly #idle: IdleWatch;
  readonly #farewells = new Set<Promise<unknown>>();
  readonly #done = Promise.withResolvers<void>();
  #observation: Observation;
  #adoptable = false;
  #nextServingAt = 0;
  #seq = 0;
  #takenEpoch: number | null = null;
  #persistedEpoch: number;
  #sets: StatusDocument["dataSets"] = [];
  #setsReadAt = -Infinity;
  #leavingFor: "stop" | "restart" | null = null;
  /** Filled by the HTTP side. */
  readonly counters: StatusDocument["counters"] = {
    httpGarbage: 0,
    httpRefused: 0,
    icmpIgnored: 0,
    arpGarbage: 0,
    messagesRefused: 0,
    messagesAccepted: 0,
  };

  constructor(options: NodeOptions) {
    this.#options = options;
    const { config, clock, poller } = options;
    const trouble = (text: string): void => this.alerts.raise(text);
    const news = (): void => this.loop.kick();
    this.alerts = new Alerts({ clock, onNew: (text) => log.warn(text, { event: "alert" }) });
    this.history = new History({ stateDir: options.stateDir, onTrouble: trouble });
    this.links = new Links({ config, clock, onNews: news });
    this.keeper = new VipKeeper({
      config,
      clock,
      poller,
      manager: options.vips,
      links: this.links,
      onTrouble: trouble,
      onRepair: (text) => {
        this.#note("VIP-REPAIR", text);
        trouble(text);
      },
      onLapsed: (lateMs) => this.loop.push({ type: "stalled", stalledMs: lateMs }),
      onNews: news,
    });
    this.services = new ServicesWatch({
      config: config.services,
      clock,
      driver: options.driver,
      onNews: news,
      onTrouble: trouble,
    });
    this.#idle = new IdleWatch({ config: config.failback, clock, onTrouble: trouble });
    this.#runner = new GoalRunner({
      clock,
      perform: createStepPerformer({
        config,
        services: options.driver,
        readServices: () => this.services.read(),
        untilHealthy: (signal) => this.services.untilHealthy(signal),
        mount: (signal) => this.keeper.mount(signal),
        drop: () => this.keeper.drop(),
        announce: () => this.keeper.announce(),
        persist: () => this.#persist(),
        replicator: options.replicator,
        epoch: () => this.loop.state.epoch,
        askPeer: (signal) =>
          askPeer(this.links.peerAddresses(), { port: config.heartbeat.httpPort, signal }),
        tellYours: (signal) => this.#tellYours(signal),
      }),
      deadlineMs: (step) => stepDeadlineMs(step, config),
      onEvent: (event) => this.loop.push(event),
      onStep: (report) => this.#onStep(report),
    });
    this.#observation = this.#observe([]);
    const persisted = options.memory.load();
    this.#persistedEpoch = persisted?.epoch ?? 0;
    this.loop = new Loop({
      clock,
      config: coreConfig(config),
      initial: initialState(clock.nowMs(), {
        epoch: persisted?.epoch ?? 0,
        failbackHeld: persisted?.failbackHeld ?? false,
      }),
      observe: (events) => this.#observation = this.#observe(events),
      perform: (actions, result) => this.#perform(actions, result),
      onStall: (stalledMs) => {
        log.warn("the loop stood still: evidence is void", {
          event: "stall",
          ms: Math.round(stalledMs),
        });
        this.links.discard();
      },
      afterTurn: (result, now) => this.#afterTurn(result, now),
    });
  }

  /** Resolves when the node has left for good. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  /** Finds out what a previous daemon left, then begins to decide. */
  async start(): Promise<void> {
    const { memory, config, replicator } = this.#options;
    try {
      this.#adoptable = await this.#canAdopt();
    } catch (error) {
      this.alerts.raise(message(error));
    }
    log.info(this.#adoptable ? "adopting what the previous daemon held" : "starting", {
      event: "start",
      role: config.role,
      previous: memory.previous()?.state ?? "none",
    });
    this.keeper.applyInterfaces();
    this.loop.start();
    replicator?.start();
  }

  /** Asks for an orderly leave; {@linkcode done} tells when it is over. */
  leave(): void {
    this.#leavingFor = "stop";
    this.loop.push({ type: "command", command: "stop" });
  }

  /** Ends at once without letting go: the next daemon of this boot adopts VIPs and services. */
  leaveForRestart(): void {
    this.#leavingFor = "restart";
    this.#finish();
  }

  /** A message of the peer that passed authentication. */
  take(notice: PeerNotice): Taken {
    const { last } = this.loop;
    if (last === null) return { accepted: false, text: "this node is starting" };
    const taken = judgeNotice(notice, { ...last, state: this.loop.state }, this.#takenEpoch);
    const isRepeated = notice.kind === "yours" && this.loop.state.name !== "standby";
    if (!taken.accepted || isRepeated) return taken;
    if (notice.kind === "yours") this.#takenEpoch = notice.epoch;
    this.loop.push({ type: "notice", notice });
    return taken;
  }

  /** The body of `GET /health`. */
  health(): HealthBody {
    const result = this.#result();
    const { config, identity } = this.#options;
    const dataSets = this.#dataSets({ maxAgeMs: DATA_SETS_FRESH_MS });
    return makeHealth({ config, identity, result, dataSets }, this.#seq++);
  }

  /** The status document. */
  status(): StatusDocument {
    const { config, clock, identity, driver } = this.#options;
    return makeStatus({
      config,
      identity,
      result: this.#result(),
      observation: this.#observation,
      views: this.links.views,
      httpCounters: (network) => this.links.httpCounters(network),
      report: this.links.report,
      serviceNames: driver.names,
      dataSets: this.#dataSets({ maxAgeMs: 0 }),
      goal: this.#runner.current,
      history: this.history.entries,
      alerts: this.#allAlerts(),
      counters: {
        ...this.counters,
        icmpIgnored: this.links.pinger.counters.ignored,
        arpGarbage: this.keeper.garbage,
      },
      loop: { lagMs: this.loop.lagMs, lastTickAgoMs: Math.max(0, this.loop.ageMs) },
      now: clock.nowMs(),
      wallNow: clock.wallMs(),
    });
  }

  /** The last step's result; before the first turn an empty one. */
  #result(): StepResult {
    const { last } = this.loop;
    if (last === null) throw new Error("Cannot report as the node has not started");
    return { ...last, state: this.loop.state };
  }

  #dataSets({ maxAgeMs }: { readonly maxAgeMs: number }): StatusDocument["dataSets"] {
    const { replicator, clock } = this.#options;
    const now = clock.nowMs();
    // The peer asks for our health several times a second; the states of the sets are files.
    if (now - this.#setsReadAt >= maxAgeMs) {
      this.#setsReadAt = now;
      this.#sets = replicator === null ? [] : dataSetStatus(replicator.status());
    }
    return this.#sets;
  }

  #allAlerts(): string[] {
    const { messenger, localFaults, config } = this.#options;
    const mismatch = peerMismatch(config, this.links.report?.body ?? null);
    return [
      ...(messenger === null
        ? ["No cluster key: this node watches and acts on silence only; run: relais keygen"]
        : []),
      ...(mismatch === null ? [] : [mismatch]),
      ...localFaults,
      ...this.keeper.problems,
      ...this.alerts.texts,
    ];
  }

  #observe(events: readonly CoreEvent[]): Observation {
    const { config, messenger, localFaults, clock } = this.#options;
    this.links.drain();
    const wall = new Date(clock.wallMs());
    return {
      links: this.links.linkEvidence(),
      peer: this.links.peer,
      vips: this.links.vipEvidence(this.keeper.held),
      services: this.services.evidence,
      adoptable: this.#adoptable,
      hostUptimeMs: this.#options.memory.boot.uptimeMs(),
      idle: this.#idle.idle,
      failbackWindowOpen: isWindowOpen(
        config.failback.window,
        wall.getHours() * 60 + wall.getMinutes(),
      ),
      peerMismatch: peerMismatch(config, this.links.report?.body ?? null),
      hasKey: messenger !== null,
      localFaults,
      events,
    };
  }

  #perform(actions: readonly Action[], result: StepResult): void {
    this.#record(result);
    for (const action of actions) {
      switch (action.type) {
        case "drop-vips":
          this.#track(this.keeper.drop());
          break;
        case "cancel-goal":
          this.#runner.cancel();
          break;
        case "start-goal":
          this.#runner.start(action.goal, action.goalId, action);
          break;
        case "announce":
          this.keeper.announce();
          break;
        case "tell-peer":
          this.#track(this.#tell(action.kind, action.reason, AbortSignal.timeout(TELL_MS)));
          break;
        case "alert":
          this.alerts.raise(action.text);
          break;
        case "discard-evidence":
          this.links.discard();
          break;
        case "persist":
          this.#persistSafely();
          break;
        case "exit":
          this.#finish();
          break;
      }
    }
  }

  /** Log, history, and word for the next daemon of this boot. */
  #record({ decision, state }: StepResult): void {
    if (decision === null) return;
    this.#adoptable = false;
    const { rule, why, detail, from, to } = decision;
    const sentence = detail === "" ? why : `${why} (${detail})`;
    log.info(sentence, { event: "decision", rule, from, to, state: to, epoch: state.epoch, why });
    this.#note(rule, sentence, from, to);
    if (to === "taking-over" && from === "standby" && !CONSENTED_RULES.includes(rule)) {
      this.#noteLoss();
    }
    this.#saveServing();
  }

  /** A takeover says how old each set was: that is the loss, in plain words. */
  #noteLoss(): void {
    const { replicator } = this.#options;
    if (replicator === null) return;
    this.#note("LOSS", lossSentence(replicator.lossReport()));
  }

  #note(rule: string, why: string, from?: string, to?: string): void {
    const { name } = this.loop.state;
    this.history.add({
      at: new Date(this.#options.clock.wallMs()).toISOString(),
      rule,
      from: from ?? name,
      to: to ?? name,
      why: why.slice(0, 2000),
    });
  }

  #onStep({ goal, step, tookMs, text, error }: StepReport): void {
    const fields = { event: "step", goal, step, ms: Math.round(tookMs), result: text ?? "" };
    if (error === null) {
      log.info("step done", fields);
      if (text !== null && text !== "") this.#note(step, text);
    } else {
      log.warn("step failed", { ...fields, error });
      this.#note(step, `failed: ${error}`);
      this.alerts.raise(`${goal}, ${step}: ${error}`);
    }
  }

  #afterTurn(result: StepResult, now: number): void {
    const serving = isServing(result);
    if (result.state.epoch !== this.#persistedEpoch) this.#persistSafely();
    this.links.pace(result, now);
    this.keeper.pace(now);
    this.services.pace(now, serving);
    this.services.watch(result.state.name === "active");
    this.#idle.pace(now, result.state.name === "active" && result.state.peerReadySince !== null);
    if (serving && now >= this.#nextServingAt) this.#saveServing();
    this.#options.onTurn(`${result.state.name}: ${result.state.why}`);
  }

  #saveServing(): void {
    this.#nextServingAt = this.#options.clock.nowMs() +
      Math.min(SERVING_EVERY_MS, this.#options.config.heartbeat.deadAfterMs / 3);
    try {
      this.#options.memory.saveServing(this.loop.state);
    } catch (error) {
      this.alerts.raise(message(error));
    }
  }

  #persist(): void {
    const { state } = this.loop;
    this.#options.memory.save(state, this.#options.config.role);
    this.#persistedEpoch = state.epoch;
  }

  #persistSafely(): void {
    try {
      this.#persist();
    } catch (error) {
      this.alerts.raise(`Cannot persist the epoch: ${message(error)}`);
    }
  }

  async #canAdopt(): Promise<boolean> {
    const { memory, config } = this.#options;
    const previous = memory.previous();
    const [complete] = await Promise.all([this.keeper.adopt(), this.services.read()]);
    if (previous === null || (previous.state !== "active" && previous.state !== "maintenance")) {
      return false;
    }
    const hasVips = config.networks.some((network) => network.vips.length > 0);
    return hasVips
      ? complete && previous.agoMs < ADOPT_WITH_VIPS_MS
      : previous.agoMs < config.heartbeat.deadAfterMs && this.services.evidence.running !== "none";
  }

  async #tellYours(signal: AbortSignal): Promise<void> {
    const { rule, why, detail } = this.loop.state;
    await this.#tell("yours", `${rule}: ${detail === "" ? why : `${why} (${detail})`}`, signal);
  }

  async #tell(kind: PeerNotice["kind"], reason: string, signal: AbortSignal): Promise<void> {
    const { text, accepted } = await this.ask(kind, reason, signal);
    if (!accepted) throw new Error(`Cannot tell the peer "${kind}": ${text}`);
  }

  /** Sends a message to the peer and returns how it was taken. Never throws. */
  async ask(kind: PeerNotice["kind"], reason: string, signal: AbortSignal): Promise<Taken> {
    const { messenger } = this.#options;
    const receiver = this.links.report?.body.instanceId;
    if (messenger === null) {
      return { accepted: false, text: "there is no cluster key on this host: run: relais keygen" };
    }
    if (receiver === undefined) {
      return { accepted: false, text: "the peer's relais does not answer" };
    }
    return await messenger.send(
      this.links.peerAddresses(),
      { kind, epoch: this.loop.state.epoch, reason: reason.slice(0, 500) },
      { receiverInstanceId: receiver, deadlineMs: TELL_MS, signal },
    );
  }

  #track(work: Promise<unknown>): void {
    const watched = work.catch((error: unknown) => this.alerts.raise(message(error)))
      .finally(() => this.#farewells.delete(watched));
    this.#farewells.add(watched);
  }

  /** The last words go out and the addresses go away before the process does; bounded. */
  #finish(): void {
    const leaving = this.#leavingFor;
    this.#saveServing();
    this.loop.stop();
    this.#runner.cancel();
    const farewell = leaving === "restart" ? [] : [...this.#farewells];
    const deadline = this.#options.clock.sleep(FAREWELL_MS);
    Promise.race([Promise.allSettled(farewell), deadline]).then(async () => {
      this.services.close();
      this.links.close();
      await Promise.race([
        this.#options.replicator?.stop(),
        this.#options.clock.sleep(FAREWELL_MS),
      ]);
      this.#done.resolve();
    });
  }
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
