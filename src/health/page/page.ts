/**
 * The read-only status page: one HTML document without script, image or any other resource. It asks for
 * itself again each {@linkcode REFRESH_S} seconds. `hono/html` escapes every value.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { html, raw } from "hono/html";
import type { StatusDocument } from "../types.ts";
import type { Language } from "./language.ts";
import { type PageWords, WORDS } from "./words.ts";

/** The page reloads itself that often. */
const REFRESH_S = 3;
const HISTORY_SHOWN = 20;

type Html = ReturnType<typeof html>;

const STYLE = `
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:64rem;padding:1rem;color:#1b2733;background:#f7f8f9}
h1{font-size:1.4rem;margin:0}h2{font-size:1rem;margin:1.6rem 0 .3rem}
header{display:flex;justify-content:space-between;align-items:baseline;gap:1rem}
.lamp{padding:.7rem 1rem;border-radius:.4rem;color:#fff;background:#5c6b7a;margin:.8rem 0;font-size:1.1rem}
.good{background:#1c7c43}.bad{background:#b3261e}
.alerts{border-left:.3rem solid #b3261e;padding-left:.8rem;margin:.8rem 0}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;background:#fff}
th,td{text-align:left;padding:.25rem .6rem;border:1px solid #d9dee3;vertical-align:top}
th{font-weight:600;background:#eef1f4;white-space:nowrap}
@media (prefers-color-scheme:dark){body{color:#dde3e8;background:#14191e}table{background:#1b2229}
th{background:#232c35}th,td{border-color:#33404c}a{color:#8ab8e6}}
`;

