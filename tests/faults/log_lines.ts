/**
 * What the lines of the daemon's log (logfmt) say of its goals; docs/design/steps.md has the goals.
 *
 * @module
 */

/** The state in which a node works on a goal. */
const STATE_OF_GOAL: Readonly<Record<string, string>> = {
  "take": "taking-over",
  "hand-over": "handing-back",
  "join": "rejoining",
};

/** The line is the decision with which the goal begins. */
export function opensGoal(goal: string, line: string): boolean {
  const to = STATE_OF_GOAL[goal];
  return to !== undefined && line.includes(" event=decision ") && line.includes(` to=${to} `);
}

/** The step whose end the line tells; null when it tells something else. */
export function stepOf(line: string): { readonly goal: string; readonly step: string } | null {
  const [, goal, step] = /\bmsg="(take|hand-over|join|repair), ([a-z-]+): (?:done|failed)"/
    .exec(line) ?? [];
  return goal === undefined || step === undefined ? null : { goal, step };
}

/**
 * The longest time for which the loop stood still, or its renewals of the VIPs did, by the lines of a log;
 * milliseconds, 0: never.
 */
export function longestStall(text: string): number {
  const found = text.matchAll(/(?: event=stall ms=|\(the loop stood still for )(\d+)/g);
  return Math.max(0, ...[...found].map(([, ms]) => Number(ms)));
}
