/**
 * Carries what the slave gained to `relais receive return` on the master, and back comes what became of it.
 * The payload of the set stream: one line about the whole, then a line for each row.
 *
 * @module
 */

import { z } from "zod";
import type { LocalConfig } from "../../config/types.ts";
import type { Clock } from "../../os/clock.ts";
import { encodeLine } from "../json_lines.ts";
import type { SetHeader } from "../set_header.ts";
import { writeSetStream } from "../stream.ts";
import { RemoteError, type Transport } from "../transport.ts";
import {
  type Decisions,
  decisionsSchema,
  type ReturnOutcome,
  returnOutcomeSchema,
  type ReturnSummary,
  type RowChange,
} from "./return_types.ts";

/** The verb of `relais receive`. */
const RETURN_VERB = "return database";
/** Longest line of the payload: a row with its values before and after. */
export const MAX_RETURN_LINE_BYTES = 16 * 1024 * 1024;
const DEADLINE_MS = 10 * 60_000;

/** First line of the payload. */
export const returnHeadSchema = z.object({
  total: z.number().int().min(0),
  tables: z.array(z.string().max(300)).max(10_000),
  sequences: z.array(
    z.object({ name: z.string().max(300), value: z.string().regex(/^-?\d{1,19}$/) }),
  )
    .max(10_000),
  decisions: decisionsSchema,
  commit: z.enum(["trial", "if-clean", "without"]),
});
/** See the schema. */
export interface ReturnHead extends Readonly<z.infer<typeof returnHeadSchema>> {}

/** Options of {@linkcode sendReturn}. */
export interface SendReturnOptions {
  readonly config: LocalConfig;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly epoch: number;
  readonly summary: ReturnSummary;
  readonly changes: AsyncIterable<readonly RowChange[]>;
  readonly decisions: Decisions;
  readonly commit: ReturnHead["commit"];
  readonly signal: AbortSignal;
}

/**
 * Sends and waits.
 *
 * @throws {RemoteError} when the master can't be reached, refuses or fails; what `changes` throws
 */
export async function sendReturn(options: SendReturnOptions): Promise<ReturnOutcome> {
  const { config, transport, clock, summary, signal } = options;
  const remote = await transport.openRemote(RETURN_VERB, { signal, deadlineMs: DEADLINE_MS });
  const header: SetHeader = {
    version: 1,
    set: "database",
    epoch: options.epoch,
    origin: config.role,
    snapshotWallMs: Math.floor(clock.wallMs()),
    fingerprint: config.fingerprint,
    detail: { rows: summary.total },
  };
  const sending = writeSetStream(remote.stdin, header, payload(options), { clock, signal });
  const failedToSend = sending.then(() => null, (cause: unknown) => cause);
  try {
    const answer = await transport.result(remote);
    await sending;
    return returnOutcomeSchema.parse((answer as { readonly returned?: unknown }).returned);
  } catch (cause) {
    remote.kill();
    const sendError = await failedToSend;
    signal.throwIfAborted();
    // The peer's word says more than the pipe that broke with it.
    throw cause instanceof RemoteError || sendError === null ? cause : sendError;
  }
}

function payload(options: SendReturnOptions): ReadableStream<Uint8Array> {
  const { summary: { total, tables, sequences }, decisions, commit } = options;
  const head: ReturnHead = {
    total,
    tables: tables.map(({ table }) => table),
    sequences: [...sequences],
    decisions: { ...decisions },
    commit,
  };
  async function* lines(): AsyncGenerator<Uint8Array> {
    yield encodeLine(head);
    for await (const some of options.changes) {
      for (const change of some) yield encodeLine(change);
    }
  }
  return ReadableStream.from(lines());
}
