/**
 * A sample of the declared files, chosen by a seed: the files whose name hashes lowest. Read by the host
 * that is the source, compared by the other one.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { FilesConfig } from "../../config/types.ts";
import { forEachFile } from "../file_list.ts";
import { withoutSlash } from "../rsync_arguments.ts";
import { digestOf } from "./file_digest.ts";
import { type FileSums, MAX_SAMPLE, type SampledFile } from "./file_sums_protocol.ts";

/** Names that take more than this in JSON are not in the sample, for the same reason; in bytes. */
const MAX_NAME_BYTES = 300;

/** Larger files are not in the sample: a proof must not keep the disk busy. */
const MAX_FILE_BYTES = 64 * 1024 * 1024;

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
    if (tooLong || file.size > MAX_FILE_BYTES) return;
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
