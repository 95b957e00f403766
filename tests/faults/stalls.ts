/**
 * The control: a process that takes no part and says when the machine did not let it run. What relais could
 * not do meanwhile is not its fault; how much is allowed for that is stated with each figure.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { poll } from "../support/poll.ts";
import { readJsonLines } from "./lines.ts";
import type { Span } from "./ruler.ts";

const SCRIPT = fileURLToPath(new URL("./stalls_main.ts", import.meta.url));
const KEPT_MAX = 200_000;

/** A moment at which the machine was late. */
export interface Stall {
  /** When it was over, milliseconds since 1970. */
  readonly at: number;
  readonly ms: number;
}

/** A running control process. */
export class Stalls {
  readonly #process: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  readonly #seen: Stall[] = [];
  #ready = false;

  private constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.#reading = readJsonLines(process.stdout, (value) => {
      if ("ready" in (value as object)) this.#ready = true;
      else if (this.#seen.length < KEPT_MAX) this.#seen.push(value as Stall);
    });
  }

  /** Starts it. */
  static async start(): Promise<Stalls> {
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-check", "--allow-all", SCRIPT],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const stalls = new Stalls(process);
    await poll(() => stalls.#ready, { deadlineMs: 20_000, what: "the control process" });
    return stalls;
  }

  /** The longest one of that time, milliseconds; 0: it ran all the time. */
  longest({ from, to }: Span): number {
    return this.#seen.reduce(
      (longest, { at, ms }) => at >= from && at - ms <= to ? Math.max(longest, ms) : longest,
      0,
    );
  }

  /** Ends it. */
  async close(): Promise<void> {
    await this.#process.stdin.close();
    await this.#process.status;
    await this.#reading;
  }
}
