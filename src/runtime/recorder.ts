/**
 * Tells log, history and alerts what this node decided and did.
 *
 * @module
 */

import { HOOK_KEYS } from "../config/hooks_section.ts";
import type { StepResult } from "../core/step.ts";
import type { NodeState } from "../core/state.ts";
import type { Clock } from "../os/clock.ts";
import { getLog } from "../os/log.ts";
import type { Replicator } from "../replication/replicator.ts";
import type { Alerts } from "./alerts.ts";
import { lossSentence } from "./data_sets.ts";
import type { StepReport } from "./goal_runner.ts";
import { type HookReport, hookSentence } from "./hooks.ts";
import type { History } from "./history.ts";

const log = getLog("node");

/** Rows in which the data came along with the service: nothing was lost. */
export const CONSENTED_RULES: readonly string[] = ["S-NOTICE", "M-BACK"];
/** A sentence of the history is cut at this length. */
const WHY_MAX = 2000;

/** What {@linkcode Recorder} needs. */
export interface RecorderOptions {
  readonly clock: Clock;
  readonly history: History;
  readonly alerts: Alerts;
  /** The name of the state that the node is in. */
  readonly stateName: () => NodeState["name"];
  /** Ages of what may be lost, empty: nothing; null: no data sets are configured. */
  readonly lossReport: Replicator["lossReport"] | null;
}

/** See the module. */
export class Recorder {
  readonly #options: RecorderOptions;

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  /** The core decided; a result without a decision is not worth a word. */
  decision({ decision, state }: Pick<StepResult, "decision" | "state">): void {
    if (decision === null) return;
    const { rule, why, detail, from, to } = decision;
    const sentence = detail === "" ? why : `${why} (${detail})`;
    log.info(sentence, { event: "decision", rule, from, to, state: to, epoch: state.epoch, why });
    this.#add({ rule, why: sentence, from, to });
    if (to === "taking-over" && from === "standby" && !CONSENTED_RULES.includes(rule)) {
      this.#loss();
    }
  }

  /** A step of a goal ended. */
  step({ goal, step, tookMs, text, error }: StepReport): void {
    const fields = { event: "step", goal, step, ms: Math.round(tookMs), result: text ?? "" };
    // By name: steps of one goal must not count as repeats of one record, which are left out of the log.
    if (error === null) {
      log.info(`${goal}, ${step}: done`, fields);
      if (text !== null && text !== "") this.note(step, text);
    } else {
      log.warn(`${goal}, ${step}: failed`, { ...fields, error });
      this.note(step, `failed: ${error}`);
      this.#options.alerts.raise(`${goal}, ${step}: ${error}`);
    }
  }

  /** A hook of the operator's ended; it never decides anything, so all that it leaves is this. */
  hook(report: HookReport): void {
    const { moment, code, tookMs, failure } = report;
    const sentence = hookSentence(report);
    const fields = { event: "hook", hook: HOOK_KEYS[moment], ms: Math.round(tookMs), code };
    if (failure === null) log.info(sentence, fields);
    else log.warn(sentence, fields);
    this.note("HOOK", sentence);
    if (failure !== null) this.#options.alerts.raise(`The hook ${sentence}`);
  }

  /** Something happened that changed no state; `rule` is a name for it. */
  note(rule: string, why: string): void {
    const name = this.#options.stateName();
    this.#add({ rule, why, from: name, to: name });
  }

  /** A takeover says how old each set was: that is the loss, in plain words. No loss, no word. */
  #loss(): void {
    const ages = this.#options.lossReport?.() ?? [];
    if (ages.length > 0) this.note("LOSS", lossSentence(ages));
  }

  #add(entry: {
    readonly rule: string;
    readonly why: string;
    readonly from: string;
    readonly to: string;
  }): void {
    const { clock, history } = this.#options;
    const at = new Date(clock.wallMs()).toISOString();
    history.add({ ...entry, at, why: entry.why.slice(0, WHY_MAX) });
  }
}
