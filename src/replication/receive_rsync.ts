/**
 * `rsync …`: the receiving end of one rsync, with an argument list that was checked word by word.
 *
 * @module
 */

import { dirname } from "node:path";
import type { ReceiveVerb } from "./receive_command.ts";
import { RefusedError, underPermission } from "./receive_gate.ts";
import { underLock } from "./receive_lock.ts";
import type { ReceiveContext } from "./receive.ts";
import { spawnTool } from "../os/process.ts";
import { pathKind } from "./file_list.ts";
import { baseAfterCopy, gainedSince, ReturnBase } from "./return_base.ts";
import { returnPathsOf } from "./return_protocol.ts";
import { keepGained } from "./return_send.ts";
import { listTree, type Tree } from "./tree_list.ts";
import { checkRsyncRequest, type RsyncRequest } from "./rsync_arguments.ts";
import { RECEIVE_EXIT } from "./remote_protocol.ts";
import type { SetHeader } from "./set_header.ts";

/** The list after a copy is taken although the copy was cut. */
const END_PATIENCE_MS = 60_000;

/** Runs rsync on this process's own standard input and output; returns the exit status for ssh. */
export async function receiveRsync(
  verb: ReceiveVerb & { readonly verb: "rsync" },
  context: ReceiveContext,
): Promise<number> {
  const { config, gate, clock, signal } = context;
  const { files } = config.replication;
  if (files === null) throw new RefusedError("Cannot take in files as none are configured here");
  const { epoch, origin, snapshotWallMs, fingerprint } = verb;
  if (origin === config.role) {
    throw new RefusedError(`Cannot take in files as their origin and this host are the ${origin}`);
  }
  if (fingerprint !== config.fingerprint) {
    throw new RefusedError(
      "Cannot take in files as the configurations differ: make relais.toml the same on both hosts",
    );
  }
  const request = checkRsyncRequest(verb.words, files, origin);
  if ("refused" in request) throw new RefusedError(request.refused);
  await checkPlace(request);
  const header: SetHeader = {
    version: 1,
    set: "files",
    epoch,
    origin,
    snapshotWallMs,
    fingerprint,
    detail: { path: request.path.slice(0, 1000), dryRun: request.dryRun ? 1 : 0 },
  };
  const work = async (
    signal: AbortSignal,
  ): Promise<{ readonly bytes: number; readonly note?: string }> => {
    if (!request.dryRun) {
      await Deno.mkdir(dirname(request.path), { recursive: true, mode: 0o755 });
    }
    const watched = request.dryRun || origin === "slave" ? null : await ReturnWatch.begin(
      { path: request.path, deletes: request.deletes },
      context,
    );
    let code: number;
    try {
      code = await runRsync(request.args, signal);
    } finally {
      await watched?.end();
    }
    if (code !== 0) throw new Error(`rsync for ${request.path} exited with ${code}`);
    const note = watched?.note ?? null;
    return note === null ? { bytes: 0 } : { bytes: 0, note };
  };
  await underLock(
    "files",
    context,
    () => underPermission({ gate, header, clock, signal }, work),
  );
  return RECEIVE_EXIT.ok;
}

/**
 * Around a copy of the master's into a directory that also comes back (`return_paths`): what was gained here
 * and never travelled is kept before the copy deletes it, and the list that both hosts have is kept true.
 */
class ReturnWatch {
  private constructor(
    readonly path: string,
    readonly context: ReceiveContext,
    readonly before: Tree,
    readonly base: Tree | null,
    /** For the history; null: nothing had to be kept. */
    readonly note: string | null,
  ) {}

  /** Null: the path does not come back. */
  static async begin(
    { path, deletes }: { readonly path: string; readonly deletes: boolean },
    context: ReceiveContext,
  ): Promise<ReturnWatch | null> {
    const { config, stateDir, signal } = context;
    if (!returnPathsOf(config.replication.files!).includes(path)) return null;
    if (await pathKind(path) === "other") return null;
    const { tree } = await listTree(path, signal);
    let base = await new ReturnBase(stateDir).read(path);
    let note: string | null = null;
    if (deletes) {
      const { gained } = gainedSince(base, tree);
      if (gained.length > 0) {
        note = `before the master's copy of ${path}: ${await keepGained([path], context)}`;
      }
      base = tree;
    }
    return new ReturnWatch(path, context, tree, base, note);
  }

  async end(): Promise<void> {
    const after = await listTree(this.path, AbortSignal.timeout(END_PATIENCE_MS));
    const base = baseAfterCopy(this.base, this.before, after.tree);
    await new ReturnBase(this.context.stateDir).write(this.path, base);
  }
}

async function runRsync(args: readonly string[], signal: AbortSignal): Promise<number> {
  signal.throwIfAborted();
  const child = spawnTool("rsync", {
    args: [...args],
    cwd: "/",
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
    env: { LC_ALL: "C" },
    signal,
  });
  const { code } = await child.status;
  signal.throwIfAborted();
  return code;
}

/** relais writes as root: a link that another user placed on the way must not lead it elsewhere. */
export async function checkPlace(
  { path, isDirectory }: Pick<RsyncRequest, "path" | "isDirectory">,
): Promise<void> {
  const parts = path.split("/").slice(1);
  if (parts.some((part) => part === "" || part === "." || part === "..")) {
    throw new RefusedError(`Cannot write ${path} as it is not a plain absolute path`);
  }
  for (let depth = 1; depth <= parts.length; depth++) {
    const place = "/" + parts.slice(0, depth).join("/");
    const info = await Deno.lstat(place).catch((cause) => {
      if (cause instanceof Deno.errors.NotFound) return null;
      throw cause;
    });
    if (info === null) return;
    if (info.isSymlink && info.uid !== 0) {
      throw new RefusedError(
        `Cannot write ${path} as ${place} is a symbolic link that does not belong to root`,
      );
    }
    if (depth === parts.length && !isDirectory && info.isDirectory) {
      throw new RefusedError(`Cannot write the file ${path} as a directory is in its place here`);
    }
  }
}
