/**
 * Of what, where and when figures were measured: the head of every file of results.
 *
 * @module
 */

import { runOk } from "../../src/os/process.ts";
import { REPOSITORY } from "./shown_paths.ts";

/** The commit, the time and the machine, with its load now: call it before anything is measured. */
export async function provenance(): Promise<Readonly<Record<string, unknown>>> {
  const git = async (...args: string[]): Promise<string> =>
    (await runOk(["git", "-C", REPOSITORY, ...args], { deadlineMs: 10_000 })).stdout.trim();
  const cpu = /^model name\s*: (.*)$/m.exec(await Deno.readTextFile("/proc/cpuinfo"))?.[1];
  return {
    commit: await git("rev-parse", "HEAD"),
    uncommitted_changes: await git("status", "--porcelain") !== "",
    measured_at: new Date().toISOString(),
    machine: {
      processor: cpu ?? "unknown",
      cores: navigator.hardwareConcurrency,
      memory_mb: Math.round(Deno.systemMemoryInfo().total / 1e6),
      kernel: Deno.osRelease(),
      load_at_start: Deno.loadavg().map((load) => Math.round(load * 100) / 100),
    },
  };
}
