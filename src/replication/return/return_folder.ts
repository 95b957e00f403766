/**
 * Dated folders of what the slave gained: `<state>/return/<time>/` with every row as a line of JSON, the
 * conflicts, and a README. Nothing is thrown away: what did not travel stays here.
 *
 * @module
 */

import { join } from "node:path";
import { messageOf } from "../../os/errors.ts";
import { writeAll } from "../../os/write_all.ts";
import { syncPath, writeFileAtomically } from "../../os/durable_file.ts";
import { encodeLine } from "../json_lines.ts";
import type { ReturnConflict, ReturnSummary, RowChange } from "./return_types.ts";

/** Folders of which all went to the master. */
const KEEP_DELIVERED = 5;
/** Folders with rows that did not travel; more are told, then the oldest go. */
const KEEP_LEFT = 50;

/** Where all of it is. */
export function returnFolder(stateDir: string): string {
  return join(stateDir, "return");
}

/** How it ended. */
export interface FolderEnd {
  /** Everything is on the master. */
  readonly delivered: boolean;
  /** What happened, in a sentence. */
  readonly why: string;
  readonly summary: ReturnSummary;
  readonly conflicts: readonly ReturnConflict[];
  /** Rows of the master that decisions replaced. */
  readonly replaced: readonly unknown[];
}

/** A folder that is being written; it has its name when it is whole. */
export class ReturnFolder {
  readonly #root: string;
  readonly #part: string;
  readonly #name: string;
  #file: Deno.FsFile | null;
  #trouble: string | null = null;

  private constructor(
    root: string,
    name: string,
    file: Deno.FsFile | null,
    trouble: string | null,
  ) {
    this.#root = root;
    this.#name = name;
    this.#part = join(root, `${name}.part`);
    this.#file = file;
    this.#trouble = trouble;
  }

  /** Begins one. A full disk is told at the end, and never keeps rows from travelling. */
  static async begin(stateDir: string, wallMs: number): Promise<ReturnFolder> {
    const root = returnFolder(stateDir);
    const name = new Date(wallMs).toISOString().replaceAll(":", "-").slice(0, 19) + "Z-" +
      crypto.randomUUID().slice(0, 4);
    try {
      await Deno.mkdir(join(root, `${name}.part`), { recursive: true, mode: 0o700 });
      const path = join(root, `${name}.part`, "changes.jsonl");
      const file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
      return new ReturnFolder(root, name, file, null);
    } catch (cause) {
      return new ReturnFolder(root, name, null, messageOf(cause));
    }
  }

  /** Passes rows on and keeps them. */
  async *keep(changes: AsyncIterable<readonly RowChange[]>): AsyncGenerator<readonly RowChange[]> {
    for await (const some of changes) {
      try {
        for (const change of some) {
          if (this.#file !== null) await writeAll(this.#file, encodeLine(change));
        }
      } catch (cause) {
        this.#trouble ??= messageOf(cause);
        this.#close();
      }
      yield some;
    }
  }

  /**
   * It is whole.
   *
   * @returns the path, and what was removed to make room, as a sentence
   * @throws when the disk did not take it
   */
  async end(end: FolderEnd): Promise<{ readonly path: string; readonly removed: string | null }> {
    if (this.#trouble !== null || this.#file === null) {
      await this.abandon();
      throw new Error(`Cannot keep ${this.#part}: ${this.#trouble}`);
    }
    await this.#file.sync();
    this.#close();
    const write = (name: string, text: string): Promise<void> =>
      writeFileAtomically(join(this.#part, name), text);
    await write("conflicts.json", `${JSON.stringify(end.conflicts, null, 2)}\n`);
    await write("replaced-on-the-master.json", `${JSON.stringify(end.replaced, null, 2)}\n`);
    await write("README", readme(end));
    const path = join(this.#root, `${this.#name}-${end.delivered ? "delivered" : "left"}`);
    await Deno.rename(this.#part, path);
    await syncPath(this.#root);
    return { path, removed: await tidy(this.#root) };
  }

  /** It is not needed. */
  async abandon(): Promise<void> {
    this.#close();
    await Deno.remove(this.#part, { recursive: true }).catch(() => {}); // Never made.
  }

  #close(): void {
    this.#file?.close();
    this.#file = null;
  }
}

/** Names of the folders, oldest first. */
export async function listFolders(stateDir: string): Promise<readonly string[]> {
  const names: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(returnFolder(stateDir))) {
      if (isDirectory && /-(delivered|left)$/.test(name)) names.push(name);
    }
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
  }
  return names.sort();
}

/** Bounded: the oldest go; rows that did not travel go only when there are very many, and that is told. */
async function tidy(root: string): Promise<string | null> {
  const names = await listFolders(join(root, ".."));
  const delivered = names.filter((name) => name.endsWith("-delivered"));
  const left = names.filter((name) => name.endsWith("-left"));
  for (const name of delivered.slice(0, -KEEP_DELIVERED)) {
    await Deno.remove(join(root, name), { recursive: true });
  }
  const gone = left.slice(0, -KEEP_LEFT);
  for (const name of gone) await Deno.remove(join(root, name), { recursive: true });
  return gone.length === 0
    ? null
    : `more than ${KEEP_LEFT} folders of rows that did not travel: removed ${gone.join(", ")}`;
}

function readme({ delivered, why, summary, conflicts }: FolderEnd): string {
  const counts = summary.tables.map(({ table, inserted, updated, deleted }) =>
    `  ${table}: ${inserted} new, ${updated} changed, ${deleted} deleted`
  );
  return `What the database of this host gained while it stood in for the master.

${why}

${delivered ? "All of it is on the master." : "Not all of it is on the master."}
${summary.total} rows:
${counts.join("\n")}
${summary.notes.map((note) => `Note: ${note}\n`).join("")}
changes.jsonl    a line for each row: table, key, the row before (null: it was new) and after (null: it
                 was deleted), each value as PostgreSQL writes it
conflicts.json   ${conflicts.length} rows about which the two hosts disagreed, with all values
replaced-on-the-master.json
                 rows of the master that an operator's decision replaced, as they were

To bring a row in by hand: psql on the master, INSERT, UPDATE or DELETE with these values.
relais does not read this folder any more; remove it when it is of no more use.
`;
}
