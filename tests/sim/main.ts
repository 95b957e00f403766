/**
 * The simulation as `make sim` runs it: the kept seeds, a fixed set (or `SEEDS=N` of them), the mutants;
 * coverage of the table; dist/results/sim.json. Exit status 1 when anything broke or survived.
 *
 * Environment: `SEEDS` how many seeds (default {@linkcode QUICK}), `FROM` the first of them, `JOBS` how
 * many processes (default: all processors), `MUTANTS=0` leaves the mutants out.
 *
 * @module
 */

import { localConfig, parseConfig } from "../../src/config/load.ts";
import { RULES } from "../../src/core/transitions.ts";
import { ARBITER_KINDS, boundOf, type Kind, KINDS } from "./bounds.ts";
import type { Worst } from "./checkers.ts";
import { hunt, type Hunted } from "./hunt.ts";
import { inParallel, run } from "./processes.ts";
import { ARBITER_FROM, FENCED_FROM } from "./scenario.ts";
import { REGRESSIONS } from "./regressions.ts";
import { fencingToml } from "./world.ts";

const QUICK = 230;
/** Of those with an arbiter, for each of the others. */
const ARBITER_SHARE = 0.5;
const CHUNK = 20;
/** A chunk that takes longer stands still. */
const CHUNK_DEADLINE_MS = 600_000;
const ROOT = new URL("../../", import.meta.url).pathname;

const ALL_KINDS: readonly Kind[] = [...KINDS, ...ARBITER_KINDS];

/** Rows that no run takes, and why that is right. */
const NEVER: Readonly<Record<string, string>> = {};

interface Line {
  readonly seed: number;
  readonly simulatedMs: number;
  readonly violations: readonly string[];
  readonly lines: readonly string[];
  readonly worst: readonly (readonly [string, Worst])[];
}

type Count = { yes: number; no: number; taken: number };

const env = (name: string, otherwise: number): number => Number(Deno.env.get(name) || otherwise);
const seeds = env("SEEDS", QUICK);
const from = env("FROM", 1);
const jobs = env("JOBS", navigator.hardwareConcurrency);
const startedAt = performance.now();
const coverage = new Map<string, Count>();
const worst = new Map<string, Worst>();
const failed: Line[] = [];
let simulatedMs = 0;
let played = 0;
let cpuSeconds = 0;

