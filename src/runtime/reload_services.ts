/**
 * The operator's services across a reload: units that are new are started before the new configuration is
 * in force on a node that serves, units that are gone run on.
 *
 * @module
 */

import type { ServicesConfig } from "../config/types.ts";
import { SystemdDriver } from "../services/systemd.ts";
import { isRunning, type UnitState } from "../services/unit_state.ts";

/** What was done to begin with new units. */
export interface Begun {
  /** Units that were started by this. */
  readonly started: readonly string[];
  /** Stops them again: the new configuration is not taken over after all. */
  undo(): Promise<void>;
}

const NOTHING_BEGUN: Begun = { started: [], undo: () => Promise.resolve() };

/**
 * Starts the units that only the new configuration has, in its order; those that run already are left
 * alone.
 *
 * @throws {ServiceError} when one does not start; what was started by this is stopped again, also when
 *   `signal` aborts
 */
export async function beginServices(
  before: ServicesConfig,
  after: ServicesConfig,
  signal: AbortSignal,
): Promise<Begun> {
  const added = addedUnits(before, after);
  if (added.length === 0) return NOTHING_BEGUN;
  const states = await new SystemdDriver({ ...after, units: added }).states();
  const units = states.filter((state) => isToStart(state, after)).map(({ unit }) => unit);
  if (units.length === 0) return NOTHING_BEGUN;
  const driver = new SystemdDriver({ ...after, units });
  try {
    await driver.start({ signal });
  } catch (error) {
    await driver.stop().catch(() => {}); // The failure to start is what the operator must hear.
    throw error;
  }
  return { started: units, undo: () => driver.stop() };
}

/** What an operator should know about units that came and went, as sentences. Pure. */
export function servicesNotes(
  before: ServicesConfig,
  after: ServicesConfig,
  { serves, started }: { readonly serves: boolean; readonly started: readonly string[] },
): string[] {
  const removed = addedUnits(after, before);
  return [
    ...(started.length === 0 ? [] : [`started: ${started.join(", ")}`]),
    ...removed.map((unit) =>
      serves
        ? `${unit} runs on here: relais does not watch, start or stop it any more`
        : `${unit} stays as it is here: relais does not keep it stopped any more`
    ),
  ];
}

function addedUnits(before: ServicesConfig, after: ServicesConfig): readonly string[] {
  return after.units.filter((unit) => !before.units.includes(unit));
}

/** A unit of a preset that is not installed is skipped; one of the operator's is an error when started. */
function isToStart(state: UnitState, { unitsFromPreset }: ServicesConfig): boolean {
  return !isRunning(state) && (state.loadState !== "not-found" || !unitsFromPreset);
}
