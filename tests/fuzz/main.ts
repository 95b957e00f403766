/**
 * The fuzzer as `make fuzz` runs it: every parser that meets bytes from outside, fed with bad ones. Prints a
 * table, writes dist/results/fuzz.json; exit status 1 at a finding, with the input made small and the command
 * that makes it again.
 *
 * Environment: `COUNT` inputs in all (default {@linkcode DEFAULT_COUNT}), `SEED` (default 1), `TARGET` only
 * targets whose name contains this, `FROM` number of the first input, `JOBS` threads (default 2), `WORK=0`
 * leaves out the measurement of how work grows.
 *
 * @module
 */

import { printable } from "./bytes.ts";
import { TARGETS } from "./catalogue.ts";
import { type Failure, isGrowth, type RunResult, Source, tryInput } from "./engine.ts";
import { keptInputs } from "./kept.ts";
import { type Outcome, runJob } from "./runner.ts";
import { kindOfFailure, shrink } from "./shrink.ts";
import type { Target } from "./target.ts";
import type { Slow } from "./work.ts";

const DEFAULT_COUNT = 2_000_000;
/** Fewer tell nothing about a target. */
const LEAST = 100;
const ROOT = new URL("../../", import.meta.url);
const RESULTS = new URL("dist/results/", ROOT);
const FOUND = new URL("fuzz/", RESULTS);

const env = (name: string, otherwise: number): number => Number(Deno.env.get(name) || otherwise);
const seed = env("SEED", 1);
const total = env("COUNT", DEFAULT_COUNT);
const from = env("FROM", 0);
const jobs = Math.max(1, env("JOBS", 2));
const wanted = Deno.env.get("TARGET") ?? "";
const withWork = env("WORK", 1) !== 0;

interface Row {
  readonly target: string;
  result: RunResult | null;
  readonly findings: Found[];
}

interface Found {
  readonly target: string;
  readonly kind: "crash" | "hang" | "growth" | "work";
  readonly what: string;
  readonly again: string;
  readonly file: string | null;
}

const targets = TARGETS.filter(({ name }) => name.includes(wanted));
if (targets.length === 0) {
  console.error(`Cannot fuzz "${wanted}" as no target is called so: ${TARGETS.map((t) => t.name)}`);
  Deno.exit(2);
}
const weights = targets.reduce((sum, { weight = 10 }) => sum + weight, 0);
const countOf = ({ weight = 10 }: Target): number =>
  Math.max(Math.min(LEAST, total), Math.round(total * weight / weights));
const rows = new Map(targets.map(({ name }): [string, Row] => {
  return [name, { target: name, result: null, findings: [] }];
}));
const startedAt = performance.now();
const rssBefore = Deno.memoryUsage().rss;

await Deno.mkdir(FOUND, { recursive: true });
console.log(`fuzz: ${targets.length} targets, ${total} inputs from seed ${seed}, ${jobs} threads`);
await feedKept();
const todo = targets.map((target) => ({ target, work: false }))
  .sort((a, b) => countOf(b.target) - countOf(a.target));
// Alone at the end: two threads would add to each other's time of CPU.
await inThreads(todo, jobs);
if (withWork) await inThreads(targets.map((target) => ({ target, work: true })), 1);
const seconds = (performance.now() - startedAt) / 1000;
printTable();
const findings = [...rows.values()].flatMap((row) => row.findings);
await writeResults();
for (const { kind, target, what, again, file } of findings) {
  console.log(`\n${kind} in ${target}: ${what}\n  again: ${again}`);
  if (file !== null) console.log(`  input: ${file}`);
}
if (findings.length > 0) Deno.exit(1);

/** What once broke something must not break it again. */
async function feedKept(): Promise<void> {
  for (const { file, target, input } of await keptInputs(TARGETS.map(({ name }) => name))) {
    const row = rows.get(target);
    if (row === undefined) continue;
    const what = await tryInput(TARGETS.find(({ name }) => name === target)!, input);
    if (what === null) continue;
    const path = `tests/fuzz/kept/${file}`;
    row.findings.push({
      target,
      kind: "crash",
      what,
      again: `make fuzz TARGET=${target}`,
      file: path,
    });
  }
}

async function inThreads(
  todo: { readonly target: Target; readonly work: boolean }[],
  threads: number,
): Promise<void> {
  const queue = [...todo];
  const turn = async (): Promise<void> => {
    for (let one = queue.shift(); one !== undefined; one = queue.shift()) {
      const { target, work } = one;
      const job = { target: target.name, seed, from, count: countOf(target), work };
      await take(target, work, await runJob(job));
    }
  };
  await Promise.all(Array.from({ length: threads }, turn));
}