/** Headers of the page: nothing may be loaded, run, framed or sent anywhere. */
export const PAGE_HEADERS: Record<string, string> = {
  "Content-Type": "text/html; charset=utf-8",
  "Content-Security-Policy": [
    "default-src 'none'",
    `style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
  "Referrer-Policy": "no-referrer",
  "Vary": "Accept-Language",
};

// Made outside of the templates: a formatter's white space in it would change its hash.
const STYLE_ELEMENT = raw(`<style>${STYLE}</style>`);

/** The whole document. */
export function renderPage(status: StatusDocument, language: Language): string {
  const words = WORDS[language];
  const { node, alerts, vips, dataSets } = status;
  const other = language === "fr" ? "en" : "fr";
  const sections = [
    alerts.length === 0 ? "" : section(words.alerts, alertList(alerts)),
    section(words.node, nodeTable(status, words)),
    section(words.peer, peerTable(status, words)),
    section(words.services, servicesTable(status, words)),
    vips.length === 0 ? "" : section(words.vips, vipTable(status, words)),
    section(words.links, linkTable(status, words)),
    dataSets.length === 0 ? "" : section(words.data, dataTable(status, words)),
    status.fencing === null ? "" : section(words.fencing, fencingTable(status.fencing, words)),
    section(words.history, historyTable(status, words)),
  ];
  return html`
    <!DOCTYPE html>
    <html lang="${words.language}">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width,initial-scale=1">
        <meta http-equiv="refresh" content="${REFRESH_S}">
        <title>${node.clusterName} ${node.role}: ${node.state}</title>
        ${STYLE_ELEMENT}
      </head>
      <body>
        <header>
          <h1>${node.clusterName} · ${node.role} · relais</h1>
          <a href="?lang=${other}" hreflang="${other}">${words.other}</a>
        </header>
        ${lamp(status, words)} ${sections}
      </body>
    </html>
  `.toString().trim();
}

function lamp({ node, alerts, fit }: StatusDocument, words: PageWords): Html {
  const bad = node.state === "failed" || node.state === "isolated" || !fit;
  const good = (node.state === "active" || node.state === "standby") && alerts.length === 0;
  const sentence = node.state === "active"
    ? words.serves
    : node.state === "standby"
    ? words.standsBy
    : words.neither;
  return html`
    <p class="lamp ${bad ? "bad" : good ? "good" : ""}"><b>${node.state}</b>. ${sentence}</p>
  `;
}

function section(title: string, content: Html): Html {
  return html`
    <h2>${title}</h2><div class="wide">${content}</div>
  `;
}

function alertList(alerts: readonly string[]): Html {
  return html`
    <ul class="alerts">${alerts.map((text) =>
      html`
        <li>${text}</li>
      `
    )}</ul>
  `;
}

function pairs(rows: readonly (readonly [string, string])[]): Html {
  return html`
    <table>${rows.map(([name, value]) =>
      html`
        <tr>
          <th>${name}</th>
          <td>${value}</td>
        </tr>
      `
    )}</table>
  `;
}

function grid(head: readonly string[], rows: readonly (readonly string[])[]): Html {
  return html`
    <table><tr>${head.map((name) =>
      html`
        <th>${name}</th>
      `
    )}</tr>${rows.map((row) =>
      html`
        <tr>${row.map((cell) =>
          html`
            <td>${cell}</td>
          `
        )}</tr>
      `
    )}</table>
  `;
}

function nodeTable({ node, goal, ...status }: StatusDocument, words: PageWords): Html {
  const fit = status.fit ? words.yes : `${words.no}: ${status.unfitReasons.join("; ")}`;
  return pairs([
    [words.state, `${node.state} (${node.rule})`],
    [words.since, `${node.since} (${span(node.stateForMs, words)})`],
    [words.why, node.why],
    [words.epoch, String(node.epoch)],
    [words.fit, fit],
    [words.ready, yesNo(status.ready, words)],
    [words.maintenance, yesNo(status.maintenance, words)],
    [words.isolated, yesNo(status.isolated, words)],
    [words.goal, goal === null ? words.none : `${goal.name}: ${goal.step}`],
    [words.version, node.version],
  ]);
}

function peerTable({ peer }: StatusDocument, words: PageWords): Html {
  const addresses = peer.addresses.map(({ network, address }) => `${network} ${address}`);
  return pairs([
    [words.verdict, `${peer.verdict} (${addresses.join(", ")})`],
    [words.heard, ago(peer.silentForMs, words)],
    [words.state, peer.report?.state ?? words.unknown],
    [words.fit, peer.report === null ? words.unknown : yesNo(peer.report.fit, words)],
    [words.configuration, yesNo(peer.configMatches, words)],
  ]);
}

function servicesTable({ services, gate, shield }: StatusDocument, words: PageWords): Html {
  const gated = gate.units.length + gate.missing.length > 0;
  const missing = gate.installed ? "" : `, ${words.missing} ${gate.missing.join(", ")}`;
  return pairs([
    [words.services, services.names.join(", ") || words.none],
    [words.running, services.running],
    [words.healthy, yesNo(services.healthy, words)],
    ...(gated ? [[words.gate, (gate.open ? words.open : words.closed) + missing] as const] : []),
    ...(shield.up
      ? [[words.shield, `${words.up} ${shield.since}: ${shield.ports.join(" ")}`] as const]
      : []),
  ]);
}

function vipTable({ vips }: StatusDocument, words: PageWords): Html {
  return grid(
    ["VIP", words.network, words.held, words.holder],
    vips.map(({ vip, network, heldByMe, holder, holderMac }) => [
      vip,
      network,
      yesNo(heldByMe, words),
      holderMac === null ? holder : `${holder} (${holderMac})`,
    ]),
  );
}

function linkTable({ links }: StatusDocument, words: PageWords): Html {
  return grid(
    [words.network, words.carrier, "ICMP", "HTTP", words.witnesses],
    links.map(({ network, interface: device, carrier, icmp, http, witnesses }) => [
      `${network} (${device ?? words.unknown})`,
      yesNo(carrier, words),
      ago(icmp.lastReplyAgoMs, words),
      ago(http.lastReplyAgoMs, words),
      witnesses.map((w) => `${w.address} ${ago(w.lastReplyAgoMs, words)}`).join(", "),
    ]),
  );
}

function dataTable({ dataSets, verification }: StatusDocument, words: PageWords): Html {
  const table = grid(
    [
      ...[words.set, words.direction, words.age, words.snapshot, words.size, words.duration],
      ...[words.rate, words.digest, words.epoch, words.next, words.error],
    ],
    dataSets.map((d) => [
      d.set,
      d.direction,
      (d.ageMs === null ? words.never : span(d.ageMs, words)) +
      (d.tooOld ? ` (${words.tooOld})` : ""),
      d.snapshot ?? "",
      bytes(d.size),
      d.durationMs === null ? "" : `${(d.durationMs / 1000).toFixed(1)} s`,
      d.bytesPerSecond === null ? "" : `${bytes(d.bytesPerSecond)}/s`,
      d.sha256?.slice(0, 12) ?? "",
      d.epoch === null ? "" : String(d.epoch),
      d.running !== null
        ? `${d.running.phase} ${bytes(d.running.doneBytes)}` +
          (d.running.totalBytes === null ? "" : ` / ${bytes(d.running.totalBytes)}`)
        : d.nextRunInMs === null
        ? ""
        : span(d.nextRunInMs, words),
      d.lastError === null ? "" : `${d.lastErrorAt ?? ""} ${d.lastError}`,
    ]),
  );
  if (verification === null) return table;
  const { ageMs, result, text, overdue } = verification;
  const late = overdue ? ` (${words.overdue})` : "";
  return html`
    ${table}<p>${words.verified}: ${words[result]}, ${ago(
      ageMs,
      words,
    )}${late}. ${result === "equal" ? "" : text}</p>
  `;
}

function fencingTable(
  { mode, action, agent, checked, last }: NonNullable<StatusDocument["fencing"]>,
  words: PageWords,
): Html {
  const told = (outcome: typeof last): string =>
    outcome === null ? words.never : `${outcome.at}: ${outcome.text}`;
  return pairs([
    [words.fencingWay, `${agent}, ${action}, ${mode}`],
    [words.fencingDevice, told(checked)],
    [words.fencingLast, told(last)],
  ]);
}

function historyTable({ history }: StatusDocument, words: PageWords): Html {
  return grid(
    [words.at, words.state, words.why],
    history.slice(-HISTORY_SHOWN).reverse().map(({ at, rule, from, to, why }) => [
      at,
      `${from} → ${to}`,
      `${why} (${rule})`,
    ]),
  );
}

function yesNo(value: boolean | null, words: PageWords): string {
  return value === null ? words.unknown : value ? words.yes : words.no;
}

function ago(ms: number | null, words: PageWords): string {
  return ms === null ? words.never : words.ago(span(ms, words));
}

function span(ms: number, { units: [s, min, h, d] }: PageWords): string {
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} ${s}`;
  if (seconds < 120) return `${Math.round(seconds)} ${s}`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} ${min}`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} ${h}`;
  return `${Math.round(seconds / 86_400)} ${d}`;
}

function bytes(size: number | null): string {
  if (size === null) return "";
  if (size < 10_000) return `${size} B`;
  if (size < 10_000_000) return `${(size / 1000).toFixed(0)} kB`;
  return `${(size / 1_000_000).toFixed(1)} MB`;
}
