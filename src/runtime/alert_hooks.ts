/**
 * Tells the operator's programs (`hooks.on_alert`) of new alerts, of their end and of changes of state. One
 * program at a time, each with its deadline; nothing waits for them. What a program did not take (it failed)
 * is told again, later and together with what came since.
 *
 * @module
 */

import { ALERT_HOOK_KEY } from "../config/hooks_section.ts";
import type { AlertHookConfig, LocalConfig } from "../config/types.ts";
import type { Clock } from "../os/clock.ts";
import { getLog } from "../os/log.ts";
import { type AlertBatch, AlertLedger } from "./alert_ledger.ts";
import { alertEnvironment, alertInput, type AlertOccasion } from "./alert_message.ts";
import { type HookEnd, runHookProgram, saidText } from "./hooks.ts";

const log = getLog("alert");

/** Between two looks at the alerts, in ms. */
const LOOK_EVERY_MS = 1000;
/** News wait this long for what belongs to them: one failure raises several alerts. */
const GATHER_MS = 2000;
/** Between two runs of one program, at least. */
const PAUSE_MS = 10_000;
/** A program that failed is run again after this pause, doubled at each failure … */
const RETRY_MS = 30_000;
/** … up to this. */
const RETRY_MAX_MS = 600_000;
/** So many runs of one program may follow each other as fast as {@linkcode PAUSE_MS} lets them … */
const BURST_RUNS = 6;
/** … then one in this time. */
const RUN_EVERY_MS = 120_000;
/** How the alert of a failed program begins: it is for status, log and history, not for these programs. */
const OWN = `The hook ${ALERT_HOOK_KEY}[`;

/** What a turn of the node knows. */
export interface AlertContext {
  readonly config: Pick<LocalConfig, "hooks" | "role" | "cluster">;
  /** All alerts of the moment, as in the status. */
  readonly alerts: () => readonly string[];
  readonly state: AlertOccasion["state"];
  readonly epoch: number;
  /** A program failed in another way than the last time, or works again: a sentence for history and log. */
  readonly note: (text: string) => void;
  /** Raises an alert (a program fails). */
  readonly raise: (text: string) => void;
}

/** One program and what it was told. */
interface Listener {
  readonly ledger: AlertLedger;
  /** Its place in the list and its program: arguments may hold a secret, and the status is for all to read. */
  name: string;
  runs: number;
  /** Monotonic ms. */
  nextRunAt: number;
  refilledAt: number;
  lastRunAt: number;
  failures: number;
  failure: string | null;
}

/** See the module. Lives as long as the process: a reload must not tell everything again. */
export class AlertHooks {
  readonly #clock: Clock;
  readonly #path: string | undefined;
  readonly #listeners = new Map<string, Listener>();
  readonly #end = new AbortController();
  #context: AlertContext | null = null;
  #lookedAt = -Infinity;
  #running: Promise<void> | null = null;

  constructor(options: { readonly clock: Clock; readonly path: string | undefined }) {
    this.#clock = options.clock;
    this.#path = options.path;
  }

