/**
 * The other side of {@linkcode RemoteHost}: answers requests line by line until the session ends, and takes
 * back what was not kept.
 *
 * @module
 */

import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { ByteReader, CutStreamError } from "../replication/byte_reader.ts";
import type { LocalHost } from "./local_host.ts";
import { type greetingSchema, MAX_PAIR_LINE_BYTES, requestSchema } from "./protocol.ts";
import type { z } from "zod";

/** How long the administrator on the other host may think before he agrees. */
const IDLE_MS = 30 * 60_000;
/** Once something is changed nobody thinks: the other host tries its way, then keeps or takes back. */
const PENDING_IDLE_MS = 12 * 60_000;

/** What {@linkcode servePairing} works with. */
export interface ServeOptions {
  readonly greeting: z.infer<typeof greetingSchema>;
  /** Null when the greeting names a problem. */
  readonly host: LocalHost | null;
  readonly input: ReadableStream<Uint8Array>;
  readonly write: (bytes: Uint8Array) => Promise<void>;
  /** Writes to standard error. */
  readonly warn: (text: string) => void;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Serves one session; true: it ended in order, with nothing left half done. */
export async function servePairing(options: ServeOptions): Promise<boolean> {
  const { host, input, write, warn, clock, signal } = options;
  const say = (value: unknown): Promise<void> =>
    write(new TextEncoder().encode(`${JSON.stringify(value)}\n`));
  try {
    await say(options.greeting);
    if (host === null) return false;
    const late = new AbortController();
    const lines = new ByteReader(input, {
      clock,
      idleMs: IDLE_MS,
      signal: AbortSignal.any([signal, late.signal]),
    });
    for (;;) {
      const inTime = new AbortController();
      if (host.pending) {
        clock.sleep(PENDING_IDLE_MS, inTime.signal).then(
          () => late.abort(new Error("the other host says nothing any more")),
          () => {}, // The line came.
        );
      }
      const bytes = await lines.readLine(MAX_PAIR_LINE_BYTES).finally(() => inTime.abort());
      await say(await answer(host, new TextDecoder().decode(bytes)));
    }
  } catch (cause) {
    if (!(cause instanceof CutStreamError)) warn(messageOf(cause));
  }
  if (host === null || !host.pending) return true;
  const { failed } = await host.ask({ do: "undo" });
  for (const text of failed) warn(text);
  return false;
}

async function answer(host: LocalHost, line: string): Promise<unknown> {
  try {
    return { ok: true, answer: await host.ask(requestSchema.parse(JSON.parse(line))) };
  } catch (cause) {
    return { ok: false, error: messageOf(cause) };
  }
}
