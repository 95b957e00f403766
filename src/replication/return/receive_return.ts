/**
 * `relais receive return database`: takes in what the slave's database gained while it served. Only on the
 * master, only while it does not serve, all in one transaction or nothing.
 *
 * @module
 */

import { readLines } from "../json_lines.ts";
import { encodeRemoteLine } from "../remote_protocol.ts";
import type { ReceiveContext } from "../receive.ts";
import { RefusedError, underPermission } from "../receive_gate.ts";
import { underLock } from "../receive_lock.ts";
import { type IncomingSet, readSetStream, SetStreamError } from "../stream.ts";
import type { ReturnDatabase } from "./return_database.ts";
import { MAX_RETURN_LINE_BYTES, type ReturnHead, returnHeadSchema } from "./return_send.ts";
import { type ReturnOutcome, type RowChange, rowChangeSchema } from "./return_types.ts";

/** The sender hears something at least this often, in milliseconds. */
const SAY_EVERY_MS = 5000;
/** Rows given to PostgreSQL at once, and about how many characters of them. */
const BATCH_ROWS = 500;
const BATCH_CHARS = 4_000_000;

/** Takes it in; returns what became of it. */
export async function receiveReturn(context: ReceiveContext): Promise<ReturnOutcome> {
  const { config, clock, gate } = context;
  const { database } = config.replication;
  const returning = context.returning ?? null;
  if (database === null || returning === null) {
    throw new RefusedError("Cannot take rows back as no database is configured here");
  }
  if (config.role !== "master") {
    throw new RefusedError("Cannot take rows back as this is the slave: they go to the master");
  }
  return await underLock("database", context, async () => {
    const reading = new AbortController();
    const incoming = await readSetStream(context.input(), {
      clock,
      idleMs: 120_000,
      signal: AbortSignal.any([context.signal, reading.signal]),
    });
    const { header } = incoming;
    const why = header.set !== "database" || header.origin !== "slave"
      ? "it is not what the slave's database gained"
      : header.fingerprint !== config.fingerprint
      ? "the configurations of the two hosts differ: make relais.toml the same on both"
      : database.returnMode === "none"
      ? 'return is "none" here'
      : null;
    if (why !== null) {
      await incoming.payload.cancel(why).catch(() => {}); // The refusal is what counts.
      throw new RefusedError(`Cannot take rows back as ${why}`);
    }
    const options = { gate, header, clock, signal: context.signal };
    const { outcome } = await underPermission(options, async (signal) => {
      signal.addEventListener("abort", () => reading.abort(signal.reason), { once: true });
      const over = new AbortController();
      keepTalking(context, over.signal);
      try {
        return { outcome: await takeIn(incoming, returning, signal), bytes: 0 };
      } finally {
        over.abort();
      }
    });
    return outcome;
  });
}

async function takeIn(
  incoming: IncomingSet,
  returning: ReturnDatabase,
  signal: AbortSignal,
): Promise<ReturnOutcome> {
  const lines = readLines(incoming.payload, MAX_RETURN_LINE_BYTES);
  const first = await lines.next();
  if (first.done) throw new SetStreamError("Cannot take rows back as the stream is empty");
  const head: ReturnHead = returnHeadSchema.parse(JSON.parse(first.value));
  async function* changes(): AsyncGenerator<readonly RowChange[]> {
    let batch: RowChange[] = [];
    let chars = 0;
    let rows = 0;
    for await (const line of lines) {
      batch.push(rowChangeSchema.parse(JSON.parse(line)));
      rows++;
      chars += line.length;
      if (batch.length < BATCH_ROWS && chars < BATCH_CHARS) continue;
      yield batch;
      batch = [];
      chars = 0;
    }
    if (batch.length > 0) yield batch;
    // Whole and sound, or nothing is committed.
    await incoming.done;
    if (rows !== head.total) {
      throw new SetStreamError(`Cannot take rows back as ${rows} of ${head.total} arrived`);
    }
  }
  return await returning.apply({ ...head, changes: changes() }, signal);
}

function keepTalking({ clock, write }: ReceiveContext, over: AbortSignal): void {
  const say = (): void => {
    clock.sleep(SAY_EVERY_MS, over).then(async () => {
      await write(encodeRemoteLine({ progress: { phase: "return", bytes: 0, totalBytes: null } }));
      say();
    }).catch(() => {}); // Over, or the sender is gone: then its silence ends the reading.
  };
  say();
}
