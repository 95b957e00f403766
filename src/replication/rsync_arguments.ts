/**
 * The argument lists of rsync: what the sender runs, and what the receiver lets the sender ask for.
 * Pure.
 *
 * @module
 */

import type { FilesConfig } from "../config/types.ts";
import type { Role } from "../core/types.ts";

/** rsync gives up after this many seconds without a byte. */
const IO_TIMEOUT_S = 60;
/** Where files lie on the master, inside their directory, before they are put in place. */
export const STAGING_NAME = ".relais-return";
/**
 * Inside each directory: the files of a copy that was cut. The next one goes on from there; rsync leaves
 * the name out of what it copies and deletes.
 */
const PARTIAL_NAME = ".relais-partial";
/** What `--update` would overwrite on the way back is kept under this suffix. */
const BACKUP_SUFFIX = ".before-relais";

/**
 * `copy`: the source's tree replaces the other; `return`: newer files are added, nothing is deleted;
 * `stage`: the names on standard input go into the staging directory of the way back.
 */
export type RsyncMode = "copy" | "return" | "stage";

/** Options of {@linkcode rsyncCommand}. */
export interface RsyncCommandInput {
  readonly mode: RsyncMode;
  /** Absolute, declared; the same on both hosts. */
  readonly path: string;
  readonly isDirectory: boolean;
  readonly excludes: readonly string[];
  /** Value of `-e`. */
  readonly shell: string;
  /** `address` or `[address]`. */
  readonly host: string;
  /** The words in front of `--server` on the other side. */
  readonly remoteVerb: string;
  readonly dryRun: boolean;
  /** At most this many deletions (mode `copy`). */
  readonly maxDelete: number;
  /** Both hosts agree on the method; this host's rsync must know zstd. */
  readonly compress?: boolean;
  /** Most bytes per second over the line; null or absent: no limit. */
  readonly bytesPerSecond?: number | null;
}

/** The argument list of one path. */
export function rsyncCommand(input: RsyncCommandInput): string[] {
  const place = input.isDirectory ? `${input.path}/` : input.path;
  const there = input.mode === "stage" ? `${place}${STAGING_NAME}/` : place;
  return [
    "rsync",
    "-aHAXS",
    ...(input.dryRun ? ["-n"] : []),
    "--numeric-ids",
    `--partial-dir=${PARTIAL_NAME}`,
    "--delay-updates",
    ...(input.compress === true ? ["--compress", "--compress-level=1"] : []),
    // In KiB; it counts what goes over the line.
    ...(input.bytesPerSecond ? [`--bwlimit=${Math.max(1, input.bytesPerSecond >> 10)}`] : []),
    `--timeout=${IO_TIMEOUT_S}`,
    ...modeOptions(input),
    "--no-human-readable",
    input.dryRun ? "--info=stats2" : "--info=progress2,stats2",
    ...input.excludes.map((pattern) => `--exclude=${pattern}`),
    "-e",
    input.shell,
    `--rsync-path=${input.remoteVerb}`,
    "--",
    place,
    `${input.host}:${there}`,
  ];
}

function modeOptions({ mode, maxDelete }: RsyncCommandInput): readonly string[] {
  switch (mode) {
    case "copy":
      return ["--delete-after", `--max-delete=${maxDelete}`];
    case "return":
      return ["--update", "--backup", `--suffix=${BACKUP_SUFFIX}`];
    case "stage":
      return ["--from0", "--files-from=-"];
  }
}

/** The argument list that lists one path on this host, for {@linkcode FileListDigest}. */
export function rsyncListCommand(
  input: Pick<RsyncCommandInput, "path" | "isDirectory" | "excludes">,
): string[] {
  return [
    "rsync",
    "-a",
    "--list-only",
    "--no-human-readable",
    `--exclude=${PARTIAL_NAME}/`,
    ...input.excludes.map((pattern) => `--exclude=${pattern}`),
    "--",
    input.isDirectory ? `${input.path}/` : input.path,
  ];
}

