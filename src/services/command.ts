/**
 * Services behind three commands of the operator: start, stop, status.
 *
 * @module
 */

import type { ServicesConfig } from "../config/types.ts";
import { run, ToolMissingError, ToolTimeoutError } from "../os/process.ts";
import type { DriveOptions, ServiceDriver } from "./driver.ts";
import { runDetached } from "./detached.ts";
import { ServiceError } from "./service_error.ts";

/** A status command is a question, not work. */
const STATUS_DEADLINE_MS = 10_000;

/** Drives the services by commands. All of them count as one. */
export class CommandDriver implements ServiceDriver {
  readonly names: readonly string[];
  readonly #command: NonNullable<ServicesConfig["command"]>;
  readonly #deadlines: Pick<ServicesConfig, "startDeadlineMs" | "stopDeadlineMs">;

  constructor(
    command: NonNullable<ServicesConfig["command"]>,
    deadlines: Pick<ServicesConfig, "startDeadlineMs" | "stopDeadlineMs">,
  ) {
    this.#command = command;
    this.#deadlines = deadlines;
    this.names = [command.start[0] ?? "command"];
  }

  /** Runs the start command unless the status command says that they run; then asks it again. */
  async start(options: DriveOptions = {}): Promise<void> {
    if (await this.#status(options.signal)) return;
    const { start } = this.#command;
    await this.#do("start", start, this.#deadlines.startDeadlineMs, options);
    if (!await this.#status(options.signal)) {
      throw new ServiceError(
        `Cannot start the services as the start command was content but the status command says ` +
          `that they do not run. Try: ${this.#command.status.join(" ")}; echo $?`,
      );
    }
    options.onUnit?.("services started");
  }

  /** Runs the stop command, also when nothing runs: half a start must go away too. */
  async stop(options: DriveOptions = {}): Promise<void> {
    const { stop, status } = this.#command;
    await this.#do("stop", stop, this.#deadlines.stopDeadlineMs, options);
    if (await this.#status(options.signal)) {
      throw new ServiceError(
        `Cannot stop the services as the stop command was content but the status command says ` +
          `that they still run. Try: ${status.join(" ")}; echo $?`,
      );
    }
    options.onUnit?.("services stopped");
  }

  /** Exit status 0 of the status command: `all`; anything else: `none`. */
  async running(): Promise<"none" | "all"> {
    return await this.#status() ? "all" : "none";
  }

  async #status(signal?: AbortSignal): Promise<boolean> {
    const { status } = this.#command;
    const options = { deadlineMs: STATUS_DEADLINE_MS };
    try {
      const result = await run(status, signal === undefined ? options : { ...options, signal });
      return result.code === 0;
    } catch (error) {
      if (error instanceof ToolMissingError || error instanceof ToolTimeoutError) {
        throw new ServiceError(`Cannot read the state of the services: ${error.message}`, {
          cause: error,
        });
      }
      throw error;
    }
  }

  async #do(
    verb: "start" | "stop",
    argv: readonly string[],
    deadlineMs: number,
    options: DriveOptions,
  ): Promise<void> {
    const by = `the ${verb} command "${argv.join(" ")}"`;
    try {
      const code = await runDetached(argv, {
        deadlineMs,
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      });
      if (code === 0) return;
      throw new ServiceError(
        `Cannot ${verb} the services as ${by} exited with ${code}. Its output is not kept (what it ` +
          "leaves behind would hold it open): try it by hand",
      );
    } catch (error) {
      if (error instanceof ToolTimeoutError || error instanceof ToolMissingError) {
        throw new ServiceError(`Cannot ${verb} the services by ${by}: ${error.message}`, {
          cause: error,
        });
      }
      throw error;
    }
  }
}
