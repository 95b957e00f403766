/**
 * Copies declared paths with rsync over the same ssh (DESIGN section 7).
 *
 * @module
 */

import { TRANSPORT_DEFAULTS } from "../config/defaults.ts";
import type { LocalConfig } from "../config/types.ts";
import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { urlHost } from "../os/ip_bytes.ts";
import { run, spawnTool } from "../os/process.ts";
import { listFiles, pathKind } from "./file_list.ts";
import { putSet } from "./put_set.ts";
import type { RsyncFacts } from "./receive_command.ts";
import { rsyncVerb } from "./receive_command.ts";
import type { FileSummary } from "./receive_put.ts";
import type { PutResult } from "./remote_protocol.ts";
import { rsyncCommand, type RsyncMode, withoutSlash } from "./rsync_arguments.ts";
import type { OnProgress } from "./set_header.ts";
import type { Transport } from "./transport.ts";

/** Fewer deletions than this are never stopped. */
const MASS_DELETION_FROM = 50;
/** A tree of any size that telephony uses goes over the line in this time. */
const DEADLINE_MS = 6 * 3_600_000;
/** rsync: some source files vanished while it ran. A live tree does that. */
const RSYNC_VANISHED = 24;

/** Options of {@linkcode sendFiles} and of the way back. */
export interface SendFilesOptions {
  readonly config: LocalConfig;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly epoch: number;
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress;
  /** The operator wants a mass deletion to go through. */
  readonly allowMassDeletion?: boolean;
  /** See `PutSetOptions`. */
  readonly scheduled?: boolean;
}

/**
 * Makes each declared path on the peer equal to this host's, then has the peer prove it. A path of a
 * product preset that this host does not have is left out (another version of the product).
 *
 * @throws when a path is missing here (the peer's is left alone), when a mass deletion was stopped, when
 * rsync failed, or when the peer's files differ afterwards; the other paths are copied all the same
 */
export async function sendFiles(options: SendFilesOptions): Promise<PutResult> {
  const { config, signal } = options;
  const files = config.replication.files!;
  const paths = files.paths.map(withoutSlash);
  const facts = rsyncFacts(options);
  const before = await listFiles(paths, files, signal);
  const absent: string[] = [];
  const failures = await eachPath(paths, options, async (path, kind) => {
    if (kind === "missing") {
      if (!files.pathsFromPreset) throw new Error(`${path} is missing here`);
      absent.push(path);
      return;
    }
    await copyPath({ ...options, facts, mode: "copy" }, path, kind === "directory");
  });
  const summary: FileSummary = { ...before, failed: [...failures.keys()] };
  const proof = await proveFiles(options, facts, summary).catch((cause) => {
    if (failures.size === 0) throw cause;
    signal.throwIfAborted();
    return null; // What failed before is what must be told.
  });
  if (failures.size > 0 || proof === null) throw new Error([...failures.values()].join("; "));
  if (proof.sha256 !== before.sha256) {
    const after = await listFiles(paths, files, signal);
    const changing = after.sha256 !== before.sha256;
    if (!changing) {
      throw new Error(
        `Cannot call the files copied as the peer's differ from those here ` +
          `(${proof.detail["files"]} files there, ${before.files} here)` +
          (absent.length === 0 ? "" : `; not here, so not copied: ${absent.join(", ")}`),
      );
    }
  }
  return proof;
}

/**
 * From the master at a planned move: `return_paths` go along. What is also in `paths` becomes equal there;
 * the others get what they lack, newer files win, what is overwritten is kept beside (`.before-relais`).
 *
 * @throws when a path could not be sent; the others are sent all the same
 */
