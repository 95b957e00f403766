/**
 * One node of the pair: joins loop, links, VIPs, services and data sets into a running whole; begins and
 * ends it. What is observed, done, told and remembered is in the files beside this one.
 *
 * @module
 */

import { coreConfig } from "../config/load.ts";
import { assess, type Situation } from "../core/situation.ts";
import { initialState } from "../core/state.ts";
import type { StepResult } from "../core/step.ts";
import type { Observation } from "../core/types.ts";
import { messageOf } from "../os/errors.ts";
import { getLog } from "../os/log.ts";
import { findAdoptable } from "./adopt.ts";
import { AlertHooks } from "./alert_hooks.ts";
import { moveText } from "./alert_message.ts";
import { Alerts } from "./alerts.ts";
import { CopyCare } from "./copy_care.ts";
import { type Counters, noCounters } from "./counters.ts";
import { createGoalRunner } from "./create_goal_runner.ts";
import { createRecorder } from "./create_recorder.ts";
import { createVipKeeper } from "./create_vip_keeper.ts";
import { farewell, FAREWELL_MS } from "./farewell.ts";
import { createLinks } from "./create_links.ts";
import { GateKeeper } from "./gate_keeper.ts";
import type { GoalRunner } from "./goal_runner.ts";
import { hearPeer } from "./hear_peer.ts";
import { moveSettled } from "./settled_move.ts";
import type { History } from "./history.ts";
import type { HookOccasion } from "./hooks.ts";
import { IdleWatch } from "./idle.ts";
import { IsolationWatch } from "./isolation_watch.ts";
import type { Links } from "./links.ts";
import { Loop } from "./loop.ts";
import { MemoryKeeper } from "./memory_keeper.ts";
import { NodeRight } from "./node_right.ts";
import type { NodeOptions } from "./node_options.ts";
import { Observer } from "./observer.ts";
import { PeerLine } from "./peer_line.ts";
import { type NodePorts, SYSTEM_PORTS } from "./ports.ts";
import { Performer } from "./performer.ts";
import type { Recorder } from "./recorder.ts";
import { busyWith, mountsAfterReload } from "./reload_node.ts";
import { Reporter } from "./reporter.ts";
import { ServicesWatch } from "./services_watch.ts";
import { isServing } from "./status.ts";
import type { VipKeeper } from "./vip_keeper.ts";

const log = getLog("node");

/** See the module. */
export class Node {
  readonly alerts: Alerts;
  readonly alertHooks: AlertHooks;
  readonly history: History;
  readonly links: Links;
  readonly keeper: VipKeeper;
  readonly loop: Loop;
  readonly peerLine: PeerLine;
  readonly reporter: Reporter;
  /** The arbiter's right to serve. */
  readonly right: NodeRight;
  readonly #options: NodeOptions;
  readonly #ports: NodePorts;
  readonly #gate: GateKeeper;
  readonly #services: ServicesWatch;
  readonly #idle: IdleWatch;
  readonly #isolation: IsolationWatch;
  readonly #observer: Observer;
  readonly #memory: MemoryKeeper;
  readonly #recorder: Recorder;
  readonly #copies: CopyCare;
  readonly #runner: GoalRunner;
  readonly #performer: Performer;
  readonly #done = Promise.withResolvers<void>();
  #leaves = false;
  #leavesForRestart = false;
  /** Why the goal in progress was started, for its hooks. */
  #occasion: Pick<HookOccasion, "rule" | "reason"> = { rule: "", reason: "" };
  #ended = false;
  /** Filled by the HTTP side. */
  readonly counters: Counters;

