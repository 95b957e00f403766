/**
 * What the project's systemd units say, for tests that do as systemd would.
 *
 * @module
 */

import { REPOSITORY } from "./shown_paths.ts";

/** A unit of `packaging/systemd`. */
export type UnitName = "relais.service" | "relais-cleanup.service";

/** All values of a key, in order, e.g. of `ExecStart`. */
export function unitValues(unit: UnitName, key: string): readonly string[] {
  const text = Deno.readTextFileSync(`${REPOSITORY}/packaging/systemd/${unit}`);
  return text.split("\n").filter((line) => line.startsWith(`${key}=`))
    .map((line) => line.slice(key.length + 1));
}

/** The verb of relais that a unit's `ExecStart=` runs, as words: `["cleanup"]`. */
export function unitVerb(unit: UnitName): readonly string[] {
  const [program, ...verb] = unitValues(unit, "ExecStart").at(-1)?.split(/\s+/) ?? [];
  if (program === "/usr/sbin/relais" && verb.length > 0) return verb;
  throw new Error(`Cannot find what ${unit} runs: ExecStart= names ${program}`);
}

/** The capabilities of a unit's bounding set, without `CAP_`, lower case, in its order. */
export function unitCapabilities(unit: UnitName): readonly string[] {
  const [set = "", ...more] = unitValues(unit, "CapabilityBoundingSet");
  if (more.length > 0) throw new Error(`Cannot read ${unit} as it has more than one bounding set`);
  return set.split(/\s+/).map((name) => name.replace(/^CAP_/, "").toLowerCase());
}