if (from < 1 || from + seeds > FENCED_FROM) {
  console.error(
    `FROM, SEEDS: seeds must lie between 1 and ${FENCED_FROM - 1}; those above are pairs with a ` +
      `third opinion, and are played besides (got ${from} to ${from + seeds - 1})`,
  );
  Deno.exit(64);
}
const chunks = [REGRESSIONS.map(({ seed }) => `${seed}`).join(" ")];
for (let seed = from; seed < from + seeds; seed += CHUNK) {
  chunks.push(`${seed}-${Math.min(seed + CHUNK, from + seeds) - 1}`);
}
const fenced = Math.max(Math.min(seeds, 40), Math.floor(seeds / 5));
for (let seed = FENCED_FROM; seed < FENCED_FROM + fenced; seed += CHUNK) {
  chunks.push(`${seed}-${Math.min(seed + CHUNK, FENCED_FROM + fenced) - 1}`);
}
const arbitrated = Math.ceil(seeds * ARBITER_SHARE);
for (let n = 0; n < arbitrated; n += CHUNK) {
  const first = ARBITER_FROM + from + n;
  chunks.push(`${first}-${first + Math.min(CHUNK, arbitrated - n) - 1}`);
}
console.log(
  `simulation: seeds ${from} to ${from + seeds - 1}, ${fenced} with fencing, ` +
    `${arbitrated} with an arbiter, ${REGRESSIONS.length} kept ones`,
);
await inParallel(chunks, jobs, async (chunk) => {
  const args = ["tests/sim/worker.ts", ...chunk.split(" ")];
  const { code, stderr } = await run({ args, cwd: ROOT, deadlineMs: CHUNK_DEADLINE_MS }, (text) => {
    const line = JSON.parse(text) as Line | {
      readonly coverage: [string, Count][];
      readonly cpuSeconds: number;
    };
    if ("coverage" in line) {
      cpuSeconds += line.cpuSeconds;
      return line.coverage.forEach(addCoverage);
    }
    played++;
    simulatedMs += line.simulatedMs;
    line.worst.forEach(addWorst);
    if (line.violations.length > 0) tell(line);
    if (played % 1000 === 0) console.log(`  ${played} seeds, ${failed.length} failed`);
  });
  if (code !== 0) throw new Error(`The simulation of ${chunk} broke: ${stderr}`);
});
const seconds = (performance.now() - startedAt) / 1000;
const hours = simulatedMs / 3_600_000;
const rows = printCoverage();
printWorst();
console.log(
  `${played} seeds, ${hours.toFixed(0)} simulated hours in ${
    seconds.toFixed(0)
  } s on ${jobs} processes ` +
    `(${
      (hours / cpuSeconds * 60).toFixed(0)
    } hours per minute of processor time), ${failed.length} failed`,
);
let hunted: Hunted[] = [];
if (Deno.env.get("MUTANTS") !== "0") {
  console.log("mutants of src/core:");
  hunted = await hunt(jobs);
}
const survivors = hunted.filter(({ caughtBy, equivalent }) =>
  caughtBy === null && equivalent === null
);
for (const { name, equivalent, caughtBy } of hunted) {
  if (caughtBy === null) {
    console.log(`survives: ${name}${equivalent === null ? "" : ` (equivalent: ${equivalent})`}`);
  }
}
await writeResult();
const bad = failed.length > 0 || survivors.length > 0 || rows.unexplained.length > 0;
console.log(bad ? "simulation: FAILED" : "simulation: ok");
if (bad) Deno.exitCode = 1;

function addCoverage([id, { yes, no, taken }]: [string, Count]): void {
  const sum = coverage.get(id) ?? { yes: 0, no: 0, taken: 0 };
  coverage.set(id, { yes: sum.yes + yes, no: sum.no + no, taken: sum.taken + taken });
}

function addWorst([key, found]: readonly [string, Worst]): void {
  const sum = worst.get(key) ?? { double: 0, none: 0, services: 0, settle: 0 };
  for (const name of Object.keys(sum) as (keyof Worst)[]) {
    sum[name] = Math.max(sum[name], found[name]);
  }
  worst.set(key, sum);
}

function tell(line: Line): void {
  failed.push(line);
  console.log(line.lines.join("\n"));
  console.log(`seed ${line.seed} FAILED: ${line.violations.join("\n  ")}`);
  console.log(`again: packaging/toolchain/deno run -A tests/sim/one.ts ${line.seed}\n`);
}

function printCoverage(): { readonly taken: number; readonly unexplained: string[] } {
  console.log("row             guard true      false      taken");
  const unexplained: string[] = [];
  for (const { id } of RULES) {
    const { yes, no, taken } = coverage.get(id) ?? { yes: 0, no: 0, taken: 0 };
    const whole = yes > 0 && no > 0 && taken > 0;
    const why = whole ? "" : NEVER[id] ?? "NEVER SEEN BOTH WAYS OR NEVER TAKEN";
    // A handful of seeds cannot meet everything.
    if (!whole && NEVER[id] === undefined && seeds >= QUICK) unexplained.push(id);
    console.log(
      `${id.padEnd(15)} ${[yes, no, taken].map((n) => `${n}`.padStart(10)).join(" ")} ${why}`,
    );
  }
  const taken = RULES.filter(({ id }) => (coverage.get(id)?.taken ?? 0) > 0).length;
  console.log(`${taken} of ${RULES.length} rows taken`);
  return { taken, unexplained };
}

