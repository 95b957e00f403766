/**
 * Runs the operator's hooks of one moment of a move: one after the other, each with its deadline, going on
 * whatever they say. What each did goes to `onHook`; a failure is never the end of a move.
 *
 * @module
 */

import { ALERT_HOOK_KEY, HOOK_KEYS } from "../config/hooks_section.ts";
import type { HookConfig, HookMoment, HooksConfig, LocalConfig } from "../config/types.ts";
import type { StepName } from "../core/goals.ts";
import type { GoalName, StateName } from "../core/types.ts";
import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { run, type RunResult, ToolMissingError, ToolTimeoutError } from "../os/process.ts";
import { findProgram, whyNotTrusted } from "../os/program.ts";

/** Time to spawn and to kill, beyond the deadlines of the hooks themselves. */
const MARGIN_MS = 2000;
/** Of what a hook says on standard error this much of the first line is kept. */
const SAID_MAX = 300;
/** Of the reason of a move, and of an alert, this much is handed to a hook in its environment. */
const REASON_MAX = 2000;

/** The moment of each step that runs hooks. */
const MOMENTS: Readonly<Partial<Record<StepName, HookMoment>>> = {
  "hooks-before-takeover": "beforeTakeover",
  "hooks-after-takeover": "afterTakeover",
  "hooks-before-handback": "beforeHandback",
  "hooks-after-handback": "afterHandback",
};

/** Where the move is then: `RELAIS_STATE`. */
const STATES = {
  beforeTakeover: "taking-over",
  afterTakeover: "active",
  beforeHandback: "handing-back",
  afterHandback: "standby",
} as const satisfies Record<HookMoment, StateName>;

/** How one program of the operator's ended. */
export interface HookEnd {
  /** Exit status; null: it did not run, or it was killed. */
  readonly code: number | null;
  readonly tookMs: number;
  /** First line of its standard error, shortened; empty: it said nothing. */
  readonly said: string;
  /** Null: exit status 0. Else what went wrong, in words. */
  readonly failure: string | null;
}

/** How one hook ended. */
export interface HookReport extends HookEnd {
  readonly moment: HookMoment;
  /** As configured. */
  readonly command: readonly string[];
}

/** What led to a move, for the environment of its hooks. */
export interface HookOccasion {
  readonly goal: GoalName;
  readonly epoch: number;
  /** Id of the row that started the goal, e.g. `S-TAKE`. */
  readonly rule: string;
  /** Its reason in words. */
  readonly reason: string;
}

/** What {@linkcode runHooks} needs. */
export interface RunHooksOptions {
  readonly config: Pick<LocalConfig, "hooks" | "role" | "cluster">;
  readonly clock: Clock;
  /** `PATH`, for looking up programs and for the hooks. */
  readonly path: string | undefined;
  readonly occasion: HookOccasion;
  /** Aborting kills the hook in progress; the others are left out. */
  readonly signal: AbortSignal;
  /** Each hook that ended, at once. */
  readonly onHook: (report: HookReport) => void;
}

/** The moment whose hooks a step runs; null for all other steps. */
export function hookMoment(step: StepName): HookMoment | null {
  return MOMENTS[step] ?? null;
}

/** Sentences for the hooks whose program is not there, or may not be run as root. */
export function hookFaults(hooks: HooksConfig, path: string | undefined): string[] {
  const faults = (key: string, list: readonly HookConfig[]): string[] =>
    list.flatMap(({ command }) => {
      try {
        trustedProgram(command, path);
        return [];
      } catch (error) {
        return [`the hook ${key}: ${messageOf(error)}`];
      }
    });
  const moments = Object.keys(HOOK_KEYS) as HookMoment[];
  return [
    ...moments.flatMap((moment) => faults(HOOK_KEYS[moment], hooks[moment])),
    ...faults(ALERT_HOOK_KEY, hooks.onAlert),
  ];
}

/** How long the hooks of a moment may take together, in milliseconds: the deadline of their step. */
export function hooksDeadlineMs(hooks: readonly HookConfig[]): number {
  return hooks.reduce((sum, { deadlineMs }) => sum + deadlineMs + MARGIN_MS, MARGIN_MS);
}

/**
 * Runs the hooks of a moment.
 *
 * @throws the reason of `signal` when it aborts; never for what a hook does
 */
export async function runHooks(moment: HookMoment, options: RunHooksOptions): Promise<void> {
  for (const hook of options.config.hooks[moment]) {
    options.signal.throwIfAborted();
    const report = await runHook(moment, hook, options);
    options.onHook(report);
  }
  options.signal.throwIfAborted();
}

