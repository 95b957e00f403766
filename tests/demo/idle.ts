/**
 * What the active daemon costs while nothing happens.
 *
 * @module
 */

import type { RelaisHost } from "../support/relais_host.ts";

const IDLE_MS = 30_000;
/** `USER_HZ` of every Linux that this runs on: ticks per second in /proc/PID/stat. */
const TICKS_PER_S = 100;

/** Processor time and memory of the daemon over half a minute; nobody asks it anything meanwhile. */
export async function idleFigures(
  host: RelaisHost,
): Promise<{ idle_cpu_percent: number; idle_cpu_percent_self: number; idle_rss_mb: number }> {
  const pid = await host.daemon?.pid();
  if (pid === undefined) {
    throw new Error(`Cannot measure relais on ${host.name} as it does not run`);
  }
  const before = processorTicks(pid);
  const start = performance.now();
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  const seconds = (performance.now() - start) / 1000;
  const after = processorTicks(pid);
  const percent = (ticks: number): number =>
    Math.round(10_000 * ticks / TICKS_PER_S / seconds) / 100;
  return {
    // With the programs that it ran (ip, the status command): they are its cost, too.
    idle_cpu_percent: percent(after.all - before.all),
    idle_cpu_percent_self: percent(after.own - before.own),
    idle_rss_mb: residentMb(pid),
  };
}

/** proc_pid_stat(5): fields 14 to 17 are utime, stime, cutime and cstime. */
function processorTicks(pid: number): { readonly own: number; readonly all: number } {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [utime = 0, stime = 0, cutime = 0, cstime = 0] = fields.slice(11, 15).map(Number);
  return { own: utime + stime, all: utime + stime + cutime + cstime };
}

function residentMb(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  const kilobytes = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? NaN);
  return Math.round(kilobytes * 1024 / 1e5) / 10;
}
