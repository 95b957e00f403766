/**
 * One queue of goals: steps in order, each with a deadline, nothing concurrent. A newer goal cancels what
 * has not begun; the step in progress is aborted and waited for, so that two steps never overlap.
 *
 * @module
 */

import { type GoalOptions, goalSteps, type StepName, type StepSpec } from "../core/goals.ts";
import type { CoreEvent, GoalName } from "../core/types.ts";
import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";

/** Carries out one step; rejects with an error whose message an operator understands. */
export type StepPerformer = (step: StepName, context: StepContext) => Promise<string | void>;

/** What a step may use. */
export interface StepContext {
  /** Aborts when the goal is cancelled or the step's deadline is over. */
  readonly signal: AbortSignal;
  readonly goal: GoalName;
}

/** What the runner works on now. */
export interface GoalInProgress {
  readonly goal: GoalName;
  readonly step: StepName;
  /** Monotonic. */
  readonly since: number;
}

/** What {@linkcode GoalRunner} needs. */
export interface GoalRunnerOptions {
  readonly clock: Clock;
  readonly perform: StepPerformer;
  /** Deadline of each step in milliseconds. */
  readonly deadlineMs: (step: StepName) => number;
  /** False: nothing is configured for this step, so it is left out and leaves no trace. */
  readonly hasWork: (step: StepName) => boolean;
  /**
   * Undoes what must not outlast a goal, however the goal ended; the next one waits for it. Bounded; never
   * rejects.
   */
  readonly undo: () => Promise<void>;
  /** `goal-done` and `goal-failed` go to the loop. */
  readonly onEvent: (event: CoreEvent) => void;
  /** A step ended: for log and history. `error` null: it went well. */
  readonly onStep: (report: StepReport) => void;
}

/** How one step ended. */
export interface StepReport {
  readonly goal: GoalName;
  readonly step: StepName;
  readonly tookMs: number;
  /** What the step said of itself. */
  readonly text: string | null;
  readonly error: string | null;
}

/** Runs goals. */
export class GoalRunner {
  readonly #options: GoalRunnerOptions;
  #cancel = new AbortController();
  #tail: Promise<void> = Promise.resolve();
  #current: GoalInProgress | null = null;
  /** The goal in progress is done; what still runs comes after it. */
  #isDone = true;

  constructor(options: GoalRunnerOptions) {
    this.#options = options;
  }

  /** The goal and step in progress; null when idle. */
  get current(): GoalInProgress | null {
    return this.#current;
  }

  /** Cancels the goal in progress, if any. */
  cancel(): void {
    this.#cancel.abort(new Error("cancelled by a newer decision"));
    this.#cancel = new AbortController();
  }

  /** Cancels the goal in progress and starts this one when its step has let go. */
  start(goal: GoalName, goalId: number, options: GoalOptions): void {
    this.cancel();
    this.#isDone = false;
    const { signal } = this.#cancel;
    this.#tail = this.#tail.then(async () => {
      if (signal.aborted) return;
      await this.#run(goal, goalId, options, signal);
      await this.#options.undo();
    });
  }

  /** Resolves when nothing runs any more. */
  async settled(): Promise<void> {
    await this.#tail;
  }

  /** Lets what comes after a done goal end; a goal that is not done is cancelled and not waited for. */
  async finish(): Promise<void> {
    if (this.#isDone) await this.settled();
    else this.cancel();
  }

  async #run(
    goal: GoalName,
    goalId: number,
    options: GoalOptions,
    cancelled: AbortSignal,
  ): Promise<void> {
    for (const spec of goalSteps(goal, options)) {
      if (cancelled.aborted) return;
      if (!this.#options.hasWork(spec.name)) continue;
      if (spec.afterDone === true) this.#done(goalId);
      const error = await this.#runStep(goal, spec, cancelled);
      if (cancelled.aborted) return;
      if (error !== null && spec.onFailure === "fail") {
        this.#options.onEvent({ type: "goal-failed", goalId, step: spec.name, error });
        return;
      }
      if (spec.name === "fence-peer") this.#options.onEvent({ type: "fencing-over", goalId });
    }
    this.#done(goalId);
  }

  /** Tells it once. */
  #done(goalId: number): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#options.onEvent({ type: "goal-done", goalId });
  }

  async #runStep(goal: GoalName, spec: StepSpec, cancelled: AbortSignal): Promise<string | null> {
    const { clock, deadlineMs, perform, onStep } = this.#options;
    const started = clock.nowMs();
    this.#current = { goal, step: spec.name, since: started };
    const deadline = new AbortController();
    const limit = deadlineMs(spec.name);
    const timer = setTimeout(
      () => deadline.abort(new Error(`it took longer than ${limit} ms`)),
      limit,
    );
    let text: string | null = null;
    let error: string | null = null;
    try {
      const signal = AbortSignal.any([cancelled, deadline.signal]);
      text = await withinGrace(perform(spec.name, { signal, goal }), signal) ?? null;
    } catch (cause) {
      error = messageOf(cause);
    } finally {
      clearTimeout(timer);
      this.#current = null;
    }
    onStep({ goal, step: spec.name, tookMs: clock.nowMs() - started, text, error });
    return error;
  }
}

/** How long an aborted step may take to clean up before it is no longer waited for. */
const ABORT_GRACE_MS = 2000;

/** Waits for `work`; after `signal` aborted only for the grace, so that a hung tool cannot hang the queue. */
function withinGrace<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const { promise: given, reject } = Promise.withResolvers<never>();
  const giveUp = (): void => {
    timer = setTimeout(() => reject(signal.reason), ABORT_GRACE_MS);
  };
  if (signal.aborted) giveUp();
  else signal.addEventListener("abort", giveUp, { once: true });
  return Promise.race([work, given]).finally(() => {
    clearTimeout(timer);
    // The steps behind it share the goal's signal: its abort must not wake the ones that are over.
    signal.removeEventListener("abort", giveUp);
  });
}