async function take(target: Target, work: boolean, outcome: Outcome): Promise<void> {
  const { name } = target;
  const row = rows.get(name)!;
  const { result, slow, hangs, error } = outcome;
  if (!work) row.result = result;
  const command = `make fuzz TARGET=${name} SEED=${seed}`;
  if (error !== null) {
    row.findings.push({ target: name, kind: "crash", what: error, again: command, file: null });
  }
  for (const index of hangs) {
    const input = work ? null : (await Source.of(target)).input(seed, index);
    const what = work
      ? `it stands still on pattern ${index} of the measurement of work`
      : `it stands still on ${printable(input!)}`;
    const again = work ? `${command} COUNT=1` : `${command} FROM=${index} COUNT=1 WORK=0`;
    const file = input === null ? null : await keep(name, input);
    row.findings.push({ target: name, kind: "hang", what, again, file });
  }
  for (const each of slow) row.findings.push(await slowFinding(each, command));
  if (result === null) return;
  const kinds = new Set<string>();
  for (const failure of result.failures) {
    const kind = kindOfFailure(failure.what);
    if (kinds.has(kind)) continue;
    kinds.add(kind);
    row.findings.push(await crashFinding(target, failure));
  }
  if (isGrowth(result)) {
    const what = `the heap grew by ${result.growthBefore} and then ${result.growth} bytes`;
    row.findings.push({ target: name, kind: "growth", what, again: command, file: null });
  }
}

async function crashFinding(target: Target, failure: Failure): Promise<Found> {
  const { what, index, input } = failure;
  const kind = kindOfFailure(what);
  const alone = await tryInput(target, input, seed);
  const alike = async (candidate: Uint8Array): Promise<boolean> => {
    const said = await tryInput(target, candidate, seed);
    return said !== null && kindOfFailure(said) === kind;
  };
  // What needs the inputs before it is shown as it is.
  const small = alone !== null && kindOfFailure(alone) === kind
    ? await shrink(input, alike)
    : input;
  const again = `make fuzz TARGET=${target.name} SEED=${seed} FROM=${index} COUNT=1 WORK=0`;
  const said = await tryInput(target, small, seed) ?? what;
  const file = await keep(target.name, small);
  return {
    target: target.name,
    kind: "crash",
    what: `${said}\n  with: ${printable(small)}`,
    again,
    file,
  };
}

async function slowFinding(
  { target, pattern, input, ms, exponent }: Slow,
  again: string,
): Promise<Found> {
  const times = ms.map((each) => each.toFixed(0)).join(", ");
  const what = `${input.length} bytes of ${pattern} cost ${times} ms at n/4, n/2, n: n^${
    exponent.toFixed(1)
  }`;
  return { target, kind: "work", what, again: `${again} COUNT=1`, file: await keep(target, input) };
}

/** Writes an input beside the results; to keep it for ever, move it to tests/fuzz/kept. */
async function keep(target: string, input: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new Uint8Array(input));
  const name = `${target}-${new Uint8Array(digest).toHex().slice(0, 8)}.bin`;
  await Deno.writeFile(new URL(name, FOUND), input);
  return `dist/results/fuzz/${name}`;
}

function printTable(): void {
  const line = (cells: readonly string[]): string =>
    cells.map((cell, i) => i === 0 ? cell.padEnd(18) : cell.padStart(i === 1 ? 9 : 10)).join(" ");
  console.log(
    line(["target", "inputs", "accepted", "rejected", "inputs/s", "worst ms", "growth KB"]),
  );
  for (const { target, result, findings } of rows.values()) {
    if (result === null) {
      console.log(`${target.padEnd(18)} no result`);
      continue;
    }
    const { inputs, accepted, rejected, seconds, worstMs, growth } = result;
    const cells = [inputs, accepted, rejected, Math.round(inputs / seconds)].map(String);
    const flag = findings.length > 0 ? `  ${findings.map(({ kind }) => kind).join(", ")}` : "";
    console.log(line([target, ...cells, worstMs.toFixed(1), (growth / 1000).toFixed(0)]) + flag);
  }
  const inputs = sum(({ inputs }) => inputs);
  const findings = [...rows.values()].reduce((all, row) => all + row.findings.length, 0);
  console.log(
    `${inputs} inputs, ${sum(({ accepted }) => accepted)} accepted, ${
      sum(({ rejected }) => rejected)
    } rejected in ${seconds.toFixed(0)} s; RSS ${mega(rssBefore)} MB at the start, ${
      mega(Deno.memoryUsage().rss)
    } MB at the end; ${findings} findings`,
  );
}

function sum(of: (result: RunResult) => number): number {
  return [...rows.values()].reduce(
    (all, { result }) => all + (result === null ? 0 : of(result)),
    0,
  );
}

function mega(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}

async function writeResults(): Promise<void> {
  const { stdout } = await new Deno.Command("git", {
    args: ["rev-parse", "--short", "HEAD"],
    cwd: ROOT,
    stderr: "null",
  }).output().catch(() => ({ stdout: new Uint8Array() }));
  const document = {
    commit: new TextDecoder().decode(stdout).trim() || null,
    seed,
    inputs: sum(({ inputs }) => inputs),
    seconds: Math.round(seconds),
    targets: [...rows.values()].map(({ target, result, findings }) => ({
      target,
      inputs: result?.inputs ?? 0,
      accepted: result?.accepted ?? 0,
      rejected: result?.rejected ?? 0,
      inputs_per_s: result === null ? 0 : Math.round(result.inputs / result.seconds),
      worst_ms: Number((result?.worstMs ?? 0).toFixed(2)),
      growth_bytes: result?.growth ?? 0,
      findings: findings.length,
    })),
    crashes: findings.filter(({ kind }) => kind !== "growth"),
    growth: findings.filter(({ kind }) => kind === "growth"),
    rss_bytes: { before: rssBefore, after: Deno.memoryUsage().rss },
  };
  await Deno.writeTextFile(new URL("fuzz.json", RESULTS), JSON.stringify(document, null, 2) + "\n");
}
