/**
 * Random faults in the laboratory: `make lab-faults SEED=N MINUTES=20`. Real Debian hosts with systemd,
 * PostgreSQL and Asterisk; everything is judged by what the phone and a watcher see. Writes
 * `dist/results/lab_faults.json`; exit status 1 when a bound was broken.
 *
 * @module
 */

import { localConfig, parseConfig } from "../../src/config/load.ts";
import type { LocalConfig } from "../../src/config/types.ts";
import { messageOf } from "../../src/os/errors.ts";
import { runOk } from "../../src/os/process.ts";
import { poll } from "../support/poll.ts";
import { REPOSITORY } from "../support/shown_paths.ts";
import { livenessMs } from "../sim/bounds.ts";
import { inject } from "./faults_inject.ts";
import { describeLabFault, drawLabFaults, type PlannedLabFault } from "./faults_schedule.ts";
import { judgeLabFault, type LabFaultResult } from "./faults_verdict.ts";
import type { LabHost } from "./lab_host.ts";
import { Laboratory } from "./laboratory.ts";
import { Outside } from "./outside.ts";
import { labToml, provisioned, untilNormal } from "./provision.ts";
import { statusOf } from "./relais_status.ts";
import { assertServesAlone } from "./served_by.ts";
import { SipPhone } from "./sip_phone.ts";

const RESULT_FILE = `${REPOSITORY}/dist/results/lab_faults.json`;
/** A fault, its rest and the gap take longer than this. */
const SHORTEST_MS = 5_000;
/** `failback.stable_s` of the laboratory is 2 s; after that it is on its way. */
const HANDS_BACK_WITHIN_MS = 5_000;
/** Of a test beside other work; what a fault may take is bounded by its rest anyway. */
const CALL_DEADLINE_MS = 120_000;

/** What a run found. */
export interface LabFaultsResult {
  readonly commit: string;
  readonly seed: number;
  readonly minutes: number;
  readonly violations: readonly string[];
  readonly faults: readonly LabFaultResult[];
}

interface Scene {
  readonly laboratory: Laboratory;
  readonly outside: Outside;
  readonly config: LocalConfig;
}

/** Plays the faults of a seed for so long; prints each, writes the results. */
export async function playLabFaults(
  { seed, minutes }: { readonly seed: number; readonly minutes: number },
): Promise<LabFaultsResult> {
  console.log(`laboratory, random faults: seed ${seed}, ${minutes} minutes`);
  await using laboratory = await Laboratory.open({ from: provisioned() });
  await using outside = await Outside.start(laboratory);
  const config = localConfig(parseConfig(labToml()), "slave");
  const scene: Scene = { laboratory, outside, config };
  await untilNormal(laboratory);
  await using called = await SipPhone.create(laboratory, "1001");
  await using caller = await SipPhone.create(laboratory, "1002");
  await called.register(); // once, for the whole run
  await called.answer();
  const faults: LabFaultResult[] = [];
  const violations: string[] = [];
  const end = performance.now() + minutes * 60_000;
  for (const fault of drawLabFaults(seed, Math.ceil(minutes * 60_000 / SHORTEST_MS))) {
    if (performance.now() >= end) break;
    console.log(describeLabFault(fault));
    const result = await playFault(scene, fault);
    faults.push(result);
    violations.push(...result.violations.map((text) => `#${fault.number} ${fault.kind}: ${text}`));
    console.log(line(result));
    // Nothing that follows could be believed.
    if (result.rest_ms === null) break;
  }
  if (faults.at(-1)?.rest_ms !== null) {
    const why = await caller.untilCallable("1001", CALL_DEADLINE_MS).then(() => null, messageOf);
    if (why !== null) violations.push(`the phone that registered once is not callable: ${why}`);
  }
  if (violations.length > 0) await keepJournals(laboratory);
  const result = { commit: await commit(), seed, minutes, violations, faults };
  await Deno.mkdir(`${REPOSITORY}/dist/results`, { recursive: true });
  await Deno.writeTextFile(RESULT_FILE, JSON.stringify(result, null, 2) + "\n");
  return result;
}

async function playFault(scene: Scene, fault: PlannedLabFault): Promise<LabFaultResult> {
  const { laboratory, outside, config } = scene;
  const notes: string[] = [];
  const broken: string[] = [];
  await sleep(fault.gapMs);
  const serving = await whoServes(scene);
  const victim = fault.victim === "serving" ? serving : other(laboratory, serving);
  const [during, after] = [`fault ${fault.number}`, `after ${fault.number}`];
  await outside.mark(during);
  const since = new Date().toISOString();
  const undo = await inject(fault.kind, victim);
  try {
    const move = fault.move === null ? Promise.resolve() : typed(serving, fault.move, notes);
    await Promise.all([sleep(fault.lastsMs), move]);
    await outside.mark(after);
  } finally {
    await undo();
  }
  const start = performance.now();
  let restMs: number | null = null;
  try {
    await untilRest(scene, livenessMs(config));
    restMs = performance.now() - start;
    const server = await whoServes(scene);
    await assertServesAlone(server, other(laboratory, server), laboratory);
  } catch (error) {
    broken.push(messageOf(error).slice(0, 1000));
  }
  return judgeLabFault({
    fault,
    host: victim.name as "master" | "slave",
    during: await outside.seen(during),
    after: await outside.seen(after),
    restMs,
    // A frozen host is late because of the fault, not because of this machine.
    daemonLateMs: await daemonLateMs(
      laboratory.hosts.filter((host) => fault.kind !== "frozen" || host !== victim),
      since,
    ),
    notes,
    broken,
  }, config);
}

