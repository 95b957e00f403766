/**
 * Runs the database worker from source as the user of a test cluster.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { runOk } from "../../src/os/process.ts";
import { lookupUser } from "../../src/os/user.ts";
import type { DatabaseSeams } from "../../src/replication/database_context.ts";
import { clusterOsUser } from "./postgres.ts";
import { REPOSITORY } from "./shown_paths.ts";
import { fromTestCache, intoTestCache } from "./test_cache.ts";

const DEADLINE = { deadlineMs: 60_000 } as const;

/**
 * The cache of npm packages belongs to whoever runs the tests (root) and is closed to the user of the
 * cluster: the worker has a readable copy, in which it also keeps what it compiled.
 */
export async function sourceSeams(): Promise<DatabaseSeams> {
  const osUser = await clusterOsUser();
  const lock = await Deno.readFile(`${REPOSITORY}/deno.lock`);
  const digest = createHash("sha256").update(lock).digest("hex").slice(0, 12);
  const name = `deno-${Deno.version.deno}-${osUser}-${digest}`;
  const cache = await fromTestCache(name) ?? await intoTestCache(name, async (part) => {
    const info = await runOk([Deno.execPath(), "info", "--json"], DEADLINE);
    const { denoDir } = JSON.parse(info.stdout) as { denoDir: string };
    await Deno.mkdir(part);
    await runOk(["cp", "-R", "--", `${denoDir}/npm`, `${part}/npm`], DEADLINE);
    const user = await lookupUser(osUser);
    if ("uid" in user) await runOk(["chown", "-R", `${user.uid}:${user.gid}`, part], DEADLINE);
  });
  const main = new URL("./database_worker_main.ts", import.meta.url).pathname;
  return {
    self: (verb) => [Deno.execPath(), "run", "-A", "--quiet", main, ...verb],
    workerEnv: { DENO_DIR: cache },
  };
}
