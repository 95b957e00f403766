/**
 * What each `return_paths` directory of this host held when it was last known to be the peer's as well
 * (`<stateDir>/sets/files.return.json`): against this list the hand-back tells what was gained here and
 * what was deleted here from what the master did itself.
 *
 * @module
 */

import { join } from "node:path";
import { z } from "zod";
import { writeFileAtomically } from "../os/durable_file.ts";
import { sameEntry, type Tree, type TreeEntry } from "./tree_list.ts";

const entriesSchema = z.array(
  z.tuple([z.string(), z.enum(["f", "l"]), z.number().int().min(0), z.string()]),
);
const schema = z.object({
  version: z.literal(1),
  paths: z.record(z.string(), entriesSchema),
});

/** A tree as it is written into JSON: name, kind, size, time. */
export type TreeRows = z.infer<typeof entriesSchema>;
/** Checks {@linkcode TreeRows} that came from elsewhere. */
export const treeRowsSchema = entriesSchema;

/** To rows, in the order of the tree. */
export function rowsOf(tree: Tree): TreeRows {
  return [...tree].map(([name, { kind, size, mtime }]) => [name, kind, size, mtime]);
}

/** From rows. */
export function treeOf(rows: TreeRows): Tree {
  return new Map(
    rows.map(([name, kind, size, mtime]): [string, TreeEntry] => [name, { kind, size, mtime }]),
  );
}

/** The lists of this host. */
export class ReturnBase {
  readonly #file: string;

  constructor(stateDir: string) {
    this.#file = join(stateDir, "sets", "files.return.json");
  }

  /** The list of `path`; null: none, or it is damaged (then nothing is taken for deleted). */
  async read(path: string): Promise<Tree | null> {
    const all = await this.#all();
    return Object.hasOwn(all, path) ? treeOf(all[path]!) : null;
  }

  /** Writes the list of `path`, durably. */
  async write(path: string, tree: Tree): Promise<void> {
    const paths = { ...await this.#all(), [path]: rowsOf(tree) };
    await Deno.mkdir(join(this.#file, ".."), { recursive: true, mode: 0o700 });
    await writeFileAtomically(this.#file, JSON.stringify({ version: 1, paths }) + "\n");
  }

  async #all(): Promise<Readonly<Record<string, TreeRows>>> {
    try {
      return schema.parse(JSON.parse(await Deno.readTextFile(this.#file))).paths;
    } catch {
      return {}; // None yet, or damaged: the hand-back then adds and deletes nothing.
    }
  }
}

/** What this host gained since `base`: new and changed; and what was deleted here. */
export function gainedSince(
  base: Tree | null,
  now: Tree,
): { readonly gained: readonly string[]; readonly deleted: readonly string[] } {
  const gained = [...now].filter(([name, entry]) => !sameEntry(entry, base?.get(name)))
    .map(([name]) => name);
  const deleted = [...base?.keys() ?? []].filter((name) => !now.has(name));
  return { gained, deleted };
}

/**
 * The base after the peer wrote here: what its copy changed is known to both; what it left as it was keeps
 * its place, so that what was gained here before stays gained.
 */
export function baseAfterCopy(base: Tree | null, before: Tree, after: Tree): Tree {
  const next = new Map(base ?? []);
  for (const [name, entry] of after) {
    if (!sameEntry(entry, before.get(name))) next.set(name, entry);
  }
  for (const name of before.keys()) {
    if (!after.has(name)) next.delete(name);
  }
  return next;
}

/**
 * The base when a takeover begins: what has gone from a host that did not serve was deleted by no telephone,
 * so it is no deletion to bring back. Without a base, what lies here now is nothing gained.
 */
export function baseAtTakeover(base: Tree | null, now: Tree): Tree {
  if (base === null) return now;
  return new Map([...base].filter(([name]) => now.has(name)));
}
