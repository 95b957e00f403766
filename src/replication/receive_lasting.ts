/**
 * The receiver's end of a `put` that goes on after a broken connection: the process lives on for a bounded
 * time and listens on a private socket, and `resume` hands it the new connection.
 *
 * @module
 */

import { join } from "node:path";
import type { DataSetName } from "../core/types.ts";
import type { Clock } from "../os/clock.ts";
import { writeAll } from "../os/write_all.ts";
import { ByteReader } from "./byte_reader.ts";
import { LastingPipe, PATIENCE_MS, SILENCE_MS } from "./lasting_pipe.ts";
import type { ReceiveContext } from "./receive.ts";
import type { ReceiveVerb } from "./receive_command.ts";
import { RefusedError } from "./receive_gate.ts";
import { RECEIVE_EXIT } from "./remote_protocol.ts";
import { SetStates } from "./set_state.ts";

/** How long one that waits for its sender may take to leave, in milliseconds. */
const LEAVE_MS = 15_000;
/** Longest silence of a sender that is connected, in milliseconds. */
const IDLE_MS = 120_000;
const MAX_LINE_BYTES = 64;
const GAVE_UP_MS = 2000;

/**
 * Runs `work` with streams that outlive the connection.
 *
 * @returns what `work` returned: the exit status
 */
export async function receiveLasting(
  set: DataSetName,
  id: string,
  context: ReceiveContext,
  work: (context: ReceiveContext) => Promise<number>,
): Promise<number> {
  const { clock, runDir, signal } = context;
  const folder = join(runDir, "copies");
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  await askOthersToLeave(folder, set, clock);
  const path = join(folder, `${set}-${id}.sock`);
  const listener = Deno.listen({ transport: "unix", path });
  const ended = new AbortController();
  const pipe = new LastingPipe({
    clock,
    // Who reads learns it there; who is at work for long, without reading, a little later.
    onGaveUp: (cause) =>
      void clock.sleep(GAVE_UP_MS, ended.signal).then(() => ended.abort(cause), () => {}),
  });
  const reader = new ByteReader(context.input(), { clock, idleMs: SILENCE_MS });
  pipe.attach({ reader, write: context.write, close: () => {}, otherHasRead: 0 });
  const serving = serve(listener, { pipe, ended, clock });
  try {
    const code = await work({
      ...context,
      input: () => pipe.readable,
      write: (bytes) => pipe.write(bytes),
      signal: AbortSignal.any([signal, ended.signal]),
      idleMs: IDLE_MS + PATIENCE_MS,
    });
    pipe.end(code);
    await lastWord(pipe, code, AbortSignal.any([signal, ended.signal]), clock);
    return code;
  } finally {
    ended.abort(new Error("the copy has ended"));
    listener.close();
    await serving;
    await Deno.remove(path).catch(() => {}); // Closing may have removed it.
    pipe.fail(new Error("the copy has ended"));
  }
}

/** The sender should know how it ended: a success is worth a wait, a failure stands in the state. */
async function lastWord(
  pipe: LastingPipe,
  code: number,
  signal: AbortSignal,
  clock: Clock,
): Promise<void> {
  const waitMs = code === RECEIVE_EXIT.ok ? PATIENCE_MS : pipe.isAttached ? 5000 : 0;
  const late = new AbortController();
  const timer = new AbortController();
  clock.sleep(waitMs, timer.signal).then(() => late.abort(), () => {});
  // If it never comes, the sender finds no success, and copies again.
  await pipe.allRead(AbortSignal.any([signal, late.signal])).catch(() => {});
  timer.abort();
}

async function serve(
  listener: Deno.UnixListener,
  options: {
    readonly pipe: LastingPipe;
    readonly ended: AbortController;
    readonly clock: Clock;
  },
): Promise<void> {
  try {
    for await (const connection of listener) {
      hear(connection, options).catch(() => close(connection)); // Whoever it was comes again.
    }
  } catch {
    // Closed: the copy has ended.
  }
}

/** One who comes says first what for: `resume READ` or `leave`. */
async function hear(
  connection: Deno.UnixConn,
  { pipe, ended, clock }: Parameters<typeof serve>[1],
): Promise<void> {
  const reader = new ByteReader(connection.readable, { clock, idleMs: SILENCE_MS });
  const [word, read = ""] = new TextDecoder().decode(await reader.readLine(MAX_LINE_BYTES)).split(
    " ",
  );
  if (word === "resume" && /^[0-9]{1,15}$/.test(read)) {
    pipe.attach({
      reader,
      write: (bytes) => writeAll(connection, bytes),
      close: () => close(connection),
      otherHasRead: Number(read),
    });
  } else if (word === "leave" && !pipe.isAttached) {
    // Whoever asked sees the end of the connection when this process ends.
    ended.abort(new RefusedError("Cannot wait for the sender any longer as it begins a new copy"));
  } else {
    close(connection);
  }
}

/** A sender that begins anew does not come back to what waits for it. */
async function askOthersToLeave(folder: string, set: DataSetName, clock: Clock): Promise<void> {
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.startsWith(`${set}-`)) continue;
    const path = join(folder, name);
    const connection = await Deno.connect({ transport: "unix", path }).catch(() => null);
    if (connection === null) {
      await Deno.remove(path).catch(() => {}); // Its process was killed.
      continue;
    }
    const reader = new ByteReader(connection.readable, { clock, idleMs: LEAVE_MS });
    try {
      await writeAll(connection, new TextEncoder().encode("leave\n"));
      await reader.readLine(MAX_LINE_BYTES);
    } catch {
      // It has left, or is at work: then the lock of the set says so.
    } finally {
      await reader.cancel(null);
      close(connection);
    }
  }
}

/**
 * `resume`: joins this process's standard input and output to the `put` that waits.
 *
 * @throws {RefusedError} when none waits
 */
export async function receiveResume(
  { set, id, read }: ReceiveVerb & { readonly verb: "resume" },
  context: ReceiveContext,
): Promise<void> {
  const path = join(context.runDir, "copies", `${set}-${id}.sock`);
  let connection: Deno.UnixConn;
  try {
    connection = await Deno.connect({ transport: "unix", path });
  } catch (cause) {
    const { lastError } = new SetStates(context.stateDir, () => {}).read(set, "received");
    const why = lastError === null ? "" : `; the last one failed: ${lastError}`;
    throw new RefusedError(
      `Cannot go on with the copy of the ${set} as it waits here no longer${why}`,
      { cause },
    );
  }
  await writeAll(connection, new TextEncoder().encode(`resume ${read}\n`));
  const up = copyTo(context.input(), (bytes) => writeAll(connection, bytes));
  const down = copyTo(connection.readable, context.write);
  // Either end is the end of this connection; what is lost of it is written again into the next one.
  await Promise.race([up, down]);
  close(connection);
}

async function copyTo(
  from: ReadableStream<Uint8Array>,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  try {
    for await (const bytes of from) await write(bytes);
  } catch {
    // Broken: the sender dials again.
  }
}

function close(connection: Deno.UnixConn): void {
  try {
    connection.close();
  } catch {
    // Closed already.
  }
}
