/**
 * A sample of the declared files, chosen by a seed: the files whose name hashes lowest. Read by the host
 * that is the source, compared by the other one.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { z } from "zod";
import type { FilesConfig } from "../../config/types.ts";
import { forEachFile } from "../file_list.ts";
import { withoutSlash } from "../rsync_arguments.ts";
import { digestOf } from "./spool_proof.ts";

/** 16 bytes in hex. */
export const SAMPLE_SEED = /^[0-9a-f]{32}$/;

/** Most files in one sample: their answer must fit into one line of the protocol. */
export const MAX_SAMPLE = 100;

/** Names that take more than this in JSON are not in the sample, for the same reason; in bytes. */
const MAX_NAME_BYTES = 300;

/** Larger files are not in the sample: a proof must not keep the disk busy. */
const MAX_FILE_BYTES = 64 * 1024 * 1024;

/** One file as its host has it. */
export const sampledFileSchema = z.object({
  /** Absolute; the same on both hosts. */
  path: z.string().max(4096),
  size: z.number().int().min(0),
  /** Time of the last change on that host's clock, whole seconds, in ms. */
  changedWallMs: z.number(),
  /** As `ls` writes it: `-rw-r--r--`. */
  mode: z.string().max(16),
  /** Null: it could not be read, or is gone. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/).nullable(),
});

/** See the schema. */
export type SampledFile = z.infer<typeof sampledFileSchema>;

/** Answer to `file-sums`. */
export const fileSumsSchema = z.object({
  ok: z.literal(true),
  fileSums: z.object({ files: z.number().int().min(0), sample: z.array(sampledFileSchema) }),
});

/** See the schema: how many files there are, and the sample. */
export interface FileSums extends z.infer<typeof fileSumsSchema> {}

/** Chooses and reads the sample. `onFile` is told before each file is read: of how many, and which. */
export async function sampleFiles(files: FilesConfig, options: {
  readonly seed: string;
  readonly count: number;
  readonly signal: AbortSignal;
  readonly onFile?: (done: number) => Promise<void>;
}): Promise<FileSums["fileSums"]> {
  const { seed, signal } = options;
  const chosen: (Omit<SampledFile, "sha256"> & { readonly rank: string })[] = [];
  let found = 0;
  const keep = Math.min(options.count, MAX_SAMPLE);
  await forEachFile(files.paths.map(withoutSlash), files, signal, (file) => {
    found++;
    const tooLong = new TextEncoder().encode(JSON.stringify(file.path)).length > MAX_NAME_BYTES;
    // rsync writes what is no printable character as \\#ooo: such a name cannot be opened as it is.
    if (tooLong || file.path.includes("\\#") || file.size > MAX_FILE_BYTES) return;
    const rank = createHash("sha256").update(`${seed}\n${file.path}`).digest("hex");
    if (chosen.length >= keep && rank >= chosen.at(-1)!.rank) return;
    chosen.push({ ...file, rank });
    chosen.sort((a, b) => a.rank < b.rank ? -1 : 1);
    chosen.length = Math.min(chosen.length, keep);
  });
  const sample: SampledFile[] = [];
  for (const { rank: _, ...file } of chosen) {
    signal.throwIfAborted();
    await options.onFile?.(sample.length);
    const sha256 = await digestOf(file.path).then((found) => found.sha256, () => null);
    sample.push({ ...file, sha256 });
  }
  return { files: found, sample };
}
