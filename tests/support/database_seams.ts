/**
 * Runs the database worker from source as the user of a test cluster.
 *
 * @module
 */

import { cp } from "node:fs/promises";
import { runOk } from "../../src/os/process.ts";
import type { DatabaseSeams } from "../../src/replication/database_context.ts";

/**
 * The cache of npm packages belongs to whoever runs the tests (root) and is closed to the user of the
 * cluster: the worker gets a readable copy, in `directory`, which the caller removes.
 */
export async function sourceSeams(directory: string): Promise<DatabaseSeams> {
  const info = await runOk([Deno.execPath(), "info", "--json"], { deadlineMs: 30_000 });
  const { denoDir } = JSON.parse(info.stdout) as { denoDir: string };
  await cp(`${denoDir}/npm`, `${directory}/npm`, { recursive: true });
  await runOk(["chmod", "-R", "a+rwX", directory], { deadlineMs: 30_000 });
  const main = new URL("./database_worker_main.ts", import.meta.url).pathname;
  return {
    self: (verb) => [Deno.execPath(), "run", "-A", "--quiet", main, ...verb],
    workerEnv: { DENO_DIR: directory },
  };
}