export async function sendReturnPaths(
  options: SendFilesOptions,
): Promise<{ readonly paths: readonly string[] }> {
  const files = options.config.replication.files;
  const paths = (files?.returnPaths ?? []).map(withoutSlash);
  const copied = new Set((files?.paths ?? []).map(withoutSlash));
  const sent: string[] = [];
  const failures = await eachPath(paths, options, async (path, kind) => {
    if (kind === "missing") return;
    const mode = copied.has(path) ? "copy" : "return";
    await sendOnePath({ ...options, mode }, path, kind === "directory");
    sent.push(path);
  });
  if (failures.size > 0) throw new Error([...failures.values()].join("; "));
  return { paths: sent };
}

/** Sends one path as `mode` says; see {@linkcode RsyncMode}. */
export async function sendOnePath(
  options: SendFilesOptions & { readonly mode: "copy" | "return" },
  path: string,
  isDirectory: boolean,
): Promise<void> {
  await copyPath({ ...options, facts: rsyncFacts(options) }, path, isDirectory);
}

/**
 * Lays the files `names` (relative to `path`) into the staging directory on the master, from where
 * `return apply` puts them in place.
 *
 * @throws when rsync failed
 */
export async function stageFiles(
  options: SendFilesOptions,
  path: string,
  names: readonly string[],
): Promise<void> {
  if (names.length === 0) return;
  const { config, transport, signal, onProgress } = options;
  const address = await transport.address({ signal });
  const argv = rsyncCommand({
    mode: "stage",
    path,
    isDirectory: true,
    excludes: config.replication.files!.excludes,
    shell: transport.rsyncShell(address),
    host: urlHost(address),
    remoteVerb: rsyncVerb(rsyncFacts(options)),
    dryRun: false,
    maxDelete: 0,
  });
  // The directory itself first: one that the master never had gets its owner and mode.
  const list = ["./", ...names].map((name) => `${name}\0`);
  await runRsync(argv, { signal, onProgress, input: new Blob(list).stream() });
}

function rsyncFacts({ config, clock, epoch }: SendFilesOptions): RsyncFacts {
  const { role, fingerprint } = config;
  return { epoch, origin: role, snapshotWallMs: Math.floor(clock.wallMs()), fingerprint };
}

/** Runs `work` for every path; returns path and message of those that failed. */
async function eachPath(
  paths: readonly string[],
  { signal }: SendFilesOptions,
  work: (path: string, kind: Awaited<ReturnType<typeof pathKind>>) => Promise<void>,
): Promise<Map<string, string>> {
  const failures = new Map<string, string>();
  for (const path of paths) {
    signal.throwIfAborted();
    try {
      await work(path, await pathKind(path));
    } catch (cause) {
      signal.throwIfAborted();
      failures.set(path, messageOf(cause));
    }
  }
  return failures;
}

async function proveFiles(
  options: SendFilesOptions,
  facts: RsyncFacts,
  summary: FileSummary,
): Promise<PutResult> {
  return await putSet({
    ...options,
    header: { version: 1, set: "files", ...facts, detail: {} },
    payload: new Blob([JSON.stringify(summary)]).stream(),
    deadlineMs: DEADLINE_MS,
  });
}

interface CopyPathOptions extends SendFilesOptions {
  readonly facts: RsyncFacts;
  readonly mode: RsyncMode;
}

async function copyPath(
  options: CopyPathOptions,
  path: string,
  isDirectory: boolean,
): Promise<void> {
  const { config, transport, signal, mode, facts, onProgress } = options;
  const address = await transport.address({ signal });
  const { compression = TRANSPORT_DEFAULTS.compression } = config.replication.transport;
  const compress = compression === "zstd" && await rsyncKnowsZstd();
  const bytesPerSecond = options.scheduled === true
    ? config.replication.transport.bandwidthBytesPerSecond ?? null
    : null;
  const command = (dryRun: boolean, maxDelete: number): string[] =>
    rsyncCommand({
      mode,
      path,
      isDirectory,
      excludes: config.replication.files!.excludes,
      shell: transport.rsyncShell(address),
      host: urlHost(address),
      remoteVerb: rsyncVerb(facts),
      dryRun,
      maxDelete,
      compress,
      bytesPerSecond,
    });
  let maxDelete = 0;
  if (mode === "copy") {
    const plan = parseStats(await runRsync(command(true, 999_999_999), { signal, onProgress }));
    if (!options.allowMassDeletion) stopMassDeletion(path, plan);
    maxDelete = plan.deleted + 100; // Some may be deleted here in between.
  }
  await runRsync(command(false, maxDelete), { signal, onProgress });
}

