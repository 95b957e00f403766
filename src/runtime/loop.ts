/**
 * The loop: takes a picture of the world, asks the core, hands its actions over. It turns on a timer
 * (faster while the peer is suspect) and at once when something happened.
 *
 * It also watches itself: when it stood still (a frozen or starved host), its evidence is void, and the
 * core hears of it before anything else is done.
 *
 * @module
 */

import type { StepTrace } from "../core/invariants.ts";
import { step, type StepResult } from "../core/step.ts";
import type { NodeState } from "../core/state.ts";
import type { Action, CoreConfig, CoreEvent, Observation } from "../core/types.ts";
import type { Clock } from "../os/clock.ts";

/** Turns while something is wrong or moving: a takeover must not wait for a slow timer. */
export const FAST_TURN_MS = 20;

/** Longest pause between two turns, whatever `interval_ms` is: deadlines are looked at in turns. */
export const SLOW_TURN_MAX_MS = 200;

/** A dead peer's VIPs may fall silent this long after it: then the loop slows down again. */
const URGENT_AFTER_DEATH_MS = 10_000;

/** Transitions in one turn; more would be a loop in the table. */
const TRANSITIONS_MAX = 8;

/** Events that wait for a turn; beyond that the oldest go (a flood of notices, say). */
const EVENTS_MAX = 256;

/** What {@linkcode Loop} needs. */
export interface LoopOptions {
  readonly clock: Clock;
  readonly config: CoreConfig;
  readonly initial: NodeState;
  /** The world now, with these events. */
  readonly observe: (events: readonly CoreEvent[]) => Observation;
  /** Carries out; must not wait and must not throw. */
  readonly perform: (actions: readonly Action[], result: StepResult) => void;
  /** The loop stood still that long: drop what was heard but not yet looked at. Must not throw. */
  readonly onStall: (stalledMs: number) => void;
  /** After each turn: pacing of probes, renewals, status. Must not throw. */
  readonly afterTurn: (result: StepResult, now: number) => void;
  /** Sees each step as it was made; null or left out: nobody looks. */
  readonly onStep?: ((trace: StepTrace) => void) | null;
}

/** Runs the core. */
export class Loop {
  readonly #options: LoopOptions;
  #state: NodeState;
  #last: StepResult | null = null;
  #events: CoreEvent[] = [];
  #lastTurnAt: number;
  /** When the timer is due; null: none is set. */
  #dueAt: number | null = null;
  #lagMs = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #kicked = false;
  #running = false;

  constructor(options: LoopOptions) {
    this.#options = options;
    this.#state = options.initial;
    this.#lastTurnAt = options.clock.nowMs();
  }

  /** The memory of the core as of the last turn. */
  get state(): NodeState {
    return this.#state;
  }

  /** The result of the last step; null before the first turn. */
  get last(): StepResult | null {
    return this.#last;
  }

  /** How late the last timer was, in milliseconds. */
  get lagMs(): number {
    return this.#lagMs;
  }

  /** Milliseconds since the last turn. */
  get ageMs(): number {
    return this.#options.clock.nowMs() - this.#lastTurnAt;
  }

  /**
   * Before the first turn: goes on with the memory of a loop that was stopped, which had the same clock,
   * and with the events that it has not come round to: they were promised to be heard.
   */
  inherit(former: Loop): void {
    this.#state = former.#state;
    this.#last = former.#last;
    this.#events = [...former.#events, ...this.#events];
    former.#events = [];
  }

  /** Before the first turn: what was heard before `at` says nothing, as if the daemon had started then. */
  voidEvidence(at: number): void {
    this.#state = { ...this.#state, evidenceSince: at };
  }

  /** Begins to turn. */
  start(): void {
    this.#running = true;
    this.#lastTurnAt = this.#options.clock.nowMs();
    // Of an earlier start: not to have turned in between is no stall.
    this.#dueAt = null;
    this.#turn();
  }

  /** Stops turning; nothing is decided any more. */
  stop(): void {
    this.#running = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** Hands an event to the core, at once. */
  push(event: CoreEvent): void {
    this.#events.push(event);
    if (this.#events.length > EVENTS_MAX) this.#events.shift();
    this.kick();
  }

  /** Turns soon: something was observed that may matter. */
  kick(): void {
    if (this.#kicked || !this.#running) return;
    this.#kicked = true;
    queueMicrotask(() => {
      this.#kicked = false;
      this.#turn();
    });
  }

  /** The pause after which a late turn means that the evidence is void. */
  get stallThresholdMs(): number {
    const { intervalMs, isolatedAfterMs } = this.#options.config;
    return Math.min(Math.max(2 * intervalMs, 100), Math.max(100, isolatedAfterMs / 2));
  }

  #turn(): void {
    if (!this.#running) return;
    const now = this.#options.clock.nowMs();
    // Also a turn that an event caused finds out that the timer should have fired long ago.
    const late = this.#dueAt === null ? 0 : Math.max(0, now - this.#dueAt);
    this.#lagMs = late;
    this.#lastTurnAt = now;
    if (late > this.stallThresholdMs) {
      this.#options.onStall(late);
      this.#events.unshift({ type: "stalled", stalledMs: late });
    }
    let result = this.#step(now);
    for (let n = 1; n < TRANSITIONS_MAX && result.decision !== null; n++) result = this.#step(now);
    this.#last = result;
    this.#options.afterTurn(result, now);
    if (this.#running) this.#schedule(result, now);
  }

  #step(now: number): StepResult {
    const events = this.#events;
    this.#events = [];
    const { observe, perform, config, onStep } = this.#options;
    const before = this.#state;
    const seen = observe(events);
    const result = step(before, seen, now, config);
    this.#state = result.state;
    onStep?.({ before, seen, now, config, result });
    if (result.decision !== null) perform(result.actions, result);
    return result;
  }

  /** An earlier timer stays: turns that events cause must not disturb the beat of the heartbeat. */
  #schedule(result: StepResult, now: number): void {
    const pause = isUrgent(result, this.#options.config)
      ? FAST_TURN_MS
      : Math.min(this.#options.config.intervalMs, SLOW_TURN_MAX_MS);
    const stays = this.#timer !== null && this.#dueAt !== null && this.#dueAt > now;
    if (stays && this.#dueAt! <= now + pause) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#dueAt = now + pause;
    this.#timer = setTimeout(() => {
      // It is no timer any more, also when it fires a moment before it is due by the other clock.
      this.#timer = null;
      this.#turn();
    }, pause);
  }
}

/** Something may have to be decided at a moment that the slow timer would miss. */
function isUrgent({ situation, state }: StepResult, config: CoreConfig): boolean {
  if (state.name === "isolated" || state.peerLeftAt !== null || situation.daemonLost) return true;
  if (situation.verdict === "alive") return false;
  return situation.silentMs < config.deadAfterMs + URGENT_AFTER_DEATH_MS;
}
