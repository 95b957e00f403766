/**
 * One node of the pair: joins loop, links, VIPs, services and data sets into a running whole; begins and
 * ends it. What is observed, done, told and remembered is in the files beside this one.
 *
 * @module
 */

import { coreConfig } from "../config/load.ts";
import type { LocalConfig } from "../config/types.ts";
import { initialState } from "../core/state.ts";
import type { StepResult } from "../core/step.ts";
import type { StatusDocument } from "../health/types.ts";
import type { PeerMessenger } from "../heartbeat/notice.ts";
import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { getLog } from "../os/log.ts";
import type { Poller } from "../os/poller.ts";
import type { Replicator } from "../replication/replicator.ts";
import type { ServiceDriver } from "../services/driver.ts";
import { flushFlows } from "../services/flows.ts";
import type { Gate } from "../services/gate.ts";
import type { Shield } from "../services/shield.ts";
import type { VipManager } from "../vip/manager.ts";
import { hasServed, isAdoptable } from "./adoption.ts";
import { Alerts } from "./alerts.ts";
import { askPeer } from "./ask_peer.ts";
import { GoalRunner } from "./goal_runner.ts";
import { History } from "./history.ts";
import { type HookOccasion, runHooks } from "./hooks.ts";
import { IdleWatch } from "./idle.ts";
import { IsolationWatch } from "./isolation_watch.ts";
import { Links } from "./links.ts";
import { Loop } from "./loop.ts";
import type { Memory } from "./memory.ts";
import { MemoryKeeper } from "./memory_keeper.ts";
import { Observer } from "./observer.ts";
import { PeerLine } from "./peer_line.ts";
import { Performer } from "./performer.ts";
import { Recorder } from "./recorder.ts";
import { Reporter } from "./reporter.ts";
import { ServicesWatch } from "./services_watch.ts";
import { type Identity, isServing } from "./status.ts";
import { createStepPerformer, stepDeadlineMs, stepHasWork } from "./steps.ts";
import { VipKeeper } from "./vip_keeper.ts";

const log = getLog("node");

