/**
 * Plays seeds in a process of its own and prints one line of JSON for each, and one for the coverage.
 * `deno run -A tests/sim/worker.ts SEED…` or `FROM-TO`; with `--first` it ends at the first violation.
 *
 * @module
 */

import process from "node:process";
import { COVERAGE } from "./checkers.ts";
import { play } from "./scenario.ts";

const first = Deno.args.includes("--first");
play: for (const text of Deno.args.filter((argument) => !argument.startsWith("--"))) {
  const [from = 0, to = from] = text.split("-").map(Number);
  for (let seed = from; seed <= to; seed++) {
    const outcome = play(seed);
    const failed = outcome.violations.length > 0;
    console.log(JSON.stringify({
      ...outcome,
      worst: [...outcome.worst],
      lines: failed ? outcome.lines.slice(-40) : [],
    }));
    if (failed && first) break play;
  }
}
const { user, system } = process.cpuUsage();
console.log(JSON.stringify({ coverage: [...COVERAGE], cpuSeconds: (user + system) / 1e6 }));