/** What the receiver found in a sender's argument list. */
export interface RsyncRequest {
  /** Arguments for rsync, `--server` first; only known ones. */
  readonly args: readonly string[];
  /** The declared path. */
  readonly path: string;
  /** The sender sends a directory's contents. */
  readonly isDirectory: boolean;
  readonly dryRun: boolean;
  /** It may delete here. */
  readonly deletes: boolean;
}

/** Short options of ours: -n -v(erbosity by info) -u -b -R (names of a list) -z, and what -aHAXS stand for; `e.` begins flags. */
const SHORT_OPTIONS = /^-[nuvblHogDtpAXrRSz]+(e[0-9]*\.[A-Za-z]*)?$/;
const LONG_OPTIONS: readonly RegExp[] = [
  /^--numeric-ids$/,
  /^--partial$/,
  /^--partial-dir$/,
  /^\.relais-partial$/,
  /^--compress-level=[0-9]$/,
  /^--bwlimit=[0-9]{1,9}$/,
  /^--delay-updates$/,
  /^--timeout=[0-9]{1,6}$/,
  /^--stats$/,
  /^--info=[A-Z0-9,]{1,64}$/,
  /^--log-format=[%A-Za-z]{1,8}$/,
];
const DELETE_OPTIONS: readonly RegExp[] = [/^--delete-after$/, /^--max-delete=[0-9]{1,9}$/];
const RETURN_OPTIONS: readonly RegExp[] = [/^--suffix(=\.before-relais)?$/, /^\.before-relais$/];

/**
 * Checks the words behind `rsync …` that a sender asked for. Only lists as {@linkcode rsyncCommand}
 * makes them pass: never `--sender` (reading), never a path that is not declared.
 *
 * @param origin role of the sender: only the master's may replace (mode `copy`, `paths`); what was gained
 * goes either way (mode `return`, `returnPaths`), with --update and --backup and without deletion
 * @returns the request, or why it is refused
 */
export function checkRsyncRequest(
  words: readonly string[],
  files: FilesConfig,
  origin: Role,
): RsyncRequest | { readonly refused: string } {
  const dot = words.indexOf(".");
  const destination = words[dot + 1];
  if (words[0] !== "--server" || dot < 1 || destination === undefined || words.length !== dot + 2) {
    return { refused: "Cannot run rsync as the list is not: --server OPTIONS . PATH" };
  }
  const options = words.slice(1, dot);
  const bundles = options.filter((word) => SHORT_OPTIONS.test(word));
  if (bundles.length !== 1) {
    return { refused: "Cannot run rsync as it needs one bundle of options" };
  }
  const letters = bundles[0]!.replace(/e[0-9]*\..*$/, "");
  const isDirectory = destination.endsWith("/");
  const path = isDirectory ? destination.slice(0, -1) : destination;
  const stages = path.endsWith(`/${STAGING_NAME}`);
  const returns = stages || letters.includes("u") && letters.includes("b");
  if (stages !== letters.includes("R") || (stages && (!isDirectory || /[rub]/.test(letters)))) {
    return { refused: "Cannot run rsync as a list of names only goes into the staging directory" };
  }
  if (!returns && origin === "slave") {
    return {
      refused: "Cannot run rsync as the slave's files must come with --update and --backup",
    };
  }
  const special = stages ? [] : returns ? RETURN_OPTIONS : DELETE_OPTIONS;
  const allowed = [...LONG_OPTIONS, ...special];
  const unknown = options.find((word) =>
    word !== bundles[0] && !allowed.some((pattern) => pattern.test(word))
  );
  if (unknown !== undefined) {
    return { refused: `Cannot run rsync as the ${origin} may not ask for the option ${unknown}` };
  }
  const declared = returns ? files.returnPaths : files.paths;
  const owner = stages ? path.slice(0, -STAGING_NAME.length - 1) : path;
  if (!declared.some((own) => withoutSlash(own) === owner)) {
    const key = returns ? "return_paths" : "paths";
    return { refused: `Cannot write ${destination} as it is not in replication.files.${key} here` };
  }
  return { args: [...words], path, isDirectory, dryRun: letters.includes("n"), deletes: !returns };
}

/** A declared path without the slash that an operator may have typed behind it. */
export function withoutSlash(path: string): string {
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}
