/**
 * Is the SIGTERM that we got the first half of a `systemctl restart`? systemd sends the same signal for a
 * stop; only its job list tells. A restart must not move the VIPs.
 *
 * @module
 */

import { run } from "../os/process.ts";

const UNIT = "relais.service";
const DEADLINE_MS = 1000;

/** Whether the job in `systemctl list-jobs` output is a restart of our unit. Pure. */
export function isRestartJob(output: string): boolean {
  return output.split("\n").some((line) => {
    const [, unit, type] = line.trim().split(/\s+/);
    return unit === UNIT && (type === "restart" || type === "try-restart");
  });
}

/** Asks systemd, if it runs us; otherwise, or when it cannot be asked, a stop is a stop. */
export async function isRestartRequested(): Promise<boolean> {
  if (Deno.env.get("INVOCATION_ID") === undefined) return false;
  try {
    const argv = ["systemctl", "list-jobs", "--no-legend", "--plain", UNIT];
    const { code, stdout } = await run(argv, { deadlineMs: DEADLINE_MS });
    return code === 0 && isRestartJob(stdout);
  } catch {
    return false;
  }
}
