/**
 * Switches the peer off and says how it went; one agent at a time. It decides nothing: when the peer is
 * fenced is in `core/fencing.ts`.
 *
 * @module
 */

import type { FencingConfig, FencingDeviceConfig } from "../config/types.ts";
import type { Role } from "../core/types.ts";
import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { ToolTimeoutError } from "../os/process.ts";
import { type AgentAction, type AgentRunner, runAgent } from "./agent.ts";

/** How something that was asked of the device ended. */
export interface FencingOutcome {
  readonly action: AgentAction;
  readonly ok: boolean;
  /** One sentence for history, log and status. */
  readonly text: string;
  /** Monotonic ms. */
  readonly at: number;
  readonly tookMs: number;
}

/** What {@linkcode Fencer} needs. */
export interface FencerOptions {
  readonly config: FencingConfig;
  /** Of this host: the other one is fenced. */
  readonly role: Role;
  readonly clock: Clock;
  /** Default: the real one. */
  readonly run?: AgentRunner;
}

/** What an agent answers to `status`. */
export type Power = "on" | "off" | "unknown";

/** The time that a look at the power has, after the action: what is left, but not less. */
const LOOK_LEAST_MS = 2000;

/** See the module. */
export class Fencer {
  readonly #options: FencerOptions;
  readonly #run: AgentRunner;
  /** Results since the daemon started. */
  readonly counters = { fenced: 0, failed: 0, checksFailed: 0 };
  /** The last time that the peer was switched off, on or over; null: never. */
  last: FencingOutcome | null = null;
  /** The last look at whether the device works; null: none yet. */
  checked: FencingOutcome | null = null;
  #busy: AgentAction | null = null;
  #looking: { readonly ending: AbortController; readonly over: Promise<void> } | null = null;

  constructor(options: FencerOptions) {
    this.#options = options;
    this.#run = options.run ?? runAgent;
  }

  get config(): FencingConfig {
    return this.#options.config;
  }

  /** The host that is fenced from here. */
  get target(): Role {
    return this.#options.role === "master" ? "slave" : "master";
  }

  /** How it is switched off. */
  get device(): FencingDeviceConfig {
    return this.config[this.target];
  }

  /** What an agent does now; null: none runs. */
  get busy(): AgentAction | null {
    return this.#busy;
  }

  /**
   * Fences the peer: the configured action, then a look at the power.
   *
   * @returns what was done, as a sentence
   * @throws {Error} when it is not certain that the peer was switched off; and the reason of `signal`
   */
  async fence(signal: AbortSignal): Promise<string> {
    return await this.power(this.config.action, signal);
  }

