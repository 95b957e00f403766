/**
 * Hundreds of copies of the database that are cut at a random byte or moment. CUTS says how many, FC_SEED
 * from which seed.
 *
 * @module
 */

import { CUT_KINDS } from "../../support/database_cuts.ts";
import type { CutResult } from "../../support/database_cuts.ts";
import { runCuts } from "../../support/database_cuts_run.ts";

const COUNT = Number(Deno.env.get("CUTS") ?? "300");
const SEED = Number(Deno.env.get("FC_SEED") ?? "20261125");

/** The figures of this section. */
export async function cuts(
  say: (text: string) => void = console.log,
): Promise<Record<string, unknown>> {
  say(`${COUNT} cuts, seed ${SEED}`);
  const results: CutResult[] = [];
  await runCuts({
    seed: SEED,
    count: COUNT,
    onCut: (result) => {
      results.push(result);
      const { number, kind, at, standby, why } = result;
      if (standby === "lost") say(`cut ${number} (${kind} at ${at}) LOST the database: ${why}`);
      if (number % 25 === 0) say(`${number} cuts`);
    },
  });
  const lost = results.filter(({ standby }) => standby === "lost");
  const kinds = Object.fromEntries(CUT_KINDS.map((kind) => {
    const of = results.filter((result) => result.kind === kind);
    const count = (standby: string): number => of.filter((one) => one.standby === standby).length;
    return [kind, { cuts: of.length, old: count("old"), new: count("new"), lost: count("lost") }];
  }));
  return {
    random_cuts: results.length,
    databases_lost: lost.length,
    cuts: {
      how:
        `seed ${SEED}; sender and receiver are processes, the set stream is a pipe between them; after ` +
        "each cut a hash of every row, sequence and large object of the standby's live database is that " +
        "of the old one or of the whole new one, also after the clean-up, and no other database is left",
      seed: SEED,
      kinds,
      lost,
    },
  };
}

if (import.meta.main) console.log(JSON.stringify(await cuts(), null, 2));
