/**
 * Finds the file of a program that an operator named, and says whether it may be run as root.
 *
 * @module
 */

/** Where programs are looked up when there is no `PATH`. */
const DEFAULT_PATH = "/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * The file of `name`: itself if it is an absolute path, else the first executable file in the folders of
 * `path` (colons between them). Null: there is none.
 */
export function findProgram(name: string, path: string | undefined): string | null {
  if (name.startsWith("/")) return isExecutable(name) ? name : null;
  const files = (path ?? DEFAULT_PATH).split(":").map((folder) => `${folder}/${name}`);
  return files.find(isExecutable) ?? null;
}

/**
 * Null: only root (or who relais runs as) can change the file. Else who can, in words: such a program
 * would let somebody become root.
 *
 * @throws what `Deno.statSync` throws when it is not there
 */
export function whyNotTrusted(file: string): string | null {
  const { uid, mode } = Deno.statSync(file);
  if (uid !== 0 && uid !== Deno.uid()) return `it belongs to the user with uid ${uid}, not to root`;
  return ((mode ?? 0) & 0o022) === 0 ? null : "others than its owner may write to it";
}

function isExecutable(file: string): boolean {
  try {
    const { isFile, mode } = Deno.statSync(file);
    return isFile && ((mode ?? 0) & 0o111) !== 0;
  } catch {
    return false; // not there, or not for us
  }
}
