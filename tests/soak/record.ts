/**
 * A soak under way: moves the service at a steady pace, looks at both daemons each few seconds, and compares
 * the states of rest between two moves. What it records is judged in `targets.ts`.
 *
 * @module
 */

import type { StatusDocument } from "../../src/health/types.ts";
import { poll } from "../support/poll.ts";
import type { RelaisHost } from "../support/relais_host.ts";
import type { MoveKind, SoakPair } from "./pair.ts";
import { type Footprint, footprint, logBytes, type ProcessSample, sampleDaemon } from "./sample.ts";

/** Between two looks at the daemons. */
const SAMPLE_EVERY_MS = 5_000;
/** Looks at the descriptors at rest; the least counts: a probe of the peer may be open in any of them. */
const REST_LOOKS = 8;
const REST_LOOK_EVERY_MS = 60;
/** With more moves broken than this the run ends: there is nothing to learn from its rest. */
const BROKEN_MAX = 10;
/** A machine that cannot keep the pace gets so many times the time for the same number of moves. */
const TIMES_MAX = 3;
/** A shorter rest says nothing of a period. */
const WINDOW_MIN_MS = 2_000;

/** A daemon at one moment of the run. */
export interface DaemonSample extends ProcessSample {
  readonly atMs: number;
}

/** A daemon and its host at rest. */
export interface Rest extends DaemonSample {
  readonly footprint: Footprint;
  /** Growth of the daemon's log since the run began. */
  readonly logBytes: number;
  /** What the daemon's clock says more than the test's, both monotonic; only its growth means anything. */
  readonly clockAheadMs: number;
  /** How late the loop's timer was. */
  readonly lagMs: number;
  /** Mean time between two echo requests on a link in this rest; null: the rest was too short. */
  readonly echoPeriodMs: number | null;
}

/** One change of hands. */
export interface Move {
  readonly kind: MoveKind;
  readonly atMs: number;
  readonly outageMs: number;
  /** Until the pair was at rest with the master serving again. */
  readonly tookMs: number;
}

/** What was seen of one pair. */
export interface PairRecord {
  readonly name: string;
  readonly moves: Move[];
  /** Moves whose time had come. */
  due: number;
  readonly samples: Readonly<Record<"master" | "slave", DaemonSample[]>>;
  readonly rests: Readonly<Record<"master" | "slave", Rest[]>>;
  twoHolders: number;
  /** Moves that did not come to their end, in words: they count as missing. */
  readonly broken: string[];
}

/** How to run. */
export interface SoakOptions {
  readonly name: string;
  readonly kinds: readonly MoveKind[];
  readonly minutes: number;
  readonly everyS: number;
  /** The first move waits so long. */
  readonly offsetMs?: number;
  /** After each move. */
  readonly onMove?: (record: PairRecord) => void;
}

/** Runs one pair for its time. Throws when the pair does not come to rest. */
export async function soak(pair: SoakPair, options: SoakOptions): Promise<PairRecord> {
  const record: PairRecord = {
    name: options.name,
    moves: [],
    due: 0,
    samples: { master: [], slave: [] },
    rests: { master: [], slave: [] },
    twoHolders: 0,
    broken: [],
  };
  const start = performance.now();
  const everyMs = options.everyS * 1000;
  const stop = new AbortController();
  const sampling = keepSampling(pair, { record, start, signal: stop.signal });
  try {
    for (let number = 0;; number++) {
      const rest = await beginRest(pair, start);
      // A move that took longer than its time does not make the next ones come in a row.
      const dueAt = (options.offsetMs ?? 0) + everyMs * number;
      const wait = Math.max(start + dueAt - performance.now(), WINDOW_MIN_MS);
      const lastMs = options.minutes * 60_000;
      if (dueAt > lastMs || performance.now() - start > TIMES_MAX * lastMs) break;
      await new Promise((resolve) => setTimeout(resolve, wait));
      for (const name of ["master", "slave"] as const) {
        record.rests[name].push(await endRest(pair.cluster[name], rest[name]));
      }
      const kind = options.kinds[number % options.kinds.length]!;
      const atMs = performance.now() - start;
      try {
        const { outageMs } = await pair.move(kind);
        await pair.untilRest();
        record.moves.push({ kind, atMs, outageMs, tookMs: performance.now() - start - atMs });
      } catch (error) {
        record.broken.push(`${kind} at ${Math.round(atMs / 1000)} s: ${error}`.slice(0, 2000));
        if (record.broken.length > BROKEN_MAX) throw error;
      }
      options.onMove?.(record);
    }
  } finally {
    stop.abort();
    await sampling;
  }
  record.due = Math.floor((options.minutes * 60_000 - (options.offsetMs ?? 0)) / everyMs) + 1;
  record.twoHolders = await pair.answeredByTwo();
  return record;
}

