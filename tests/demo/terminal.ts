/**
 * How the demo speaks: headings, facts, measured numbers, a strip of who answered when. Colours only on a
 * terminal, and not with NO_COLOR.
 *
 * @module
 */

const COLOURS = Deno.stdout.isTerminal() && !Deno.env.get("NO_COLOR");
/** Columns of a strip. */
export const STRIP_WIDTH = 64;

function colour(code: string): (text: string) => string {
  return (text) => COLOURS ? `\x1b[${code}m${text}\x1b[0m` : text;
}

export const bold = colour("1");
export const dim = colour("2");
export const red = colour("31");
export const green = colour("32");
export const yellow = colour("33");
export const cyan = colour("36");

let act = 0;

/** A chapter of the story. */
export function chapter(title: string): void {
  act++;
  console.log(`\n${cyan(bold(`${act}. ${title}`))}`);
}

/** Something that was seen to be so. */
export function seen(text: string): void {
  console.log(`   ${green("✓")} ${text}`);
}

/** Something that happens or is done now. */
export function happens(text: string): void {
  console.log(`   ${yellow("▸")} ${text}`);
}

/** A remark. */
export function remark(text: string): void {
  console.log(`     ${dim(text)}`);
}

/** Something that is gone. */
export function lost(text: string): void {
  console.log(`   ${red("−")} ${text}`);
}

/** A number that the client measured. */
export function measured(what: string, value: string): void {
  console.log(`   ${bold("⏱")} ${what.padEnd(46)} ${bold(value)}`);
}

/** Rows of a table, the first one the heading. */
export function table(rows: readonly (readonly string[])[]): void {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => (row[i] ?? "").length)));
  for (const [i, row] of rows.entries()) {
    const text = row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd();
    console.log(`     ${i === 0 ? dim(text) : text}`);
  }
}

/** Milliseconds for people: `23 ms`, `3.12 s`. */
export function duration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

/** An age for people: `4 s`, `2 min`, `3 h`. */
export function age(ms: number | null): string {
  if (ms === null) return "never copied";
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  return ms < 7_200_000 ? `${Math.round(ms / 60_000)} min` : `${Math.round(ms / 3_600_000)} h`;
}

/** Bytes for people. */
export function size(bytes: number | null): string {
  if (bytes === null) return "?";
  if (bytes < 10_000) return `${bytes} B`;
  return bytes < 10_000_000
    ? `${Math.round(bytes / 1000)} kB`
    : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** Who answered when: one character per part of the time. */
export function strip(
  parts: readonly (string | null)[],
  who: { readonly master: string; readonly slave: string },
): string {
  return parts.map((by) => {
    if (by === null) return red("·");
    if (by === who.master) return green("M");
    return by === who.slave ? cyan("S") : yellow("?");
  }).join("");
}