/** A leaving node waits this long for its last words to arrive and its addresses to go. */
const FAREWELL_MS = 2000;

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
  readonly gate: Gate;
  readonly shield: Shield;
  readonly replicator: Replicator | null;
  /** Null: no cluster key, nothing can be agreed with the peer. */
  readonly messenger: PeerMessenger | null;
  /** Reasons why this host could not serve, found at start (a missing tool). */
  readonly localFaults: readonly string[];
  /** `PATH`, where the programs of hooks are looked up. */
  readonly path: string | undefined;
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
  readonly peerLine: PeerLine;
  readonly reporter: Reporter;
  readonly #options: NodeOptions;
  readonly #services: ServicesWatch;
  readonly #idle: IdleWatch;
  readonly #isolation = new IsolationWatch();
  readonly #observer: Observer;
  readonly #memory: MemoryKeeper;
  readonly #recorder: Recorder;
  readonly #runner: GoalRunner;
  readonly #performer: Performer;
  readonly #done = Promise.withResolvers<void>();
  #leavesForRestart = false;
  /** Why the goal in progress was started, for its hooks. */
  #occasion: Pick<HookOccasion, "rule" | "reason"> = { rule: "", reason: "" };
  /** Filled by the HTTP side. */
  readonly counters: StatusDocument["counters"] = {
    httpGarbage: 0,
    httpRefused: 0,
    icmpIgnored: 0,
    arpGarbage: 0,
    messagesRefused: 0,
    messagesAccepted: 0,
  };

  /** The parts are made in the order in which they need each other; what comes later is reached late. */
  constructor(options: NodeOptions) {
    this.#options = options;
    const { config, clock } = options;
    const onTrouble = (text: string): void => this.alerts.raise(text);
    const onNews = (): void => this.loop.kick();
    this.alerts = new Alerts({ clock, onNew: (text) => log.warn(text, { event: "alert" }) });
    this.history = new History({ stateDir: options.stateDir, onTrouble });
    const knownWitnesses = options.memory.load()?.witnesses ?? [];
    this.links = new Links({ config, clock, knownWitnesses, onNews });
    this.keeper = this.#makeKeeper({ onTrouble, onNews });
    this.#services = new ServicesWatch({
      config: config.services,
      clock,
      poller: options.poller,
      driver: options.driver,
      onNews,
      onTrouble,
    });
    this.#idle = new IdleWatch({ config: config.failback, clock, onTrouble });
    this.#recorder = this.#makeRecorder();
    this.#memory = this.#makeMemoryKeeper(onTrouble);
    this.peerLine = this.#makePeerLine();
    this.#runner = this.#makeRunner();
    this.#performer = this.#makePerformer(onTrouble);
    this.#observer = this.#makeObserver();
    this.loop = this.#makeLoop();
    this.reporter = this.#makeReporter();
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
    // Closed before the services are looked at, unless they may be there to stay; in maintenance nothing moves.
    if (!hasServed(previous) && !inMaintenance) this.#setGate("closed");
    let adoptable = false;
    try {
      const [allMounted, running] = await Promise.all([
        this.keeper.adopt(),
        this.#services.read(),
      ]);
      const hasVips = config.networks.some((network) => network.vips.length > 0);
      const { deadAfterMs } = config.heartbeat;
      adoptable = isAdoptable(previous, { hasVips, allMounted, running, deadAfterMs });
    } catch (error) {
      this.alerts.raise(messageOf(error));
    }
    this.#observer.setAdoptable(adoptable);
    if (adoptable) this.#setGate("open");
    else if (!inMaintenance) this.#setGate("closed");
    // In the background: adopted VIPs must be renewed now. A dead daemon may have left a shield.
    this.#installGate();
    shield.lower().catch((error: unknown) => this.alerts.raise(messageOf(error)));
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

  #setGate(to: "open" | "closed"): void {
    const { gate } = this.#options;
    try {
      if (to === "open") gate.open();
      else gate.close();
    } catch (error) {
      this.alerts.raise(`Cannot set the gate: ${messageOf(error)}`);
    }
  }

  #installGate(): void {
    this.#options.gate.install().then((changes) => {
      for (const text of changes) log.info(text, { event: "gate" });
    }).catch((error: unknown) => {
      for (const text of messageOf(error).split("\n")) this.alerts.raise(text);
    });
  }

  /** Asks for an orderly leave; {@linkcode done} tells when it is over. */
  leave(): void {
    this.loop.push({ type: "command", command: "stop" });
  }

  /** Ends at once without letting go: the next daemon of this boot adopts VIPs and services. */
  leaveForRestart(): void {
    this.#leavesForRestart = true;
    this.#finish();
  }

  #makeKeeper({ onTrouble, onNews }: {
    readonly onTrouble: (text: string) => void;
    readonly onNews: () => void;
  }): VipKeeper {
    const { config, clock, poller, vips } = this.#options;
    return new VipKeeper({
      config,
      clock,
      poller,
      manager: vips,
      links: this.links,
      onTrouble,
      onRepair: (text) => {
        this.#recorder.note("VIP-REPAIR", text);
        onTrouble(text);
      },
      onLapsed: (lateMs) => this.loop.push({ type: "stalled", stalledMs: lateMs }),
      onNews,
    });
  }

  #makeRecorder(): Recorder {
    const { clock, replicator } = this.#options;
    return new Recorder({
      clock,
      history: this.history,
      alerts: this.alerts,
      stateName: () => this.loop.state.name,
      lossReport: replicator === null ? null : () => replicator.lossReport(),
    });
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
    const { config, clock, memory, messenger, localFaults } = this.#options;
    return new Observer({
      config,
      clock,
      boot: memory.boot,
      links: this.links,
      keeper: this.keeper,
      services: this.#services,
      idle: this.#idle,
      hasKey: messenger !== null,
      localFaults,
    });
  }

  #makeReporter(): Reporter {
    const { config, clock, identity, driver, replicator, messenger, localFaults } = this.#options;
    const { gate, shield } = this.#options;
    return new Reporter({
      config,
      clock,
      identity,
      loop: this.loop,
      observer: this.#observer,
      links: this.links,
      keeper: this.keeper,
      runner: this.#runner,
      gate,
      shield,
      replicator,
      alerts: this.alerts,
      history: this.history,
      isolation: this.#isolation,
      serviceNames: driver.names,
      hasKey: messenger !== null,
      localFaults,
      counters: this.counters,
    });
  }

  #makeRunner(): GoalRunner {
    const { config, clock, driver, replicator, gate, shield, path } = this.#options;
    const onTrouble = (text: string): void => this.alerts.raise(text);
    const vips = config.networks.flatMap((network) => network.vips);
    return new GoalRunner({
      clock,
      undo: () => shield.lower().then(() => {}, (error: unknown) => onTrouble(messageOf(error))),
      perform: createStepPerformer({
        config,
        services: driver,
        readServices: () => this.#services.read(),
        running: () => this.#services.evidence.running,
        gate,
        installGate: () => this.#installGate(),
        shield,
        flushFlows: async (signal) => vips.length === 0 ? "" : await flushFlows(vips, { signal }),
        onTrouble,
        untilHealthy: (signal) => this.#services.untilHealthy(signal),
        mount: (signal) => this.keeper.mount(signal),
        drop: () => this.keeper.drop(),
        announce: () => this.keeper.announce(),
        persist: () => this.#memory.persist(),
        replicator,
        epoch: () => this.loop.state.epoch,
        askPeer: (signal) =>
          askPeer(this.links.peerAddresses(), { port: config.heartbeat.httpPort, signal }),
        tellYours: (signal) => this.peerLine.tellYours(signal),
        runHooks: (moment, goal, signal) =>
          runHooks(moment, {
            config,
            clock,
            path,
            occasion: { goal, epoch: this.loop.state.epoch, ...this.#occasion },
            signal,
            onHook: (report) => this.#recorder.hook(report),
          }),
      }),
      deadlineMs: (step) => stepDeadlineMs(step, config),
      hasWork: (step) => stepHasWork(step, config),
      onEvent: (event) => this.loop.push(event),
      onStep: (report) => this.#recorder.step(report),
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
    });
  }

  #onDecision(result: StepResult): void {
    this.#observer.setAdoptable(false);
    const { decision, actions } = result;
    if (decision !== null && actions.some(({ type }) => type === "start-goal")) {
      const { rule, why, detail } = decision;
      this.#occasion = { rule, reason: detail === "" ? why : `${why} (${detail})` };
    }
    this.#recorder.decision(result);
    this.#memory.saveServing();
  }

  #afterTurn(result: StepResult, now: number): void {
    const { name, peerReadySince, why } = result.state;
    this.#memory.pace(result, now);
    this.links.pace(result, now);
    this.keeper.pace(now);
    this.#services.pace(now, isServing(result));
    this.#services.watch(name === "active");
    this.#idle.pace(now, name === "active" && peerReadySince !== null);
    this.#isolation.pace(result, now);
    this.#options.onTurn(`${name}: ${why}`);
  }

  /**
   * The last words go out and the addresses go away before the process does; bounded. Hooks behind a
   * hand-over end first, and the loop turns meanwhile (it decides nothing any more): systemd's watchdog
   * is fed by it.
   */
  #finish(): void {
    const { clock, replicator } = this.#options;
    this.#memory.saveServing();
    if (this.#leavesForRestart) {
      this.loop.stop();
      this.#runner.cancel();
    }
    const told = this.#leavesForRestart ? Promise.resolve() : this.#performer.settled();
    const hooks = this.#leavesForRestart ? Promise.resolve() : this.#runner.finish();
    hooks.then(() => {
      this.loop.stop();
      // With the goal the shield goes.
      const farewell = Promise.all([told, this.#runner.settled()]);
      return Promise.race([farewell, clock.sleep(FAREWELL_MS)]);
    }).then(async () => {
      this.#services.close();
      this.links.close();
      await Promise.race([replicator?.stop(), clock.sleep(FAREWELL_MS)]);
    }).catch((error: unknown) => log.error(messageOf(error), { event: "end" }))
      .finally(() => this.#done.resolve());
  }
}
