/**
 * What is missing on the standby after the sudden death of a busy master, for the copies that go by the
 * clock: whole ones (`hourly_loss_s`), hot tables (`hot_loss_s`) and the configuration delta
 * (`config_loss_s`). Writers commit and note each acknowledged commit; copies run; at a moment that the seed
 * decides every process of the master's cluster gets SIGKILL; what the standby then lacks is counted, and
 * the loss is the age of the oldest acknowledged commit that it lacks, at the moment of the kill.
 *
 * ROUNDS (default 5), SEED.
 *
 * @module
 */

import { type DatabasePair, databasePair, LIVE } from "../../support/database_pair.ts";
import type { Session } from "../../../src/replication/database_session.ts";

const ROUNDS = Number(Deno.env.get("ROUNDS") ?? "5");
const SEED = Number(Deno.env.get("SEED") ?? "20261125");
/** The schedule of the measurement: copies start so often, in seconds. */
const EVERY_S = 10;
const WRITE_EVERY_MS = 20;
const SIGNAL_MS = 120_000;

type Mode = "hourly" | "hot" | "config";

interface Measured {
  readonly lossS: number;
  readonly lostRows: number;
  readonly acknowledged: number;
  readonly copies: number;
  readonly copyS: number;
}

/** The figures of this section. */
export async function tablesLoss(
  say: (text: string) => void = console.log,
): Promise<Record<string, unknown>> {
  // The server dies under a session of this process: its last write may fail when nobody listens any more.
  const onLost = (event: PromiseRejectionEvent): void => {
    if (/EBADF|EPIPE|ECONNRESET/.test(String(event.reason))) event.preventDefault();
  };
  globalThis.addEventListener("unhandledrejection", onLost);
  try {
    return await measure(say);
  } finally {
    globalThis.removeEventListener("unhandledrejection", onLost);
  }
}

async function measure(say: (text: string) => void): Promise<Record<string, unknown>> {
  const next = seeded(SEED);
  const results: Record<Mode, Measured[]> = { hourly: [], hot: [], config: [] };
  for (const mode of ["hourly", "hot", "config"] as const) {
    await using pair = await databasePair({ rows: 20_000 });
    await pair.master.cluster.psql(
      LIVE,
      `CREATE TABLE bench_hourly (n bigint PRIMARY KEY); CREATE TABLE bench_hot (n bigint PRIMARY KEY);
       CREATE TABLE bench_config (n bigint PRIMARY KEY)`,
    );
    for (let round = 0; round < ROUNDS; round++) {
      await pair.copy();
      // From two to four intervals after the start.
      const dieAfterMs = (2 + 2 * next()) * EVERY_S * 1000;
      const measured = await untilDeath(pair, mode, dieAfterMs);
      results[mode].push(measured);
      say(
        `${mode}: died after ${
          (dieAfterMs / 1000).toFixed(1)
        } s and ${measured.copies} copies of ` +
          `${measured.copyS.toFixed(2)} s: ${measured.lostRows} of ${measured.acknowledged} ` +
          `acknowledged rows missing, loss ${measured.lossS.toFixed(2)} s`,
      );
      await pair.master.cluster.boot();
    }
  }
  const figure = (mode: Mode, everyS: number) => {
    const rounds = results[mode];
    const worst = Math.max(...rounds.map(({ lossS }) => lossS));
    const copyS = Math.max(...rounds.map((round) => round.copyS));
    return {
      // A copy holds what was committed when its snapshot was taken; the next one is whole everyS later.
      worst_at_schedule: round2(everyS + 2 * copyS),
      measured_worst: round2(worst),
      measured_median: round2(median(rounds.map(({ lossS }) => lossS))),
      measured_schedule: EVERY_S,
      longest_copy: round2(copyS),
      lost_rows: rounds.map(({ lostRows }) => lostRows),
      acknowledged_rows: rounds.map(({ acknowledged }) => acknowledged),
    };
  };
  const figures = {
    hourly: figure("hourly", 3600),
    hot: figure("hot", 60),
    config: figure("config", 60),
  };
  return {
    hourly_loss_s: figures.hourly.worst_at_schedule,
    hot_loss_s: figures.hot.worst_at_schedule,
    config_loss_s: figures.config.worst_at_schedule,
    tables_loss: figures,
    how:
      `${ROUNDS} deaths per mode (seed ${SEED}; SIGKILL to every process of the master's cluster at a ` +
      `random moment) under a writer of one commit each ${WRITE_EVERY_MS} ms; loss: age of the oldest ` +
      `acknowledged commit that the standby lacks. Measured with a copy each ${EVERY_S} s ` +
      "(measured_*); worst_at_schedule is the bound at the default schedule (1 h, 1 min): the interval " +
      "and twice the longest copy seen, as a copy that is cut counts for nothing. The bytes go from " +
      "process to process and not through ssh; an unchanged minute costs nothing",
  };
}

