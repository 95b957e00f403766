/**
 * Runs the database worker from source as the user of a test cluster.
 *
 * @module
 */

import { cp } from "node:fs/promises";
import { runOk } from "../../src/os/process.ts";
import type { DatabaseSeams } from "../../src/replication/database_context.ts";

/** Seams for {@linkcode PostgresDatabase}, and what they need. */
export interface SourceSeams extends AsyncDisposable {
  readonly seams: DatabaseSeams;
}

/**
 * The cache of npm packages belongs to whoever runs the tests (root) and is closed to the user of the
 * cluster: the worker gets a readable copy.
 */
export async function sourceSeams(): Promise<SourceSeams> {
  const info = await runOk([Deno.execPath(), "info", "--json"], { deadlineMs: 30_000 });
  const { denoDir } = JSON.parse(info.stdout) as { denoDir: string };
  const copy = await Deno.makeTempDir({ prefix: "relais-deno-" });
  await cp(`${denoDir}/npm`, `${copy}/npm`, { recursive: true });
  await runOk(["chmod", "-R", "a+rwX", copy], { deadlineMs: 30_000 });
  const main = new URL("./database_worker_main.ts", import.meta.url).pathname;
  return {
    seams: {
      self: (verb) => [Deno.execPath(), "run", "-A", "--quiet", main, ...verb],
      workerEnv: { DENO_DIR: copy },
    },
    [Symbol.asyncDispose]: () => Deno.remove(copy, { recursive: true }),
  };
}
