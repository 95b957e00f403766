/**
 * The way back of files, on the stand-in that hands over: asks the master for its lists, merges, sends what
 * was gained, has the plan carried out. If it fails, what did not travel is kept in a dated folder.
 *
 * @module
 */

import type { LocalConfig } from "../config/types.ts";
import { messageOf } from "../os/errors.ts";
import { pathKind } from "./file_list.ts";
import { type SendFilesOptions, sendOnePath, stageFiles } from "./files.ts";
import { KeptFolder } from "./kept_folder.ts";
import { putSet } from "./put_set.ts";
import { gainedSince, ReturnBase, treeOf } from "./return_base.ts";
import { mergeReturn, type ReturnPlan } from "./return_merge.ts";
import {
  jsonPayload,
  readJson,
  RETURN_APPLY_VERB,
  RETURN_LIST_VERB,
  type ReturnLists,
  returnListSchema,
  returnPathsOf,
  sentenceOf,
} from "./return_protocol.ts";
import type { SetHeader } from "./set_header.ts";
import { readSetStream } from "./stream.ts";
import { listTree, type Tree } from "./tree_list.ts";
import { whyCut } from "./transport.ts";

const LIST_DEADLINE_MS = 60_000;
const APPLY_DEADLINE_MS = 110_000;
/** What could not travel is kept although the step was cut. */
const KEEP_PATIENCE_MS = 60_000;

/** Options of {@linkcode bringFilesBack}. */
export interface BringBackOptions extends SendFilesOptions {
  readonly stateDir: string;
}

/** What came of it. */
export interface BroughtBack {
  /** The directories that were brought back. */
  readonly paths: readonly string[];
  /** For log and history. */
  readonly sentence: string;
}

interface OnePath {
  readonly path: string;
  readonly base: Tree | null;
  readonly slave: Tree;
  readonly unreadable: number;
}

/**
 * Brings each `return_paths` back from the slave to the master.
 *
 * @throws when it failed, with the folder in which what did not travel is kept; the lists stay as they
 * were, so that the next hand-over tries again
 */
export async function bringFilesBack(options: BringBackOptions): Promise<BroughtBack> {
  const { config, signal } = options;
  const paths = returnPathsOf(config.replication.files ?? { returnPaths: [] });
  if (paths.length === 0) return { paths: [], sentence: "nothing is brought back" };
  try {
    return await bringBack(paths, options);
  } catch (cause) {
    const where = await keepGained(paths, options).catch((error: unknown) =>
      `what was gained could not be kept aside and lies where it was: ${messageOf(error)}`
    );
    signal.throwIfAborted();
    throw new Error(`Cannot bring files back: ${messageOf(cause)}; ${where}`, { cause });
  }
}

async function bringBack(
  paths: readonly string[],
  options: BringBackOptions,
): Promise<BroughtBack> {
  const { stateDir, signal } = options;
  const store = new ReturnBase(stateDir);
  const lists = await masterLists(options);
  const done: string[] = [];
  const orders: ({ readonly path: string } & ReturnPlan)[] = [];
  const trees: OnePath[] = [];
  let unreadable = 0;
  for (const path of paths) {
    const there = lists.find((list) => list.path === path);
    const kind = await pathKind(path);
    const base = await store.read(path);
    if (kind === "missing" && base === null) continue; // The stand-in gained nothing there.
    if (kind === "other" || there === undefined || there.kind === "other") {
      if (kind === "missing") continue;
      await sendOnePath({ ...options, mode: "return" }, path, kind === "directory");
      done.push(path);
      continue;
    }
    const list = await listTree(path, signal);
    unreadable += list.unreadable;
    trees.push({ path, base, slave: list.tree, unreadable: list.unreadable });
    const plan = mergeReturn({ base, slave: list.tree, master: treeOf(there.rows) });
    done.push(path);
    if (plan.puts.length + plan.asides.length + plan.conflicts.length === 0) continue;
    await stageFiles(options, path, plan.puts.map(({ from }) => from));
    orders.push({ path, ...plan });
  }
  const said = orders.length === 0 ? "nothing was gained here" : await apply(orders, options);
  for (const { path, slave } of trees) await store.write(path, slave);
  const odd = unreadable === 0
    ? ""
    : `; ${unreadable} files whose names are not UTF-8 stay here: rename them`;
  return { paths: done, sentence: `${said}${odd}` };
}

/** Sends the plan; returns what the master made of it, as a sentence. */
async function apply(
  orders: readonly ({ readonly path: string } & ReturnPlan)[],
  options: BringBackOptions,
): Promise<string> {
  const { transport, clock, signal, onProgress } = options;
  const { detail } = await putSet({
    transport,
    clock,
    header: headerOf(options),
    verb: RETURN_APPLY_VERB,
    payload: jsonPayload(orders),
    signal,
    deadlineMs: APPLY_DEADLINE_MS,
    onProgress,
  });
  return sentenceOf(detail);
}

function headerOf({ config, clock, epoch }: BringBackOptions): SetHeader {
  return {
    version: 1,
    set: "files",
    epoch,
    origin: config.role,
    snapshotWallMs: Math.floor(clock.wallMs()),
    fingerprint: config.fingerprint,
    detail: { what: "return-plan" },
  };
}

async function masterLists(
  { transport, clock, config, signal }: BringBackOptions,
): Promise<ReturnLists> {
  const remote = await transport.openRemote(RETURN_LIST_VERB, {
    signal,
    deadlineMs: LIST_DEADLINE_MS,
  });
  await remote.stdin.close().catch(() => {}); // If it ended already, reading says so.
  try {
    const incoming = await readSetStream(remote.stdout, { clock });
    const { origin, fingerprint, detail } = incoming.header;
    if (detail["what"] !== "return-list" || origin === config.role) {
      throw new Error("Cannot take what the peer gave as it is no list of the master's");
    }
    if (fingerprint !== config.fingerprint) throw new Error("the configurations differ");
    const lists = returnListSchema.parse(await readJson(incoming));
    await remote.stdout.cancel().catch(() => {}); // Nothing may follow the trailer; done tells.
    await remote.done;
    return lists;
  } catch (cause) {
    throw await whyCut(remote, { cause, clock, signal });
  }
}

/**
 * Keeps what this host gained since the last list that both had. The next copy of the master may delete it
 * in its place.
 *
 * @returns a sentence
 */
export async function keepGained(
  paths: readonly string[],
  { stateDir, clock }: {
    readonly stateDir: string;
    readonly clock: { wallMs(): number };
    readonly config?: LocalConfig;
  },
): Promise<string> {
  const store = new ReturnBase(stateDir);
  const kept = new KeptFolder(stateDir, "not-returned", clock.wallMs());
  let count = 0;
  const lost: string[] = [];
  for (const path of paths) {
    if (await pathKind(path) !== "directory") continue;
    const { tree } = await listTree(path, AbortSignal.timeout(KEEP_PATIENCE_MS));
    const { gained, deleted } = gainedSince(await store.read(path), tree);
    if (gained.length > 0) await kept.keep(path, gained);
    count += gained.length;
    lost.push(...deleted.map((name) => `${path}/${name}`));
  }
  if (count === 0 && lost.length === 0) return "nothing was gained here";
  if (lost.length > 0) await kept.note("deleted-here.txt", lost.join("\n") + "\n");
  return `${count} files that did not travel are kept in ${kept.directory}` +
    (lost.length === 0 ? "" : ` (and a list of ${lost.length} that were deleted here)`);
}
