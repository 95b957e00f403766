/**
 * `make demo-figures`: measures what the issue promises, with the outside client of the demo, and writes
 * `dist/results/demo.json`. Data sets: astdb and files, no database (it plays no part in a takeover's
 * time). The numbers hold for the machine they were measured on; all hosts share its processors.
 *
 * @module
 */

import { runOk } from "../../src/os/process.ts";
import { Cluster } from "../support/cluster.ts";
import type { Observer, Summary } from "../support/observer.ts";
import type { RelaisHost } from "../support/relais_host.ts";
import { provenance } from "../support/provenance.ts";
import { median } from "../support/series.ts";
import { REPOSITORY } from "../support/shown_paths.ts";
import { idleFigures } from "./idle.ts";
import { pbxLines } from "../support/relais_config.ts";
import { bold, dim, red, table } from "./terminal.ts";

const ROUNDS = Number(Deno.env.get("ROUNDS") ?? "5");
const DEADLINE_MS = 60_000;
const RESULT_FILE = `${REPOSITORY}/dist/results/demo.json`;

/** `dead_after_ms = 300` with room for the rules of `[heartbeat]`. */
const HEARTBEAT_300 = ["interval_ms = 30", "isolated_after_ms = 150", "dead_after_ms = 300"];

interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly n: number;
}

async function main(): Promise<void> {
  const about = await provenance();
  const fast = await measureMoves(['preset = "fast"'], { planned: true });
  const cut300 = await measureMoves(HEARTBEAT_300, { planned: false });
  const { restartLost, idle } = await measureBalanced();
  const figures = {
    ...about,
    ...await method(),
    switchover_outage_ms: spread(fast.planned),
    cut_fast_outage_ms: spread(fast.cuts),
    cut_300_outage_ms: spread(cut300.cuts),
    restart_lost: { max: Math.max(...restartLost), n: restartLost.length },
    ...idle,
    /** Requests that two hosts' ARP answers overlapped in, over all cuts and moves: must be 0. */
    two_holders_seen: fast.twoHolders + cut300.twoHolders,
  };
  await Deno.mkdir(`${REPOSITORY}/dist/results`, { recursive: true });
  await Deno.writeTextFile(RESULT_FILE, JSON.stringify(figures, null, 2) + "\n");
  show(figures);
}

interface Moves {
  readonly planned: number[];
  readonly cuts: number[];
  twoHolders: number;
}

/** Outages of cable cuts and (if asked for) planned moves, one cluster for all rounds. */
async function measureMoves(
  heartbeat: readonly string[],
  options: { readonly planned: boolean },
): Promise<Moves> {
  say(`cluster with ${heartbeat.join(", ")}`);
  await using cluster = await Cluster.create({
    config: { heartbeat, failback: ['mode = "manual"'] },
  });
  await using client = await cluster.observe();
  await using watcher = await cluster.watch();
  await cluster.start();
  const moves: Moves = { planned: [], cuts: [], twoHolders: 0 };
  for (let round = 1; round <= ROUNDS; round++) {
    moves.cuts.push(await cutOnce(cluster, client));
    const back = await moveOnce(cluster, client, "failback");
    if (options.planned) {
      moves.planned.push(await moveOnce(cluster, client, "switchover"));
      moves.planned.push(await moveOnce(cluster, client, "failback"));
    }
    say(`round ${round}: cut ${moves.cuts.at(-1)} ms, back ${back} ms`);
  }
  for (const { targets } of await watcher.report()) {
    moves.twoHolders += targets.arp?.answeredByTwo ?? 0;
  }
  return moves;
}

/** Pulls the master's cables; afterwards the master is back at rest, the slave serves. */
async function cutOnce(cluster: Cluster, client: Observer): Promise<number> {
  const { lab, master, slave } = cluster;
  await cluster.untilNormal(DEADLINE_MS);
  await client.untilUp("vip", { deadlineMs: DEADLINE_MS, holder: lab.mac("master") });
  await client.mark("cut");
  await master.host.cable("pull");
  await client.untilUp("vip", { deadlineMs: DEADLINE_MS, holder: lab.mac("slave") });
  await slave.untilState("active", DEADLINE_MS);
  const outage = outageOf(await client.summary("cut", "vip"));
  await master.host.cable("plug");
  await untilReady(master);
  return outage;
}

