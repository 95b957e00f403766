/**
 * What `file-sums` is asked with and answers.
 *
 * @module
 */

import { z } from "zod";

/** 16 bytes in hex. */
export const SAMPLE_SEED = /^[0-9a-f]{32}$/;

/** Most files in one sample: their answer must fit into one line of the protocol. */
export const MAX_SAMPLE = 100;

/** One file as its host has it. */
const sampledFileSchema = z.object({
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
