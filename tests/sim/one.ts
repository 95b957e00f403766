/**
 * Plays seeds from the command line, in this process: `deno run -A tests/sim/one.ts SEED [COUNT]`. Prints
 * the story of the first that breaks something.
 *
 * @module
 */

import { play } from "./scenario.ts";

const from = Number(Deno.args[0] ?? 1);
const count = Number(Deno.args[1] ?? 1);
const started = performance.now();
let hours = 0;
let events = 0;
for (let seed = from; seed < from + count; seed++) {
  const outcome = play(seed);
  hours += outcome.simulatedMs / 3_600_000;
  events += outcome.events;
  if (count === 1 || outcome.violations.length > 0) {
    console.log(outcome.lines.slice(-Number(Deno.args[2] ?? 60)).join("\n"));
    console.log(`seed ${seed}: ${JSON.stringify(outcome.options)}`);
    console.log(outcome.violations.join("\n"));
    if (outcome.violations.length > 0) break;
  }
}
const seconds = (performance.now() - started) / 1000;
console.log(
  `${hours.toFixed(0)} simulated hours in ${seconds.toFixed(1)} s, ${
    (hours / seconds * 60).toFixed(0)
  } per minute, ${events} events`,
);
