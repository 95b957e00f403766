/**
 * What the two hosts say to each other for the way back of files: the master's lists, and the plan that it
 * carries out. Both travel as set streams of the set `files` with the detail `what`.
 *
 * @module
 */

import { z } from "zod";
import { treeRowsSchema } from "./return_base.ts";
import { withoutSlash } from "./rsync_arguments.ts";
import type { PutResult } from "./remote_protocol.ts";
import type { IncomingSet } from "./stream.ts";

/** Verb that gives the lists of this host's `return_paths`. */
export const RETURN_LIST_VERB = "return list";
/** Verb that takes a plan. */
export const RETURN_APPLY_VERB = "return apply";
/** Lists and plans larger than this are refused, in bytes. */
const MAX_RETURN_BYTES = 256 * 1024 * 1024;

/** A name below a declared directory: never outside it. */
const relativeName = z.string().min(1).max(4096).refine(
  (name) =>
    !name.startsWith("/") && !name.includes("\0") &&
    name.split("/").every((part) => part !== "" && part !== "." && part !== ".."),
  "must be a name below the directory",
);
const entrySchema = z.object({
  kind: z.enum(["f", "l"]),
  size: z.number().int().min(0),
  mtime: z.string().regex(/^-?[0-9]{1,15}\.[0-9]{9}$/),
});

/** Payload of `return list`. */
export const returnListSchema = z.array(z.object({
  path: z.string(),
  /** `other`: a file, or something that no directory is. */
  kind: z.enum(["missing", "directory", "other"]),
  rows: treeRowsSchema,
}));
/** See the schema. */
export type ReturnLists = z.infer<typeof returnListSchema>;

/** Payload of `return apply`: `ReturnPlan` per path. */
export const returnOrderSchema = z.array(z.object({
  path: z.string(),
  puts: z.array(z.object({ from: relativeName, to: relativeName, over: entrySchema.nullable() })),
  asides: z.array(z.object({ name: relativeName, was: entrySchema })),
  conflicts: z.array(z.object({
    name: z.string().max(4096),
    what: z.string().max(1000),
    slave: entrySchema.nullable(),
    master: entrySchema.nullable(),
  })),
}));
/** See the schema. */
export type ReturnOrder = z.infer<typeof returnOrderSchema>;

/** Reads the JSON of a stream. */
export async function readJson(incoming: IncomingSet): Promise<unknown> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const part of incoming.payload) {
    size += part.length;
    if (size > MAX_RETURN_BYTES) throw new Error("Cannot read a list that long");
    parts.push(part as Uint8Array<ArrayBuffer>);
  }
  await incoming.done;
  return JSON.parse(await new Blob(parts).text());
}

/** JSON as the payload of a stream. */
export function jsonPayload(value: unknown): ReadableStream<Uint8Array> {
  return new Blob([JSON.stringify(value)]).stream();
}

/** The declared paths that a plan may name. */
export function returnPathsOf(files: { readonly returnPaths: readonly string[] }): string[] {
  return files.returnPaths.map(withoutSlash);
}

/** What the master did, for the histories of both hosts. */
export function sentenceOf(detail: PutResult["detail"]): string {
  const { put, deleted, conflicts, kept, ...rest } = detail;
  const named = Object.entries(rest).filter(([key]) => key.startsWith("conflict"))
    .map(([, text]) => String(text));
  const more = Number(conflicts) - named.length;
  return `${put} files brought back, ${deleted} deleted on the master as on the slave` +
    (kept === "" ? "" : ` (what they replaced is kept on the master in ${kept})`) +
    (conflicts === 0
      ? ""
      : `; ${conflicts} conflicts (on the master: relais return conflicts): ${named.join("; ")}` +
        (more > 0 ? ` and ${more} more` : ""));
}
