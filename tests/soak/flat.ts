/**
 * Is a series of measurements flat? Robust statistics, pure: a garbage collection, a busy moment of the
 * machine or one sample in a transient state must neither hide a leak nor look like one.
 *
 * @module
 */

import { median } from "../support/series.ts";

/** One measurement: when (milliseconds since the run began), and what. */
export interface Point {
  readonly atMs: number;
  readonly value: number;
}

/** Points that the slope is computed from: all pairs of them are looked at. */
const POINTS_MAX = 800;

/**
 * Slope per hour after Theil and Sen: the median of the slopes of all pairs of points. Up to 29 % of the
 * points may be anything. Of a longer series evenly spread points are taken. NaN of fewer than two.
 */
export function slopePerHour(series: readonly Point[]): number {
  const every = Math.max(1, Math.ceil(series.length / POINTS_MAX));
  const points = series.filter((_, i) => i % every === 0);
  const slopes: number[] = [];
  for (let i = 0; i < points.length; i++) {
    for (let j = i + 1; j < points.length; j++) {
      const ms = points[j]!.atMs - points[i]!.atMs;
      if (ms > 0) slopes.push((points[j]!.value - points[i]!.value) / ms * 3_600_000);
    }
  }
  return median(slopes) ?? NaN;
}

/** Median of the last `count` values by the median of the first `count`; NaN where there are too few. */
export function lastByFirst(values: readonly number[], count: number): number {
  if (values.length < 2 * count) return NaN;
  return (median(values.slice(-count)) ?? NaN) / (median(values.slice(0, count)) ?? NaN);
}

/** The points after the warm-up. */
export function after<P extends Pick<Point, "atMs">>(
  series: readonly P[],
  warmUpMs: number,
): readonly P[] {
  return series.filter(({ atMs }) => atMs >= warmUpMs);
}
