/**
 * Writes what must survive this process at the moments when it must: the epoch when it changes, and word
 * for the next daemon of this boot at each decision and about once a second while serving.
 *
 * @module
 */

import type { NodeState } from "../core/state.ts";
import type { StepResult } from "../core/step.ts";
import type { Role } from "../core/types.ts";
import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import type { Memory } from "./memory.ts";
import { isServing } from "./status.ts";

/** Word for the next daemon of this boot is renewed this often while serving. */
const SERVING_EVERY_MS = 1000;
/** … and often enough that a node without VIPs is adopted: its word counts for `dead_after_ms` only. */
const SERVING_TIMES_IN_DEAD = 3;

/** A disk that refused is asked again after this pause. */
const PERSIST_RETRY_MS = 1000;

/** What {@linkcode MemoryKeeper} needs. */
export interface MemoryKeeperOptions {
  readonly memory: Memory;
  readonly clock: Clock;
  readonly role: Role;
  readonly deadAfterMs: number;
  readonly state: () => NodeState;
  /** Witnesses that have answered at least once, ever. */
  readonly witnesses: () => readonly string[];
  /** A sentence for the alerts: the disk refuses. */
  readonly onTrouble: (text: string) => void;
}

/** See the module. */
export class MemoryKeeper {
  readonly #options: MemoryKeeperOptions;
  readonly #everyMs: number;
  #nextServingAt = 0;
  #nextPersistAt = -Infinity;
  #persistedEpoch: number;
  #persistedWitnesses: number;
  /** What was persisted before this process; from zero on the first start. */
  readonly before: Pick<NodeState, "epoch" | "failbackHeld">;

  constructor(options: MemoryKeeperOptions) {
    this.#options = options;
    this.#everyMs = Math.min(SERVING_EVERY_MS, options.deadAfterMs / SERVING_TIMES_IN_DEAD);
    this.before = options.memory.load() ?? { epoch: 0, failbackHeld: false };
    this.#persistedEpoch = this.before.epoch;
    this.#persistedWitnesses = options.witnesses().length;
  }

  /** Persists the epoch now. @throws {Error} when the disk refuses: the epoch is not safe then */
  persist(): void {
    const { epoch, failbackHeld } = this.#options.state();
    const witnesses = [...this.#options.witnesses()];
    this.#options.memory.save({ epoch, failbackHeld, role: this.#options.role, witnesses });
    this.#persistedEpoch = epoch;
    this.#persistedWitnesses = witnesses.length;
  }

  /** As {@linkcode MemoryKeeper.persist}; a disk that refuses is an alert. */
  persistSafely(): void {
    try {
      this.persist();
    } catch (error) {
      this.#options.onTrouble(`Cannot persist the epoch: ${messageOf(error)}`);
    }
  }

  /** Leaves word for the next daemon of this boot: after each decision, and at the end. */
  saveServing(): void {
    const { clock, memory, state, onTrouble } = this.#options;
    this.#nextServingAt = clock.nowMs() + this.#everyMs;
    try {
      memory.saveServing({ ...state(), serving: isServing({ state: state() }) });
    } catch (error) {
      onTrouble(messageOf(error));
    }
  }

  /** Writes what is due; called after each turn. */
  pace(result: StepResult, now: number): void {
    // While taking over the VIPs go first: a step of that goal persists the epoch before anything is served.
    const isNews = result.state.epoch !== this.#persistedEpoch ||
      this.#options.witnesses().length !== this.#persistedWitnesses;
    const isDue = isNews && result.state.name !== "taking-over" && now >= this.#nextPersistAt;
    if (isDue) {
      this.#nextPersistAt = now + PERSIST_RETRY_MS;
      this.persistSafely();
    }
    if (isServing(result) && now >= this.#nextServingAt) this.saveServing();
  }
}
