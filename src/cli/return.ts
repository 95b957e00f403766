/**
 * `relais return`: what the slave's database gained while it served, shown and settled by an operator; and
 * what earlier hand-backs left on this host.
 *
 * @module
 */

import { z } from "zod";
import {
  RETURN_CHOICES,
  returnConflictSchema,
  returnOutcomeSchema,
  rowChangeSchema,
} from "../replication/return/return_types.ts";
import type { ReturnChoice, RowChange, RowValues } from "../replication/return/return_types.ts";
import { leftBehind, settleLeft } from "../replication/left_behind.ts";
import { type ControlClient, ControlError } from "./control_client.ts";
import { EXIT } from "./exit_codes.ts";
import { printResult } from "./report.ts";
import { leftLines } from "./return_left.ts";

/** Longest value in a list for people. */
const VALUE_CHARS = 60;

const reportSchema = z.object({
  mode: z.enum(["none", "tables", "all"]),
  since: z.string().nullable(),
  blocked: z.string().nullable(),
  decisions: z.record(z.string(), z.enum(RETURN_CHOICES)),
  summary: z.object({
    total: z.number(),
    tables: z.array(
      z.object({
        table: z.string(),
        inserted: z.number(),
        updated: z.number(),
        deleted: z.number(),
      }),
    ),
    notes: z.array(z.string()),
  }).nullable(),
  changes: z.array(rowChangeSchema),
  outcome: returnOutcomeSchema.nullable(),
  trouble: z.string().nullable(),
});
type Report = z.infer<typeof reportSchema>;
type Conflict = z.infer<typeof returnConflictSchema>;

/** What was typed. */
export interface ReturnArguments {
  readonly action: "conflicts" | "decide" | "go" | "settle" | null;
  /** Of `decide`; of `settle` the name of a folder. */
  readonly conflict: string | null;
  readonly choice: ReturnChoice | null;
  readonly dryRun: boolean;
  readonly json: boolean;
  readonly stateDir: string;
}

/** Asks the daemon and prints. */
export async function returning(client: ControlClient, typed: ReturnArguments): Promise<number> {
  const { action, conflict, choice, dryRun, json, stateDir } = typed;
  if (action === "decide") {
    if (conflict === null || choice === null) {
      console.error("relais return decide CONFLICT master|slave|both: name both");
      return EXIT.usage;
    }
    return printResult(await client.returning({ action, conflict, choice }), { json });
  }
  if (action === "settle" && conflict !== null && choice === null) {
    const settled = await settleLeft(stateDir, conflict);
    const text = settled.length === 0 ? "nothing was left" : `settled: ${settled.join(", ")}`;
    return printResult({ ok: true, text }, { json });
  }
  if (action === "settle") {
    console.error("relais return settle FOLDER|all: name one of those in: relais return conflicts");
    return EXIT.usage;
  }
  if (conflict !== null || (dryRun && action === "go")) {
    console.error("That goes with nothing else. See: relais return --help");
    return EXIT.usage;
  }
  if (action === "go") return printResult(await client.returning({ action }), { json });
  if (action === "conflicts") return await listConflicts(client, { json, stateDir });
  const result = await client.returning({ action: "report" });
  const parsed = reportSchema.safeParse(result.report);
  if (!parsed.success) return printResult(result, { json });
  const report = parsed.data;
  console.log(json ? JSON.stringify(report) : reportLines(report).join("\n"));
  return report.trouble === null ? EXIT.ok : EXIT.failed;
}

/** Those that are open, of the database, and what is left of files and rows here, with or without a daemon. */
async function listConflicts(
  client: ControlClient,
  { json, stateDir }: { readonly json: boolean; readonly stateDir: string },
): Promise<number> {
  const { report, why, status } = await askReport(client);
  const left = await leftBehind(stateDir);
  if (json) {
    console.log(JSON.stringify({
      conflicts: report?.outcome?.conflicts ?? null,
      count: report?.outcome?.conflictCount ?? null,
      decisions: report?.decisions ?? {},
      blocked: report?.blocked ?? null,
      trouble: report === null ? why : report.trouble,
      left: left.folders,
      leftNotShown: left.more,
    }));
    return status;
  }
  console.log((report === null ? [why] : conflictLines(report)).join("\n"));
  console.log((left.folders.length === 0 ? [NOTHING_LEFT] : leftLines(left)).join("\n"));
  return status;
}

