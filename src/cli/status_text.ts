/**
 * The status document for a person at a terminal; pure.
 *
 * @module
 */

import type { StatusDocument } from "../health/types.ts";
import { formatAge } from "../runtime/data_sets.ts";
import { formatRight } from "./arbiter_text.ts";
import { dataSetText } from "./data_set_text.ts";
import { fencingSummary } from "./fencing_text.ts";

interface Style {
  good(text: string): string;
  bad(text: string): string;
  dim(text: string): string;
}

/** Some lines of text, the most important first. */
export function formatStatus(
  document: StatusDocument,
  { colour }: { readonly colour: boolean },
): string {
  const paint = (code: number) => (text: string): string =>
    colour ? `\x1b[${code}m${text}\x1b[0m` : text;
  const style: Style = { good: paint(32), bad: paint(31), dim: paint(2) };
  return [
    ...formatNode(document, style),
    ...formatPeer(document, style),
    ...document.vips.map((vip) => {
      const mac = vip.holderMac === null ? "" : ` (${vip.holderMac})`;
      return row(`VIP ${vip.network}`, `${vip.vip} held by ${vip.holder}${mac}`);
    }),
    ...formatServices(document, style),
    ...formatDataSets(document, style),
    ...formatStream(document, style),
    ...formatFencing(document, style),
    ...(document.arbiter === null
      ? []
      : [row("right to serve", formatRightWith(document.arbiter, style))]),
    style.dim(row("configuration", formatConfig(document))),
    ...document.alerts.map((text) => row("alert", style.bad(text))),
    ...document.history.slice(-5).map(({ at, rule, why }) =>
      style.dim(row(at.slice(11, 19), `${rule}: ${why}`))
    ),
  ].join("\n");
}

function formatNode(
  { node, goal, fit, unfitReasons, isolated }: StatusDocument,
  style: Style,
): string[] {
  const state = node.state === "active" || node.state === "standby"
    ? style.good(node.state)
    : style.bad(node.state);
  const working = goal === null
    ? ""
    : `, ${goal.name}: ${goal.step} for ${formatAge(goal.sinceMs)}`;
  return [
    row(node.clusterName, `${node.role}, ${state} for ${formatAge(node.stateForMs)}${working}`),
    row("because", `${node.rule}: ${node.why}`),
    ...(fit ? [] : [row("unfit", style.bad(unfitReasons.join("; ")))]),
    ...(isolated ? [row("isolated", style.bad("hears neither the peer nor any witness"))] : []),
  ];
}

function formatPeer({ peer, links }: StatusDocument, style: Style): string[] {
  const verdict = peer.verdict === "alive" ? style.good("alive") : style.bad(peer.verdict);
  const report = peer.report === null
    ? "its relais has not answered"
    : `${peer.report.role}, ${peer.report.state}${peer.report.fit ? "" : ", unfit"}`;
  const mismatch = peer.configMatches === false ? style.bad(", other configuration") : "";
  return [
    row("peer", `${verdict}, ${report}${mismatch}`),
    ...links.map((link) => {
      const carrier = link.carrier ? "" : style.bad("no carrier, ");
      const ms = (value: number | null): string => value === null ? "-" : `${value.toFixed(1)} ms`;
      const device = link.interface ?? "no interface";
      return row(
        `link ${link.network}`,
        `${device}: ${carrier}ping ${ms(link.icmp.rttMs)}, http ${ms(link.http.rttMs)}`,
      );
    }),
  ];
}

function formatServices(
  { services, gate, shield }: StatusDocument,
  style: Style,
): string[] {
  const health = services.healthy === null
    ? ""
    : services.healthy
    ? `, ${style.good("telephony answers")}`
    : `, ${style.bad("telephony does not answer")}`;
  const names = services.names.length === 0 ? "none configured" : services.names.join(" ");
  return [
    row("services", `${services.running} running${health} (${names})`),
    ...formatGate(gate, style),
    ...(shield.up
      ? [row("shield", style.bad(`up: ${shield.ports.join(" ")} dropped since ${shield.since}`))]
      : []),
  ];
}

/** No line where there is no gate. */
function formatGate(gate: StatusDocument["gate"], style: Style): string[] {
  if (gate.units.length + gate.missing.length === 0) return [];
  const missing = gate.installed ? "" : style.bad(`, missing on ${gate.missing.join(" ")}`);
  return [row("gate", `${gate.open ? "open" : "closed"}${missing}`)];
}

function formatDataSets({ dataSets, node, verification }: StatusDocument, style: Style): string[] {
  const rows = dataSets
    .filter(({ direction }) => (direction === "sent") === (node.state === "active"))
    .map((entry) => row(`${entry.set} ${entry.direction}`, dataSetText(entry, style)));
  if (verification === null) return rows;
  const { ageMs, result, text, overdue } = verification;
  const proved = `${result}, ${formatAge(ageMs ?? 0)} ago`;
  const late = overdue ? style.bad(", overdue: run relais verify") : "";
  const shown = result === "equal" ? style.good(proved) : style.bad(`${proved}: ${text}`);
  return [...rows, row("copies verified", `${shown}${late}`)];
}

/** On the master what it measures; on the slave what the master says. */
function formatStream({ stream, peer, node }: StatusDocument, style: Style): string[] {
  if (stream === null) return [];
  const seen = node.state === "active" ? stream : peer.report?.stream ?? null;
  if (seen === null) return [];
  const lag = seen.lagMs === null
    ? ""
    : `, ${seen.lagMs} ms and ${seen.lagBytes ?? 0} bytes behind`;
  const text = `${seen.state}${lag}`;
  const why = seen === stream && stream.why !== "" ? `: ${stream.why}` : "";
  const waits = stream.synchronous ? ", commits wait for the slave" : "";
  return [row("stream", (seen.state === "streaming" ? text : style.bad(text)) + why + waits)];
}

/** No line where nobody is fenced. */
function formatFencing({ fencing }: StatusDocument, style: Style): string[] {
  if (fencing === null) return [];
  const { text, good } = fencingSummary(fencing);
  return [row("fencing", good === false ? style.bad(text) : text)];
}

function formatRightWith(arbiter: NonNullable<StatusDocument["arbiter"]>, style: Style): string {
  const text = formatRight(arbiter);
  return arbiter.reaches && !arbiter.byConsent ? text : style.bad(text);
}

function formatConfig({ node }: StatusDocument): string {
  const loaded = `${node.configLoadedAt.slice(0, 19).replace("T", " ")} UTC`;
  return `${node.configFingerprint.slice(0, 12)}, read ${loaded}`;
}

function row(label: string, text: string): string {
  return `${label.padEnd(18)} ${text}`;
}
