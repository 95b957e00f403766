/**
 * What "flat" and "no drift" mean, in numbers, and whether a run met them. Pure.
 *
 * An hour has 180 takeovers: more than most pairs see in their life. A target leaves room for what is no
 * leak (the memory of a JavaScript engine breathes; the machine may be busy with other things), not for one
 * that a year of service could feel.
 *
 * @module
 */

import { median } from "../support/series.ts";
import { after, lastByFirst, slopePerHour } from "./flat.ts";
import type { DaemonSample, PairRecord, Rest } from "./record.ts";
import type { Footprint } from "./sample.ts";

/** Nothing is judged before: code is compiled, caches and the history fill. */
export const WARM_UP_MS = 5 * 60_000;
/** Resident memory, by the Theil-Sen slope. */
export const RSS_MB_PER_HOUR = 2;
/** Medians of the last ten takeovers of a kind by the first ten; slower is a failure, faster is not. */
export const TAKEOVER_RATIO = 1.25;
/** Mean period of the echoes, last third by first third, either way. */
export const ECHO_RATIO = 0.02;
/** The daemon's clock against the test's: 28 ppm. To ask for it takes some ms, on a busy machine some 100. */
export const CLOCK_MS_PER_HOUR = 100;
/** Takeovers that found the pair at rest in time. */
export const DUE_SHARE = 0.95;
/** Kept ssh connections: one for each network of the pair. */
export const CONNECTIONS = 2;
/** State folder: history (1,000 lines at most), memory, generations of spooled copies. */
export const STATE_KB = 1024;
/** The same in files. */
export const STATE_FILES = 64;
/** Workers of the runtime's pool are made as they are needed at once, and stay for a while. */
export const MORE_THREADS = 2;

/** One line of the result. */
export interface Target {
  readonly name: string;
  readonly target: string;
  readonly measured: string;
  readonly ok: boolean;
}

/** Judges a pair. `lasting`: both daemons lived through the whole run. */
export function judge(record: PairRecord, { lasting }: { readonly lasting: boolean }): Target[] {
  const targets = [takeovers(record), twoHolders(record), ...times(record)];
  for (const name of ["master", "slave"] as const) {
    const who = `${record.name} ${name}`;
    const rests = after(record.rests[name], WARM_UP_MS);
    targets.push(...memory(who, lasting ? record.samples[name] : record.rests[name]));
    if (lasting) targets.push(onePid(who, record.rests[name]), clock(who, rests));
    targets.push(descriptors(who, rests), threads(who, rests), echoes(who, rests));
    targets.push(
      ...leftBehind(who, rests),
      connections(who, rests),
      state(who, rests),
      log(who, rests),
    );
  }
  return targets;
}

function takeovers({ name, moves, due, broken }: PairRecord): Target {
  return {
    name: `${name}: takeovers`,
    target: `>= ${Math.ceil(due * DUE_SHARE)} of ${due}`,
    measured: broken.length === 0 ? `${moves.length}` : `${moves.length} (${broken.join("; ")})`,
    ok: moves.length >= due * DUE_SHARE,
  };
}

/** Never two hosts that a client can see. */
export function twoHolders({ name, twoHolders: count }: PairRecord): Target {
  return {
    name: `${name}: questions answered by two hosts`,
    target: "0",
    measured: `${count}`,
    ok: count === 0,
  };
}

function times({ name, moves }: PairRecord): Target[] {
  return [...new Set(moves.map(({ kind }) => kind))].map((kind) => {
    const outages = moves.filter((move) => move.kind === kind).map(({ outageMs }) => outageMs);
    const few = Math.min(10, Math.floor(outages.length / 2));
    const [first, last] = [outages.slice(0, few), outages.slice(outages.length - few)];
    const ratio = lastByFirst(outages, few);
    // A planned move is tens of milliseconds: a ratio of those is noise.
    const ok = ratio <= TAKEOVER_RATIO || (median(last) ?? NaN) - (median(first) ?? NaN) < 50;
    return {
      name: `${name}: silence, ${kind}, last ${few} by first ${few}`,
      target: `<= ${TAKEOVER_RATIO} (or < 50 ms more)`,
      measured: `${text(ratio)} (${text(median(first) ?? NaN)} ms, ${
        text(median(last) ?? NaN)
      } ms)`,
      ok,
    };
  });
}

function memory(who: string, samples: readonly DaemonSample[]): Target[] {
  const points = samples.map(({ atMs, rssMb }) => ({ atMs, value: rssMb }));
  const judged = after(points, WARM_UP_MS);
  const slope = slopePerHour(judged);
  const values = judged.map(({ value }) => value);
  const few = Math.min(60, Math.floor(values.length / 3));
  const ends = [values.slice(0, few), values.slice(values.length - few)];
  const [from, to] = ends.map((each) => text(median(each) ?? NaN));
  return [{
    name: `${who}: RSS`,
    target: `<= ${RSS_MB_PER_HOUR} MB per hour`,
    measured: `${text(slope)} MB per hour (${from} MB, at last ${to} MB)`,
    ok: slope <= RSS_MB_PER_HOUR,
  }];
}

function onePid(who: string, rests: readonly Rest[]): Target {
  const pids = new Set(rests.map(({ pid }) => pid));
  return {
    name: `${who}: daemon processes`,
    target: "1",
    measured: `${pids.size}`,
    ok: pids.size === 1,
  };
}

