/**
 * What lies in a directory, name by name, for the way back of files: `find` lists it, so that a large tree
 * blocks nothing here and every name comes through whole.
 *
 * @module
 */

import { lstatSync } from "node:fs";
import { killChild, spawnTool } from "../os/process.ts";
import { STAGING_NAME } from "./rsync_arguments.ts";

/** One file or link: what rsync tells files apart by. */
export interface TreeEntry {
  /** `f`: file, `l`: symbolic link. */
  readonly kind: "f" | "l";
  /** Bytes. */
  readonly size: number;
  /** Time of the last change: seconds since 1970 with nine digits behind the dot, as text. */
  readonly mtime: string;
}

/** Name, relative to the directory, to what is there. */
export type Tree = ReadonlyMap<string, TreeEntry>;

/** What {@linkcode listTree} found. */
export interface TreeList {
  readonly tree: Tree;
  /** Names that are not UTF-8: no name that this program can handle, so relais only counts them. */
  readonly unreadable: number;
}

/** More entries than this are no tree that comes back in the time of a hand-back. */
const MAX_TREE_ENTRIES = 500_000;
/** What is never listed: our own and rsync's work, and Asterisk's lock of a mailbox. */
const NOT_LISTED = [STAGING_NAME, ".~tmp~", ".lock"] as const;

/**
 * Lists the files and links below `path`; a missing one is empty.
 *
 * @throws when something can't be read, there are too many entries, or on abort
 */
export async function listTree(path: string, signal: AbortSignal): Promise<TreeList> {
  signal.throwIfAborted();
  const info = await Deno.lstat(path).catch((cause) => {
    if (cause instanceof Deno.errors.NotFound) return null;
    throw cause;
  });
  const tree = new Map<string, TreeEntry>();
  if (info === null) return { tree, unreadable: 0 };
  const prune = NOT_LISTED.flatMap((name, at) => [...(at === 0 ? [] : ["-o"]), "-name", name]);
  const child = spawnTool("find", {
    // The slash: a declared path may itself be a link of root's.
    args: [`${path}/`, "(", ...prune, ")", "-prune", "-o", "(", "-type", "f", "-o", "-type", "l"]
      .concat([")", "-printf", "%y\\t%s\\t%T@\\t%P\\0"]),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { LC_ALL: "C" },
    signal,
  });
  const said = new Response(child.stderr).text();
  let unreadable = 0;
  for await (const record of records(child.stdout)) {
    const parsed = parseTreeRecord(record);
    if (parsed === null) unreadable += 1;
    else tree.set(...parsed);
    if (tree.size + unreadable <= MAX_TREE_ENTRIES) continue;
    killChild(child);
    await child.status;
    throw new Error(`Cannot list ${path} as it has more than ${MAX_TREE_ENTRIES} files`);
  }
  const { code } = await child.status;
  const message = (await said).trim();
  signal.throwIfAborted();
  // Entries that vanish while it looks are what a live tree does.
  const vanished = message.split("\n").every((line) => line.endsWith("No such file or directory"));
  if (code !== 0 && !vanished) throw new Error(`Cannot list ${path}: ${message.slice(0, 500)}`);
  return { tree, unreadable };
}

/** Whether two entries are the same file, as far as rsync would say so. */
export function sameEntry(a: TreeEntry | undefined, b: TreeEntry | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.kind === b.kind && a.size === b.size && sameTime(a.mtime, b.mtime);
}

/**
 * A file system that keeps whole seconds has cut the fraction of what was copied onto it, and Deno tells
 * times of files in milliseconds only ({@linkcode lookAt}).
 */
function sameTime(a: string, b: string): boolean {
  if (a === b) return true;
  const [[second, fraction = ""], [otherSecond, otherFraction = ""]] = [a.split("."), b.split(".")];
  const endsWith = (zeros: RegExp): boolean => zeros.test(fraction) || zeros.test(otherFraction);
  if (endsWith(/^0*$/)) return second === otherSecond;
  return endsWith(/000000$/) && Math.abs(Number(a) - Number(b)) < 0.002;
}

/**
 * The entry of one place now; undefined: nothing there.
 *
 * @throws when a directory or a device is there, or it can't be read
 */
export function lookAt(path: string): TreeEntry | undefined {
  let info;
  try {
    info = lstatSync(path, { bigint: true });
  } catch (cause) {
    const { code } = cause as { readonly code?: unknown };
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw cause;
  }
  if (!info.isFile() && !info.isSymbolicLink()) throw new Error(`${path} is no file`);
  const [seconds, rest] = [info.mtimeNs / 1_000_000_000n, info.mtimeNs % 1_000_000_000n];
  const mtime = `${seconds}.${String(rest).padStart(9, "0")}`;
  return { kind: info.isFile() ? "f" : "l", size: Number(info.size), mtime };
}

async function* records(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest = new Uint8Array(0);
  for await (const chunk of stream) {
    const all = new Uint8Array(rest.length + chunk.length);
    all.set(rest);
    all.set(chunk, rest.length);
    let from = 0;
    for (let at = all.indexOf(0); at >= 0; at = all.indexOf(0, from)) {
      yield all.subarray(from, at);
      from = at + 1;
    }
    rest = all.slice(from);
  }
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads `KIND\tSIZE\tTIME\tNAME`, as {@linkcode listTree} has `find` print it; null: no such record, or no UTF-8. */
export function parseTreeRecord(record: Uint8Array): [string, TreeEntry] | null {
  let text: string;
  try {
    text = strict.decode(record);
  } catch {
    return null;
  }
  const [, kind, size, mtime, name] =
    /^([fl])\t([0-9]{1,15})\t(-?[0-9]+(?:\.[0-9]*)?)\t([^]+)$/.exec(text) ?? [];
  if (name === undefined) return null;
  const [seconds = "0", fraction = ""] = mtime!.split(".");
  const nine = fraction.slice(0, 9).padEnd(9, "0");
  return [name, { kind: kind as "f" | "l", size: Number(size), mtime: `${seconds}.${nine}` }];
}
