/**
 * Judges a move that is not made: each step of the real list, and what it would cost; pure but for what the
 * plans of the steps look at.
 *
 * @module
 */

import { goalSteps, type StepSpec } from "../core/goals.ts";
import type { Finding } from "../doctor/finding.ts";
import { messageOf } from "../os/errors.ts";
import { formatAge } from "../runtime/data_sets.ts";
import { type DrillContext, type DrillFinding, failure, stepPlan } from "./drill_steps.ts";

/** One step, judged. */
export interface DrillStep {
  readonly name: string;
  /** `problem`: the move would fail here; `warning`: it would go on without; `nothing`: no work here. */
  readonly verdict: "ok" | "warning" | "problem" | "nothing";
  readonly does: string;
  readonly findings: readonly DrillFinding[];
}

/** The whole judgement. */
export interface Drill {
  readonly goal: "take" | "hand-over";
  readonly works: boolean;
  readonly steps: readonly DrillStep[];
  /** One sentence for each set: what would be lost if it happened now; empty: nothing. */
  readonly loss: readonly string[];
}

/** Judges `take` where the node stands by, `hand-over` where it serves. */
export async function judgeMove(
  context: DrillContext,
  doctor: readonly Finding[],
): Promise<Drill> {
  const goal = context.status.node.state === "active" ? "hand-over" : "take";
  const steps: DrillStep[] = [conditions(context, goal)];
  const fence = goal === "take" ? context.config.fencing?.mode ?? null : null;
  for (const step of goalSteps(goal, { fetch: true, urgent: false, fence })) {
    steps.push(await judgeStep(step, context, doctor));
  }
  const works = steps.every(({ verdict }) => verdict !== "problem");
  return { goal, works, steps, loss: lossNow(context, goal) };
}

/** What must hold before the first step: otherwise the move would not even begin. */
function conditions({ status }: DrillContext, goal: Drill["goal"]): DrillStep {
  const { node, peer, unfitReasons } = status;
  const findings: DrillFinding[] = unfitReasons.map((why) => failure(`unfit: ${why}`, "mend that"));
  if (goal === "take" && node.state !== "standby") {
    findings.push(failure(`this node is ${node.state}, not standby`, "relais status says why"));
  }
  if (peer.configMatches === false) {
    findings.push(failure("the two configurations differ", "make relais.toml equal on both hosts"));
  }
  if (goal === "hand-over" && peer.report?.ready !== true) {
    const state = peer.report?.state ?? "silent";
    findings.push(failure(`the peer is not ready (${state})`, "run relais status on the peer"));
  }
  if (goal === "take" && peer.versionMatches === false) {
    const found = "the peer runs another version of relais";
    findings.push({ severity: "warning", found, mend: "install the same package on both hosts" });
  }
  const does = goal === "take"
    ? "decide to take over when the peer is dead on every network"
    : "agree with the peer to give it the service";
  return { name: "conditions", verdict: verdictOf(findings, "fail"), does, findings };
}

async function judgeStep(
  { name, onFailure, why }: StepSpec,
  context: DrillContext,
  doctor: readonly Finding[],
): Promise<DrillStep> {
  const { does, checks, look } = stepPlan(name, context);
  if (does === null) {
    return { name, verdict: "nothing", does: "nothing to do here", findings: [] };
  }
  const told = doctor.filter(({ id, severity }) =>
    checks.includes(id) && (severity === "warning" || severity === "failure")
  ).map(({ severity, found, mend }): DrillFinding => ({
    severity: severity === "failure" ? "failure" : "warning",
    found,
    mend,
  }));
  let looked: readonly DrillFinding[];
  try {
    looked = await look?.() ?? [];
  } catch (cause) {
    looked = [failure(`could not be checked: ${messageOf(cause)}`, null)];
  }
  const findings = [...told, ...looked];
  return { name, verdict: verdictOf(findings, onFailure), does: `${does} (${why})`, findings };
}

function verdictOf(
  findings: readonly DrillFinding[],
  onFailure: StepSpec["onFailure"],
): DrillStep["verdict"] {
  const isBad = findings.some(({ severity }) => severity === "failure");
  if (isBad) return onFailure === "fail" ? "problem" : "warning";
  return findings.some(({ severity }) => severity === "warning") ? "warning" : "ok";
}

/** What the other host would lack. The master's own database and files are never replaced. */
function lossNow({ config, status }: DrillContext, goal: Drill["goal"]): readonly string[] {
  const direction = goal === "take" ? "received" : "sent";
  const sentences = status.dataSets.filter((entry) => entry.direction === direction)
    .filter(({ set }) =>
      // The astdb goes along with an orderly move; only it ever comes to the master.
      goal === "take" ? config.role === "slave" || set === "astdb" : set !== "astdb"
    )
    .filter(() => goal === "take" || config.role === "master")
    .map(({ set, ageMs }) =>
      ageMs === null
        ? `${set}: everything, as no copy was ever made`
        : `${set}: at most what changed in the last ${formatAge(ageMs)}`
    );
  if (goal === "take" || config.role === "master") return sentences;
  if (config.replication.database === null) return [];
  // Not every version knows the key.
  const mode = (config.replication.database as { readonly return?: unknown }).return ?? "none";
  return mode === "none"
    ? ["database: all that was written here since the takeover (the master has its own)"]
    : [`database: what does not come back by return = "${mode}"`];
}

const SIGNS: Readonly<Record<DrillStep["verdict"], string>> = {
  ok: "ok",
  warning: "warning",
  problem: "PROBLEM",
  nothing: "-",
};

/** For a person at a terminal; pure. */
export function formatDrill({ goal, works, steps, loss }: Drill): string {
  const lines = steps.flatMap(({ name, verdict, does, findings }) => [
    `${SIGNS[verdict].padEnd(8)} ${name}: ${does}`,
    ...findings.filter(({ severity }) => severity !== "ok").flatMap(({ found, mend }) => [
      `         ${found}`,
      ...(mend === null ? [] : [`         → ${mend}`]),
    ]),
  ]);
  const what = goal === "take" ? "a takeover" : "a hand-over";
  return [
    ...lines,
    "",
    loss.length === 0
      ? `${what} now would lose nothing`
      : `${what} now would lose:\n${loss.map((text) => `  ${text}`).join("\n")}`,
    works
      ? `${what} would work; nothing was changed`
      : `${what} would NOT work; nothing was changed`,
  ].join("\n");
}
