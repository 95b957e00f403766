/**
 * `make bench-data`: measures what the copies of data cost and lose, section by section, and writes
 * `dist/results/data.json`. `make bench-data SECTIONS="cuts full_copy"` runs those alone and keeps what the
 * file says of the others, with the commit that they were measured at. A section that is not in the tree, or
 * that failed, is named as such: no figure is ever made up for it.
 *
 * A section is a file `<name>.ts` beside this one that exports one function of the same name in camel case;
 * it takes a function that prints a line and returns fields of data.json. A field `how`, or `how` inside a
 * field, says how the figures were measured.
 *
 * @module
 */

import { bold, dim, red, table } from "../../demo/terminal.ts";
import { provenance } from "../../support/provenance.ts";
import { REPOSITORY } from "../../support/shown_paths.ts";

const RESULT_FILE = `${REPOSITORY}/dist/results/data.json`;

/** Each section and the figures that it owes. */
const SECTIONS: Readonly<Record<string, readonly string[]>> = {
  full_copy: ["full_copy_ratio", "writer_throughput_ratio"],
  cuts: ["random_cuts", "databases_lost"],
  stream_loss: ["stream_loss_ms"],
  tables_loss: ["hourly_loss_s", "hot_loss_s"],
  astdb: ["astdb_latency_ms", "astdb_writer_commits_lost"],
};

/** Fields of data.json that a section returned. */
type Fields = Readonly<Record<string, unknown>>;

/** What became of a section. */
interface Outcome {
  readonly state: "measured" | "failed" | "missing" | "not run";
  readonly why?: string;
  readonly commit?: unknown;
  readonly seconds?: number;
  readonly figures?: readonly string[];
  readonly how?: string;
}

/** dist/results/data.json. */
interface Results {
  readonly [field: string]: unknown;
  readonly sections?: Readonly<Record<string, Outcome>>;
}

async function main(): Promise<boolean> {
  const wanted = (Deno.env.get("SECTIONS") ?? "").split(/[\s,]+/).filter((name) => name !== "");
  const unknown = wanted.filter((name) => !Object.hasOwn(SECTIONS, name));
  if (unknown.length > 0) {
    throw new Error(
      `no section is called ${unknown.join(", ")}: there are ${Object.keys(SECTIONS).join(", ")}`,
    );
  }
  const before = await earlier();
  const about = await provenance();
  const fields: Record<string, unknown> = {};
  const outcomes: Record<string, Outcome> = {};
  for (const [name, figures] of Object.entries(SECTIONS)) {
    const kept = before.sections?.[name];
    if (wanted.length > 0 && !wanted.includes(name)) {
      outcomes[name] = kept ?? { state: "not run" };
      for (const field of [...figures, ...(kept?.figures ?? [])]) {
        if (kept?.state === "measured" && field in before) fields[field] = before[field];
      }
      continue;
    }
    console.log(bold(`\n${name}`));
    const { outcome, measured } = await runSection(name, about.commit);
    outcomes[name] = outcome;
    Object.assign(fields, measured);
    await write({ ...about, ...fields, sections: outcomes });
  }
  const results = { ...about, ...fields, sections: outcomes };
  await write(results);
  show(results);
  return Object.entries(outcomes).every(([name, { state }]) =>
    state === "measured" || (wanted.length > 0 && !wanted.includes(name))
  );
}

async function runSection(
  name: string,
  commit: unknown,
): Promise<{ readonly outcome: Outcome; readonly measured: Fields }> {
  const url = new URL(`./${name}.ts`, import.meta.url);
  if (await Deno.stat(url).catch(() => null) === null) {
    const why = `tests/bench/data/${name}.ts is not there`;
    console.log(red(`   ${why}`));
    return { outcome: { state: "missing", why }, measured: {} };
  }
  const from = performance.now();
  try {
    const measure = onlyFunction(await import(url.href), name);
    const measured = await measure((text) => console.log(dim(`   ${text}`))) as Fields;
    const { how: _, ...rest } = measured;
    const how = howOf(measured);
    const seconds = Math.round((performance.now() - from) / 1000);
    const figures = Object.keys(rest);
    const owed = SECTIONS[name]!.filter((figure) => !figures.includes(figure));
    if (owed.length > 0) throw new Error(`the section gave no ${owed.join(", ")}`);
    return {
      outcome: { state: "measured", commit, seconds, figures, ...(how === null ? {} : { how }) },
      measured: rest,
    };
  } catch (error) {
    const why = error instanceof Error ? error.stack ?? error.message : String(error);
    console.error(red(`   failed: ${why}`));
    return { outcome: { state: "failed", why: why.split("\n")[0]! }, measured: {} };
  }
}

/** The function that carries the section's name, or else the only one that the module exports. */
function onlyFunction(
  module: Readonly<Record<string, unknown>>,
  name: string,
): (say: (text: string) => void) => Promise<unknown> {
  const camel = name.replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase());
  const functions = Object.values(module).filter((value) => typeof value === "function");
  const found = module[camel] ?? (functions.length === 1 ? functions[0] : null);
  if (typeof found !== "function") throw new Error(`${name}.ts exports no function ${camel}`);
  return found as (say: (text: string) => void) => Promise<unknown>;
}

/** How a section measured: its own `how`, or those of its fields. */
function howOf(fields: Fields): string | null {
  if (typeof fields.how === "string") return fields.how;
  const texts = Object.values(fields).flatMap((value) => {
    const how = (value as { readonly how?: unknown } | null)?.how;
    return typeof how === "string" ? [how] : [];
  });
  return texts.length === 0 ? null : texts.join("; ");
}

/** What an earlier run wrote; nothing when there was none. */
async function earlier(): Promise<Results> {
  try {
    return JSON.parse(await Deno.readTextFile(RESULT_FILE));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return {};
    throw error;
  }
}

async function write(results: Results): Promise<void> {
  await Deno.mkdir(`${REPOSITORY}/dist/results`, { recursive: true });
  await Deno.writeTextFile(RESULT_FILE, JSON.stringify(results, null, 2) + "\n");
}

function show(results: Results): void {
  const rows = Object.entries(SECTIONS).flatMap(([name, figures]) => {
    const { state, how } = results.sections?.[name] ?? { state: "not run" };
    return figures.map((figure, index) => [
      figure,
      figure in results ? valueText(results[figure]) : `${state}`,
      name,
      index === 0 ? how ?? "" : "",
    ]);
  });
  console.log();
  table([["figure", "value", "section", "how it was measured"], ...rows]);
  console.log(dim(`\n     ${RESULT_FILE}`));
}

function valueText(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  return Object.entries(value).filter(([, part]) => typeof part === "number")
    .map(([key, part]) => `${key} ${part}`).join(", ");
}

if (import.meta.main) {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    // The clusters hang on keepers, which remove them when this process is gone.
    Deno.addSignalListener(signal, () => Deno.exit(130));
  }
  try {
    Deno.exit(await main() ? 0 : 1);
  } catch (error) {
    console.error(red(`\nMeasuring failed: ${error instanceof Error ? error.message : error}`));
    Deno.exit(1);
  }
}
