/**
 * Services as systemd units, through `systemctl`: started in order, stopped in reverse, read in one call.
 *
 * @module
 */

import type { ServicesConfig } from "../config/types.ts";
import { type Clock, systemClock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { run, ToolTimeoutError } from "../os/process.ts";
import { askAgain } from "./ask_again.ts";
import type { DriveOptions, ServiceDriver } from "./driver.ts";
import { ServiceError } from "./service_error.ts";
import {
  describeUnit,
  isRunning,
  parseUnitStates,
  UNIT_PROPERTIES,
  type UnitState,
} from "./unit_state.ts";

/** `systemctl show` answers in milliseconds; on a host that boots, systemd may be busy. */
const SHOW_DEADLINE_MS = 10_000;
/** So long the end of the daemon waits at most for a service whose start was cut off. */
const SEE_OFF_MS = 45_000;

/** What of the configuration it needs. */
export type SystemdOptions =
  & Pick<ServicesConfig, "units" | "unitsFromPreset" | "startDeadlineMs" | "stopDeadlineMs">
  & {
    /** Program to run; default: `systemctl` of PATH. */
    readonly systemctl?: string;
    /** Default: the system's. */
    readonly clock?: Clock;
  };

/** Drives units. At least one must be given. */
export class SystemdDriver implements ServiceDriver {
  readonly names: readonly string[];
  readonly #options: SystemdOptions;
  readonly #systemctl: string;
  readonly #clock: Clock;
  /** Ordered to start, and not known to be up. */
  #starting: string | null = null;

  constructor(options: SystemdOptions) {
    if (options.units.length === 0) throw new TypeError("Cannot drive an empty list of units");
    this.names = options.units;
    this.#options = options;
    this.#systemctl = options.systemctl ?? "systemctl";
    this.#clock = options.clock ?? systemClock;
  }

  /** Starts one after the other; each has `startDeadlineMs`. */
  async start(options: DriveOptions = {}): Promise<void> {
    const states = await this.states(options.signal);
    const installed = this.#installed(states, options);
    await this.#resetFailed(installed, options);
    for (const { unit } of installed) await this.#startOne(unit, options);
    await this.#confirm(installed.map(({ unit }) => unit), options);
  }

  /** Stops one after the other, last first; each has `stopDeadlineMs`. */
  async stop(options: DriveOptions = {}): Promise<void> {
    const states = await this.states(options.signal);
    const failures: string[] = [];
    for (const state of states.toReversed()) {
      if (state.loadState === "not-found") continue;
      const failure = await this.#stopOne(state, options);
      if (failure !== null) failures.push(failure);
    }
    if (failures.length > 0) throw new ServiceError(failures.join("\n"));
  }

  /** See {@linkcode askAgain}: systemd stops the unit itself here. */
  async seeOff(): Promise<void> {
    if (this.#starting !== null) {
      await this.#askAgain(this.#starting, AbortSignal.timeout(SEE_OFF_MS));
    }
  }

  /** Judges the installed units that don't end by themselves; if there are none, all units. */
  async running(): Promise<"none" | "some" | "all"> {
    const states = await this.states();
    const installed = states.filter((state) => state.loadState !== "not-found");
    const lasting = installed.filter((state) => !state.endsByItself);
    const judged = (lasting.length > 0 ? lasting : installed).map(isRunning);
    // A unit of the operator that is missing keeps the whole from being complete.
    const complete = this.#options.unitsFromPreset || installed.length === states.length;
    if (judged.every((running) => running === false)) return "none";
    return complete && judged.every((running) => running === true) ? "all" : "some";
  }

  /**
   * The state of every unit, in start order; one `systemctl show` for all.
   *
   * @throws {ServiceError} when systemctl fails
   */
  async states(signal?: AbortSignal): Promise<UnitState[]> {
    const property = `--property=${UNIT_PROPERTIES.join(",")}`;
    const argv = [this.#systemctl, "show", property, "--", ...this.names];
    const options = { deadlineMs: SHOW_DEADLINE_MS, env: { LC_ALL: "C" } };
    const result = await run(argv, signal === undefined ? options : { ...options, signal });
    if (result.code !== 0 || result.droppedBytes > 0) {
      throw new ServiceError(
        `Cannot read the state of the services as systemctl show exited with ${result.code}: ` +
          (result.stderr.trim().slice(0, 500) || "(no message)"),
      );
    }
    try {
      return parseUnitStates(result.stdout, this.names);
    } catch (cause) {
      throw new ServiceError(messageOf(cause), { cause });
    }
  }

  /** The units to start; a unit of a preset may be missing, a unit of the operator may not. */
  #installed(states: readonly UnitState[], options: DriveOptions): readonly UnitState[] {
    const missing = states.filter((state) => state.loadState === "not-found");
    const present = states.filter((state) => state.loadState !== "not-found");
    const names = missing.map((state) => state.unit).join(", ");
    if (missing.length > 0 && (!this.#options.unitsFromPreset || present.length === 0)) {
      throw new ServiceError(
        `Cannot start ${names} as systemd knows no such unit: install it or correct ` +
          "services.units (systemctl list-unit-files)",
      );
    }
    if (missing.length > 0) options.onUnit?.(`not installed here, skipped: ${names}`);
    return present;
  }

  /** A unit that has hit its start limit would refuse to start; an old failure must not stop us. */
  async #resetFailed(states: readonly UnitState[], options: DriveOptions): Promise<void> {
    const failed = states.filter((state) => state.activeState === "failed");
    if (failed.length === 0) return;
    const units = failed.map((state) => state.unit);
    await this.#run(["reset-failed", "--", ...units], SHOW_DEADLINE_MS, options.signal);
  }

  async #startOne(unit: string, options: DriveOptions): Promise<void> {
    const { startDeadlineMs } = this.#options;
    this.#starting = unit;
    const failure = await this.#run(["start", "--", unit], startDeadlineMs, options.signal);
    if (failure === null) {
      this.#starting = null;
      return options.onUnit?.(`${unit} started`);
    }
    throw new ServiceError(`Cannot start ${unit} as ${failure}. ${await this.#lookAt(unit)}`);
  }

  async #stopOne(state: UnitState, options: DriveOptions): Promise<string | null> {
    const { stopDeadlineMs } = this.#options;
    const { unit } = state;
    const over = new AbortController();
    const asking = state.activeState === "activating"
      ? this.#askAgain(unit, over.signal)
      : Promise.resolve();
    let failure: string | null;
    try {
      failure = await this.#run(["stop", "--", unit], stopDeadlineMs, options.signal);
    } finally {
      over.abort();
      await asking;
    }
    if (failure !== null) return `Cannot stop ${unit} as ${failure}. ${await this.#lookAt(unit)}`;
    options.onUnit?.(`${unit} stopped`);
    return null;
  }

  /** Never rejects. */
  async #askAgain(unit: string, signal: AbortSignal): Promise<void> {
    const quietly = <T>(work: Promise<T>): Promise<T | null> => work.catch(() => null);
    const kill = ["kill", "--kill-who=main", "--signal=SIGTERM", "--", unit];
    await askAgain({
      clock: this.#clock,
      look: async () =>
        (await quietly(this.states(signal)))?.find((one) => one.unit === unit) ?? null,
      ask: async () => void await quietly(this.#run(kill, SHOW_DEADLINE_MS, signal)),
      signal,
    });
  }

  /** `systemctl start` is content with a unit whose condition failed, or that ended right after. */
  async #confirm(started: readonly string[], options: DriveOptions): Promise<void> {
    const states = await this.states(options.signal);
    for (const state of states) {
      if (!started.includes(state.unit) || state.endsByItself || isRunning(state)) continue;
      const why = state.conditionFailed
        ? "one of its conditions does not hold (is the gate open? systemctl status shows which)"
        : `it did not stay up: ${describeUnit(state)}`;
      throw new ServiceError(`Cannot start ${state.unit} as ${why}. ${hint(state.unit)}`);
    }
  }

  /** Null: done; otherwise what went wrong, in words. */
  async #run(
    args: readonly string[],
    deadlineMs: number,
    signal: AbortSignal | undefined,
  ): Promise<string | null> {
    const options = { deadlineMs, env: { LC_ALL: "C" } };
    try {
      const result = await run(
        [this.#systemctl, ...args],
        signal === undefined ? options : { ...options, signal },
      );
      if (result.code === 0) return null;
      const said = (result.stderr.trim().split("\n")[0] ?? "").slice(0, 500).replace(/\.$/, "");
      return `systemctl exited with ${result.code}: ${said || "(no message)"}`;
    } catch (error) {
      if (!(error instanceof ToolTimeoutError)) throw error;
      return `it was not done within ${deadlineMs / 1000} s (systemd goes on with it)`;
    }
  }

  /** The unit's state now and the command that shows its log. */
  async #lookAt(unit: string): Promise<string> {
    try {
      const state = (await this.states()).find((one) => one.unit === unit);
      return `State: ${state === undefined ? "unknown" : describeUnit(state)}. ${hint(unit)}`;
    } catch (error) {
      const why = messageOf(error);
      return `State: unknown (${why}). ${hint(unit)}`;
    }
  }
}

function hint(unit: string): string {
  return `Look: journalctl -u ${unit} -n 50`;
}