const NOTHING_LEFT = "no conflict of files, and nothing that did not travel, is left on this host";

/** What the daemon knows; without it, or where no database goes back, why not. */
async function askReport(
  client: ControlClient,
): Promise<{ readonly report: Report | null; readonly why: string; readonly status: number }> {
  try {
    const result = await client.returning({ action: "report" });
    const parsed = reportSchema.safeParse(result.report);
    if (!parsed.success) return { report: null, why: result.text, status: EXIT.ok };
    const status = parsed.data.trouble === null ? EXIT.ok : EXIT.failed;
    return { report: parsed.data, why: "", status };
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    const why = `open conflicts of the database are not known: ${error.message}`;
    return { report: null, why, status: EXIT.noDaemon };
  }
}

/** The dry run for people. */
export function reportLines(report: Report): readonly string[] {
  const { mode, since, summary, changes, outcome, trouble, blocked } = report;
  if (since === null) return [`return = "${mode}": nothing is to go back from this host`];
  const lines = [`return = "${mode}", since ${since}`];
  if (trouble !== null) lines.push(trouble);
  if (summary === null) return lines;
  lines.push(`${summary.total} ${summary.total === 1 ? "row" : "rows"} would go to the master`);
  for (const { table, inserted, updated, deleted } of summary.tables) {
    lines.push(`  ${table}: ${inserted} new, ${updated} changed, ${deleted} deleted`);
  }
  for (const note of summary.notes) lines.push(`note: ${note}`);
  lines.push(...changes.map(changeLine));
  if (changes.length < summary.total) {
    lines.push(`… and ${summary.total - changes.length} more rows`);
  }
  if (outcome !== null) lines.push(...conflictLines(report));
  else if (blocked !== null) lines.push(blocked);
  return lines;
}

/** The conflicts for people. */
export function conflictLines({ outcome, decisions, trouble }: Report): readonly string[] {
  if (outcome === null) return [trouble ?? "nothing is to go back from this host"];
  const lines: string[] = [];
  for (const each of outcome.conflicts) lines.push(...conflictText(each));
  const more = outcome.conflictCount - outcome.conflicts.length;
  if (more > 0) lines.push(`… and ${more} more conflicts`);
  if (outcome.conflictCount === 0) lines.push("no conflict is open");
  else lines.push("decide: relais return decide CONFLICT master|slave|both (or: all)");
  const decided = Object.entries(decisions);
  if (decided.length > 0) {
    lines.push(`decided: ${decided.map(([id, choice]) => `${id} ${choice}`).join(", ")}`);
  }
  return lines;
}

function conflictText({ id, table, key, why, before, slave, master }: Conflict): string[] {
  const names = [...new Set([before, slave, master].flatMap((row) => Object.keys(row ?? {})))];
  const differing = names.filter((name) =>
    new Set([before, slave, master].filter((row) => row !== null).map((row) => row[name])).size > 1
  );
  const shown = differing.length > 0 ? differing : names;
  const part = (row: RowValues | null): string =>
    row === null ? "(no row)" : shown.map((name) => pair(name, row[name] ?? null)).join(" ");
  return [
    `conflict ${id}: ${table} ${rowText(key)}: ${why}`,
    `  before: ${part(before)}`,
    `  slave:  ${part(slave)}`,
    `  master: ${part(master)}`,
  ];
}

function changeLine({ table, key, before, after }: RowChange): string {
  if (after === null) return `- ${table} ${rowText(key)}`;
  if (before === null) return `+ ${table} ${rowText(after)}`;
  const changed = Object.keys(after).filter((name) => after[name] !== before[name]);
  const parts = changed.map((name) =>
    `${name} ${short(before[name] ?? null)} → ${short(after[name] ?? null)}`
  );
  return `~ ${table} ${rowText(key)}: ${parts.join(", ")}`;
}

function rowText(row: RowValues): string {
  return Object.entries(row).map(([name, value]) => pair(name, value)).join(" ");
}

function pair(name: string, value: string | null): string {
  return `${name}=${short(value)}`;
}

/** In one line, without control characters: it goes to a terminal. */
function short(value: string | null): string {
  if (value === null) return "NULL";
  const text = JSON.stringify(value.slice(0, VALUE_CHARS));
  return value.length > VALUE_CHARS ? `${text}…` : text;
}
