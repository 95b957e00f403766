/**
 * The script `tests/lab/lab`, called with a deadline.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { run, type RunOptions, type RunResult, ToolFailedError } from "../../src/os/process.ts";

/** Path of the script. */
export const LAB_SCRIPT = fileURLToPath(new URL("./lab", import.meta.url));

/** Milliseconds that a command of the script may take unless it is told otherwise. */
export const LAB_DEADLINE_MS = 60_000;

/** How to call the script; the deadline is {@linkcode LAB_DEADLINE_MS} by default. */
export type LabCallOptions = Partial<Pick<RunOptions, "stdin" | "deadlineMs">>;

/** Calls the script for one laboratory. */
export class LabTool {
  /** @param directory `LAB_DIR`: where the laboratory lives */
  constructor(readonly directory: string) {}

  /** The argument list of a command of the script; it ends with the process that starts it. */
  argv(args: readonly string[]): string[] {
    return ["setpriv", "--pdeathsig", "KILL", ...this.argvThatStays(args)];
  }

  /** The same for a command that outlives its starter. */
  argvThatStays(args: readonly string[]): string[] {
    return ["env", `LAB_DIR=${this.directory}`, LAB_SCRIPT, ...args];
  }

  /**
   * Runs a command of the script, whatever its exit status is.
   *
   * @throws {ToolTimeoutError} after the deadline
   */
  async try(args: readonly string[], options: LabCallOptions = {}): Promise<RunResult> {
    return await run(this.argv(args), { deadlineMs: LAB_DEADLINE_MS, ...options });
  }

  /**
   * Runs a command of the script.
   *
   * @throws {ToolFailedError} when the exit status is not 0
   * @throws {ToolTimeoutError} after the deadline
   */
  async run(args: readonly string[], options: LabCallOptions = {}): Promise<RunResult> {
    const result = await this.try(args, options);
    if (result.code !== 0) throw new ToolFailedError(["lab", ...args], result);
    return result;
  }
}
