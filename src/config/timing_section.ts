/**
 * `[heartbeat]`: preset and numbers put together, and the rules between the numbers. A contradiction is
 * refused, never adjusted: a silently changed timing is a promise that nobody made.
 *
 * @module
 */

import {
  DEFAULT_HEARTBEAT_PRESET,
  DEFAULT_HTTP_PORT,
  defaultBootGraceMs,
  derivedHttpIntervalMs,
  derivedWitnessIntervalMs,
  HEARTBEAT_PRESETS,
} from "./defaults.ts";
import { readTable } from "./fields.ts";
import { asText, type IssueList } from "./issues.ts";
import { HEARTBEAT_SHAPE } from "./schema.ts";
import type { HeartbeatConfig } from "./types.ts";

/** Reads `[heartbeat]`; what was wrong is in `issues` and the result is then not to be used. */
export function readHeartbeat(section: unknown, issues: IssueList): HeartbeatConfig {
  const typed = readTable(HEARTBEAT_SHAPE, section ?? {}, "heartbeat", issues);
  const preset = typed.preset ?? DEFAULT_HEARTBEAT_PRESET;
  const base = HEARTBEAT_PRESETS[preset];
  const intervalMs = typed.interval_ms ?? base.intervalMs;
  const isolatedAfterMs = typed.isolated_after_ms ?? base.isolatedAfterMs;
  const deadAfterMs = typed.dead_after_ms ?? base.deadAfterMs;
  const timing = { intervalMs, isolatedAfterMs, deadAfterMs };
  checkTiming(timing, issues, (key, value) => {
    const given = typed[key];
    return asText(given === undefined ? `${value}, from the preset ${preset}` : `${value}`);
  });
  return {
    preset,
    ...timing,
    unfitAfterMs: typed.unfit_after_ms ?? base.unfitAfterMs,
    bootGraceMs: typed.boot_grace_ms ?? defaultBootGraceMs(deadAfterMs),
    httpIntervalMs: derivedHttpIntervalMs(timing),
    witnessIntervalMs: derivedWitnessIntervalMs(timing),
    httpPort: typed.http_port ?? DEFAULT_HTTP_PORT,
  };
}

type TimingKey = "interval_ms" | "isolated_after_ms" | "dead_after_ms";

/** The rules between the three numbers (arithmetic: `defaults.ts`). */
function checkTiming(
  timing: Pick<HeartbeatConfig, "intervalMs" | "isolatedAfterMs" | "deadAfterMs">,
  issues: IssueList,
  show: (key: TimingKey, value: number) => unknown,
): void {
  const { intervalMs, isolatedAfterMs, deadAfterMs } = timing;
  if (isolatedAfterMs < 2 * intervalMs) {
    issues.add(
      "heartbeat.isolated_after_ms",
      `must be at least 2 * interval_ms = ${2 * intervalMs}, or one lost packet isolates a host`,
      show("isolated_after_ms", isolatedAfterMs),
    );
  } else if (isolatedAfterMs + intervalMs > deadAfterMs) {
    issues.add(
      "heartbeat.isolated_after_ms",
      `must be at most dead_after_ms - interval_ms = ${deadAfterMs - intervalMs}, so that a ` +
        "cut-off master has dropped the VIPs before the slave mounts them",
      show("isolated_after_ms", isolatedAfterMs),
    );
  }
  if (deadAfterMs < 3 * intervalMs) {
    issues.add(
      "heartbeat.dead_after_ms",
      `must be at least 3 * interval_ms = ${3 * intervalMs}, or two lost packets are a death`,
      show("dead_after_ms", deadAfterMs),
    );
  }
}