  /** The node changed its state; a sentence. Told once. */
  moved(text: string): void {
    const at = { now: this.#clock.nowMs(), wallMs: this.#clock.wallMs() };
    for (const { ledger } of this.#listeners.values()) ledger.add(text, at);
  }

  /** Called at each turn; `now` is monotonic ms. Never waits, never throws for what a program does. */
  pace(now: number, context: AlertContext): void {
    this.#context = context;
    const hooks = context.config.hooks.onAlert;
    if (hooks.length === 0 && this.#listeners.size === 0) return;
    if (now - this.#lookedAt < LOOK_EVERY_MS || this.#end.signal.aborted) return;
    this.#lookedAt = now;
    const listeners = this.#listen(hooks, now);
    const texts = context.alerts().filter((text) => !text.startsWith(OWN));
    const at = { now, wallMs: this.#clock.wallMs() };
    for (const { ledger } of this.#listeners.values()) ledger.see(texts, at);
    if (this.#running !== null) return;
    const [next] = listeners
      .filter(({ listener }) => isDue(listener, now))
      .sort((a, b) => a.listener.lastRunAt - b.listener.lastRunAt);
    const due = next?.listener.ledger.due();
    if (next === undefined || due === undefined || due === null) return;
    this.#running = this.#run(next.hook, next.listener, due.batch)
      .finally(() => this.#running = null);
  }

  /** Resolves when the program in progress has ended. Never rejects. */
  async settled(): Promise<void> {
    await this.#running;
  }

  /** Kills the program in progress; nothing is told any more. */
  close(): void {
    this.#end.abort(new Error("the daemon ends"));
  }

  /** Each configured program with what it was told; what is not configured any more is forgotten. */
  #listen(
    hooks: readonly AlertHookConfig[],
    now: number,
  ): { readonly hook: AlertHookConfig; readonly listener: Listener }[] {
    const listed = hooks.map((hook) => ({ hook, key: JSON.stringify(hook.command) }));
    for (const key of this.#listeners.keys()) {
      if (!listed.some((entry) => entry.key === key)) this.#listeners.delete(key);
    }
    return listed.map(({ hook, key }, index) => {
      const listener = this.#listeners.get(key) ?? newListener(now);
      listener.name = `${ALERT_HOOK_KEY}[${index}] ${hook.command[0]}`;
      this.#listeners.set(key, listener);
      return { hook, listener };
    });
  }

  async #run(hook: AlertHookConfig, listener: Listener, batch: AlertBatch): Promise<void> {
    const context = this.#context!;
    const { config, state, epoch } = context;
    const occasion = { config, state, epoch, atMs: this.#clock.wallMs() };
    listener.runs -= 1;
    listener.lastRunAt = this.#clock.nowMs();
    listener.nextRunAt = listener.lastRunAt + PAUSE_MS;
    const end = await runHookProgram(hook, {
      clock: this.#clock,
      path: this.#path,
      signal: this.#end.signal,
      env: alertEnvironment(batch, occasion, this.#path),
      stdin: alertInput(batch, occasion, hook.input),
    });
    if (this.#end.signal.aborted) return;
    if (end.failure === null) {
      listener.ledger.told(batch);
      listener.failures = 0;
      const told = `${batch.news.size} new, ${batch.over.size} over`;
      log.info(`${listener.name} was told: ${told}`, { event: "hook" });
    } else {
      const pause = Math.min(RETRY_MS * 2 ** listener.failures, RETRY_MAX_MS);
      listener.failures += 1;
      listener.nextRunAt = this.#clock.nowMs() + pause;
    }
    this.#report(listener, end);
  }

  /** The same failure again and again is one line of the history, and an alert as long as it lasts. */
  #report(listener: Listener, { failure, said }: HookEnd): void {
    const { note, raise } = this.#context!;
    const { name } = listener;
    const before = listener.failure;
    listener.failure = failure === null ? null : `failed: ${failure}${saidText(said)}`;
    if (listener.failure !== null) raise(`The hook ${name} ${listener.failure}; tried again later`);
    if (listener.failure === before) return;
    note(`${name}: ${listener.failure ?? "works again"}`);
  }
}

function newListener(now: number): Listener {
  return {
    ledger: new AlertLedger(),
    name: "",
    runs: BURST_RUNS,
    nextRunAt: now,
    refilledAt: now,
    lastRunAt: -Infinity,
    failures: 0,
    failure: null,
  };
}

/** Whether a program should be run now; counts the runs that it may have. */
function isDue(listener: Listener, now: number): boolean {
  const more = Math.floor((now - listener.refilledAt) / RUN_EVERY_MS);
  if (more > 0) {
    listener.runs = Math.min(BURST_RUNS, listener.runs + more);
    listener.refilledAt += more * RUN_EVERY_MS;
  }
  if (listener.runs < 1 || now < listener.nextRunAt) return false;
  const due = listener.ledger.due();
  return due !== null && now - due.waitsSince >= GATHER_MS;
}
