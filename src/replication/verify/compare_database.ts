/**
 * The live database of a standby against what its copy was proved against; pure.
 *
 * @module
 */

import { copyDifferences } from "../database_proof.ts";
import type { LiveFacts } from "../database_protocol.ts";
import { majorVersion } from "../database_tools.ts";
import type { DatabaseRecord } from "./database_record.ts";
import type { ProofFinding } from "./finding.ts";

/** Most tables that a sentence names. */
const MAX_NAMED = 5;

/**
 * What may rightly have changed the tables since the full copy: nothing, copies of the configuration
 * (delta, hot tables), or everything (a stream, or the services themselves).
 */
export type ChangedSince = "nothing" | "configuration" | "everything";

/** Compares; every sentence says what it is about. */
export function compareDatabase(
  record: DatabaseRecord,
  live: LiveFacts,
  since: ChangedSince,
): readonly ProofFinding[] {
  const { manifest } = record;
  const history = new Set(live.history);
  const mayDiffer = (table: string): boolean =>
    since === "everything" || (since === "configuration" && !history.has(table));
  const sums = manifest.sums ?? [];
  const wrong = sums.filter((sum, i) => {
    const found = live.sums[i] ?? null;
    return found === null || found.rows !== sum.rows || found.sum !== sum.sum;
  });
  const names = new Set([...Object.keys(manifest.rows), ...Object.keys(live.rows)]);
  const counted = [...names].filter((name) => manifest.rows[name] !== live.rows[name]);
  const changed = new Set([...wrong.map(({ table }) => table), ...counted]);
  const excused = new Set([...changed].filter(mayDiffer));
  const without = (rows: Readonly<Record<string, number>>): Record<string, number> =>
    Object.fromEntries(Object.entries(rows).filter(([name]) => !excused.has(name)));
  const sameMajor = majorVersion(live.serverVersionNum) === majorVersion(manifest.serverVersionNum);
  const largeObjects = since === "nothing" ? live.largeObjects : manifest.largeObjects;
  const structure = copyDifferences(
    { ...manifest, rows: without(manifest.rows) },
    { ...live, largeObjects, rows: without(live.rows) },
    { sameMajor },
  );
  const tables = [...new Set(wrong.map(({ table }) => table))].filter((name) => !excused.has(name));
  const differences = [
    ...structure,
    ...(tables.length === 0 ? [] : [`the rows of ${named(tables)} are not those of the copy`]),
  ];
  const findings: ProofFinding[] = differences.length > 0
    ? differences.map((text) => ({ set: "database", result: "different", text }))
    : [{
      set: "database",
      result: "equal",
      text: `${names.size - excused.size} tables have the rows of the copy, ` +
        `${
          sums.length - wrong.length
        } checksums of ${sums.length} are equal, the schema is the same`,
    }];
  if (excused.size > 0) {
    const why = since === "everything"
      ? "this database is written to by more than full copies"
      : "copies of the configuration came after the full copy";
    const text = `not compared, as ${why}: ${named([...excused])}`;
    findings.push({ set: "database", result: "skipped", text });
  }
  if (manifest.sums === undefined) {
    const text =
      "the copy came without checksums (from an earlier version): rows were only counted";
    findings.push({ set: "database", result: "skipped", text });
  }
  return findings;
}

function named(tables: readonly string[]): string {
  const more = tables.length > MAX_NAMED ? ` and ${tables.length - MAX_NAMED} more` : "";
  return tables.toSorted().slice(0, MAX_NAMED).join(", ") + more;
}