  /**
   * Switches the peer off, on, or off and on. A look at the device that is under way is ended: it can be made
   * again, this can't wait.
   *
   * @throws {Error} as {@linkcode fence}
   */
  async power(action: "off" | "on" | "reboot", signal: AbortSignal): Promise<string> {
    await this.#endLook();
    const { clock } = this.#options;
    const started = clock.nowMs();
    try {
      const how = await this.#exclusive(action, () => this.#powerAndLook(action, started, signal));
      return this.#note(action, { ok: true, started, how });
    } catch (error) {
      const how = this.#words(error, signal);
      throw new Error(this.#note(action, { ok: false, started, how }), { cause: error });
    }
  }

  /** Whether the device answers; kept in {@linkcode checked}. Never rejects. */
  async check(): Promise<FencingOutcome> {
    const { clock } = this.#options;
    const started = clock.nowMs();
    let how: string;
    let ok = false;
    let told: unknown = null;
    try {
      const { code, said } = await this.#look("monitor", new AbortController().signal);
      ok = code === 0;
      how = ok ? "its device answers" : `it exited with ${code}${quoted(said)}`;
    } catch (error) {
      how = messageOf(error);
      told = error;
    }
    const tookMs = clock.nowMs() - started;
    const text = `${this.device.agent} for the ${this.target}: ${how}`;
    const outcome: FencingOutcome = { action: "monitor", ok, text, at: clock.nowMs(), tookMs };
    // It was in the way of something that could not wait: that says nothing of the device.
    if (told instanceof NotNow) return outcome;
    if (!ok) this.counters.checksFailed++;
    return this.checked = outcome;
  }

  /**
   * The power of the peer, as its device says.
   *
   * @throws {Error} when the agent cannot be run; and the reason of `signal`
   */
  async status(signal: AbortSignal): Promise<{ readonly power: Power; readonly text: string }> {
    const { code, said } = await this.#look("status", signal);
    const power = powerOf(code);
    const { target } = this;
    return power === "unknown"
      ? {
        power,
        text: `the power of the ${target} is not known: exit status ${code}${quoted(said)}`,
      }
      : { power, text: `the power of the ${target} is ${power}` };
  }

  async #powerAndLook(
    action: "off" | "on" | "reboot",
    started: number,
    signal: AbortSignal,
  ): Promise<string> {
    const { deadlineMs } = this.config;
    const { code, said } = await this.#ask(action, deadlineMs, signal);
    if (code !== 0) throw new Error(`it exited with ${code}${quoted(said)}`);
    // After `reboot` it may be on again, or not yet: agents confirm what they did by themselves.
    if (action === "reboot") return "done";
    const left = deadlineMs - (this.#options.clock.nowMs() - started);
    return await this.#confirm(action, Math.max(LOOK_LEAST_MS, left), signal);
  }

  /** Agents confirm by themselves that the power went off; one that says another thing is not believed. */
  async #confirm(action: "off" | "on", deadlineMs: number, signal: AbortSignal): Promise<string> {
    let power: Power = "unknown";
    try {
      power = powerOf((await this.#ask("status", deadlineMs, signal)).code);
    } catch (error) {
      signal.throwIfAborted();
      return `done; its status could not be read (${messageOf(error)})`;
    }
    if (power === "unknown") return "done; the agent has no status to confirm it";
    if (power === action) return `done, and its status confirms that the power is ${action}`;
    throw new Error(`the agent reports success, but its status says that the power is ${power}`);
  }

  async #ask(
    action: AgentAction,
    deadlineMs: number,
    signal: AbortSignal,
  ): Promise<{ readonly code: number; readonly said: string }> {
    return await this.#run(this.device, action, { deadlineMs, signal });
  }

  async #exclusive<T>(action: AgentAction, work: () => Promise<T>): Promise<T> {
    if (this.#busy !== null) {
      throw new NotNow(`the agent is busy with ${this.#busy}: try again when that is over`);
    }
    this.#busy = action;
    try {
      return await work();
    } finally {
      this.#busy = null;
    }
  }

  /** Asks without changing anything, one question after the other; gives way to what changes something. */
  async #look(
    action: "monitor" | "status",
    signal: AbortSignal,
  ): Promise<{ readonly code: number; readonly said: string }> {
    // Each has a deadline, so this ends.
    while (this.#looking !== null) await this.#looking.over;
    const ending = new AbortController();
    const work = this.#exclusive(
      action,
      () => this.#ask(action, this.config.deadlineMs, AbortSignal.any([signal, ending.signal])),
    );
    const looking = { ending, over: work.then(() => {}, () => {}) };
    if (this.#busy === action) this.#looking = looking;
    try {
      return await work;
    } finally {
      if (this.#looking === looking) this.#looking = null;
    }
  }

  async #endLook(): Promise<void> {
    const looking = this.#looking;
    if (looking === null) return;
    looking.ending.abort(new NotNow("the agent is needed for something that can't wait"));
    await looking.over;
  }

  /** Keeps and returns the sentence; of a failure without its duration, or each one would be another alert. */
  #note(
    action: AgentAction,
    { ok, started, how }: { readonly ok: boolean; readonly started: number; readonly how: string },
  ): string {
    const { clock } = this.#options;
    const tookMs = clock.nowMs() - started;
    const what = `${this.device.agent}, ${action} of the ${this.target}: ${how}`;
    const text = ok ? `${what}, after ${(tookMs / 1000).toFixed(1)} s` : what;
    if (action !== "on") this.counters[ok ? "fenced" : "failed"]++;
    this.last = { action, ok, text, at: clock.nowMs(), tookMs };
    return text;
  }

  #words(error: unknown, signal: AbortSignal): string {
    if (signal.aborted) return `it was killed: ${messageOf(signal.reason)}`;
    if (error instanceof ToolTimeoutError) {
      return `it took longer than ${error.deadlineMs / 1000} s and was killed`;
    }
    return messageOf(error);
  }
}

/** The agent does something else, or has to. */
class NotNow extends Error {
  override readonly name = "NotNow";
}

/** FenceAgentAPI: 0 is on, 2 is off. */
export function powerOf(code: number): Power {
  return code === 0 ? "on" : code === 2 ? "off" : "unknown";
}

function quoted(said: string): string {
  return said === "" ? "" : `: ${said}`;
}