  /** The parts are made in the order in which they need each other; what comes later is reached late. */
  constructor(options: NodeOptions) {
    this.#options = options;
    this.#ports = options.ports ?? SYSTEM_PORTS;
    const { config, clock, former } = options;
    this.counters = former?.counters ?? noCounters();
    this.#isolation = former === null ? new IsolationWatch() : former.#isolation;
    const onTrouble = (text: string): void => this.alerts.raise(text);
    const onNews = (): void => this.loop.kick();
    this.alerts = former?.alerts ??
      new Alerts({ clock, onNew: (text) => log.warn(text, { event: "alert" }) });
    this.alertHooks = former?.alertHooks ?? new AlertHooks({ clock, path: options.path });
    this.history = former?.history ??
      this.#ports.history({ stateDir: options.stateDir, onTrouble });
    this.links = createLinks(options, { ports: this.#ports, onNews });
    const observe = (): Observation => this.#observer.observe([]);
    this.right = new NodeRight(
      { ...options, ports: this.#ports, node: this, observe },
      former?.right ?? null,
    );
    this.keeper = createVipKeeper(options, {
      links: this.links,
      openLink: this.#ports.vipLink,
      onTrouble,
      onRepair: (text) => this.#recorder.note("VIP-REPAIR", text),
      extendUntil: (now) => this.right.extendUntil(now),
      onLapsed: (lateMs) => this.loop.push({ type: "stalled", stalledMs: lateMs }),
      onNews,
    });
    this.#gate = new GateKeeper({ gate: options.gate, onTrouble });
    this.#services = new ServicesWatch({
      config: config.services,
      clock: options.beat,
      poller: options.poller,
      driver: options.driver,
      onNews,
      onTrouble,
    });
    this.#idle = new IdleWatch({ config: config.failback, clock, onTrouble });
    this.#recorder = createRecorder(options, this);
    this.#memory = this.#makeMemoryKeeper(onTrouble);
    this.peerLine = this.#makePeerLine();
    this.#runner = this.#makeRunner();
    this.#performer = this.#makePerformer(onTrouble);
    this.#observer = this.#makeObserver();
    this.loop = this.#makeLoop();
    this.reporter = this.#makeReporter();
    const tell = (rule: string, text: string): void => this.#recorder.note(rule, text);
    this.#copies = new CopyCare({
      config,
      clock,
      paths: options.paths ?? null,
      fencer: options.fencer ?? null,
      reporter: () => this.reporter,
      tell,
    });
  }

  /** Resolves when the node has left for good. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  /** Finds out what a previous daemon left, then begins to decide. */
  async start(): Promise<void> {
    const { memory, config, replicator, shield } = this.#options;
    const previous = memory.previous();
    const inMaintenance = previous?.state === "maintenance";
    const { right, keeper } = this;
    const [services, gate] = [this.#services, this.#gate];
    const onTrouble = (text: string): void => this.alerts.raise(text);
    const parts = { config, right, keeper, services, gate, onTrouble };
    const adoptable = await findAdoptable(previous, parts);
    this.#observer.setAdoptable(adoptable);
    // In the background: adopted VIPs must be renewed now. A dead daemon may have left a shield.
    this.#gate.install();
    shield.lower().catch((error: unknown) => onTrouble(messageOf(error)));
    log.info(adoptable ? "adopting what the previous daemon held" : "starting", {
      event: "start",
      role: config.role,
      previous: previous?.state ?? "none",
    });
    // An operator's word outlives the process; the core adopts first, if there is something to adopt.
    if (inMaintenance) this.loop.push({ type: "command", command: "maintenance-on" });
    this.keeper.applyInterfaces();
    this.loop.start();
    replicator?.start();
  }

  /** What must be over before another node may follow this one, in words; null: nothing. */
  get busyWith(): string | null {
    return this.isLeaving
      ? "this node is leaving"
      : busyWith(this.loop.state, this.#runner.current);
  }

  /** It runs the services or holds the VIPs. */
  get serves(): boolean {
    return isServing({ state: this.loop.state });
  }

  /** It ends, or will: nothing may follow it any more. */
  get isLeaving(): boolean {
    return this.#leaves || this.#ended || this.loop.state.stopAsked || this.loop.state.left;
  }

  /** Writes into the history something that changed no state. */
  note(rule: string, why: string): void {
    this.#recorder.note(rule, why);
  }

  /**
   * Learns what a node must know before it follows its former: the kernel, the services. Changes nothing.
   *
   * @throws what `ip` and the driver of the services throw
   */
  async prepare(): Promise<void> {
    await Promise.all([this.keeper.prepare(), this.#services.read()]);
  }

  /** Whether something answers the telephony check within the deadline; true without a check. */
  async telephonyAnswers(deadlineMs: number): Promise<boolean> {
    return await this.#services.answers(deadlineMs);
  }

  /** The world as this node would see it in the place of its former one. Changes nothing. */
  outlook(former: Node): Situation {
    this.links.inherit(former.links);
    const { clock, config } = this.#options;
    const seen = this.#observer.observe([]);
    return assess(former.loop.state, seen, clock.nowMs(), coreConfig(config));
  }

  /**
   * Follows its former node: what that one knew and decided counts on, VIPs and services stay. The former
   * decides nothing from the moment of this call on, and this one does. Never rejects.
   */
  async follow(former: Node): Promise<void> {
    const { clock, replicator } = this.#options;
    const stoppedAt = clock.nowMs();
    former.links.drain();
    former.#stopTurning();
    this.right.attach();
    former.right.leaveTo(this.right);
    this.loop.inherit(former.loop);
    let taken: Promise<void> = Promise.resolve();
    try {
      this.reporter.inherit(former.reporter);
      this.peerLine.inherit(former.peerLine);
      const { verdict } = this.outlook(former);
      const { state, last } = former.loop;
      // A shorter deadline must not call the peer dead for what it was not yet asked at the new pace.
      const isWorse = verdict !== "alive" && verdict !== last?.situation.verdict;
      if (isWorse) this.loop.voidEvidence(stoppedAt);
      const { held } = former.keeper;
      const mounts = mountsAfterReload(state, { wasHeld: held, hadVips: former.hasVips });
      former.#services.close();
      former.links.close();
      taken = mounts ? this.keeper.takeOver(former.keeper) : former.keeper.release();
    } finally {
      // Whatever happens: a node must decide.
      this.loop.start();
    }
    // A unit that is new gets its drop-in, one that is gone loses it; where none was, the gate may be shut.
    if (this.serves) this.#gate.set("open");
    this.#gate.install();
    await taken;
    await Promise.race([former.#options.replicator?.stop(), clock.sleep(FAREWELL_MS)]);
    if (!this.#ended) replicator?.start();
  }

  /** Ends a node that was built to follow another one and shall not. */
  discard(): void {
    this.#ended = true;
    this.#services.close();
    this.links.close();
    this.right.leaveTo(this.#options.former?.right ?? null);
    void this.keeper.release();
  }

  /** VIPs are configured. */
  get hasVips(): boolean {
    return this.#options.config.networks.some((network) => network.vips.length > 0);
  }

  /**
   * Asks for an orderly leave; {@linkcode done} tells when it is over. A peer that seems unable to take the
   * service may have become able since it was last heard: it is heard once more.
   */
  leave(): void {
    const stop = (): void => this.loop.push({ type: "command", command: "stop" });
    const { state, last } = this.loop;
    this.#leaves = true;
    if (state.name !== "active" || (last?.situation.peerCannotTake ?? null) === null) return stop();
    hearPeer(this, this.#options.clock).finally(stop);
  }

  /** Ends without letting go, a move in progress first: the next daemon of this boot adopts VIPs and services. */
  leaveForRestart(): void {
    this.#leavesForRestart = true;
    moveSettled(this.loop, this.#options.clock).finally(() => this.#finish());
  }

  #makeMemoryKeeper(onTrouble: (text: string) => void): MemoryKeeper {
    const { config, clock, memory } = this.#options;
    return new MemoryKeeper({
      memory,
      clock,
      role: config.role,
      deadAfterMs: config.heartbeat.deadAfterMs,
      state: () => this.loop.state,
      witnesses: () => this.links.knownWitnesses,
      onTrouble,
    });
  }

  #makePeerLine(): PeerLine {
    const { clock, messenger } = this.#options;
    return new PeerLine({
      clock,
      links: this.links,
      messenger,
      state: () => this.loop.state,
      last: () => this.loop.last,
      onEvent: (event) => this.loop.push(event),
    });
  }

  #makePerformer(onAlert: (text: string) => void): Performer {
    return new Performer({
      keeper: this.keeper,
      runner: this.#runner,
      peerLine: this.peerLine,
      links: this.links,
      memory: this.#memory,
      onAlert,
      onExit: () => this.#finish(),
    });
  }

  #makeObserver(): Observer {
    const { memory, messenger, replicator } = this.#options;
    return new Observer({
      ...this.#options,
      boot: memory.boot,
      links: this.links,
      keeper: this.keeper,
      services: this.#services,
      idle: this.#idle,
      hasKey: messenger !== null,
      right: this.right.keeper,
      returnBlocked: () => replicator?.back?.blocked ?? null,
    });
  }

  #makeReporter(): Reporter {
    const { driver, messenger } = this.#options;
    return new Reporter({
      ...this.#options,
      loop: this.loop,
      observer: this.#observer,
      links: this.links,
      keeper: this.keeper,
      runner: this.#runner,
      alerts: this.alerts,
      history: this.history,
      isolation: this.#isolation,
      serviceNames: driver.names,
      hasKey: messenger !== null,
      right: this.right.keeper,
      counters: this.counters,
    });
  }

  #makeRunner(): GoalRunner {
    return createGoalRunner({
      ...this.#options,
      ports: this.#ports,
      gateKeeper: this.#gate,
      services: this.#services,
      links: this.links,
      keeper: this.keeper,
      memory: this.#memory,
      peerLine: this.peerLine,
      recorder: this.#recorder,
      epoch: () => this.loop.state.epoch,
      right: this.right,
      occasion: () => this.#occasion,
      onEvent: (event) => this.loop.push(event),
      onTrouble: (text) => this.alerts.raise(text),
    });
  }

  #makeLoop(): Loop {
    const { config, clock } = this.#options;
    return new Loop({
      clock,
      config: coreConfig(config),
      initial: initialState(clock.nowMs(), this.#memory.before),
      observe: (events) => this.#observer.observe(events),
      perform: (actions, result) => {
        this.#onDecision(result);
        this.#performer.perform(actions);
      },
      onStall: (stalledMs) => {
        const ms = Math.round(stalledMs);
        log.warn("the loop stood still: evidence is void", { event: "stall", ms });
        this.links.discard();
      },
      afterTurn: (result, now) => this.#afterTurn(result, now),
      onStep: this.#ports.onStep,
    });
  }

  #onDecision(result: StepResult): void {
    this.#observer.setAdoptable(false);
    const { decision, actions } = result;
    if (decision !== null && actions.some(({ type }) => type === "start-goal")) {
      const { rule, why, detail } = decision;
      this.#occasion = { rule, reason: detail === "" ? why : `${why} (${detail})` };
    }
    const move = decision === null ? null : moveText(decision);
    if (move !== null) this.alertHooks.moved(move);
    this.#recorder.decision(result);
    this.#memory.saveServing();
  }

  #afterTurn(result: StepResult, now: number): void {
    const { name, peerReadySince, why } = result.state;
    this.#memory.pace(result, now);
    this.links.pace(result, now);
    this.keeper.pace(now);
    this.right.pace(result, now, this.#observer.adoptable);
    this.#services.pace(now, isServing(result));
    this.#services.watch(name === "active");
    this.#idle.pace(now, name === "active" && peerReadySince !== null);
    this.#isolation.pace(result, now);
    this.#copies.pace(now, name);
    this.alertHooks.pace(now, {
      config: this.#options.config,
      alerts: () => this.reporter.alerts,
      state: name,
      epoch: result.state.epoch,
      note: (text) => this.#recorder.note("HOOK", text),
      raise: (text) => this.alerts.raise(text),
    });
    this.#options.beat.turn(now);
    this.#options.onTurn(`${name}: ${why}`);
  }

  /** Nothing is decided any more; who waits for a turn gets a timer. */
  #stopTurning(): void {
    this.loop.stop();
    this.#copies.close();
    this.#options.beat.release();
  }

  #finish(): void {
    if (this.#ended) return;
    const { clock, replicator, driver } = this.#options;
    this.#ended = true;
    this.#memory.saveServing();
    farewell({
      clock,
      forRestart: this.#leavesForRestart,
      seeOff: () => driver.seeOff?.(),
      runner: this.#runner,
      performer: this.#performer,
      stopTurning: () => this.#stopTurning(),
      endRight: () => this.right.end({ forRestart: this.#leavesForRestart }),
      close: () => {
        this.#services.close();
        this.links.close();
      },
      replicator,
      alertHooks: this.alertHooks,
    }).catch((error: unknown) => log.error(messageOf(error), { event: "end" }))
      .finally(() => this.#done.resolve());
  }
}
