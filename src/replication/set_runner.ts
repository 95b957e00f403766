/**
 * Runs the copies of one data set: when they are due, one at a time, with back-off, remembered.
 *
 * @module
 */

import type { DataSetName } from "../core/types.ts";
import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { ProgressRate } from "./progress_rate.ts";
import { due, nextStartMs, type ScheduleInput } from "./schedule.ts";
import type { OnProgress, SetProgress } from "./set_header.ts";
import type { SetState, SetStates, SetSuccess } from "./set_state.ts";

/** What became of a copy. */
export type CopyOutcome =
  | Omit<SetSuccess, "durationMs">
  /** The peer has it already: nothing changed since the last good copy, up to this moment. */
  | { readonly unchangedWallMs: number }
  /** It waits for the copy of another set: no success, and no failure. */
  | { readonly waits: string };

/** How one copy is made. */
export type CopySet = (options: {
  readonly epoch: number;
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress;
  /** Somebody asked for it: it is made also if nothing changed. */
  readonly asked: boolean;
  /** See `SendFilesOptions`. */
  readonly allowMassDeletion: boolean;
}) => Promise<CopyOutcome>;

/** Settings of {@linkcode SetRunner}. */
export interface SetRunnerOptions {
  readonly set: DataSetName;
  readonly clock: Clock;
  readonly states: SetStates;
  readonly everyMs: number;
  readonly minGapMs: number;
  readonly firstDelayMs: number;
  readonly copy: CopySet;
  /** Told of every end but that of a copy which was cut as this node is no source any more. */
  readonly onEnd: (state: SetState, error: unknown) => void;
}

/** A copy in progress. */
export interface RunningCopy {
  readonly progress: SetProgress;
  readonly startedMs: number;
}

interface ActiveCopy extends RunningCopy {
  readonly done: Promise<SetState>;
  readonly abort: AbortController;
  readonly listeners: Set<OnProgress>;
  progress: SetProgress;
  /** Cut, as this node is no source any more: that is no failure of the copy. */
  ceased: boolean;
}

/** The copies of one set from this host to the peer. */
export class SetRunner {
  readonly set: DataSetName;
  readonly #options: SetRunnerOptions;
  #source: { readonly epoch: number; readonly sinceMs: number } | null = null;
  #lastStartMs: number | null = null;
  #failures = 0;
  #changedAtMs: number | null = null;
  #lastDurationMs = 0;
  #running: ActiveCopy | null = null;

  constructor(options: SetRunnerOptions) {
    this.#options = options;
    this.set = options.set;
  }

  /** The copy in progress; null: none. */
  get running(): RunningCopy | null {
    return this.#running;
  }

  /** Failures since the last success. */
  get failures(): number {
    return this.#failures;
  }

  /** When the next scheduled copy starts (monotonic); null: this host is no source of the set. */
  get nextMs(): number | null {
    return this.#source === null ? null : nextStartMs(this.#schedule(this.#source));
  }

  /** This node may be read now. A fresh copy of this epoch, left by the daemon before, counts. */
  becomeSource(epoch: number): void {
    const { clock, states, everyMs } = this.#options;
    const nowMs = clock.nowMs();
    this.#source = { epoch, sinceMs: nowMs };
    this.#failures = 0;
    this.#changedAtMs = null;
    const last = states.read(this.set, "sent");
    const agoMs = clock.wallMs() - (last.lastSuccessWallMs ?? 0);
    const counts = last.epoch === epoch && last.lastError === null && agoMs >= 0 && agoMs < everyMs;
    this.#lastStartMs = counts ? nowMs - agoMs : null;
  }

