/**
 * Breaks one rule at a time in a copy of the sources and lets the simulation look for it.
 *
 * @module
 */

import { inParallel, run } from "./processes.ts";
import { type Mutant, MUTANTS } from "./mutants.ts";
import { ARBITER_FROM, FENCED_FROM } from "./scenario.ts";

/** How a mutant fared. */
export interface Hunted {
  readonly name: string;
  readonly caughtBy: string | null;
  readonly seed: number | null;
  readonly equivalent: string | null;
}

const SEEDS_PER_MUTANT = 120;
/** Of those that should not be seen; the list would be wrong if they were. */
const SEEDS_PER_EQUIVALENT = 8;
/** A machine that is shared is slow. */
const DEADLINE_MS = 600_000;
const ROOT = new URL("../../", import.meta.url).pathname;

/** Hunts all. @throws {Error} when an edit does not apply exactly once: the code has moved */
export async function hunt(jobs: number, only: string | null = null): Promise<Hunted[]> {
  const found: Hunted[] = [];
  const list = MUTANTS.filter(({ name }) => only === null || name.includes(only));
  for (const mutant of list) apply(mutant, Deno.readTextFileSync(`${ROOT}src/core/${mutant.file}`));
  await inParallel(list, jobs, async (mutant) => {
    const hunted = await one(mutant);
    found.push(hunted);
    console.log(
      `  ${
        hunted.caughtBy === null
          ? (hunted.equivalent === null ? "SURVIVES" : "unseen  ")
          : "caught  "
      } ${mutant.name}` +
        (hunted.caughtBy === null ? "" : `: seed ${hunted.seed}, ${hunted.caughtBy.slice(0, 90)}`),
    );
  });
  return list.map(({ name }) => found.find((hunted) => hunted.name === name)!);
}

async function one(mutant: Mutant): Promise<Hunted> {
  const copy = await Deno.makeTempDir({ prefix: "relais-mutant-" });
  try {
    for (const name of ["deno.json", "deno.lock"]) {
      await Deno.copyFile(ROOT + name, `${copy}/${name}`);
    }
    await copyTree(`${ROOT}src`, `${copy}/src`);
    await copyTree(`${ROOT}tests/sim`, `${copy}/tests/sim`);
    await copyTree(`${ROOT}tests/support`, `${copy}/tests/support`);
    const path = `${copy}/src/core/${mutant.file}`;
    await Deno.writeTextFile(path, apply(mutant, await Deno.readTextFile(path)));
    const count = mutant.equivalent === undefined ? SEEDS_PER_MUTANT : SEEDS_PER_EQUIVALENT;
    const first = mutant.seed === undefined ? [] : [`${mutant.seed}`];
    const from = mutant.fencing === true
      ? FENCED_FROM
      : mutant.arbiter === true
      ? ARBITER_FROM + 1
      : 1;
    const args = ["tests/sim/worker.ts", "--first", ...first, `${from}-${from + count - 1}`];
    let caughtBy: string | null = null;
    let seed: number | null = null;
    const { code, stderr } = await run({ args, cwd: copy, deadlineMs: DEADLINE_MS }, (line) => {
      const outcome = JSON.parse(line) as { seed?: number; violations?: string[] };
      if ((outcome.violations?.length ?? 0) === 0) return;
      seed = outcome.seed!;
      caughtBy = outcome.violations![0]!;
    });
    if (code !== 0) throw new Error(`The mutant "${mutant.name}" does not run: ${stderr}`);
    return { name: mutant.name, caughtBy, seed, equivalent: mutant.equivalent ?? null };
  } finally {
    await Deno.remove(copy, { recursive: true });
  }
}

function apply({ name, file, from, to }: Mutant, text: string): string {
  // The formatter breaks lines where it likes: white space is all the same.
  const pattern = from.split(/\s+/).map((word) => word.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"))
    .join("\\s+").replaceAll("\\)", ",?\\s*\\)").replaceAll("\\(", "\\(\\s*");
  const places = text.match(new RegExp(pattern, "g"))?.length ?? 0;
  if (places !== 1) {
    throw new Error(
      `Cannot make the mutant "${name}" as its text stands ${places} times in ${file}`,
    );
  }
  return text.replace(new RegExp(pattern), () => to);
}

async function copyTree(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const entry of Deno.readDir(from)) {
    if (entry.isDirectory) await copyTree(`${from}/${entry.name}`, `${to}/${entry.name}`);
    else if (entry.isFile && !entry.name.endsWith("_test.ts")) {
      await Deno.copyFile(`${from}/${entry.name}`, `${to}/${entry.name}`);
    }
  }
}

if (import.meta.main) {
  const hunted = await hunt(
    Number(Deno.env.get("JOBS") || navigator.hardwareConcurrency),
    Deno.args[0] ?? null,
  );
  const alive = hunted.filter(({ caughtBy, equivalent }) =>
    caughtBy === null && equivalent === null
  );
  console.log(`${hunted.length} mutants, ${alive.length} survive`);
  if (alive.length > 0) Deno.exitCode = 1;
}
