/**
 * Merging of a mailbox's folder (`INBOX`, `Old`, …). Asterisk numbers the messages of a folder from 0000
 * without holes and moves them down when one is deleted, so a number says nothing about which message it
 * is: the files of a message (`msg0003.txt`, `.wav`, `.gsm`, …) belong together, and are known again by
 * their sizes and times, which a renaming keeps. Pure.
 *
 * @module
 */

import type { PlanBuilder } from "./return_merge.ts";
import { sameEntry, type Tree, type TreeEntry } from "./tree_list.ts";

/** File name of a message, taken apart. */
export interface MessageName {
  /** With its slash; empty: the directory itself. */
  readonly folder: string;
  readonly number: number;
  /** `txt`, `wav`, … */
  readonly extension: string;
}

/** A message in one folder of one host: extension to file. */
type Message = ReadonlyMap<string, TreeEntry>;
/** Number to message. */
type Folder = ReadonlyMap<number, Message>;
/** The messages of a tree, folder by folder. */
export type Folders = ReadonlyMap<string, Folder>;

const NAME = /^((?:[^]*\/)?)msg([0-9]{4})\.([A-Za-z0-9]{1,16})$/;

/** Takes a relative name apart; null: no message's. */
export function messageOfName(name: string): MessageName | null {
  const [, folder, number, extension] = NAME.exec(name) ?? [];
  return extension === undefined ? null : { folder: folder!, number: Number(number), extension };
}

/**
 * Adds to `plan` what one folder needs. If only the stand-in changed it, the master's becomes as the
 * stand-in's, number by number. If both did, what was deleted on the stand-in is set aside on the master,
 * and what came on the stand-in is put behind the master's messages.
 */
export function mergeFolder(
  folder: string,
  input: { readonly base: Folders | null; readonly slave: Folders; readonly master: Folders },
  plan: PlanBuilder,
): void {
  const none: Folder = new Map();
  const base = input.base === null ? null : input.base.get(folder) ?? none;
  const slave = input.slave.get(folder) ?? none;
  const master = input.master.get(folder) ?? none;
  if (sameFolder(slave, master) || (base !== null && sameFolder(slave, base))) return;
  if (base !== null && sameFolder(master, base)) mirror(folder, slave, master, plan);
  else mergeBoth(folder, { base: base ?? none, slave, master }, plan);
}

function mirror(folder: string, slave: Folder, master: Folder, plan: PlanBuilder): void {
  for (const number of new Set([...slave.keys(), ...master.keys()])) {
    const [mine, theirs] = [slave.get(number) ?? new Map(), master.get(number) ?? new Map()];
    for (const extension of new Set<string>([...mine.keys(), ...theirs.keys()])) {
      const [s, m] = [mine.get(extension), theirs.get(extension)];
      const name = nameOf(folder, number, extension);
      if (sameEntry(s, m)) continue;
      if (s === undefined) plan.asides.push({ name, was: m! });
      else plan.puts.push({ from: name, to: name, over: m ?? null });
    }
  }
}

function mergeBoth(
  folder: string,
  { base, slave, master }: Record<"base" | "slave" | "master", Folder>,
  plan: PlanBuilder,
): void {
  const isIn = (where: Folder, message: Message): boolean =>
    [...where.values()].some((other) => sameMessage(other, message));
  for (const [number, message] of master) {
    if (!isIn(base, message) || isIn(slave, message)) continue;
    for (const [extension, was] of message) {
      plan.asides.push({ name: nameOf(folder, number, extension), was });
    }
  }
  // Behind the last one, also if that is set aside: a hole is closed by Asterisk when the box is opened.
  let next = 1 + Math.max(-1, ...master.keys());
  for (const [number, message] of [...slave].sort(([a], [b]) => a - b)) {
    if (isIn(base, message) || isIn(master, message)) continue;
    const to = next++;
    for (const extension of message.keys()) {
      const [from, target] = [number, to].map((it) => nameOf(folder, it, extension));
      plan.puts.push({ from: from!, to: target!, over: null });
    }
    const theirs = master.get(number);
    if (theirs === undefined) continue;
    plan.conflicts.push({
      name: `${folder}${stem(number)}`,
      what: `the same number on both: both messages are kept, the slave's is ${stem(to)} now`,
      slave: message.get("txt") ?? [...message.values()][0] ?? null,
      master: theirs.get("txt") ?? [...theirs.values()][0] ?? null,
    });
  }
}

/** The messages of `tree`. */
export function messagesOf(tree: Tree): Folders {
  const found = new Map<string, Map<number, Map<string, TreeEntry>>>();
  for (const [name, entry] of tree) {
    const message = messageOfName(name);
    if (message === null) continue;
    const { folder, number, extension } = message;
    const messages = found.get(folder) ?? new Map<number, Map<string, TreeEntry>>();
    const files = messages.get(number) ?? new Map<string, TreeEntry>();
    found.set(folder, messages.set(number, files.set(extension, entry)));
  }
  return found;
}

function sameFolder(a: Folder, b: Folder): boolean {
  return a.size === b.size &&
    [...a].every(([number, message]) => {
      const other = b.get(number);
      return other !== undefined && sameMessage(message, other);
    });
}

function sameMessage(a: Message, b: Message): boolean {
  return a.size === b.size &&
    [...a].every(([extension, entry]) => sameEntry(entry, b.get(extension)));
}

function stem(number: number): string {
  return `msg${String(number).padStart(4, "0")}`;
}

function nameOf(folder: string, number: number, extension: string): string {
  return `${folder}${stem(number)}.${extension}`;
}
