/**
 * The three-way merge of one `return_paths` directory: what the stand-in gained and what was deleted
 * there goes to the master, measured against what both had before. Nothing is guessed: where both changed,
 * both versions stay and are named. Voicemail is merged message by message (`return_voicemail.ts`). Pure.
 *
 * @module
 */

import { mergeFolder, messageOfName, messagesOf } from "./return_voicemail.ts";
import { sameEntry, type Tree, type TreeEntry } from "./tree_list.ts";

/** A file of the stand-in that comes to the master. */
export interface ReturnPut {
  /** Name on the stand-in, relative to the directory. */
  readonly from: string;
  /** Name on the master. */
  readonly to: string;
  /** What it replaces (kept aside); null: nothing may be there. */
  readonly over: TreeEntry | null;
}

/** A file of the master that was deleted on the stand-in: it is moved aside, not removed. */
export interface ReturnAside {
  readonly name: string;
  readonly was: TreeEntry;
}

/** Something that both hosts changed, and what became of it. */
export interface ReturnConflict {
  readonly name: string;
  /** One sentence. */
  readonly what: string;
  readonly slave: TreeEntry | null;
  readonly master: TreeEntry | null;
}

/** What has to happen on the master. */
export interface ReturnPlan {
  readonly puts: readonly ReturnPut[];
  readonly asides: readonly ReturnAside[];
  readonly conflicts: readonly ReturnConflict[];
}

/** The three lists. */
export interface MergeInput {
  /** What both had before the stand-in served; null: not known. */
  readonly base: Tree | null;
  readonly slave: Tree;
  readonly master: Tree;
}

/** Collects a plan. */
export interface PlanBuilder {
  readonly puts: ReturnPut[];
  readonly asides: ReturnAside[];
  readonly conflicts: ReturnConflict[];
}

/** What the stand-in's version is called beside the master's. */
const BESIDE_SUFFIX = ".from-slave";
/** Fewer deletions than this are never stopped. */
const MASS_DELETION_FROM = 50;

/** Compares. */
export function mergeReturn(input: MergeInput): ReturnPlan {
  const plan: PlanBuilder = { puts: [], asides: [], conflicts: [] };
  const folders = new Set<string>();
  const names = new Set([
    ...input.slave.keys(),
    ...input.master.keys(),
    ...input.base?.keys() ?? [],
  ]);
  for (const name of [...names].sort()) {
    const message = messageOfName(name);
    if (message !== null) folders.add(message.folder);
    else mergeFile(name, input, plan);
  }
  const messages = {
    base: input.base === null ? null : messagesOf(input.base),
    slave: messagesOf(input.slave),
    master: messagesOf(input.master),
  };
  for (const folder of folders) mergeFolder(folder, messages, plan);
  return stopMassDeletion(plan, input.master.size);
}

function mergeFile(name: string, { base, slave, master }: MergeInput, plan: PlanBuilder): void {
  const [b, s, m] = [base?.get(name), slave.get(name), master.get(name)];
  if (sameEntry(s, m) || (base !== null && sameEntry(s, b))) return;
  const conflict = (what: string): void => {
    plan.conflicts.push({ name, what, slave: s ?? null, master: m ?? null });
  };
  if (s === undefined) {
    if (base === null) return; // Whether it was ever there is not known.
    if (sameEntry(m, b)) plan.asides.push({ name, was: m! });
    else conflict("deleted on the slave, changed on the master: the master's is kept");
  } else if (m === undefined) {
    plan.puts.push({ from: name, to: name, over: null });
    if (b !== undefined) {
      conflict("changed on the slave, deleted on the master: the slave's is kept");
    }
  } else if (base !== null && sameEntry(m, b)) {
    plan.puts.push({ from: name, to: name, over: m });
  } else if (base === null && Number(s.mtime) > Number(m.mtime)) {
    // Nothing tells who changed it: the newer one has the name, as rsync's --update would do it.
    plan.puts.push({ from: name, to: name, over: m });
    conflict(
      "it differs and what it was before is not known: the slave's is newer and has the name",
    );
  } else {
    plan.puts.push({ from: name, to: besideName(name, slave, master), over: null });
    conflict(
      (base === null ? "it differs and what it was before is not known" : "changed on both") +
        `: the master's has the name, the slave's lies beside it (${BESIDE_SUFFIX})`,
    );
  }
}

/** A name beside `name` that is free on both hosts. */
export function besideName(name: string, ...trees: readonly Pick<Tree, "has">[]): string {
  for (let number = 1;; number++) {
    const beside = `${name}${BESIDE_SUFFIX}${number === 1 ? "" : `-${number}`}`;
    if (trees.every((tree) => !tree.has(beside))) return beside;
  }
}

/**
 * A volume that is not mounted on the stand-in looks like a deletion of everything: then nothing is
 * deleted, and it is said.
 */
function stopMassDeletion(plan: PlanBuilder, there: number): ReturnPlan {
  const count = plan.asides.length;
  if (count < MASS_DELETION_FROM || count * 2 <= there) return plan;
  const what = `${count} of ${there} files are gone on the slave: too many to be believed, ` +
    `nothing of them is deleted on the master`;
  return {
    ...plan,
    asides: [],
    conflicts: [...plan.conflicts, { name: ".", what, slave: null, master: null }],
  };
}
