/**
 * What hand-backs left for an operator to look at, on this host: conflicts of files that came back, files and
 * rows that could not travel. Read from the dated folders below the state directory; an operator settles one
 * by a mark in it. Bounded.
 *
 * @module
 */

import { join } from "node:path";
import { z } from "zod";
import { messageOf } from "../os/errors.ts";
import { writeFileAtomically } from "../os/durable_file.ts";
import { keptRoot } from "./kept_folder.ts";
import { listFolders, returnFolder } from "./return/return_folder.ts";

/** In a folder: an operator has seen to it. */
const SETTLED = "settled";
/** The newest folders of each kind that are read. */
const FOLDERS_MAX = 50;
/** A longer list is not read; it is named. */
const LIST_BYTES_MAX = 16 * 1024 * 1024;

/** One file that both hosts changed, as the master wrote it down (`conflicts.json`). */
const fileConflictsSchema = z.array(z.object({ path: z.string(), what: z.string() }));
/** Rows are counted only: their values are in the list. */
const rowConflictsSchema = z.array(z.object({ table: z.string() }));

/** One file that both hosts changed, and what became of it. */
export type FileConflict = Readonly<z.infer<typeof fileConflictsSchema>[number]>;

/** One folder that nobody has settled yet. */
export interface LeftBehind {
  /** Its name, which begins with its time (UTC): for {@linkcode settleLeft}. */
  readonly name: string;
  readonly path: string;
  /**
   * `files-conflict`: both hosts changed files, both versions are on the master. `files-kept`: files of the
   * slave that did not travel. `rows-kept`: rows of the slave's database that did not travel.
   */
  readonly kind: "files-conflict" | "files-kept" | "rows-kept";
  /** Of `files-conflict`. */
  readonly files: readonly FileConflict[];
  /** Of `rows-kept`: rows about which the two hosts disagreed. */
  readonly rowConflicts: number;
  /** The list in it could not be read, and why. */
  readonly trouble: string | null;
}

/** All that is left, oldest first; and how many older folders were not looked at. */
export async function leftBehind(
  stateDir: string,
): Promise<{ readonly folders: readonly LeftBehind[]; readonly more: number }> {
  const kept = (await namesIn(keptRoot(stateDir))).filter((name) => KEPT.test(name));
  const rows = (await listFolders(stateDir)).filter((name) => name.endsWith("-left"));
  const folders = [
    ...await readAll(kept.slice(-FOLDERS_MAX), (name) => readKept(stateDir, name)),
    ...await readAll(rows.slice(-FOLDERS_MAX), (name) => readRows(stateDir, name)),
  ];
  const more = Math.max(0, kept.length - FOLDERS_MAX) + Math.max(0, rows.length - FOLDERS_MAX);
  return { folders: folders.sort((a, b) => a.name < b.name ? -1 : 1), more };
}

/**
 * Takes a folder, or all, off the list. Nothing is removed.
 *
 * @returns those that were settled
 * @throws when no folder of that name is on the list, or the disk refuses
 */
export async function settleLeft(stateDir: string, name: string): Promise<readonly string[]> {
  const { folders } = await leftBehind(stateDir);
  const chosen = folders.filter((folder) => name === "all" || folder.name === name);
  if (chosen.length === 0 && name !== "all") {
    throw new Error(`Cannot settle ${name} as it is not on the list of: relais return conflicts`);
  }
  for (const { path } of chosen) {
    await writeFileAtomically(join(path, SETTLED), "an operator has seen to it\n");
  }
  return chosen.map((folder) => folder.name);
}

const KEPT = /-(returned|not-returned)$/;

async function readKept(stateDir: string, name: string): Promise<LeftBehind | null> {
  const path = join(keptRoot(stateDir), name);
  if (await exists(join(path, SETTLED))) return null;
  const entry = { name, path, files: [], rowConflicts: 0, trouble: null };
  if (name.endsWith("-not-returned")) return { ...entry, kind: "files-kept" };
  // Most of them hold only what was replaced as it should be.
  const list = await readList(join(path, "conflicts.json"), fileConflictsSchema);
  if (list.found === null && list.trouble === null) return null;
  return { ...entry, kind: "files-conflict", files: list.found ?? [], trouble: list.trouble };
}

async function readRows(stateDir: string, name: string): Promise<LeftBehind | null> {
  const path = join(returnFolder(stateDir), name);
  if (await exists(join(path, SETTLED))) return null;
  const { found, trouble } = await readList(join(path, "conflicts.json"), rowConflictsSchema);
  return { name, path, kind: "rows-kept", files: [], rowConflicts: found?.length ?? 0, trouble };
}

async function readAll(
  names: readonly string[],
  read: (name: string) => Promise<LeftBehind | null>,
): Promise<LeftBehind[]> {
  const all: LeftBehind[] = [];
  for (const name of names) {
    const one = await read(name);
    if (one !== null) all.push(one);
  }
  return all;
}

/** Null without trouble: there is no such list. */
async function readList<T>(
  path: string,
  schema: z.ZodType<T>,
): Promise<{ readonly found: T | null; readonly trouble: string | null }> {
  try {
    const { size } = await Deno.stat(path);
    if (size > LIST_BYTES_MAX) return { found: null, trouble: `${path} is too long to be shown` };
    return { found: schema.parse(JSON.parse(await Deno.readTextFile(path))), trouble: null };
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return { found: null, trouble: null };
    const why = cause instanceof z.ZodError ? "it is no list of conflicts" : messageOf(cause);
    return { found: null, trouble: `Cannot read ${path}: ${why}` };
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    const names = await Array.fromAsync(Deno.readDir(folder));
    return names.filter(({ isDirectory }) => isDirectory).map(({ name }) => name).sort();
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return [];
    throw cause;
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}
