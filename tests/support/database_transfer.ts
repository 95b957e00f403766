/**
 * A whole copy of a database between two clusters, sender and receiver each in a process of its own, the
 * set stream in a pipe between them: what `relais sync database` does, without the daemons and ssh.
 *
 * @module
 */

import { systemClock } from "../../src/os/clock.ts";
import { writeSetStream } from "../../src/replication/stream.ts";
import type { DatabasePair } from "./database_pair.ts";

/** A finished copy. */
export interface Transfer {
  /** Until both processes had ended. */
  readonly ms: number;
  /** Until the new database was live; what follows is the drop of the old one. */
  readonly liveMs: number;
  /** Bytes on the wire. */
  readonly size: number;
  /** When each phase of the receiver began, in milliseconds of its life; facts of the installation. */
  readonly phases: Readonly<Record<string, number>>;
  readonly detail: Readonly<Record<string, string | number>>;
}

/** Options of {@linkcode transferDatabase}. */
export interface TransferOptions {
  /** Null: as fast as it goes; absent: the default of relais. */
  readonly paceBytesPerSecond?: number | null;
  readonly signal: AbortSignal;
  /** Stands between sender and receiver; default: nothing. */
  readonly wire?: (payload: ReadableStream<Uint8Array>) => ReadableStream<Uint8Array>;
  readonly onReceiver?: (receiver: Deno.ChildProcess) => void;
}

/**
 * Copies.
 *
 * @throws whatever either side failed with
 */
export async function transferDatabase(
  pair: DatabasePair,
  options: TransferOptions,
): Promise<Transfer> {
  const from = performance.now();
  const { signal, paceBytesPerSecond } = options;
  const receiver = pair.slave.receiver();
  options.onReceiver?.(receiver);
  const said = new Response(receiver.stdout).text();
  const complained = new Response(receiver.stderr).text();
  const wire = new TransformStream<Uint8Array, Uint8Array>();
  const arrives = options.wire?.(wire.readable) ?? wire.readable;
  const carried = arrives.pipeTo(receiver.stdin);
  const sending = send();
  const [sent, arrived, status] = await Promise.allSettled([sending, carried, receiver.status]);
  const [lines, error] = await Promise.all([said, complained]);
  if (status.status === "rejected" || !status.value.success) {
    throw new Error(`the receiver failed: ${error}`, { cause: sent });
  }
  if (sent.status === "rejected") throw sent.reason;
  if (arrived.status === "rejected") throw arrived.reason;
  const facts = lines.trim().split("\n").map((line) => JSON.parse(line));
  const phases = Object.fromEntries(facts.map(({ phase, atMs }) => [phase ?? "done", atMs]));
  const ms = performance.now() - from;
  return {
    ms,
    liveMs: ms - (phases.done - phases.drop),
    size: sent.value.size,
    phases,
    detail: facts.at(-1)?.detail ?? {},
  };

  async function send(): Promise<{ readonly size: number }> {
    const source = pair.master.source(
      paceBytesPerSecond === undefined ? {} : { paceBytesPerSecond },
    );
    try {
      const dump = await source.dump({ signal, onProgress: () => {} });
      dump.done.catch(() => {}); // Awaited behind the payload.
      return await writeSetStream(
        wire.writable,
        {
          version: 1,
          set: "database",
          epoch: 1,
          origin: "master",
          snapshotWallMs: Date.now(),
          fingerprint: "bench",
          detail: dump.detail,
        },
        dump.payload,
        { clock: systemClock, complete: dump.done, signal },
      );
    } catch (cause) {
      await wire.writable.abort(cause).catch(() => {}); // The pipe is gone already.
      throw cause;
    }
  }
}
