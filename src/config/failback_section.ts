/**
 * `[failback]`: when the stand-in gives service back to the master.
 *
 * @module
 */

import { FAILBACK_DEFAULTS } from "./defaults.ts";
import { readTable } from "./fields.ts";
import type { IssueList } from "./issues.ts";
import { FAILBACK_SHAPE, WHEN_IDLE_SHAPE } from "./schema.ts";
import type { FailbackConfig } from "./types.ts";

/** Reads `[failback]`; what was wrong is in `issues` and the result is then not to be used. */
export function readFailback(section: unknown, issues: IssueList): FailbackConfig {
  const typed = readTable(FAILBACK_SHAPE, section ?? {}, "failback", issues);
  const mode = typed.mode ?? FAILBACK_DEFAULTS.mode;
  return {
    mode,
    window: readWindow(mode, typed.window, issues),
    stableMs: 1000 * (typed.stable_s ?? FAILBACK_DEFAULTS.stableS),
    whenIdle: typed.when_idle === undefined ? null : readWhenIdle(typed.when_idle, issues),
  };
}

function readWindow(
  mode: FailbackConfig["mode"],
  text: string | undefined,
  issues: IssueList,
): FailbackConfig["window"] {
  if (mode !== "window") {
    if (text !== undefined) {
      issues.add("failback.window", 'must not be given unless mode is "window"', text);
    }
    return null;
  }
  const window = text === undefined ? null : parseWindow(text);
  if (window === null) {
    const rule = 'must be two different times of day such as "22:00-06:00" with mode "window"';
    issues.add("failback.window", rule, text);
  }
  return window;
}

/** Minutes since midnight of `HH:MM-HH:MM`; null when it is not that or both are equal. */
function parseWindow(text: string): NonNullable<FailbackConfig["window"]> | null {
  const match = /^([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])$/.exec(text);
  if (match === null) return null;
  const [, fromHour, fromRest, toHour, toRest] = match.map(Number);
  const fromMinute = 60 * (fromHour ?? 0) + (fromRest ?? 0);
  const toMinute = 60 * (toHour ?? 0) + (toRest ?? 0);
  return fromMinute === toMinute ? null : { fromMinute, toMinute };
}

function readWhenIdle(section: unknown, issues: IssueList): FailbackConfig["whenIdle"] {
  const typed = readTable(WHEN_IDLE_SHAPE, section, "failback.when_idle", issues);
  return {
    command: typed.command ?? [],
    deadlineMs: 1000 * (typed.deadline_s ?? FAILBACK_DEFAULTS.idleDeadlineS),
  };
}
