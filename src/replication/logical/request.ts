/**
 * What one host asks of the other about the stream (`relais receive stream`): one JSON object on standard
 * input, one line of answer.
 *
 * @module
 */

import { z } from "zod";
import { sequenceSchema, type StreamFacts, type TargetState } from "./operations.ts";

/** Longest request, in bytes: 100,000 sequences fit. */
export const MAX_REQUEST_BYTES = 16 * 1024 * 1024;

/** The closed set of requests. */
export const streamRequestSchema = z.discriminatedUnion("op", [
  /** Master to slave: set these sequences, tell how you are. */
  z.strictObject({ op: z.literal("note"), sequences: z.array(sequenceSchema).max(100_000) }),
  /** What does your PostgreSQL have for the stream? */
  z.strictObject({ op: z.literal("facts") }),
  /** Set yours up (role, limits). */
  z.strictObject({ op: z.literal("prepare") }),
  /** Take yours down. */
  z.strictObject({ op: z.literal("teardown") }),
]);
/** See the schema. */
export type StreamRequest = z.infer<typeof streamRequestSchema>;

/** The answer to each request. */
export interface StreamAnswers {
  readonly note: TargetState;
  readonly facts: StreamFacts;
  readonly prepare: { readonly done: readonly string[] };
  readonly teardown: { readonly done: readonly string[] };
}
