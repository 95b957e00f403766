/**
 * What a program of `hooks.on_alert` gets: its environment and its standard input, as sentences for people or
 * as a JSON document (docs/configuration.md). Pure.
 *
 * @module
 */

import { ALERT_HOOK_KEY } from "../config/hooks_section.ts";
import type { AlertHookConfig, LocalConfig } from "../config/types.ts";
import type { StateName } from "../core/types.ts";
import type { AlertBatch, AlertNews } from "./alert_ledger.ts";
import { commonEnvironment, environmentText } from "./hooks.ts";

/** Who tells it, and when. */
export interface AlertOccasion {
  readonly config: Pick<LocalConfig, "role" | "cluster">;
  readonly state: StateName;
  readonly epoch: number;
  /** Wall clock ms. */
  readonly atMs: number;
}

/** All that the program finds in its environment. */
export function alertEnvironment(
  { news, over }: AlertBatch,
  { config, state, epoch }: AlertOccasion,
  path: string | undefined,
): Record<string, string> {
  const [first] = [...news.values(), ...over.values()];
  return {
    ...commonEnvironment({ path, key: ALERT_HOOK_KEY, config }),
    RELAIS_STATE: state,
    RELAIS_EPOCH: String(epoch),
    RELAIS_ALERT: environmentText(first?.text ?? ""),
    RELAIS_ALERTS_NEW: String(news.size),
    RELAIS_ALERTS_OVER: String(over.size),
  };
}

/** What it reads: the text, or a JSON document that has the text, too (as chat programs want it). */
export function alertInput(
  batch: AlertBatch,
  occasion: AlertOccasion,
  input: AlertHookConfig["input"],
): string {
  const text = alertText(batch, occasion);
  if (input === "text") return text;
  const { config, state, epoch, atMs } = occasion;
  const list = (some: AlertBatch["news"]): unknown[] =>
    [...some.values()].map((one) => ({ text: one.text, since: iso(one.sinceMs), over: one.over }));
  return `${
    JSON.stringify({
      cluster: config.cluster.name,
      role: config.role,
      state,
      epoch,
      at: iso(atMs),
      new: list(batch.news),
      over: list(batch.over),
      left_out: batch.leftOut,
      text,
    })
  }\n`;
}

/** Its first word has no colon behind it: a mail program would take the line for a header. */
function alertText({ news, over, leftOut }: AlertBatch, occasion: AlertOccasion): string {
  const { config, state, epoch, atMs } = occasion;
  const part = (title: string, some: AlertBatch["news"], line: (one: AlertNews) => string) =>
    some.size === 0 ? [] : ["", title, ...[...some.values()].map((one) => `- ${line(one)}`)];
  return [
    `relais of ${config.cluster.name}, the ${config.role} is ${state} (epoch ${epoch}), ${
      iso(atMs)
    }`,
    ...part("New:", news, ({ text, sinceMs }) => `${text} (${iso(sinceMs)})`),
    ...part("Over:", over, ({ text }) => text),
    ...(leftOut === 0
      ? []
      : ["", `${leftOut} older ones were left out: see the history (relais status).`]),
    "",
  ].map((line) => line.replaceAll(/\p{Cc}/gu, " ")).join("\n");
}

/** States between which a node may go without a word: it does not serve, and it need not. */
const QUIET: ReadonlySet<StateName> = new Set([
  "starting",
  "rejoining",
  "standby",
  "maintenance",
]);

/** A change of state that an operator should hear of, as a sentence; null: none. */
export function moveText({ rule, why, detail, from, to }: {
  readonly rule: string;
  readonly why: string;
  readonly detail: string;
  readonly from: StateName;
  readonly to: StateName;
}): string | null {
  if (from === to || (QUIET.has(from) && QUIET.has(to))) return null;
  return `${from} → ${to} (${rule}): ${detail === "" ? why : `${why} (${detail})`}`;
}

function iso(wallMs: number): string {
  return new Date(wallMs).toISOString();
}
