/**
 * The digest of declared paths: SHA-256 over rsync's own listing of them, so that excludes mean the same
 * as in the copy. Equal on both hosts after a whole copy, unless the source changed meanwhile.
 *
 * @module
 */

import { createHash, type Hash } from "node:crypto";
import type { FilesConfig } from "../config/types.ts";
import { spawnTool } from "../os/process.ts";
import { rsyncListCommand } from "./rsync_arguments.ts";

/** What was listed. */
export interface FileList {
  /** Hex SHA-256 of the lines `type+mode size time name`. */
  readonly sha256: string;
  /** Regular files. */
  readonly files: number;
  /** Bytes in regular files. */
  readonly bytes: number;
}

/** `-rw-r--r--          1,234 2026/01/31 12:00:00 name` (commas if rsync is asked for them). */
const LINE = /^([-dlcbps][-rwxsStT]{9})\s+([0-9,]{1,20}) ([0-9/]{10} [0-9:]{8}) (.*)$/;

/** What one path is. */
export async function pathKind(path: string): Promise<"missing" | "directory" | "other"> {
  try {
    return (await Deno.stat(path)).isDirectory ? "directory" : "other";
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return "missing";
    throw cause;
  }
}

/**
 * Lists `paths`; missing ones count as empty.
 *
 * @throws {ToolMissingError} without rsync; an Error when rsync can't read something
 */
export async function listFiles(
  paths: readonly string[],
  files: Pick<FilesConfig, "excludes">,
  signal: AbortSignal,
): Promise<FileList> {
  const listing = new Listing();
  for (const path of paths) {
    listing.begin(path);
    const kind = await pathKind(path);
    if (kind === "missing") continue;
    const isDirectory = kind === "directory";
    await listOne(rsyncListCommand({ path, isDirectory, excludes: files.excludes }), {
      onLine: (line) => listing.add(line),
      signal,
    });
  }
  return listing.end();
}

/** A regular file below a declared path. */
export interface ListedFile {
  /** Absolute. */
  readonly path: string;
  readonly size: number;
  /** Whole seconds, in ms. */
  readonly changedWallMs: number;
  /** As `ls` writes it: `-rw-r--r--`. */
  readonly mode: string;
}

/**
 * Tells of every regular file below `paths` that is not excluded and whose name is UTF-8; missing paths
 * count as empty.
 *
 * @throws {ToolMissingError} without rsync; an Error when rsync can't read something
 */
export async function forEachFile(
  paths: readonly string[],
  files: Pick<FilesConfig, "excludes">,
  signal: AbortSignal,
  onFile: (file: ListedFile) => void,
): Promise<void> {
  for (const path of paths) {
    const kind = await pathKind(path);
    if (kind === "missing") continue;
    const isDirectory = kind === "directory";
    await listOne(rsyncListCommand({ path, isDirectory, excludes: files.excludes }), {
      onLine: (line) => {
        const listed = parseListLine(line);
        const plain = listed === null ? null : plainName(listed.name);
        if (listed === null || plain === null || !listed.mode.startsWith("-")) return;
        const { mode, size, time } = listed;
        onFile({
          path: isDirectory ? `${path}/${plain}` : path,
          size,
          changedWallMs: Date.parse(`${time.replaceAll("/", "-").replace(" ", "T")}Z`),
          mode,
        });
      },
      signal,
    });
  }
}

/** One line of rsync's listing. */
export interface ListLine {
  /** As `ls` writes it: `-rw-r--r--`. */
  readonly mode: string;
  /** Bytes. */
  readonly size: number;
  /** `2026/01/31 12:00:00`, in UTC. */
  readonly time: string;
  /** As rsync writes it: {@linkcode plainName} undoes that. */
  readonly name: string;
}

/** Reads a line of `rsync --list-only`; null: it is none. */
export function parseListLine(line: string): ListLine | null {
  const match = LINE.exec(line);
  if (match === null) return null;
  const [, mode = "", size = "", time = "", name = ""] = match;
  const bytes = Number(size.replaceAll(",", ""));
  return Number.isSafeInteger(bytes) ? { mode, size: bytes, time, name } : null;
}

/** Undoes what rsync writes in place of bytes that are not printable ASCII; null: it is no UTF-8. */
export function plainName(name: string): string | null {
  if (!name.includes("\\#")) return name;
  const latin = name.replaceAll(
    /\\#([0-3][0-7]{2})/g,
    (_, octal: string) => String.fromCharCode(parseInt(octal, 8)),
  );
  const bytes = Uint8Array.from(latin, (char) => char.charCodeAt(0));
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

class Listing {
  readonly #hash: Hash = createHash("sha256");
  #files = 0;
  #bytes = 0;

  begin(path: string): void {
    this.#hash.update(`[${path}]\n`);
  }

  add(line: string): void {
    const listed = parseListLine(line);
    if (listed === null) return; // A file name with a line feed can't be: rsync writes it as \#012.
    const { mode, time, name } = listed;
    const isFile = mode.startsWith("-");
    // The size of a directory is its file system's affair.
    const size = isFile ? listed.size : 0;
    this.#hash.update(`${mode} ${size} ${time} ${name}\n`);
    if (isFile) this.#files += 1;
    this.#bytes += size;
  }

  end(): FileList {
    return { sha256: this.#hash.digest("hex"), files: this.#files, bytes: this.#bytes };
  }
}

async function listOne(
  argv: readonly string[],
  options: { readonly onLine: (line: string) => void; readonly signal: AbortSignal },
): Promise<void> {
  options.signal.throwIfAborted();
  const child = spawnTool(argv[0]!, {
    args: argv.slice(1),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { LC_ALL: "C", TZ: "UTC" },
    signal: options.signal,
  });
  const said = new Response(child.stderr).text();
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop()!.slice(0, 65_536);
    for (const line of lines) options.onLine(line);
  }
  const { code } = await child.status;
  const message = (await said).trim().slice(0, 500);
  options.signal.throwIfAborted();
  if (code !== 0) {
    throw new Error(`Cannot list ${argv.at(-1)} as rsync exited with ${code}: ${message}`);
  }
}
