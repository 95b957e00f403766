/**
 * When the next copy of a set is due. Pure; all times are milliseconds on the monotonic clock.
 *
 * @module
 */

/** After this many failures in a row the back-off no longer grows. */
const MAX_DOUBLINGS = 10;

/** What the decision looks at. */
export interface ScheduleInput {
  /** Start of the last attempt; null: none since this node serves. */
  readonly lastStartMs: number | null;
  /** Failures since the last success. */
  readonly failures: number;
  /** Longest time between two starts (`every`). */
  readonly everyMs: number;
  /** First change that the last good copy does not contain; null: none known. */
  readonly changedAtMs: number | null;
  /** Shortest time between two starts. */
  readonly minGapMs: number;
  /** When this node became the source; the first copy starts `firstDelayMs` later. */
  readonly sourceSinceMs: number;
  readonly firstDelayMs: number;
}

/** Wait after the `failures`-th failure in a row: doubles from `minGapMs`, at most `everyMs`. */
export function backOffMs(
  { failures, minGapMs, everyMs }: Pick<ScheduleInput, "failures" | "minGapMs" | "everyMs">,
): number {
  if (failures === 0) return 0;
  const grown = Math.max(1000, minGapMs) * 2 ** Math.min(failures, MAX_DOUBLINGS);
  return Math.min(grown, Math.max(everyMs, minGapMs));
}

/** When the next copy starts. */
export function nextStartMs(input: ScheduleInput): number {
  if (input.lastStartMs === null) return input.sourceSinceMs + input.firstDelayMs;
  if (input.failures > 0) return input.lastStartMs + backOffMs(input);
  const regular = input.lastStartMs + input.everyMs;
  if (input.changedAtMs === null) return regular;
  return Math.min(regular, Math.max(input.changedAtMs, input.lastStartMs + input.minGapMs));
}

/** Whether a copy must start now. */
export function due(input: ScheduleInput & { readonly nowMs: number }): boolean {
  return input.nowMs >= nextStartMs(input);
}
