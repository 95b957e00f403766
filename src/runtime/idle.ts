/**
 * Is nobody on the phone? (`failback.when_idle`): runs the operator's command at a pace while the answer
 * matters.
 *
 * @module
 */

import type { FailbackConfig } from "../config/types.ts";
import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { run } from "../os/process.ts";

const EVERY_MS = 5000;
const DEADLINE_MS = 4000;

/** The number of calls that the command printed: its first integer; null when there is none. */
export function readCalls(output: string): number | null {
  const found = /\d+/.exec(output);
  // More digits than a number can hold are no count of calls.
  return found === null || found[0].length > 15 ? null : Number(found[0]);
}

/** Whether local time of day lies in the window; a window may cross midnight. Pure. */
export function isWindowOpen(window: FailbackConfig["window"], minuteOfDay: number): boolean {
  if (window === null) return true;
  const { fromMinute, toMinute } = window;
  return fromMinute <= toMinute
    ? minuteOfDay >= fromMinute && minuteOfDay < toMinute
    : minuteOfDay >= fromMinute || minuteOfDay < toMinute;
}

/** Asks while it matters. */
export class IdleWatch {
  readonly #command: readonly string[] | null;
  readonly #clock: Clock;
  readonly #onTrouble: (text: string) => void;
  #idle: boolean | null = null;
  #nextAt = 0;
  #asking = false;

  constructor(options: {
    readonly config: FailbackConfig;
    readonly clock: Clock;
    readonly onTrouble: (text: string) => void;
  }) {
    this.#command = options.config.whenIdle?.command ?? null;
    this.#clock = options.clock;
    this.#onTrouble = options.onTrouble;
  }

  /** Null: not asked for, or not known. */
  get idle(): boolean | null {
    return this.#idle;
  }

  /** Asks when due; `matters`: a failback waits for the answer. */
  pace(now: number, matters: boolean): void {
    if (!matters || this.#command === null) {
      this.#idle = null;
      return;
    }
    if (this.#asking || now < this.#nextAt) return;
    this.#nextAt = this.#clock.nowMs() + EVERY_MS;
    this.#asking = true;
    this.#ask(this.#command).finally(() => {
      this.#asking = false;
    });
  }

  async #ask(command: readonly string[]): Promise<void> {
    try {
      const { code, stdout } = await run(command, { deadlineMs: DEADLINE_MS });
      const calls = code === 0 ? readCalls(stdout) : null;
      this.#idle = calls === null ? null : calls === 0;
      if (calls === null) {
        this.#onTrouble(
          `Cannot tell whether calls are in progress as "${
            command.join(" ")
          }" exited with ${code} ` +
            "and printed no number: correct failback.when_idle.command",
        );
      }
    } catch (error) {
      this.#idle = null;
      this.#onTrouble(messageOf(error));
    }
  }
}
