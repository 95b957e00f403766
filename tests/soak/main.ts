/**
 * `make soak`: an hour at `fast` with a takeover each 20 s in each of two pairs: in one both daemons live for
 * the whole hour (cables are cut, the service is moved), in the other daemons and hosts die. Prints each
 * target beside what was measured, writes `dist/results/soak.json`, and exits 1 when one was missed.
 *
 * @module
 */

import { dirname } from "node:path";
import { runOk } from "../../src/os/process.ts";
import { REPOSITORY } from "../support/shown_paths.ts";
import { bold, dim, green, red, table } from "../demo/terminal.ts";
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

async function main(): Promise<boolean> {
  const startedAt = new Date();
  const loads: number[] = [];
  const told = { move: 0 };
  const seen = new Map<string, PairRecord>();
  const onMove = (record: PairRecord): void => {
    loads.push(Deno.loadavg()[0] ?? NaN);
    if (told.move++ % 6 !== 0) return;
    tell(record, startedAt);
    // What was seen so far outlives an end of this process.
    Deno.writeTextFileSync(
      SAMPLES_FILE,
      JSON.stringify([...seen.set(record.name, record).values()]),
    );
  };
  await Deno.mkdir(dirname(RESULT_FILE), { recursive: true });
  const common = { minutes: MINUTES, everyS: EVERY_S, onMove };
  const pairs: SoakPair[] = [];
  const records: PairRecord[] = [];
  const kinds: Record<string, unknown> = {};
  try {
    for (const _ of PAIRS) pairs.push(await SoakPair.create());
    const atFirst = await kindsOf(pairs[0]!);
    records.push(
      ...await Promise.all(PAIRS.map((name, i) =>
        soak(pairs[i]!, {
          name,
          kinds: name === "lasting" ? LASTING_KINDS : DYING_KINDS,
          // Between those of the other pair.
          offsetMs: 5_000 + i * EVERY_S * 500,
          ...common,
        })
      )),
    );
    Object.assign(kinds, { before: atFirst, after: await kindsOf(pairs[0]!) });
  } finally {
    for (const pair of pairs) await pair.close();
  }
  const targets = records.flatMap((record) =>
    judge(record, { lasting: record.name === "lasting" })
  );
  const result = {
    commit: (await runOk(["git", "-C", REPOSITORY, "rev-parse", "HEAD"], { deadlineMs: 10_000 }))
      .stdout.trim(),
    relais: (await runOk([`${REPOSITORY}/dist/relais`, "version"], { deadlineMs: 10_000 }))
      .stdout.trim(),
    started_at: startedAt.toISOString(),
    minutes: MINUTES,
    every_s: EVERY_S,
    machine: {
      cores: navigator.hardwareConcurrency,
      load_median: loads.toSorted((a, b) => a - b)[loads.length >> 1] ?? null,
      load_most: Math.max(...loads),
    },
    missed: targets.filter(({ ok }) => !ok).length,
    targets,
    /** Of the first pair. */
    descriptor_kinds: kinds,
  };
  await Deno.writeTextFile(RESULT_FILE, JSON.stringify(result, null, 2) + "\n");
  await Deno.writeTextFile(
    RESULT_FILE.replace(/\.json$/, "_samples.json"),
    JSON.stringify(records),
  );
  show(targets);
  return result.missed === 0;
}

async function kindsOf(pair: SoakPair): Promise<Record<string, Record<string, number>>> {
  const { master, slave } = pair.cluster;
  return { master: await descriptorKinds(master), slave: await descriptorKinds(slave) };
}

function tell({ name, moves, broken, samples }: PairRecord, startedAt: Date): void {
  const minutes = ((Date.now() - startedAt.getTime()) / 60_000).toFixed(1);
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
  console.log(bold(`relais: ${MINUTES} minutes at fast, a takeover each ${EVERY_S} s per pair`));
  try {
    Deno.exit(await main() ? 0 : 1);
  } catch (error) {
    console.error(red(`\nThe soak broke: ${error instanceof Error ? error.message : error}`));
    Deno.exit(1);
  }
}