/** The host whose network card answers for the VIP. */
async function whoServes({ laboratory, outside }: Scene): Promise<LabHost> {
  const name = await poll(
    () => outside.phone.isUp("vip") && laboratory.hostOf(outside.phone.holder("vip")),
    { deadlineMs: CALL_DEADLINE_MS, what: "a host that answers for the VIP" },
  );
  return laboratory[name];
}

function other({ master, slave }: Laboratory, host: LabHost): LabHost {
  return host === master ? slave : master;
}

/** An operator; a refusal is an answer. */
async function typed(
  host: LabHost,
  { verb, afterMs }: NonNullable<PlannedLabFault["move"]>,
  notes: string[],
): Promise<void> {
  await sleep(afterMs);
  const { code, stdout, stderr } = await host.try(["relais", verb], {
    deadlineMs: CALL_DEADLINE_MS,
  });
  notes.push(`${verb}: ${code === 0 ? "done" : (stdout + stderr).trim().slice(0, 200)}`);
}

/** One serves, the other one stands by and is ready, both by their own word and as the phone sees it. */
async function untilRest({ laboratory, outside }: Scene, deadlineMs: number): Promise<void> {
  let seen = "";
  let settledAt: number | null = null;
  const settled = async (): Promise<boolean> => {
    const statuses = await Promise.all(laboratory.hosts.map((host) => statusOf(host)));
    seen = statuses.map(({ status, said }) => status === null ? said : status.node.state).join();
    const [active] = statuses.filter(({ status }) => status?.node.state === "active");
    const [standby] = statuses.filter(({ status }) =>
      status?.node.state === "standby" && status.ready && status.peer.verdict === "alive"
    );
    const isSettled = active?.status?.goal === null && standby?.status?.goal === null;
    const isKnown = active?.status?.peer.report?.ready === true;
    const isAnswered = (["vip", "data", "sip"] as const).every((each) => outside.phone.isUp(each));
    if (!isSettled || !isKnown || !isAnswered) settledAt = null;
    else settledAt ??= performance.now();
    // A slave that serves beside a ready master is about to hand back, unless an operator must say so.
    const isStaying = active?.status?.node.role === "master" ||
      performance.now() - (settledAt ?? Infinity) > HANDS_BACK_WITHIN_MS;
    return settledAt !== null && isStaying;
  };
  await poll(settled, {
    deadlineMs,
    everyMs: 300,
    what: "one that serves and one that stands by",
    instead: () =>
      `${seen}; vip ${outside.phone.isUp("vip")}, data ${outside.phone.isUp("data")}, ` +
      `sip ${outside.phone.isUp("sip")}`,
  });
}

/** What the daemons say of their own loops since then. */
async function daemonLateMs(hosts: readonly LabHost[], since: string): Promise<number> {
  let most = 0;
  for (const host of hosts) {
    const from = since.replace("T", " ").replace(/\.\d+Z$/, "") + " UTC";
    const text = await host.journal(["-t", "relais", "--since", from, "-o", "json"]).catch(() =>
      ""
    );
    for (const row of text.split("\n")) {
      if (!row.includes("stood still")) continue;
      const ms = /"RELAIS_MS":"(\d+)"/.exec(row)?.[1] ?? /stood still for (\d+) ms/.exec(row)?.[1];
      most = Math.max(most, Number(ms ?? 0));
    }
  }
  return most;
}

async function keepJournals({ hosts }: Laboratory): Promise<void> {
  const folder = `${REPOSITORY}/dist/results/lab`;
  await Deno.mkdir(folder, { recursive: true });
  for (const host of hosts) {
    const text = await host.journal(["-n", "5000", "-o", "short-precise"]).catch(String);
    await Deno.writeTextFile(`${folder}/random-faults-${host.name}.log`, text);
  }
}

function line(result: LabFaultResult): string {
  const { double_ms, bound_double_ms, none_ms, bound_none_ms, sip_ms, rest_ms } = result;
  const bound = (ms: number | null): string => ms === null ? "" : ` (bound ${ms})`;
  const told = [...result.notes, ...result.violations.map((text) => `VIOLATED: ${text}`)];
  return `   ${result.host}: two ${double_ms} ms${bound(bound_double_ms)}, none ${none_ms} ms` +
    `${bound(bound_none_ms)}, SIP ${sip_ms} ms, rest after ${rest_ms} ms, ` +
    `machine late ${result.machine_late_ms} ms${told.map((text) => `\n   ${text}`).join("")}`;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function commit(): Promise<string> {
  const git = ["git", "-C", REPOSITORY, "rev-parse", "HEAD"];
  return (await runOk(git, { deadlineMs: 20_000 })).stdout.trim();
}

if (import.meta.main) {
  const seed = Number(Deno.env.get("SEED") || crypto.getRandomValues(new Uint16Array(1))[0]);
  const minutes = Number(Deno.env.get("MINUTES") || 20);
  if (!Number.isInteger(seed) || !(minutes > 0)) {
    console.error("Cannot run as SEED is an integer and MINUTES a number above 0");
    Deno.exit(2);
  }
  const { violations, faults } = await playLabFaults({ seed, minutes });
  console.log(`${faults.length} faults, ${violations.length} violations, seed ${seed}`);
  for (const text of violations) console.log(`   ${text}`);
  Deno.exit(violations.length === 0 ? 0 : 1);
}