/** Connections that are kept once they were first used may come later than the first third. */
const MORE_DESCRIPTORS = 2;

/** At rest the same number each time, from the middle of the run on. */
export function descriptors(who: string, rests: readonly Rest[]): Target {
  const [first, middle, last] = thirds(rests.map((rest) => rest.descriptors))
    .map((part) => median(part) ?? NaN) as [number, number, number];
  return {
    name: `${who}: descriptors at rest`,
    target: `last third = middle third <= first third + ${MORE_DESCRIPTORS} (medians)`,
    measured: `${first}, ${middle}, ${last}`,
    ok: last <= middle && last <= first + MORE_DESCRIPTORS,
  };
}

/** The most threads that a rest had, in the last third and in the first one. */
export function threads(who: string, rests: readonly Rest[]): Target {
  const [first, , last] = thirds(rests.map((rest) => rest.threads));
  const most = [Math.max(...first), Math.max(...last)] as const;
  return {
    name: `${who}: threads at rest`,
    target: `last third <= first third + ${MORE_THREADS}`,
    measured: `at most ${most[0]}, at last ${most[1]}`,
    ok: most[1] <= most[0] + MORE_THREADS,
  };
}

/**
 * A leak raises the median of a count and its least; what is there for a moment (a probe, a program) does not
 * raise the least, and what is missing for a moment does not lower the median.
 */
function steady(name: string, values: readonly number[]): Target {
  const [first, , last] = thirds(values);
  const least = [Math.min(...first), Math.min(...last)] as const;
  const middle = [median(first) ?? NaN, median(last) ?? NaN] as const;
  return {
    name,
    target: "last third <= first third (least or median)",
    measured: `least ${least[0]}, at last ${least[1]}; median ${middle[0]}, at last ${middle[1]}`,
    ok: values.length > 0 && (least[1] <= least[0] || middle[1] <= middle[0]),
  };
}

function thirds(
  values: readonly number[],
): [readonly number[], readonly number[], readonly number[]] {
  const third = Math.max(1, Math.floor(values.length / 3));
  return [values.slice(0, third), values.slice(third, -third), values.slice(-third)];
}

function echoes(who: string, rests: readonly Rest[]): Target {
  const periods = rests.flatMap(({ echoPeriodMs }) => echoPeriodMs ?? []);
  const third = Math.floor(periods.length / 3);
  const ratio = lastByFirst(periods, Math.max(1, third));
  return {
    name: `${who}: period of the echoes, last third by first`,
    target: `1 ± ${ECHO_RATIO}`,
    measured: `${text(ratio, 4)} (median ${text(median(periods) ?? NaN, 3)} ms)`,
    ok: Math.abs(ratio - 1) <= ECHO_RATIO,
  };
}

function clock(who: string, rests: readonly Rest[]): Target {
  const slope = slopePerHour(
    rests.map(({ atMs, clockAheadMs }) => ({ atMs, value: clockAheadMs })),
  );
  return {
    name: `${who}: daemon's clock`,
    target: `± ${CLOCK_MS_PER_HOUR} ms per hour`,
    measured: `${text(slope)} ms per hour`,
    ok: Math.abs(slope) <= CLOCK_MS_PER_HOUR,
  };
}

/** What each kind of thing on the host numbers at rest. */
export function leftBehind(who: string, rests: readonly Rest[]): Target[] {
  const fields = ["processes", "addresses", "routes", "firewall", "runFiles"] as const;
  return fields.map((field: keyof Footprint) =>
    steady(`${who}: ${field} at rest`, rests.map((rest) => rest.footprint[field]))
  );
}

function connections(who: string, rests: readonly Rest[]): Target {
  const most = Math.max(...rests.map(({ footprint }) => footprint.connections));
  return {
    name: `${who}: kept ssh connections`,
    target: `<= ${CONNECTIONS}`,
    measured: `${most}`,
    ok: most <= CONNECTIONS,
  };
}

function state(who: string, rests: readonly Rest[]): Target {
  const kilobytes = Math.max(...rests.map(({ footprint }) => footprint.stateKb));
  const files = Math.max(...rests.map(({ footprint }) => footprint.stateFiles));
  return {
    name: `${who}: state folder`,
    target: `<= ${STATE_KB} kB in ${STATE_FILES} files`,
    measured: `${kilobytes} kB in ${files} files`,
    ok: kilobytes <= STATE_KB && files <= STATE_FILES,
  };
}

/** The log says as much of a takeover at the end as at the beginning: nothing repeats more and more. */
function log(who: string, rests: readonly Rest[]): Target {
  const grown = rests.slice(1).map((rest, i) => rest.logBytes - rests[i]!.logBytes);
  const third = Math.floor(grown.length / 3);
  const mean = (part: readonly number[]): number =>
    part.reduce((sum, each) => sum + each, 0) / part.length;
  const ratio = mean(grown.slice(-third)) / mean(grown.slice(0, third));
  return {
    name: `${who}: log per takeover, last third by first`,
    target: "<= 1.2",
    measured: `${text(ratio)} (${text(mean(grown) / 1024)} kB)`,
    ok: ratio <= 1.2,
  };
}

function text(value: number, digits = 2): string {
  return Number.isFinite(value) ? `${Number(value.toFixed(digits))}` : "?";
}
