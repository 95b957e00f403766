/**
 * Reads the text that PostgreSQL's own output plugin `test_decoding` writes of a change. Pure.
 *
 * @module
 */

import type { RowValues } from "./return_types.ts";

/** One line of `test_decoding`, taken apart. */
export type DecodedChange =
  | {
    readonly kind: "INSERT" | "UPDATE" | "DELETE";
    readonly table: string;
    /** The row before; null: the server did not write it (no old row, or it has no identity). */
    readonly old: RowValues | null;
    /** The row after; null for DELETE. A large value that did not change is missing. */
    readonly new: RowValues | null;
  }
  | { readonly kind: "TRUNCATE"; readonly tables: readonly string[] };

/**
 * Takes a line apart; null: it holds no row (`BEGIN`, `COMMIT`, a message).
 *
 * @throws {SyntaxError} when it is not what `test_decoding` writes
 */
export function decodeChange(line: string): DecodedChange | null {
  if (!line.startsWith("table ")) return null;
  const truncate = /^table (.+): TRUNCATE: /.exec(line);
  if (truncate !== null) return { kind: "TRUNCATE", tables: truncate[1]!.split(", ") };
  // A doubled quote is the end of one quoted part and the beginning of the next: only one reading of any
  // text, or a line of many quotes would be tried in all of them.
  const head = /^table ((?:"[^"]*"|[^".])+\.(?:"[^"]*"|[^":])+): (INSERT|UPDATE|DELETE):/
    .exec(line);
  if (head === null) throw new SyntaxError(`Cannot read the change ${line.slice(0, 200)}`);
  const [whole, table = "", kind] = head;
  const reader = new TupleReader(line, whole.length);
  if (kind === "INSERT") return { kind, table, old: null, new: reader.tuple() };
  if (kind === "DELETE") return { kind, table, old: reader.tuple(), new: null };
  const old = reader.skip(" old-key:") ? reader.tuple(" new-tuple:") : null;
  return { kind: "UPDATE", table, old, new: reader.tuple() };
}

/** Reads ` name[type]:value` again and again. */
class TupleReader {
  readonly #text: string;
  #at: number;

  constructor(text: string, at: number) {
    this.#text = text;
    this.#at = at;
  }

  skip(word: string): boolean {
    if (!this.#text.startsWith(word, this.#at)) return false;
    this.#at += word.length;
    return true;
  }

  /** Up to `end` or the end of the line; null: `(no-tuple-data)`. */
  tuple(end?: string): RowValues | null {
    if (this.skip(" (no-tuple-data)")) return null;
    const row: (readonly [string, string | null])[] = [];
    while (this.#at < this.#text.length) {
      if (end !== undefined && this.skip(end)) break;
      if (!this.skip(" ")) this.#fail();
      const name = this.#name();
      this.#type();
      const value = this.#value();
      if (value !== undefined) row.push([name, value]);
    }
    // Not by assignment: a column may be called `__proto__`.
    return Object.fromEntries(row);
  }

  #name(): string {
    if (this.#text[this.#at] !== '"') {
      const end = this.#text.indexOf("[", this.#at);
      if (end === -1) this.#fail();
      const name = this.#text.slice(this.#at, end);
      this.#at = end;
      return name;
    }
    return this.#quoted('"');
  }

  /** `[character varying]:`, `[text[]]:`; a type's name may be quoted and hold anything. */
  #type(): void {
    if (!this.skip("[")) this.#fail();
    for (let depth = 1; depth > 0; this.#at++) {
      const char = this.#text[this.#at] ?? this.#fail();
      if (char === '"') {
        const end = this.#text.indexOf('"', this.#at + 1);
        if (end === -1) this.#fail();
        this.#at = end;
      } else if (char === "[") depth++;
      else if (char === "]") depth--;
    }
    if (!this.skip(":")) this.#fail();
  }

  /** Undefined: a large value that did not change. */
  #value(): string | null | undefined {
    if (this.skip("null")) return null;
    if (this.skip("unchanged-toast-datum")) return undefined;
    if (this.skip("B'")) this.#at -= 1;
    if (this.#text[this.#at] === "'") return this.#quoted("'");
    const end = this.#text.indexOf(" ", this.#at);
    const value = this.#text.slice(this.#at, end === -1 ? undefined : end);
    this.#at += value.length;
    return value;
  }

  /** From one quote to the next that is not doubled. By hand: a value may be larger than a pattern can walk. */
  #quoted(quote: string): string {
    const from = this.#at + 1;
    for (let at = from;; at += 2) {
      at = this.#text.indexOf(quote, at);
      if (at === -1) this.#fail();
      if (this.#text[at + 1] === quote) continue;
      this.#at = at + 1;
      return this.#text.slice(from, at).replaceAll(quote + quote, quote);
    }
  }

  #fail(): never {
    const near = this.#text.slice(Math.max(0, this.#at - 40), this.#at + 40);
    throw new SyntaxError(`Cannot read a change near ${near}`);
  }
}