async function keepSampling(
  { cluster }: SoakPair,
  { record, start, signal }: {
    readonly record: PairRecord;
    readonly start: number;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  while (!signal.aborted) {
    for (const name of ["master", "slave"] as const) {
      const seen = await sampleDaemon(cluster[name]).catch(() => null);
      if (seen !== null) record.samples[name].push({ atMs: performance.now() - start, ...seen });
    }
    await new Promise((resolve) => setTimeout(resolve, SAMPLE_EVERY_MS));
  }
}

type BegunRest = Omit<Rest, "echoPeriodMs"> & { readonly echoes: Echoes };

async function beginRest(
  pair: SoakPair,
  start: number,
): Promise<Record<"master" | "slave", BegunRest>> {
  await pair.untilRest();
  const [master, slave] = await Promise.all(pair.cluster.both.map(async (host) => {
    const seen = await leastDescriptors(host);
    const status = await answer(host);
    return {
      atMs: performance.now() - start,
      ...seen,
      footprint: await footprint(host),
      logBytes: logBytes(host),
      clockAheadMs: status.node.uptimeMs - performance.now(),
      lagMs: status.loop.lagMs,
      echoes: echoesOf(status),
    };
  }));
  return { master: master!, slave: slave! };
}

async function endRest(host: RelaisHost, { echoes, ...rest }: BegunRest): Promise<Rest> {
  return { ...rest, echoPeriodMs: periodBetween(echoes, echoesOf(await answer(host))) };
}

interface Echoes {
  readonly instanceId: string;
  readonly uptimeMs: number;
  readonly sent: number;
  readonly links: number;
}

function echoesOf({ node, links }: StatusDocument): Echoes {
  const sent = links.reduce((sum, { icmp }) => sum + icmp.sent, 0);
  return { instanceId: node.instanceId, uptimeMs: node.uptimeMs, sent, links: links.length };
}

/** Mean time between two echo requests on a link. */
function periodBetween(from: Echoes, to: Echoes): number | null {
  const ms = to.uptimeMs - from.uptimeMs;
  const sent = (to.sent - from.sent) / to.links;
  if (from.instanceId !== to.instanceId || ms < WINDOW_MIN_MS || sent <= 0) return null;
  return ms / sent;
}

async function answer(host: RelaisHost): Promise<StatusDocument> {
  return await poll(() => host.status(), {
    deadlineMs: 30_000,
    what: `the status of ${host.name}`,
  });
}

async function leastDescriptors(host: RelaisHost): Promise<ProcessSample> {
  let least: ProcessSample | null = null;
  for (let look = 0; look < REST_LOOKS; look++) {
    const seen = await sampleDaemon(host);
    if (seen !== null && (least === null || seen.descriptors < least.descriptors)) least = seen;
    await new Promise((resolve) => setTimeout(resolve, REST_LOOK_EVERY_MS));
  }
  if (least === null) throw new Error(`Cannot sample relais on ${host.name} as it does not run`);
  return least;
}
