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
import type { VipManager } from "../vip/manager.ts";
import { isAdoptable } from "./adoption.ts";
import { Alerts } from "./alerts.ts";
import { askPeer } from "./ask_peer.ts";
import type { BeatClock } from "./beat.ts";
import { GoalRunner } from "./goal_runner.ts";
import { hearPeer } from "./hear_peer.ts";
import { History } from "./history.ts";
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
import { createStepPerformer, stepDeadlineMs } from "./steps.ts";
import { VipKeeper } from "./vip_keeper.ts";

const log = getLog("node");

/** A leaving node waits this long for its last words to arrive and its addresses to go. */
const FAREWELL_MS = 2000;

/** What {@linkcode Node} is made of. */
export interface NodeOptions {
  readonly config: LocalConfig;
  readonly clock: Clock;
  /** For what is done about once a second; driven from here. */
  readonly beat: BeatClock;
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
      clock: options.beat,
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
    const { memory, config, replicator } = this.#options;
    const previous = memory.previous();
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
    log.info(adoptable ? "adopting what the previous daemon held" : "starting", {
      event: "start",
      role: config.role,
      previous: previous?.state ?? "none",
    });
    // An operator's word outlives the process; the core adopts first, if there is something to adopt.
    if (previous?.state === "maintenance") {
      this.loop.push({ type: "command", command: "maintenance-on" });
    }
    this.keeper.applyInterfaces();
    this.loop.start();
    replicator?.start();
  }

  /**
   * Asks for an orderly leave; {@linkcode done} tells when it is over. A peer that seems unable to take the
   * service may have become able since it was last heard: it is heard once more.
   */
  leave(): void {
    const stop = (): void => this.loop.push({ type: "command", command: "stop" });
    const { state, last } = this.loop;
    if (state.name !== "active" || (last?.situation.peerCannotTake ?? null) === null) return stop();
    hearPeer(this).finally(stop);
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
    return new Reporter({
      config,
      clock,
      identity,
      loop: this.loop,
      observer: this.#observer,
      links: this.links,
      keeper: this.keeper,
      runner: this.#runner,
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
    const { config, clock, driver, replicator } = this.#options;
    return new GoalRunner({
      clock,
      perform: createStepPerformer({
        config,
        services: driver,
        readServices: () => this.#services.read(),
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
      }),
      deadlineMs: (step) => stepDeadlineMs(step, config),
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
    this.#options.beat.turn(now);
    this.#options.onTurn(`${name}: ${why}`);
  }

  /** The last words go out and the addresses go away before the process does; bounded. */
  #finish(): void {
    const { clock, replicator } = this.#options;
    this.#memory.saveServing();
    this.loop.stop();
    this.#options.beat.release();
    this.#runner.cancel();
    const farewell = this.#leavesForRestart ? Promise.resolve() : this.#performer.settled();
    Promise.race([farewell, clock.sleep(FAREWELL_MS)]).then(async () => {
      this.#services.close();
      this.links.close();
      await Promise.race([replicator?.stop(), clock.sleep(FAREWELL_MS)]);
    }).catch((error: unknown) => log.error(messageOf(error), { event: "end" }))
      .finally(() => this.#done.resolve());
  }
}
