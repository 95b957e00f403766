/**
 * What `systemctl show` says of units. Pure.
 *
 * @module
 */

/** Properties that are asked for, all units in one call (systemctl(1), org.freedesktop.systemd1(5)). */
export const UNIT_PROPERTIES = [
  "Id",
  "LoadState",
  "ActiveState",
  "SubState",
  "Result",
  "ConditionResult",
  "Type",
  "RemainAfterExit",
  "NRestarts",
  "KillSignal",
] as const;

/** State of one unit. */
export interface UnitState {
  /** The name as configured (`Id` may differ for an alias). */
  readonly unit: string;
  /** `loaded`, `not-found`, `masked`, `bad-setting`, `error`. */
  readonly loadState: string;
  /** `active`, `reloading`, `inactive`, `failed`, `activating`, `deactivating`. */
  readonly activeState: string;
  readonly subState: string;
  /** Why it last ended: `success`, `exit-code`, `timeout`, `start-limit-hit`… Empty if it has none. */
  readonly result: string;
  /** A `Condition…=` kept the last start from happening (the gate does that). */
  readonly conditionFailed: boolean;
  /** A oneshot that does not remain after its exit: never `active` for long, so not judged by it. */
  readonly endsByItself: boolean;
  /** Restarts by `Restart=` since the last start by hand. */
  readonly restarts: number;
  /** Number of the signal that asks its main process to end; 0: not known. */
  readonly killSignal: number;
}

/**
 * Reads the output of `systemctl show` for `units`: one block of `Key=value` lines per unit, in the
 * order of the arguments, with an empty line between.
 *
 * @throws {RangeError} when the number of blocks is another
 */
export function parseUnitStates(output: string, units: readonly string[]): UnitState[] {
  const blocks = output.trim() === "" ? [] : output.trim().split(/\n\s*\n/);
  if (blocks.length !== units.length) {
    throw new RangeError(
      `Cannot read the unit states as systemctl printed ${blocks.length} of ${units.length}`,
    );
  }
  return units.map((unit, index) => readBlock(unit, blocks[index] ?? ""));
}

function readBlock(unit: string, block: string): UnitState {
  const values = new Map(
    block.split("\n").map((line) => {
      const equals = line.indexOf("=");
      return [line.slice(0, equals), line.slice(equals + 1).trim()] as const;
    }),
  );
  const get = (key: typeof UNIT_PROPERTIES[number]): string => values.get(key) ?? "";
  return {
    unit,
    loadState: get("LoadState"),
    activeState: get("ActiveState"),
    subState: get("SubState"),
    result: get("Result"),
    conditionFailed: get("ConditionResult") === "no",
    endsByItself: get("Type") === "oneshot" && get("RemainAfterExit") === "no",
    restarts: count(get("NRestarts")),
    killSignal: count(get("KillSignal")),
  };
}

/** Whether the unit runs now; null: between. */
export function isRunning(state: UnitState): boolean | null {
  switch (state.activeState) {
    case "active":
    case "reloading":
    case "refreshing":
      return true;
    case "inactive":
    case "failed":
      return false;
    default:
      return null;
  }
}

/** Its main process was asked to end by SIGTERM, and has not ended yet. */
export function isAskedToEnd(state: UnitState): boolean {
  const SIGTERM = 15;
  return state.activeState === "deactivating" && state.subState === "stop-sigterm" &&
    state.killSignal === SIGTERM;
}

/** `failed (exit-code)`, `activating (start)`: the state in words. */
export function describeUnit(state: UnitState): string {
  const why = state.result === "" || state.result === "success" ? state.subState : state.result;
  return why === "" ? state.activeState : `${state.activeState} (${why})`;
}

/** A count that systemd printed; 0 for anything else. */
function count(text: string | undefined): number {
  return /^\d{1,10}$/.test(text ?? "") ? Number(text) : 0;
}
