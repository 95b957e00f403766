/**
 * The database worker with an error that nobody awaits, soon after its start: what a bug in it, or in the
 * client that it uses, would do.
 *
 * Arguments: `rejection` or `exception`, then those of the worker.
 *
 * @module
 */

import { databaseWorkerMain } from "../../src/replication/database_worker.ts";

const [fault, _verb, ...args] = Deno.args;
setTimeout(() => {
  if (fault === "rejection") Promise.reject(new Error("nobody awaits this"));
  else throw new Error("nobody awaits this");
}, 100);
Deno.exit(await databaseWorkerMain(args));
