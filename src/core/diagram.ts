/**
 * The decision table as a page for people: docs/state-diagram.md is what this prints, and a test holds it
 * to that.
 *
 * @module
 */

import type { Context, PlannedAction, Rule } from "./rule.ts";
import { assess } from "./situation.ts";
import { initialState, type NodeState } from "./state.ts";
import { type CoreConfig, type Observation, type Role, STATE_NAMES } from "./types.ts";

/** Writes the page; named by the page itself and by the test that finds it old. */
export const PRINT_COMMAND = "deno run -A tests/support/print_diagram.ts";

/** Rows from at least this many states stand below the diagram, not in it: they would hide it. */
const FROM_NEARLY_EVERYWHERE = 6;

/** The page, in Markdown with Mermaid diagrams. */
export function printStateDiagram(rules: readonly Rule[]): string {
  const lines = [
    "# States and rules",
    "",
    `Printed from the decision table in \`src/core/\`; do not edit: \`${PRINT_COMMAND}\``,
    "",
    "Rules are read from the top, the first that matches wins, and its id and reason stand in the log,",
    "in `relais status` and in the history. `S-` rules are the slave's, `M-` the master's, `N-` either",
    "node's, `X-` end the daemon. How it was meant: [design/decision.md](design/decision.md).",
    "",
    "## The slave",
    "",
    ...diagram(rules, "slave"),
    "",
    "## The master",
    "",
    ...diagram(rules, "master"),
    "",
    "## The table",
    "",
    "| rule | node | from → to | when | why | actions, in this order |",
    "| --- | --- | --- | --- | --- | --- |",
    ...rules.map(row),
    "",
  ];
  return lines.join("\n");
}

function diagram(rules: readonly Rule[], role: Role): string[] {
  const own = rules.filter((rule) =>
    (rule.role === "both" || rule.role === role) && rule.to !== "stay"
  );
  const drawn = own.filter((rule) => rule.from.length < FROM_NEARLY_EVERYWHERE);
  const edges = new Map<string, string[]>();
  for (const rule of drawn) {
    for (const from of rule.from) {
      const edge = `${mermaidId(from)} --> ${isEnd(rule) ? "[*]" : mermaidId(rule.to)}`;
      edges.set(edge, [...(edges.get(edge) ?? []), rule.id]);
    }
  }
  const everywhere = own.filter((rule) => !drawn.includes(rule)).map((rule) =>
    `\`${rule.id}\` leads from ${rule.from.join(", ")} ${
      isEnd(rule) ? "to the end of the daemon" : `to ${rule.to}`
    }.`
  );
  return [
    "```mermaid",
    "stateDiagram-v2",
    ...STATE_NAMES.filter((name) => name.includes("-"))
      .map((name) => `    state "${name}" as ${mermaidId(name)}`),
    "    [*] --> starting",
    ...[...edges].map(([edge, ids]) => `    ${edge}: ${ids.join(", ")}`),
    "```",
    "",
    `Not drawn: ${everywhere.join(" ")}`,
  ];
}

function row(rule: Rule): string {
  const to = rule.to === "stay"
    ? `stays, at most each ${(rule.everyMs ?? 0) / 1000} s`
    : isEnd(rule)
    ? "the end"
    : rule.to;
  const node = rule.role === "both" ? "either" : rule.role;
  const cells = [rule.id, node, `${rule.from.join(", ")} → ${to}`, rule.when, rule.why];
  return `| ${[...cells, actionsInWords(rule)].map(escapeCell).join(" | ")} |`;
}

/** What the row does. What depends on the case is asked of the row itself, with one case of each kind. */
function actionsInWords(rule: Rule): string {
  const variants = new Set<string>();
  for (const name of rule.from) {
    for (const outcome of ["done", "failed"] as const) {
      const alone = rule.actions(example(name, outcome, { peerHeard: false }));
      const heard = rule.actions(example(name, outcome, { peerHeard: true }));
      const words = heard.map((action, i) => inWords(action, alone[i] ?? action));
      variants.add(words.length === 0 ? "none" : words.join(", "));
    }
  }
  return [...variants].join("; or ");
}

function inWords(action: PlannedAction, withoutPeer: PlannedAction): string {
  switch (action.type) {
    case "drop-vips":
      return "drop the VIPs";
    case "cancel-goal":
      return "cancel the goal in progress";
    case "announce":
      return "announce the VIPs";
    case "tell-peer":
      return `tell the peer "${action.kind}"`;
    case "alert":
      return "alert";
    case "discard-evidence":
      return "discard the evidence";
    case "persist":
      return "persist";
    case "exit":
      return "end";
    case "start-goal": {
      const always = withoutPeer.type === "start-goal" && withoutPeer.fetch;
      const asking = !action.fetch ? [] : [
        always ? "asks the peer for a newer astdb" : "asks a peer that answers for a newer astdb",
      ];
      const options = [...asking, ...(action.urgent ? ["urgent"] : [])];
      return `start ${action.goal}${options.length === 0 ? "" : ` (${options.join("; ")})`}`;
    }
  }
}

/** A case that every row can be asked about: the peer heard or not, a VIP that others answer for. */
function example(
  name: NodeState["name"],
  outcome: "done" | "failed",
  { peerHeard }: { readonly peerHeard: boolean },
): Context {
  const now = 1000;
  const heardAt = peerHeard ? now : null;
  const config: CoreConfig = {
    role: "slave",
    intervalMs: 200,
    isolatedAfterMs: 1500,
    deadAfterMs: 3000,
    unfitAfterMs: 10_000,
    bootGraceMs: 12_000,
    failback: { mode: "auto", stableMs: 30_000, idleDeadlineMs: null },
  };
  const seen: Observation = {
    links: [{
      network: "voip",
      carrier: true,
      hasVip: true,
      lastIcmpAt: heardAt,
      lastHttpAt: heardAt,
      hasWitness: true,
      lastWitnessAt: now,
    }],
    peer: !peerHeard ? null : {
      receivedAt: now,
      role: "master",
      state: "standby",
      serving: false,
      epoch: 1,
      fit: true,
      unfitReasons: [],
      ready: true,
      hears: "alive",
      instanceId: "",
      version: "",
      fingerprint: "",
    },
    vips: [],
    services: { running: "none", healthy: null },
    adoptable: false,
    hostUptimeMs: now,
    idle: null,
    failbackWindowOpen: true,
    peerMismatch: null,
    hasKey: true,
    localFaults: [],
    events: [],
  };
  const state: NodeState = {
    ...initialState(0, { epoch: 1, failbackHeld: false }),
    name,
    goal: { id: 1, name: "join", startedAt: 0, outcome, failedStep: "", error: "" },
  };
  return { state, seen, s: assess(state, seen, now, config), now, config };
}

/** The row ends the daemon. */
function isEnd(rule: Rule): boolean {
  return rule.id.startsWith("X-") && rule.to === "starting";
}

function mermaidId(name: string): string {
  return name.replaceAll("-", "_");
}

function escapeCell(text: string): string {
  return text.replaceAll("|", "\\|");
}
