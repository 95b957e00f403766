/**
 * Reads the system's configuration files.
 *
 * @module
 */

import { readdir, readFile } from "node:fs/promises";

/** Most files of one folder that are looked at. */
const MAX_FILES = 200;

/** The text of a file; null when there is none. What else can go wrong is thrown. */
export async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

/** Paths of the files in a folder, sorted; none when there is no such folder. */
export async function readFolder(folder: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.filter((each) => !each.isDirectory()).map(({ name }) => `${folder}/${name}`)
      .sort().slice(0, MAX_FILES);
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}

function isAbsent(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === "ENOENT" || code === "ENOTDIR";
}
