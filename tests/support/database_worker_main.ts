/**
 * Entry of the database worker when it is run from source by a test: what `relais database-worker` does.
 *
 * @module
 */

import { databaseWorkerMain } from "../../src/replication/database_worker.ts";

Deno.exit(await databaseWorkerMain(Deno.args.slice(1)));