let knowsZstd: Promise<boolean> | null = null;

/** Whether this host's rsync (3.2.3 and later) can compress by zstd; what it had before costs more than it saves. */
async function rsyncKnowsZstd(): Promise<boolean> {
  knowsZstd ??= run(["rsync", "--version"], { deadlineMs: 10_000 })
    .then(({ stdout }) => /\bzstd\b/.test(stdout), () => false);
  return await knowsZstd;
}

/** Numbers of rsync's `--info=stats2`. */
export interface RsyncStats {
  /** Entries on this host. */
  readonly total: number;
  /** Entries that the peer lacks. */
  readonly created: number;
  /** Entries to delete on the peer. */
  readonly deleted: number;
}

/** Reads the statistics; missing numbers count as 0. */
export function parseStats(text: string): RsyncStats {
  const number = (label: string): number => {
    const found = new RegExp(`^Number of ${label}: ([0-9,.]+)`, "m").exec(text)?.[1] ?? "0";
    return Number(found.replaceAll(/[,.]/g, ""));
  };
  return {
    total: number("files"),
    created: number("created files"),
    deleted: number("deleted files"),
  };
}

/**
 * An emptied or unmounted source must not empty the peer.
 *
 * @throws when more than half of what the peer has, and not just a handful, would be deleted
 */
export function stopMassDeletion(path: string, { total, created, deleted }: RsyncStats): void {
  const there = total - created + deleted;
  if (deleted < MASS_DELETION_FROM || deleted * 2 <= there) return;
  throw new Error(
    `Cannot copy ${path} as that would delete ${deleted} of ${there} files on the peer: ` +
      `is everything in place here? If it is meant: relais sync files --allow-mass-deletion`,
  );
}

async function runRsync(
  argv: readonly string[],
  options: {
    readonly signal: AbortSignal;
    readonly onProgress: OnProgress;
    /** For standard input: the list of names. */
    readonly input?: ReadableStream<Uint8Array<ArrayBuffer>>;
  },
): Promise<string> {
  const { signal, onProgress, input } = options;
  signal.throwIfAborted();
  const child = spawnTool(argv[0]!, {
    args: argv.slice(1),
    stdin: input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    env: { LC_ALL: "C", RSYNC_PROTECT_ARGS: "0", RSYNC_OLD_ARGS: "0" },
    signal: AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]),
  });
  const feeding = input?.pipeTo(child.stdin).catch(() => {}); // Its exit status says why.
  const said = new Response(child.stderr).text();
  const decoder = new TextDecoder();
  let tail = "";
  for await (const chunk of child.stdout) {
    tail = (tail + decoder.decode(chunk, { stream: true })).slice(-8192);
    const percent = /\s([0-9]+)\s+([0-9]{1,3})%[^\r\n]*$/.exec(tail);
    if (percent === null) continue;
    const [, bytes, share] = percent.map(Number);
    const totalBytes = share! > 0 ? Math.round(bytes! * 100 / share!) : null;
    onProgress({ phase: "send", bytes: bytes!, totalBytes });
  }
  await feeding;
  const { code } = await child.status;
  const message = (await said).replaceAll(/\s+/g, " ").trim().slice(0, 1000);
  signal.throwIfAborted();
  if (code !== 0 && code !== RSYNC_VANISHED) {
    throw new Error(`Cannot copy ${argv.at(-2)} as rsync exited with ${code}: ${message}`);
  }
  return tail;
}
