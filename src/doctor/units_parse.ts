/**
 * What `systemctl show` says of units as files: loaded, enabled, with which drop-ins. Pure.
 *
 * @module
 */

/** One unit as systemd knows it. */
export interface ShownUnit {
  /** As it was asked for. */
  readonly unit: string;
  /** `loaded`, `not-found`, `masked`… */
  readonly loadState: string;
  /** `enabled`, `disabled`, `static`, `generated`, empty… */
  readonly unitFileState: string;
  readonly activeState: string;
  /** Drop-ins that systemd has read. */
  readonly dropIns: readonly string[];
  /** It has a watchdog. */
  readonly watchdog: boolean;
}

/**
 * Reads one block of `Key=value` lines per unit, in the order of the arguments.
 *
 * @throws {RangeError} when the number of blocks is another
 */
export function parseShow(stdout: string, units: readonly string[]): readonly ShownUnit[] {
  const blocks = stdout.trim() === "" ? [] : stdout.trim().split(/\n\s*\n/);
  if (blocks.length !== units.length) {
    throw new RangeError(`systemctl printed ${blocks.length} units of ${units.length}`);
  }
  return blocks.map((block, i) => {
    const get = (key: string): string =>
      block.split("\n").find((line) => line.startsWith(`${key}=`))?.slice(key.length + 1).trim() ??
        "";
    return {
      unit: units[i] ?? "",
      loadState: get("LoadState"),
      unitFileState: get("UnitFileState"),
      activeState: get("ActiveState"),
      dropIns: get("DropInPaths").split(" ").filter((path) => path !== ""),
      watchdog: !["", "0", "infinity"].includes(get("WatchdogUSec")),
    };
  });
}
