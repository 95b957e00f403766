/**
 * One data set for a person at a terminal; pure.
 *
 * @module
 */

import type { StatusDocument } from "../health/types.ts";
import { formatAge } from "../runtime/data_sets.ts";

type Entry = StatusDocument["dataSets"][number];

/** What is known of the set's last copy, its next one and the one that runs, in one line. */
export function dataSetText(
  entry: Entry,
  style: { readonly bad: (text: string) => string },
): string {
  const { ageMs, size, durationMs, bytesPerSecond, epoch, sha256, nextRunInMs, running } = entry;
  const age = ageMs === null ? "never" : `${formatAge(ageMs)} old`;
  const parts = [
    entry.tooOld ? style.bad(`${age}, too old`) : age,
    entry.snapshot === null ? null : `of ${entry.snapshot.slice(0, 19).replace("T", " ")} UTC`,
    size === null ? null : megabytes(size),
    entry.checkedAt === null
      ? null
      : `unchanged at ${entry.checkedAt.slice(0, 19).replace("T", " ")} UTC`,
    durationMs === null ? null : `in ${(durationMs / 1000).toFixed(1)} s`,
    bytesPerSecond === null ? null : `${megabytes(bytesPerSecond)}/s`,
    sha256 === null ? null : `sha256 ${sha256.slice(0, 12)}`,
    epoch === null ? null : `epoch ${epoch}`,
    nextRunInMs === null ? null : `next in ${formatAge(nextRunInMs)}`,
    running === null ? null : `now: ${progressText(running)}`,
    entry.lastError === null ? null : style.bad(`last error: ${entry.lastError}`),
  ];
  return parts.filter((part) => part !== null).join(", ");
}

/** `dump 12.0 of 600.0 MB, 7 of 40 tables, 12.0 MB/s, about 40 s left`; what nobody knows is left out. */
function progressText(running: NonNullable<Entry["running"]>): string {
  const { phase, doneBytes, totalBytes, tablesDone, tablesTotal, bytesPerSecond, remainingMs } =
    running;
  const whole = totalBytes === null ? "" : ` of ${(totalBytes / 1e6).toFixed(1)}`;
  const parts = [
    `${phase} ${(doneBytes / 1e6).toFixed(1)}${whole} MB`,
    (tablesDone ?? null) === null ? null : `${tablesDone} of ${tablesTotal ?? "?"} tables`,
    typeof bytesPerSecond === "number" ? `${megabytes(bytesPerSecond)}/s` : null,
    typeof remainingMs === "number" ? `about ${formatAge(remainingMs)} left` : null,
  ];
  return parts.filter((part) => part !== null).join(", ");
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