async function untilDeath(pair: DatabasePair, mode: Mode, dieAfterMs: number): Promise<Measured> {
  const stop = new AbortController();
  const acknowledged: { readonly n: number; readonly atMs: number }[] = [];
  const session = await pair.master.session();
  const writing = write(session, mode, acknowledged, stop.signal);
  const copies: number[] = [];
  const copying = copyAgainAndAgain(pair, mode, copies, stop.signal);
  for (const work of [writing, copying]) work.catch(() => {}); // The death ends both.
  await pause(dieAfterMs);
  const diedMs = performance.now();
  await pair.master.cluster.kill();
  stop.abort();
  await Promise.allSettled([writing, copying]);
  await session.end();
  const have = new Set(
    (await pair.slave.cluster.psql(LIVE, `SELECT n FROM bench_${mode}`)).split("\n").map(Number),
  );
  const known = acknowledged.filter(({ atMs }) => atMs <= diedMs);
  const lost = known.filter(({ n }) => !have.has(n));
  return {
    lossS: lost.length === 0 ? 0 : (diedMs - lost[0]!.atMs) / 1000,
    lostRows: lost.length,
    acknowledged: known.length,
    copies: copies.length,
    copyS: Math.max(0, ...copies),
  };
}

async function write(
  session: Session,
  mode: Mode,
  acknowledged: { n: number; atMs: number }[],
  signal: AbortSignal,
): Promise<void> {
  const table = `bench_${mode}`;
  const [row] = await session.query(`SELECT coalesce(max(n), 0)::text AS n FROM public.${table}`);
  for (let n = Number(row?.n) + 1; !signal.aborted; n++) {
    await session.query(`INSERT INTO public.${table} VALUES (${n})`);
    acknowledged.push({ n, atMs: performance.now() });
    await pause(WRITE_EVERY_MS);
  }
}

/** Each copy starts `EVERY_S` after the start of the one before, as the schedule does. */
async function copyAgainAndAgain(
  pair: DatabasePair,
  mode: Mode,
  copies: number[],
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const from = performance.now();
    const done = mode === "hourly" ? pair.copy() : copyTables(pair, mode);
    await done.then(() => copies.push((performance.now() - from) / 1000));
    await pause(Math.max(0, EVERY_S * 1000 - (performance.now() - from)), signal);
  }
}

async function copyTables(pair: DatabasePair, set: "hot" | "config"): Promise<void> {
  const options = { hotTables: ["userfeatures", "queuemember", "bench_hot"] };
  const signal = AbortSignal.timeout(SIGNAL_MS);
  const onProgress = (): void => {};
  const { payload, done } = await pair.master.tables(options).dumpTables({
    set,
    signal,
    onProgress,
  });
  await pair.slave.tables(options).applyTables({
    set,
    payload,
    whole: done,
    signal,
    onProgress,
    confirm: () => Promise.resolve(),
  });
}

function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}

/** Numbers from 0 to 1 that a seed decides. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function round2(value: number): number {
  return Math.round(value * 100) / 100;
}

if (import.meta.main) console.log(JSON.stringify(await tablesLoss(), null, 2));