/** Moves the service by an operator's word. */
async function moveOnce(
  cluster: Cluster,
  client: Observer,
  verb: "switchover" | "failback",
): Promise<number> {
  const { lab, master, slave } = cluster;
  const [from, to] = verb === "switchover" ? [master, slave] : [slave, master];
  await from.waitFor(({ peer }) => peer.report?.ready === true, {
    deadlineMs: DEADLINE_MS,
    what: "a peer that is ready, and known to be",
  });
  await client.mark(verb);
  const result = await from.relais([verb]);
  if (result.code !== 0) throw new Error(`relais ${verb}: ${result.stdout}${result.stderr}`);
  const mac = lab.mac(verb === "switchover" ? "slave" : "master");
  await client.untilUp("vip", { deadlineMs: DEADLINE_MS, holder: mac });
  await to.untilState("active", DEADLINE_MS);
  await untilReady(from);
  return outageOf(await client.summary(verb, "vip"));
}

async function untilReady(host: RelaisHost): Promise<void> {
  await host.waitFor(({ node, ready }) => node.state === "standby" && ready, {
    deadlineMs: DEADLINE_MS,
    what: "standby and ready",
  });
}

/** All the time that the VIP was silent in a phase, ms. */
function outageOf(summary: Summary): number {
  return Math.round(summary.outages.reduce((sum, { outageMs }) => sum + outageMs, 0));
}

/** No copy may fall into the measurement of a daemon at rest. */
const MEASURED_MS = 50_000;
/** The daemon's code is compiled as it is used: not what months of rest cost. */
const SETTLE_MS = 10_000;

/** With the default preset: restarts of the active daemon under pings, then what it costs at rest. */
async function measureBalanced(): Promise<{ restartLost: number[]; idle: object }> {
  say('cluster with preset = "balanced"');
  const services = pbxLines().map((line) =>
    line.replace("interval_ms = 500", "interval_ms = 1000")
  );
  await using cluster = await Cluster.create({ config: { services } });
  const restartLost: number[] = [];
  await cluster.start();
  {
    await using client = await cluster.observe();
    const mac = cluster.lab.mac("master");
    await client.untilUp("vip", { deadlineMs: DEADLINE_MS, holder: mac });
    for (let round = 1; round <= ROUNDS; round++) {
      await client.mark("restart");
      const before = (await cluster.master.status())?.node.instanceId;
      await cluster.master.stop("restart");
      cluster.master.start();
      await cluster.master.waitFor(
        ({ node }) => node.instanceId !== before && node.state === "active",
        { deadlineMs: DEADLINE_MS, what: "the new daemon, active" },
      );
      // Longer than the kernel keeps an address that nobody renews.
      await new Promise((resolve) => setTimeout(resolve, 4_000));
      restartLost.push((await client.summary("restart", "vip")).lost);
      say(`restart ${round}: ${restartLost.at(-1)} pings lost`);
    }
  }
  say("at rest: once the copies that follow a start are done");
  await cluster.master.waitFor(
    ({ dataSets }) => {
      const sent = dataSets.filter(({ direction }) => direction === "sent");
      return sent.every((set) => set.running === null && (set.nextRunInMs ?? 0) > MEASURED_MS);
    },
    { deadlineMs: DEADLINE_MS, what: "no copy due" },
  );
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  return { restartLost, idle: await idleFigures(cluster.master) };
}

function spread(values: readonly number[]): Spread {
  return {
    median: median(values) ?? NaN,
    min: Math.min(...values),
    max: Math.max(...values),
    n: values.length,
  };
}

/** With what the numbers were measured, and how. */
async function method(): Promise<Record<string, unknown>> {
  const relais = await runOk([`${REPOSITORY}/dist/relais`, "version"], { deadlineMs: 10_000 });
  return {
    versions: { relais: relais.stdout.trim(), deno: Deno.version.deno },
    method: "one ping each 5 ms from a third network namespace; outage: from the last answered " +
      "request before to the first answered after",
  };
}

function show(figures: Record<string, unknown>): void {
  const rows = Object.entries(figures)
    .filter(([, value]) => typeof value === "number" || isSpread(value))
    .map(([name, value]) => [name, isSpread(value) ? spreadText(value) : String(value)]);
  console.log();
  table([["figure", "value"], ...rows]);
  console.log(dim(`\n     ${RESULT_FILE}`));
}

function isSpread(value: unknown): value is Partial<Spread> {
  return typeof value === "object" && value !== null && "n" in value;
}

function spreadText({ median, min, max, n }: Partial<Spread>): string {
  return median === undefined
    ? `max ${max} (n = ${n})`
    : `median ${median}, ${min} to ${max} (n = ${n})`;
}

function say(text: string): void {
  console.log(dim(`   ${text}`));
}

if (import.meta.main) {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => Deno.exit(130)); // the namespaces end with the process
  }
  console.log(bold("relais: figures of the demo"));
  try {
    await main();
  } catch (error) {
    console.error(red(`\nMeasuring failed: ${error instanceof Error ? error.message : error}`));
    Deno.exit(1);
  }
  Deno.exit(0);
}
