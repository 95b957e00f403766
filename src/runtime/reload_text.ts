/**
 * The result of a reload in words. Pure.
 *
 * @module
 */

import type { ReloadResult } from "../health/control_app.ts";

/** What an operator reads: a first line, and indented ones for the particulars. */
export function reloadText(result: Omit<ReloadResult, "ok" | "text">): string {
  const { outcome, changes, problems, notes } = result;
  const lines = (texts: readonly string[]): string => texts.map((text) => `\n  ${text}`).join("");
  switch (outcome) {
    case "applied":
      return `Applied ${count(changes.length, "change")}:${lines(changes)}${lines(notes)}`;
    case "unchanged":
      return "Nothing to apply: the configuration means what it meant";
    case "bad-config":
      return `The configuration is refused, ${count(problems.length, "problem")}; ` +
        `the one before stays in force:${lines(problems)}`;
    case "no-config":
    case "misconfigured":
    case "refused":
      return `Nothing was changed, the configuration before stays in force:${lines(problems)}`;
    case "busy":
      return `Nothing was changed: ${problems.join("; ")}`;
  }
}

/** The alert that stays until a reload goes well. */
export function refusalSentence(result: ReloadResult, loadedAtMs: number): string {
  const [first = ""] = result.problems;
  const more = result.problems.length > 1 ? ` and ${result.problems.length - 1} more` : "";
  const since = new Date(loadedAtMs).toISOString();
  return `The last reload was refused (${first}${more}): the configuration of ${since} is in force; ` +
    "correct the file, see relais check-config, then run: relais reload";
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}
