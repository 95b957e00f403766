/**
 * What `relais receive` asks the daemon of its own host, and how it keeps asking while it works: never
 * copy onto the one that serves, also when it begins to serve in the middle of a copy.
 *
 * @module
 */

import type { DataSetName } from "../core/types.ts";
import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import type { DaemonSelf } from "./remote_protocol.ts";
import type { SetHeader } from "./set_header.ts";

/** The daemon's answer. */
export type Permission = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/** How a reception ended, for the daemon's log and status. */
export interface ReceiveOutcome {
  readonly set: DataSetName;
  readonly ok: boolean;
  /** Why not; null when ok. */
  readonly reason: string | null;
  readonly bytes: number;
  readonly durationMs: number;
  /** A sentence for this host's history; absent: nothing to tell. */
  readonly note?: string;
}

/** The way to the local daemon (its control socket). A call that can't be made must reject. */
export interface ReceiveGate {
  /** What the daemon is; rejects when it does not answer. */
  whoAmI(): Promise<DaemonSelf>;
  /** May these data be taken in? (That there is one reception per set at a time is `receive_lock.ts`.) */
  begin(header: SetHeader): Promise<Permission>;
  /** Still? Asked each 2 s, and directly before data replace others. */
  confirm(header: SetHeader): Promise<Permission>;
  end(outcome: ReceiveOutcome): Promise<void>;
  /** Something was refused here without asking: for the history. Default: nobody is told. */
  refused?(what: { readonly set: DataSetName | null; readonly reason: string }): Promise<void>;
}

/** This host does not want it. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
}

const ASK_EVERY_MS = 2000;

/**
 * Asks for permission.
 *
 * @throws {RefusedError} when it is not given, also because the daemon does not answer
 */
export async function askGate(
  gate: ReceiveGate,
  question: "begin" | "confirm",
  header: SetHeader,
): Promise<void> {
  let permission: Permission;
  try {
    permission = await gate[question](header);
  } catch (cause) {
    const why = messageOf(cause);
    throw new RefusedError(
      `Cannot take in the ${header.set} as the relais daemon here does not answer: ${why}`,
      { cause },
    );
  }
  if (!permission.ok) throw new RefusedError(permission.reason);
}

/**
 * Runs `work` while the daemon permits it: `begin` first, `confirm` each 2 s, `end` last. The signal that
 * `work` gets aborts with the {@linkcode RefusedError} when permission is withdrawn.
 */
export async function underPermission<
  T extends { readonly bytes: number; readonly note?: string },
>(
  options: {
    readonly gate: ReceiveGate;
    readonly header: SetHeader;
    readonly clock: Clock;
    readonly signal: AbortSignal;
  },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { gate, header, clock } = options;
  const beganMs = clock.nowMs();
  await askGate(gate, "begin", header);
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const over = new AbortController();
  const watch = (async (): Promise<void> => {
    for (;;) {
      await clock.sleep(ASK_EVERY_MS, over.signal);
      await askGate(gate, "confirm", header);
    }
  })().catch((cause) => {
    if (!over.signal.aborted) stop.abort(cause);
  });
  const end = async (reason: string | null, bytes: number, note?: string): Promise<void> => {
    over.abort();
    await watch;
    const durationMs = clock.nowMs() - beganMs;
    const outcome = {
      set: header.set,
      ok: reason === null,
      reason,
      bytes,
      durationMs,
      ...(note === undefined ? {} : { note: note.slice(0, 2000) }),
    };
    // The result goes to the sender in any case; the daemon also has the state file.
    await gate.end(outcome).catch(() => {});
  };
  try {
    const result = await work(signal);
    await end(null, result.bytes, result.note);
    return result;
  } catch (cause) {
    const why = signal.aborted ? signal.reason : cause;
    await end(messageOf(why), 0);
    throw why;
  }
}
