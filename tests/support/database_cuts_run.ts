/**
 * Starts `database_cuts_main.ts` and hands on what it prints.
 *
 * @module
 */

import type { CutResult } from "./database_cuts.ts";
import { readLines } from "../../src/replication/json_lines.ts";

/**
 * Runs `count` random cuts from `seed`; with root rights also on a full disk.
 *
 * @throws {Error} when they could not be run to their end
 */
export async function runCuts(
  options: {
    readonly seed: number;
    readonly count: number;
    readonly onCut: (result: CutResult) => void;
  },
): Promise<void> {
  const disk = await Deno.makeTempDir({ prefix: "relais-cuts-" });
  try {
    const main = new URL("./database_cuts_main.ts", import.meta.url).pathname;
    const { seed, count } = options;
    const argv = [
      ...[Deno.execPath(), "run", "-A", "--quiet", main, String(seed), String(count)],
      ...Deno.uid() === 0 ? [disk] : [],
    ];
    const [tool, ...args] = Deno.uid() === 0
      ? ["unshare", "--mount", "--propagation", "private", ...argv]
      : argv;
    const child = new Deno.Command(tool!, {
      args,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const errors = new Response(child.stderr).text();
    for await (const line of readLines(child.stdout, 100_000)) options.onCut(JSON.parse(line));
    if (!(await child.status).success) throw new Error(`the cuts ended: ${await errors}`);
  } finally {
    await Deno.remove(disk, { recursive: true });
  }
}
