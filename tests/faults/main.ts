/**
 * Random faults for real: `make faults SEED=N MINUTES=20`. Two hosts in network namespaces with the compiled
 * program, an observer outside; each fault beside its bound. Exit status 1 when a bound was broken.
 *
 *   main.ts [--seed N] [--minutes M] [--kinds a,b,…] [--preset fast|balanced] [--list]
 *
 * @module
 */

import { parseArgs } from "node:util";
import { runOk } from "../../src/os/process.ts";
import { messageOf } from "../../src/os/errors.ts";
import { REAL_KINDS, type RealKind } from "./kinds.ts";
import { playFault } from "./play.ts";
import { type Results, tableHead, tableRow, worstOfKinds } from "./report.ts";
import { describeFault, drawSchedule, type Schedule } from "./schedule.ts";
import { Stalls } from "./stalls.ts";
import type { FaultResult } from "./verdict.ts";
import { World } from "./world.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
/** With the test bed itself running it is later than that again. */
const TOO_LATE_MS = 60;
const LOOK_MS = 4_000;
const RESULTS = `${ROOT}dist/results`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    args: [...Deno.args],
    options: {
      seed: { type: "string" },
      minutes: { type: "string" },
      kinds: { type: "string" },
      preset: { type: "string" },
      list: { type: "boolean" },
    },
  });
  const seed = Number(values.seed || crypto.getRandomValues(new Uint16Array(1))[0]);
  const minutes = Number(values.minutes || 20);
  if (!Number.isInteger(seed) || !(minutes > 0)) {
    console.error("Cannot run as --seed is an integer and --minutes a number above 0");
    return 2;
  }
  const kinds = (values.kinds || undefined)?.split(",") as RealKind[] | undefined;
  const unknown = kinds?.filter((kind) => !REAL_KINDS.includes(kind)) ?? [];
  if (unknown.length > 0) {
    console.error(`Cannot do ${unknown.join(", ")}: the kinds are ${REAL_KINDS.join(", ")}`);
    return 2;
  }
  const preset = (values.preset || undefined) as Schedule["preset"] | undefined;
  if (preset !== undefined && preset !== "fast" && preset !== "balanced") {
    console.error(`Cannot use the preset ${preset}: fast or balanced`);
    return 2;
  }
  const schedule = drawSchedule({
    seed,
    minutes,
    ...(kinds === undefined ? {} : { kinds }),
    ...(preset === undefined ? {} : { preset }),
  });
  if (values.list === true) {
    for (const fault of schedule.faults) console.log(describeFault(fault));
    return 0;
  }
  // What can't run for isolated_after_ms (250 at fast) lets go: nothing would be measured but the machine.
  const lateMs = await machineLateMs();
  const slow = preset === undefined && schedule.preset === "fast" && lateMs >= TOO_LATE_MS;
  const played: Schedule = slow ? { ...schedule, preset: "balanced" } : schedule;
  const why = slow ? " instead of fast, as it is busy" : "";
  console.log(`faults: seed ${seed}, ${minutes} minutes; this machine is ${lateMs} ms late`);
  console.log(`preset ${played.preset}${why}`);
  return await play(played, minutes);
}

/** How late this machine wakes a process, before anything of ours runs. */
async function machineLateMs(): Promise<number> {
  const from = Date.now();
  const stalls = await Stalls.start();
  await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  await stalls.close();
  return stalls.longest({ from, to: Date.now() });
}

async function play(schedule: Schedule, minutes: number): Promise<number> {
  const results: FaultResult[] = [];
  const violations: string[] = [];
  const end = performance.now() + minutes * 60_000;
  const world = await World.create({ preset: schedule.preset });
  try {
    console.log(tableHead());
    for (const fault of schedule.faults) {
      if (performance.now() >= end) break;
      const result = await playFault(world, fault);
      results.push(result);
      console.log(tableRow(result));
      if (result.violations.length > 0) {
        violations.push(
          ...result.violations.map((text) => `#${fault.number} ${fault.kind}: ${text}`),
        );
        console.log(`     planned: ${describeFault(fault)}`);
        await keepLogs(world, schedule.seed, fault.number);
      }
      // Nothing that follows could be believed.
      if (result.rest_ms === null) break;
    }
  } catch (error) {
    violations.push(`the test bed broke: ${messageOf(error)}`);
    console.error(error);
  } finally {
    await world.close();
  }
  const { stdout } = await runOk(["git", "-C", ROOT, "rev-parse", "HEAD"], { deadlineMs: 10_000 });
  await write({
    commit: stdout.trim(),
    seed: schedule.seed,
    minutes,
    preset: schedule.preset,
    faults: results,
    violations,
  });
  console.log(`\n${worstOfKinds(results)}\n`);
  for (const text of violations) console.log(`VIOLATION ${text.slice(0, 4_000)}`);
  const again = `make faults SEED=${schedule.seed} MINUTES=${minutes}`;
  const left = REAL_KINDS.filter((kind) => !results.some((each) => each.kind === kind));
  if (left.length > 0) console.log(`not in this run: ${left.join(", ")}`);
  const excused = results.filter((each) => each.none_excused !== null).length;
  console.log(
    `"nobody" not judged in ${excused} of them, as a daemon could not run (see the rows)`,
  );
  console.log(`${results.length} faults, ${violations.length} violations (${again})`);
  return violations.length === 0 && results.length > 0 ? 0 : 1;
}

async function write(results: Results): Promise<void> {
  await Deno.mkdir(RESULTS, { recursive: true });
  await Deno.writeTextFile(`${RESULTS}/faults.json`, `${JSON.stringify(results, null, 2)}\n`);
}

async function keepLogs(world: World, seed: number, number: number): Promise<void> {
  await Deno.mkdir(RESULTS, { recursive: true });
  for (const host of world.cluster.both) {
    const path = `${RESULTS}/faults-${seed}-${number}-${world.nameOf(host)}.log`;
    await Deno.writeTextFile(path, host.log(2_000));
  }
}

if (import.meta.main) Deno.exit(await main());
