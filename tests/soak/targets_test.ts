import assert from "node:assert/strict";
import type { DaemonSample, Move, PairRecord, Rest } from "./record.ts";
import { judge, type Target } from "./targets.ts";

const EVERY_MS = 20_000;
const COUNT = 180;

/** What an hour looks like in which nothing grows. */
function quietHour(change: {
  readonly rest?: (rest: Rest, number: number) => Rest;
  readonly sample?: (sample: DaemonSample, number: number) => DaemonSample;
  readonly move?: (move: Move, number: number) => Move;
} = {}): PairRecord {
  const process = { pid: 7, rssMb: 108, anonymousMb: 60, threads: 8, descriptors: 36 };
  const rest = (number: number): Rest => {
    const same: Rest = {
      ...process,
      atMs: number * EVERY_MS,
      footprint: {
        processes: 6 + number % 3,
        connections: 1 + number % 2,
        addresses: 10,
        routes: 26,
        firewall: 0,
        runFiles: 4,
        stateFiles: 17,
        stateKb: 75,
      },
      logBytes: 4000 * number,
      clockAheadMs: number % 5,
      lagMs: 1,
      echoPeriodMs: 50.8 + (number % 4) * 0.1,
    };
    return change.rest?.(same, number) ?? same;
  };
  const sample = (number: number): DaemonSample => {
    const same = { ...process, atMs: number * 5_000, rssMb: 108 + (number % 7) * 0.2 };
    return change.sample?.(same, number) ?? same;
  };
  const move = (number: number): Move => {
    const same: Move = {
      kind: "cable",
      atMs: number * EVERY_MS,
      outageMs: 500 + number % 9,
      tookMs: 9_000,
    };
    return change.move?.(same, number) ?? same;
  };
  const many = <T>(count: number, make: (number: number) => T): T[] =>
    Array.from({ length: count }, (_, i) => make(i));
  const both = <T>(make: () => T): Record<"master" | "slave", T> => ({
    master: make(),
    slave: make(),
  });
  return {
    name: "lasting",
    moves: many(COUNT, move),
    due: COUNT,
    samples: both(() => many(720, sample)),
    rests: both(() => many(COUNT, rest)),
    twoHolders: 0,
    broken: [],
  };
}

/** Names of the targets that were missed. */
function missed(record: PairRecord): string[] {
  return judge(record, { lasting: true }).filter(({ ok }: Target) => !ok).map(({ name }) => name);
}

Deno.test("judge() is content with an hour in which nothing grows", () => {
  assert.deepEqual(missed(quietHour()), []);
});

Deno.test("judge() misses a target for each thing that grows, and for nothing else", () => {
  const both = (what: string): string[] => [`lasting master: ${what}`, `lasting slave: ${what}`];
  const rest = (more: (rest: Rest, number: number) => Partial<Rest>): PairRecord =>
    quietHour({ rest: (same, number) => ({ ...same, ...more(same, number) }) });
  assert.deepEqual(
    missed(rest((_, i) => ({ descriptors: 36 + Math.floor(i / 60) }))),
    both("descriptors at rest"),
  );
  assert.deepEqual(
    missed(rest((_, i) => ({ threads: 8 + Math.floor(i / 20) }))),
    both("threads at rest"),
  );
  assert.deepEqual(
    missed(rest(({ footprint }, i) => ({
      footprint: { ...footprint, processes: footprint.processes + Math.floor(i / 60) },
    }))),
    both("processes at rest"),
  );
  assert.deepEqual(
    missed(rest(({ footprint }, i) => ({
      footprint: { ...footprint, routes: 26 + Math.floor(i / 60) },
    }))),
    both("routes at rest"),
  );
  assert.deepEqual(
    missed(rest(({ footprint }, i) => ({
      footprint: { ...footprint, connections: 1 + Math.floor(i / 60) },
    }))),
    both("kept ssh connections"),
  );
  assert.deepEqual(
    missed(rest((_, i) => ({ echoPeriodMs: 50 + i * 0.02 }))),
    both("period of the echoes, last third by first"),
  );
  assert.deepEqual(missed(rest((_, i) => ({ clockAheadMs: i }))), both("daemon's clock"));
  assert.deepEqual(
    missed(rest((_, i) => ({ logBytes: 4000 * i + 40 * i * i }))),
    both("log per takeover, last third by first"),
  );
  assert.deepEqual(
    missed(quietHour({ sample: (same, i) => ({ ...same, rssMb: same.rssMb + 4 * i / 720 }) })),
    both("RSS"),
  );
});

Deno.test("judge() takes neither a connection that is first used late nor a route that is missing once for growth", () => {
  const change = (same: Rest, number: number): Rest => ({
    ...same,
    descriptors: number < 70 ? 36 : 37,
    footprint: { ...same.footprint, routes: number === 20 ? 24 : 26 },
  });
  assert.deepEqual(missed(quietHour({ rest: change })), []);
});

Deno.test("judge() misses a target when takeovers get slower, go missing, or two answer", () => {
  assert.deepEqual(
    missed(quietHour({ move: (same, i) => ({ ...same, outageMs: 500 + 2 * i }) })),
    ["lasting: silence, cable, last 10 by first 10"],
  );
  assert.deepEqual(missed({ ...quietHour(), due: 200 }), ["lasting: takeovers"]);
  assert.deepEqual(missed({ ...quietHour(), twoHolders: 1 }), [
    "lasting: questions answered by two hosts",
  ]);
});

Deno.test("judge() notices a daemon that did not live through the run", () => {
  const record = quietHour({ rest: (same, i) => ({ ...same, pid: i < 90 ? 7 : 8 }) });
  assert.deepEqual(missed(record), [
    "lasting master: daemon processes",
    "lasting slave: daemon processes",
  ]);
});
