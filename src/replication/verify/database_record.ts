/**
 * What each copy of the database was proved against: `<stateDir>/proofs/database.<oid>.json`, written
 * before the copy goes live. The number of the database is in the name, so that a record is never taken
 * for that of another copy, whenever a host dies.
 *
 * @module
 */

import { join } from "node:path";
import { z } from "zod";
import { type Manifest, manifestSchema } from "../database_manifest.ts";
import type { DatabaseProof } from "../database_port.ts";
import { removeIfThere, writeFileAtomically } from "../../os/durable_file.ts";
import { type SetHeader, setHeaderSchema } from "../set_header.ts";

/** Records that are kept: of the live database, and of one that never went live. */
const KEPT = 2;

const recordSchema = z.object({
  header: setHeaderSchema,
  manifest: manifestSchema,
  databaseOid: z.number().int().min(1),
});

/** One proved copy. */
export interface DatabaseRecord {
  readonly header: SetHeader;
  readonly manifest: Manifest;
  readonly databaseOid: number;
}

/** Writes the record of a copy that is about to go live, and removes old ones. */
export async function keepDatabaseRecord(
  stateDir: string,
  header: SetHeader,
  { manifest, databaseOid }: DatabaseProof,
): Promise<void> {
  const directory = join(stateDir, "proofs");
  await Deno.mkdir(directory, { recursive: true, mode: 0o700 });
  const record = { header, manifest, databaseOid };
  await writeFileAtomically(pathOf(stateDir, databaseOid), JSON.stringify(record));
  const found: { readonly path: string; readonly atMs: number }[] = [];
  for await (const { name } of Deno.readDir(directory)) {
    if (!/^database\.[0-9]+\.json$/.test(name)) continue;
    const path = join(directory, name);
    found.push({ path, atMs: (await Deno.stat(path)).mtime?.getTime() ?? 0 });
  }
  const own = pathOf(stateDir, databaseOid);
  const others = found.filter(({ path }) => path !== own).sort((a, b) => b.atMs - a.atMs);
  for (const { path } of others.slice(KEPT - 1)) await removeIfThere(path);
}

/** The record of the database with this number; null: there is none, or it is damaged. */
export async function readDatabaseRecord(
  stateDir: string,
  databaseOid: number,
): Promise<DatabaseRecord | null> {
  try {
    return recordSchema.parse(JSON.parse(await Deno.readTextFile(pathOf(stateDir, databaseOid))));
  } catch {
    return null; // What cannot be read proves nothing; the caller says so.
  }
}

/** The newest records first, whatever database they are of. */
export async function databaseRecords(stateDir: string): Promise<readonly DatabaseRecord[]> {
  const directory = join(stateDir, "proofs");
  const records: DatabaseRecord[] = [];
  try {
    for await (const { name } of Deno.readDir(directory)) {
      const oid = /^database\.([0-9]+)\.json$/.exec(name)?.[1];
      const record = oid === undefined ? null : await readDatabaseRecord(stateDir, Number(oid));
      if (record !== null) records.push(record);
    }
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
  }
  return records.sort((a, b) => b.header.snapshotWallMs - a.header.snapshotWallMs);
}

function pathOf(stateDir: string, databaseOid: number): string {
  return join(stateDir, "proofs", `database.${databaseOid}.json`);
}
