/**
 * `replication.astdb.local_keys`: keys that stay each host's own when a copy of the other's astdb is put in
 * place (`/pbx/UUID` names the host itself; `/dundi/*` its peers). The copy without those keys, plus this
 * host's own values. SQLite only: Berkeley DB is an opaque file here.
 *
 * @module
 */

import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { messageOf } from "../os/errors.ts";
import { findCorruption } from "./astdb_format.ts";
import { removeIfThere } from "../os/durable_file.ts";

/** Whether a key of the astdb is one of the host's own: `*` stands for any text, slashes too. */
export function isLocalKey(key: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => {
    const parts = pattern.split("*").map((part) => part.replaceAll(/[\\^$.+?()[\]{}|]/g, "\\$&"));
    return new RegExp(`^${parts.join("[^]*")}$`).test(key);
  });
}

/** Options of {@linkcode keepLocalKeys}. */
export interface KeepLocalKeysOptions {
  /** The received copy (SQLite). */
  readonly from: string;
  /** The astdb in place, as Asterisk would see it; null: none, or not usable. */
  readonly own: Uint8Array | null;
  readonly patterns: readonly string[];
  /** Directory of our own (0700). */
  readonly workDir: string;
}

/**
 * Makes the file to put in place, in `workDir`; the caller removes it.
 *
 * @returns its path
 * @throws when one of the two can't be read as an astdb, or the result is not sound
 */
export async function keepLocalKeys(options: KeepLocalKeysOptions): Promise<string> {
  const { from, own, patterns, workDir } = options;
  await Deno.mkdir(workDir, { recursive: true, mode: 0o700 });
  const made = join(workDir, `astdb-own-keys-${crypto.randomUUID()}.sqlite3`);
  const ownCopy = `${made}.own`;
  try {
    await Deno.copyFile(from, made);
    await Deno.chmod(made, 0o600);
    let values: readonly Row[] = [];
    if (own !== null) {
      await Deno.writeFile(ownCopy, own, { createNew: true, mode: 0o600 });
      values = readLocal(ownCopy, patterns);
    }
    replaceLocal(made, patterns, values);
    const fault = findCorruption(made);
    if (fault !== null) throw new Error(fault);
    return made;
  } catch (cause) {
    await removeIfThere(made);
    throw new Error(`Cannot keep this host's own keys in ${from}: ${messageOf(cause)}`, { cause });
  } finally {
    for (const path of [ownCopy, `${made}-journal`]) await removeIfThere(path);
  }
}

type Row = readonly [key: string, value: string | number | bigint | Uint8Array | null];

function readLocal(path: string, patterns: readonly string[]): readonly Row[] {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    return database.prepare("SELECT key, value FROM astdb").all()
      .map((row): Row => [String(row["key"]), row["value"] as Row[1]])
      .filter(([key]) => isLocalKey(key, patterns));
  } finally {
    database.close();
  }
}

function replaceLocal(path: string, patterns: readonly string[], values: readonly Row[]): void {
  const database = new DatabaseSync(path);
  try {
    database.exec("BEGIN IMMEDIATE");
    const remove = database.prepare("DELETE FROM astdb WHERE key = ?");
    for (const { key } of database.prepare("SELECT key FROM astdb").all()) {
      if (isLocalKey(String(key), patterns)) remove.run(String(key));
    }
    const put = database.prepare("INSERT OR REPLACE INTO astdb(key, value) VALUES(?, ?)");
    for (const row of values) put.run(...row);
    database.exec("COMMIT");
  } finally {
    database.close();
  }
}