  /** This node must not be read any more: a copy in progress is cut. */
  ceaseSource(reason: string): void {
    this.#source = null;
    if (this.#running === null) return;
    this.#running.ceased = true;
    this.#running.abort.abort(new Error(`Cannot go on copying the ${this.set} as ${reason}`));
  }

  /** The data changed; the next copy comes early. */
  noteChange(): void {
    this.#changedAtMs ??= this.#options.clock.nowMs();
  }

  /** Starts a copy when one is due. */
  tick(): void {
    if (this.#source === null || this.#running !== null) return;
    const nowMs = this.#options.clock.nowMs();
    if (!due({ ...this.#schedule(this.#source), nowMs })) return;
    this.#start({ epoch: this.#source.epoch, asked: false, allowMassDeletion: false });
  }

  /**
   * Copies now; a copy that began before is waited for, not joined.
   *
   * @throws what the copy failed with; the abort of `signal`
   */
  async copyNow(options: {
    readonly epoch: number;
    readonly signal: AbortSignal;
    readonly onProgress: OnProgress;
    readonly allowMassDeletion: boolean;
  }): Promise<SetState> {
    options.signal.throwIfAborted();
    await this.#untilOlderEnds(options.signal);
    const joined = this.#running !== null;
    const { epoch, allowMassDeletion } = options;
    const running = this.#running ?? this.#start({ epoch, asked: true, allowMassDeletion });
    running.listeners.add(options.onProgress);
    const gaveUp = Promise.withResolvers<never>();
    const onAbort = (): void => {
      if (!joined) running.abort.abort(options.signal.reason);
      gaveUp.reject(options.signal.reason);
    };
    options.signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await Promise.race([running.done, gaveUp.promise]);
    } finally {
      options.signal.removeEventListener("abort", onAbort);
      running.listeners.delete(options.onProgress);
    }
  }

  /**
   * A copy that began before it was asked for may lack what was changed just before: it is waited for, not
   * joined.
   */
  async #untilOlderEnds(signal: AbortSignal): Promise<void> {
    const askedMs = this.#options.clock.nowMs();
    const gaveUp = Promise.withResolvers<never>();
    const onAbort = (): void => gaveUp.reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      while (this.#running !== null && this.#running.startedMs < askedMs) {
        // How it ended is told by its own runner.
        await Promise.race([this.#running.done.catch(() => {}), gaveUp.promise]);
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Cuts a copy in progress and waits for its end. */
  async stop(): Promise<void> {
    this.ceaseSource("relais stops");
    await this.#running?.done.catch(() => {}); // Remembered and told by then.
  }

  #schedule(source: { readonly sinceMs: number }): ScheduleInput {
    const { everyMs, firstDelayMs, minGapMs } = this.#options;
    return {
      lastStartMs: this.#lastStartMs,
      failures: this.#failures,
      everyMs,
      changedAtMs: this.#changedAtMs,
      // A set that changes all the time keeps both hosts busy half of the time at most.
      minGapMs: Math.max(minGapMs, 2 * this.#lastDurationMs),
      sourceSinceMs: source.sinceMs,
      firstDelayMs,
    };
  }

  #start(
    given: Pick<Parameters<CopySet>[0], "epoch" | "asked" | "allowMassDeletion">,
  ): ActiveCopy {
    const abort = new AbortController();
    const listeners = new Set<OnProgress>();
    const startedMs = this.#options.clock.nowMs();
    this.#lastStartMs = startedMs;
    const changedBefore = this.#changedAtMs;
    this.#changedAtMs = null;
    const rate = new ProgressRate(this.#options.states.read(this.set, "sent").size);
    const onProgress: OnProgress = (told) => {
      const progress = rate.add(told, this.#options.clock.nowMs());
      running.progress = progress;
      for (const listener of listeners) listener(progress);
    };
    const work = Promise.resolve().then(() =>
      this.#options.copy({ ...given, signal: abort.signal, onProgress })
    );
    const done = this.#finish(work, { startedMs, changedBefore, asked: given.asked }).finally(
      () => {
        this.#running = null;
      },
    );
    done.catch(() => {}); // Told through onEnd; copyNow() awaits it too.
    const running: ActiveCopy = {
      done,
      abort,
      listeners,
      startedMs,
      progress: { phase: "begin", bytes: 0, totalBytes: null },
      ceased: false,
    };
    this.#running = running;
    return running;
  }

  async #finish(
    work: Promise<CopyOutcome>,
    begin: {
      readonly startedMs: number;
      readonly changedBefore: number | null;
      readonly asked: boolean;
    },
  ): Promise<SetState> {
    const { clock, states, onEnd } = this.#options;
    let waiting: string | null = null;
    try {
      const facts = await work;
      if ("waits" in facts) {
        // Looked at again after the shortest pause.
        this.#changedAtMs = clock.nowMs();
        if (begin.asked) waiting = facts.waits;
        else return states.read(this.set, "sent");
        throw new Error(`Cannot copy the ${this.set} now as ${facts.waits}`);
      }
      const durationMs = clock.nowMs() - begin.startedMs;
      this.#failures = 0;
      if ("unchangedWallMs" in facts) {
        const state = await states.unchanged(this.set, "sent", facts.unchangedWallMs);
        onEnd(state, null);
        return state;
      }
      this.#lastDurationMs = durationMs;
      const { epoch, origin, snapshotWallMs, size, sha256 } = facts;
      const success = { epoch, origin, snapshotWallMs, size, sha256, durationMs };
      const state = await states.succeeded(this.set, "sent", success, clock.wallMs());
      onEnd(state, null);
      return state;
    } catch (cause) {
      this.#changedAtMs ??= begin.changedBefore;
      if (this.#running?.ceased === true || waiting !== null) throw cause;
      this.#failures += 1;
      const why = messageOf(cause);
      // A full disk must not hide the failure itself.
      const state = await states.failed(this.set, "sent", why, clock.wallMs())
        .catch(() => states.read(this.set, "sent"));
      onEnd(state, cause);
      throw cause;
    }
  }
}
