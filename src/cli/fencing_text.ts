/**
 * Fencing for a person at a terminal; pure.
 *
 * @module
 */

import type { StatusDocument } from "../health/types.ts";
import { formatAge } from "../runtime/data_sets.ts";

type Fencing = NonNullable<StatusDocument["fencing"]>;

/** All that is known of it, the most important first. */
export function fencingLines(fencing: Fencing): string[] {
  const { mode, action, target, agent, deadlineMs, busy, last, checked, counters } = fencing;
  const line = (label: string, text: string): string => `${label.padEnd(18)} ${text}`;
  const when = (outcome: Fencing["last"]): string =>
    outcome === null
      ? "never"
      : `${outcome.at.slice(0, 19).replace("T", " ")} UTC: ${outcome.text}`;
  return [
    line(
      "fencing",
      `${mode}: ${action} of the ${target} by ${agent}, within ${formatAge(deadlineMs)}`,
    ),
    line("device", checked === null ? "not looked at yet" : when(checked)),
    line("last use", when(last)),
    ...(busy === null ? [] : [line("now", `the agent is busy: ${busy}`)]),
    ...(fencing.confirmedForMs === null ? [] : [
      line("confirmed", `off by an operator's word, for ${formatAge(fencing.confirmedForMs)} more`),
    ]),
    line(
      "since the start",
      `${counters.fenced} times fenced, ${counters.failed} failed; ` +
        `${counters.checksFailed} looks at the device failed`,
    ),
  ];
}

/** One line for the status: what would be done, and whether it would work. */
export function fencingSummary({ mode, action, target, agent, checked }: Fencing): {
  readonly text: string;
  readonly good: boolean | null;
} {
  const works = checked === null
    ? "not looked at yet"
    : checked.ok
    ? "its device answers"
    : "its device does not work";
  return {
    text: `${mode}, ${action} of the ${target} by ${agent}: ${works}`,
    good: checked?.ok ?? null,
  };
}
