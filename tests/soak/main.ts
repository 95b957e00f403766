/**
 * `make soak`: an hour at `fast` with a takeover each 20 s in each of two pairs: in one both daemons live for
 * the whole hour (cables are cut, the service is moved), in the other daemons and hosts die. Prints each
 * target beside what was measured, writes `dist/results/soak.json`, and exits 1 when one was missed. With
 * files as arguments (`soak_samples.json` of earlier runs) it judges those.
 *
 * @module
 */

import { dirname } from "node:path";
import { runOk } from "../../src/os/process.ts";
import { REPOSITORY } from "../support/shown_paths.ts";
import { bold, dim, green, red, table } from "../demo/terminal.ts";
import { median } from "../support/series.ts";
import { DYING_KINDS, LASTING_KINDS, SoakPair } from "./pair.ts";
import { type PairRecord, soak } from "./record.ts";
import { descriptorKinds } from "./sample.ts";
import { judge, type Target } from "./targets.ts";

const MINUTES = number("MINUTES", 60);
const EVERY_S = number("EVERY", 20);
/** `PAIRS=lasting` leaves out the pair in which hosts die: half the work of the machine. */
const PAIRS = (Deno.env.get("PAIRS") || "lasting,dying").split(",");
const RESULT_FILE = Deno.env.get("SOAK_RESULT") ?? `${REPOSITORY}/dist/results/soak.json`;
/** Every sample, to be judged anew. */
const SAMPLES_FILE = RESULT_FILE.replace(/\.json$/, "_samples.json");

/** What a run knows beside its records. */
interface Facts {
  readonly minutes: number;
  readonly everyS: number;
  readonly loads: readonly number[];
  /** What the descriptors of the first pair lead to. */
  readonly kinds: Readonly<Record<string, unknown>>;
}

/** Runs the pairs beside each other. */
async function runPairs(): Promise<{ records: PairRecord[]; facts: Facts }> {
  const started = performance.now();
  const loads: number[] = [];
  const latest = new Map<string, PairRecord>();
  let moves = 0;
  const onMove = (record: PairRecord): void => {
    loads.push(Deno.loadavg()[0] ?? NaN);
    latest.set(record.name, record);
    if (moves++ % 6 !== 0) return;
    tell(record, performance.now() - started);
    // What was seen so far outlives an end of this process.
    keepSamples([...latest.values()]);
  };
  const pairs: SoakPair[] = [];
  try {
    for (const _ of PAIRS) pairs.push(await SoakPair.create());
    const before = await kindsOf(pairs[0]!);
    const records = await Promise.all(PAIRS.map((name, i) =>
      soak(pairs[i]!, {
        name,
        kinds: name === "lasting" ? LASTING_KINDS : DYING_KINDS,
        minutes: MINUTES,
        everyS: EVERY_S,
        offsetMs: 5_000 + i * EVERY_S * 500, // between those of the other pair
        onMove,
      })
    ));
    const kinds = { before, after: await kindsOf(pairs[0]!) };
    return { records, facts: { minutes: MINUTES, everyS: EVERY_S, loads, kinds } };
  } finally {
    for (const pair of pairs) await pair.close();
  }
}

/** Judges the records, writes and prints the result; true: every target was met. */
async function conclude(records: readonly PairRecord[], facts: Facts): Promise<boolean> {
  const targets = records.flatMap((record) =>
    judge(record, { lasting: record.name === "lasting" })
  );
  const tell = async (...argv: string[]): Promise<string> =>
    (await runOk(argv, { deadlineMs: 10_000 })).stdout.trim();
  const result = {
    commit: await tell("git", "-C", REPOSITORY, "rev-parse", "HEAD"),
    relais: await tell(`${REPOSITORY}/dist/relais`, "version"),
    ended_at: new Date().toISOString(),
    minutes: facts.minutes,
    every_s: facts.everyS,
    machine: {
      cores: navigator.hardwareConcurrency,
      load_median: median(facts.loads),
      load_most: facts.loads.length === 0 ? null : Math.max(...facts.loads),
    },
    missed: targets.filter(({ ok }) => !ok).length,
    targets,
    descriptor_kinds: facts.kinds,
  };
  await Deno.writeTextFile(RESULT_FILE, JSON.stringify(result, null, 2) + "\n");
  show(targets);
  return result.missed === 0;
}

/** Samples of earlier runs, from the files named as arguments; null: none were named. */
function readSamples(files: readonly string[]): PairRecord[] | null {
  if (files.length === 0) return null;
  return files.flatMap((file) => JSON.parse(Deno.readTextFileSync(file)) as PairRecord[]);
}

function keepSamples(records: readonly PairRecord[]): void {
  Deno.writeTextFileSync(SAMPLES_FILE, JSON.stringify(records));
}

async function main(): Promise<boolean> {
  await Deno.mkdir(dirname(RESULT_FILE), { recursive: true });
  const kept = readSamples(Deno.args);
  if (kept !== null) {
    const last = Math.max(...kept.flatMap(({ moves }) => moves.map(({ atMs }) => atMs)));
    const minutes = Math.round(last / 60_000);
    return await conclude(kept, { minutes, everyS: EVERY_S, loads: [], kinds: {} });
  }
  console.log(bold(`relais: ${MINUTES} minutes at fast, a takeover each ${EVERY_S} s per pair`));
  const { records, facts } = await runPairs();
  keepSamples(records);
  return await conclude(records, facts);
}

async function kindsOf(pair: SoakPair): Promise<Record<string, Record<string, number>>> {
  const { master, slave } = pair.cluster;
  return { master: await descriptorKinds(master), slave: await descriptorKinds(slave) };
}

function tell({ name, moves, broken, samples }: PairRecord, sinceMs: number): void {
  const minutes = (sinceMs / 60_000).toFixed(1);
  const last = moves.at(-1);
  const daemons = (["master", "slave"] as const).map((who) => {
    const seen = samples[who].at(-1);
    return `${who} ${seen?.rssMb} MB ${seen?.descriptors} fd ${seen?.threads} threads`;
  });
  console.log(dim(
    `   ${minutes} min, ${name}: ${moves.length} takeovers, ${broken.length} broken, last ${last?.kind} ` +
      `${last?.outageMs} ms; ${daemons.join(", ")}`,
  ));
}

function show(targets: readonly Target[]): void {
  console.log();
  const rows = targets.map(({ name, target, measured, ok }) => [
    ok ? green("ok") : red("MISSED"),
    name,
    target,
    measured,
  ]);
  table([["", "what", "target", "measured"], ...rows]);
  console.log(dim(`\n     ${RESULT_FILE}`));
}

function number(name: string, otherwise: number): number {
  const text = Deno.env.get(name);
  const value = text === undefined || text === "" ? otherwise : Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  console.error(`Cannot soak as ${name} must be a number above 0 (got ${text})`);
  Deno.exit(2);
}

if (import.meta.main) {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => Deno.exit(130)); // the namespaces end with the process
  }
  try {
    Deno.exit(await main() ? 0 : 1);
  } catch (error) {
    console.error(red(`\nThe soak broke: ${error instanceof Error ? error.message : error}`));
    Deno.exit(1);
  }
}
