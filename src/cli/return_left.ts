/**
 * What hand-backs left behind on this host, for people: part of `relais return conflicts`. Pure.
 *
 * @module
 */

import type { LeftBehind } from "../replication/left_behind.ts";

/** Conflicts of one folder that are shown. */
const FILES_SHOWN = 20;

/** The folders, what is in them and what to do about it. Empty: nothing is left. */
export function leftLines(
  { folders, more }: { readonly folders: readonly LeftBehind[]; readonly more: number },
): readonly string[] {
  const lines = folders.flatMap((folder) => [
    title(folder),
    ...folder.files.slice(0, FILES_SHOWN).map(({ path, what }) => plain(`  ${path}: ${what}`)),
    ...(folder.files.length > FILES_SHOWN
      ? [`  … and ${folder.files.length - FILES_SHOWN} more, in conflicts.json`]
      : []),
    ...(folder.trouble === null ? [] : [plain(`  ${folder.trouble}`)]),
    `  ${ADVICE[folder.kind]}`,
  ]);
  if (more > 0) lines.push(`… and ${more} older folders that are not shown`);
  if (folders.length > 0) lines.push("seen to: relais return settle FOLDER (or: all)");
  return lines;
}

const ADVICE: Readonly<Record<LeftBehind["kind"], string>> = {
  "files-conflict": "compare the two; what was replaced or deleted here is in the folder. To let " +
    "another one count, move it to its place while Asterisk does not use it",
  "files-kept": "copy what you miss to its place on the host that serves",
  "rows-kept": "its README says how to bring a row in by hand",
};

function title({ kind, path, files, rowConflicts }: LeftBehind): string {
  switch (kind) {
    case "files-conflict":
      return `files, ${count(files.length, "conflict")}: ${path}`;
    case "files-kept":
      return `files of this host that did not travel: ${path}`;
    case "rows-kept":
      return "rows of this host's database that did not travel" +
        `${rowConflicts === 0 ? "" : ` (${count(rowConflicts, "conflict")})`}: ${path}`;
  }
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}

/** Names of files are anything: no control characters for the terminal. */
function plain(line: string): string {
  return line.replaceAll(/\p{Cc}/gu, "?");
}
