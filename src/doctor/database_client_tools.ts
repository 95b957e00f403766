/**
 * Check of PostgreSQL's client programs: they must be of the server's own version.
 *
 * @module
 */

import { PostgresDatabase } from "../replication/database.ts";
import { majorVersion } from "../replication/database_tools.ts";
import { type Check, failure, good, type Said } from "./finding.ts";
import { type Patient, valueOf } from "./patient.ts";

/** See the module. */
export function toolChecks(patient: Patient): readonly Check[] {
  return [{ ids: ["database.tools"], look: () => lookAtTools(patient) }];
}

async function lookAtTools(patient: Patient): Promise<readonly Said[]> {
  const id = "database.tools";
  const { database } = patient.config.replication;
  if (database === null) return [];
  const rights = valueOf((await patient.own()).database);
  if (rights === null) return [];
  const source = new PostgresDatabase(database);
  const missing = await source.missingTools(rights.serverVersionNum);
  const major = majorVersion(rights.serverVersionNum);
  if (missing.length === 0) return [good(id, `pg_dump and pg_restore for PostgreSQL ${major}`)];
  return missing.map((text) => failure(id, text, `apt install postgresql-client-${major}`));
}
