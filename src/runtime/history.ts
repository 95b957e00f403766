/**
 * What happened on this node, newest last: in memory for status, and as JSON lines in the state directory
 * so that it survives restarts. Bounded both ways.
 *
 * @module
 */

import { HistoryEntry } from "../health/types.ts";
import { writeSmallFile } from "../os/durable_file.ts";
import { messageOf } from "../os/errors.ts";

/** Entries kept in memory and shown. */
export const HISTORY_SHOWN = 100;
/** The file is rewritten with the shown entries when it has more lines than this. */
const FILE_LINES_MAX = 1000;

/** The history of one node. */
export class History {
  readonly #path: string;
  readonly #onTrouble: (message: string) => void;
  #entries: HistoryEntry[] = [];
  #lines = 0;
  /** A power failure cut the last line: the next one must not be glued to it. */
  #isCut = false;

  constructor(options: {
    readonly stateDir: string;
    readonly onTrouble: (message: string) => void;
  }) {
    this.#path = `${options.stateDir}/history.jsonl`;
    this.#onTrouble = options.onTrouble;
    this.#load();
  }

  /** The last {@linkcode HISTORY_SHOWN} entries, newest last. */
  get entries(): readonly HistoryEntry[] {
    return this.#entries;
  }

  /** Adds an entry; trouble with the disk is reported, never thrown. */
  add(entry: HistoryEntry): void {
    this.#entries = [...this.#entries, entry].slice(-HISTORY_SHOWN);
    try {
      if (this.#lines >= FILE_LINES_MAX) {
        const text = this.#entries.map((kept) => `${JSON.stringify(kept)}\n`).join("");
        writeSmallFile(this.#path, text, { sync: false });
        this.#lines = this.#entries.length;
      } else {
        const text = `${this.#isCut ? "\n" : ""}${JSON.stringify(entry)}\n`;
        Deno.writeTextFileSync(this.#path, text, { append: true, mode: 0o600 });
        this.#lines++;
      }
      this.#isCut = false;
    } catch (error) {
      this.#onTrouble(
        `Cannot write ${this.#path}: ${messageOf(error)}`,
      );
    }
  }

  #load(): void {
    let text: string;
    try {
      text = Deno.readTextFileSync(this.#path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) {
        this.#onTrouble(
          `Cannot read ${this.#path}: ${messageOf(error)}`,
        );
      }
      return;
    }
    this.#isCut = text !== "" && !text.endsWith("\n");
    const lines = text.split("\n").filter((line) => line !== "");
    this.#lines = lines.length;
    for (const line of lines.slice(-HISTORY_SHOWN)) {
      try {
        this.#entries.push(HistoryEntry.parse(JSON.parse(line)));
      } catch {
        // A line cut by a power failure; the others still tell the story.
      }
    }
  }
}