function boundsOf(key: string): ReturnType<typeof boundOf> {
  const [world = "", kind = ""] = key.split(" ");
  const [preset, third] = world.split("+");
  const config = parseConfig(
    '[cluster]\nname = "sim"\n[[networks]]\nname = "voip"\nmaster = "10.20.0.11"\nslave = "10.20.0.12"\n' +
      'prefix = 24\nvip = "10.20.0.10"\n[[networks]]\nname = "data"\nmaster = "10.20.1.11"\n' +
      `slave = "10.20.1.12"\nprefix = 24\nwitnesses = []\n[heartbeat]\npreset = "${preset}"\n` +
      '[services]\nunits = ["a.service", "b.service"]\nstop_deadline_s = 10\n' +
      // The longest lease that is played: its bounds are the widest.
      (third !== "arbiter" ? "" : '[arbiter]\netcd = ["http://10.20.0.254:2379"]\nttl = "20s"\n') +
      (third !== "fencing" ? "" : fencingToml("required")),
  );
  return boundOf(kind as Kind, localConfig(config, "master"));
}

function printWorst(): void {
  console.log(
    "worst of each kind in ms (bound): two answer | nobody answers | two sets of services | until rest",
  );
  for (const [key, { double, none, services, settle }] of [...worst].sort()) {
    const bound = boundsOf(key);
    const cell = (ms: number, limit: number | null): string =>
      `${ms.toFixed(0)} (${limit === null ? "-" : limit.toFixed(0)})`.padStart(18);
    console.log(
      `${key.padEnd(24)} ${cell(double, bound.double)} ${cell(none, bound.none)} ` +
        `${cell(services, bound.services)} ${settle.toFixed(0).padStart(9)}`,
    );
  }
}

async function writeResult(): Promise<void> {
  const { stdout } = await new Deno.Command("git", {
    args: ["rev-parse", "HEAD"],
    cwd: ROOT,
    stderr: "null",
  }).output().catch(() => ({ stdout: new Uint8Array() }));
  await Deno.mkdir(`${ROOT}dist/results`, { recursive: true });
  const kinds = Object.fromEntries(
    [...worst].filter(([key]) => ALL_KINDS.includes(key.split(" ")[1] as Kind)).sort().map(
      ([key, seen]) => {
        const { double, none, services } = boundsOf(key);
        return [key, {
          worst_double_holding_ms: Math.round(seen.double),
          double_holding_bound_ms: Math.round(double),
          worst_no_holder_ms: none === null ? null : Math.round(seen.none),
          no_holder_bound_ms: none === null ? null : Math.round(none),
          worst_two_services_ms: Math.round(seen.services),
          two_services_bound_ms: Math.round(services),
          worst_until_rest_ms: Math.round(seen.settle),
        }];
      },
    ),
  );
  const caught = hunted.filter(({ caughtBy }) => caughtBy !== null).length;
  await Deno.writeTextFile(
    `${ROOT}dist/results/sim.json`,
    JSON.stringify(
      {
        commit: new TextDecoder().decode(stdout).trim(),
        seeds: played,
        simulated_hours: Math.round(hours),
        simulated_hours_per_cpu_minute: Math.round(hours / cpuSeconds * 60),
        violations: failed.length,
        failed_seeds: failed.map(({ seed }) => seed),
        rows: RULES.length,
        rows_taken: rows.taken,
        rows_never_taken: NEVER,
        mutants: hunted.filter(({ equivalent }) => equivalent === null).length,
        mutants_caught: hunted.filter(({ caughtBy, equivalent }) =>
          caughtBy !== null && equivalent === null
        ).length,
        mutants_equivalent: hunted.filter(({ equivalent }) => equivalent !== null)
          .map(({ name, equivalent }) => ({ name, why: equivalent })),
        mutants_in_all: hunted.length,
        mutants_in_all_caught: caught,
        survivors: survivors.map(({ name }) => name),
        kinds,
      },
      null,
      2,
    ) + "\n",
  );
}