async function runHook(
  moment: HookMoment,
  hook: HookConfig,
  options: RunHooksOptions,
): Promise<HookReport> {
  const { clock, path, signal } = options;
  const env = hookEnvironment(moment, options);
  const end = await runHookProgram(hook, { clock, path, signal, env });
  return { moment, command: hook.command, ...end };
}

/** What {@linkcode runHookProgram} needs. */
export interface HookProgramOptions {
  readonly clock: Clock;
  /** `PATH`, for looking up the program. */
  readonly path: string | undefined;
  /** Aborting kills it. */
  readonly signal: AbortSignal;
  /** All that it finds in its environment. */
  readonly env: Readonly<Record<string, string>>;
  /** What it can read; default: nothing. */
  readonly stdin?: string;
}

/** Runs one program of the operator's until it ends or its deadline kills it with all that it started. Never rejects. */
export async function runHookProgram(
  { command, deadlineMs }: HookConfig,
  { clock, path, signal, env, stdin }: HookProgramOptions,
): Promise<HookEnd> {
  const started = clock.nowMs();
  const ended = (end: Omit<HookEnd, "tookMs">): HookEnd => {
    return { tookMs: clock.nowMs() - started, ...end };
  };
  try {
    const result = await run([trustedProgram(command, path), ...command.slice(1)], {
      deadlineMs,
      signal,
      env,
      clearEnv: true,
      ownGroup: true,
      ...(stdin === undefined ? {} : { stdin }),
    });
    return ended(outcome(result));
  } catch (error) {
    const failure = signal.aborted
      ? `it was killed, as the move ended: ${messageOf(signal.reason)}`
      : error instanceof ToolTimeoutError
      ? `it took longer than ${deadlineMs / 1000} s and was killed with all that it started`
      : messageOf(error);
    return ended({ code: null, said: "", failure });
  }
}

/** @throws when it is not there, or when others than root may change it */
function trustedProgram([name = ""]: readonly string[], path: string | undefined): string {
  const file = findProgram(name, path);
  if (file === null) throw new ToolMissingError(name);
  const why = whyNotTrusted(file);
  if (why === null) return file;
  throw new Error(`Cannot run ${file} as root as ${why}: chown root and chmod go-w`);
}

function outcome({ code, stderr }: RunResult): Omit<HookEnd, "tookMs"> {
  const first = stderr.split("\n").find((line) => line.trim() !== "") ?? "";
  const said = first.replaceAll(/\p{Cc}/gu, " ").trim().slice(0, SAID_MAX);
  return { code, said, failure: code === 0 ? null : `it exited with ${code}` };
}

/** All that the hook of a move finds in its environment: nothing of relais' own (no `NOTIFY_SOCKET`). */
function hookEnvironment(
  moment: HookMoment,
  { config, path, occasion }: Pick<RunHooksOptions, "config" | "path" | "occasion">,
): Record<string, string> {
  return {
    ...commonEnvironment({ path, key: HOOK_KEYS[moment], config }),
    RELAIS_STATE: STATES[moment],
    RELAIS_EPOCH: String(occasion.epoch),
    RELAIS_GOAL: occasion.goal,
    RELAIS_RULE: occasion.rule,
    RELAIS_REASON: environmentText(occasion.reason),
  };
}

/** What every hook finds in its environment. */
export function commonEnvironment({ path, key, config }: {
  readonly path: string | undefined;
  /** Of `[hooks]`: why it runs. */
  readonly key: string;
  readonly config: Pick<LocalConfig, "role" | "cluster">;
}): Record<string, string> {
  return {
    PATH: path ?? "/usr/sbin:/usr/bin:/sbin:/bin",
    LANG: "C.UTF-8",
    RELAIS_HOOK: key,
    RELAIS_CLUSTER: config.cluster.name,
    RELAIS_ROLE: config.role,
  };
}

/** A sentence as one bounded line: an environment variable. */
export function environmentText(sentence: string): string {
  return sentence.replaceAll(/\p{Cc}/gu, " ").slice(0, REASON_MAX);
}

/** One sentence for history, log and alerts. */
export function hookSentence({ moment, command, failure, tookMs, said }: HookReport): string {
  const end = failure === null ? "exit status 0" : `failed: ${failure}`;
  const after = `after ${(tookMs / 1000).toFixed(1)} s`;
  return `${HOOK_KEYS[moment]} ${commandText(command)}: ${end}, ${after}${saidText(said)}`;
}

/** A hook's command as people read it, shortened. */
function commandText(command: readonly string[]): string {
  return command.join(" ").slice(0, SAID_MAX);
}

/** What a hook said, as the end of a sentence. */
export function saidText(said: string): string {
  return said === "" ? "" : `; it said: ${said}`;
}
