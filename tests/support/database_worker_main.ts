/**
 * Entry of the database worker when it is run from source by a test: what `relais database-worker` and
 * `relais database-tables` do.
 *
 * @module
 */

import { databaseWorkerMain } from "../../src/replication/database_worker.ts";
import { tablesMain } from "../../src/replication/tables_worker.ts";

const main = Deno.args[0] === "database-tables" ? tablesMain : databaseWorkerMain;
Deno.exit(await main(Deno.args.slice(1)));
