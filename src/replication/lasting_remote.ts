/**
 * The sender's end of a `put` that goes on after a broken connection: it dials again, for a bounded time.
 *
 * @module
 */

import type { DataSetName } from "../core/types.ts";
import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { ByteReader } from "./byte_reader.ts";
import {
  LastingPipe,
  LastingPipeError,
  PATIENCE_MS,
  reasonOf,
  SILENCE_MS,
} from "./lasting_pipe.ts";
import { RECEIVE_EXIT } from "./remote_protocol.ts";
import { type Remote, RemoteError, type Transport } from "./transport.ts";

/** Between two attempts to connect again, in milliseconds. */
const AGAIN_AFTER_MS = 1000;
/** Longest silence of a peer that works for us, beside the time of a broken connection, in milliseconds. */
const PEER_SILENCE_MS = 60_000;
/** How long a word of giving up has to reach the peer, in milliseconds. */
const LAST_WORD_MS = 500;
const MAX_PLAIN_BYTES = 65_536;

/** Options of {@linkcode openLasting}. */
export interface LastingRemoteOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly set: DataSetName;
  readonly signal: AbortSignal;
  readonly deadlineMs: number;
}

/** Opens `put SET ID` on the peer. Connecting goes on in the background: its failure is seen by `done`. */
export function openLasting(
  options: LastingRemoteOptions,
): Remote & { readonly silenceMs: number } {
  return new LastingRemote(options);
}

class LastingRemote implements Remote {
  readonly silenceMs = PEER_SILENCE_MS + PATIENCE_MS;
  readonly stdin: WritableStream<Uint8Array>;
  readonly stdout: ReadableStream<Uint8Array>;
  readonly done: Promise<void>;
  readonly #options: LastingRemoteOptions;
  readonly #pipe: LastingPipe;
  readonly #id = [...crypto.getRandomValues(new Uint8Array(16))]
    .map((byte) => byte.toString(16).padStart(2, "0")).join("");
  /** Ends what connects, and the connection. */
  readonly #life = new AbortController();
  #isFirst = true;
  #lastTrouble: unknown = null;
  #dialing = false;
  /** Resolves when the ssh of the moment has ended. */
  #carried: Promise<void> = Promise.resolve();

  constructor(options: LastingRemoteOptions) {
    this.#options = options;
    const { clock, signal, deadlineMs } = options;
    this.#pipe = new LastingPipe({ clock, onBroken: () => void this.#dial() });
    this.stdout = closedWhenCut(this.#pipe.readable);
    this.stdin = new WritableStream({
      write: (bytes) => this.#pipe.write(bytes),
      close: () => this.#pipe.end(0),
      abort: (reason) => this.#pipe.giveUp(reasonOf(reason)),
    });
    const late = new RemoteError("failed", `put ${options.set} took longer than ${deadlineMs} ms`);
    const timer = new AbortController();
    clock.sleep(deadlineMs, timer.signal).then(() => this.#quit(late), () => {});
    const onAbort = (): void => this.#quit(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    this.done = this.#watch().finally(async () => {
      timer.abort();
      signal.removeEventListener("abort", onAbort);
      await this.#linger();
    });
    this.done.catch(() => {}); // Whoever opened it awaits it later.
    if (signal.aborted) onAbort();
    else {
      this.#pipe.expect();
      this.#dial();
    }
  }

  kill(): void {
    this.#quit(new LastingPipeError("the copy was given up"));
  }

  async #watch(): Promise<void> {
    try {
      const status = await this.#pipe.ended;
      if (status === RECEIVE_EXIT.ok) return;
      throw new RemoteError("failed", `relais receive on the peer ended with ${status}`);
    } catch (cause) {
      this.#options.signal.throwIfAborted();
      if (cause instanceof RemoteError) throw cause;
      const last = this.#lastTrouble === null ? "" : `: ${messageOf(this.#lastTrouble)}`;
      throw new RemoteError("unreachable", `${messageOf(cause)}${last}`, { cause });
    }
  }

  /** Tells the peer, if it hears, and ends. */
  #quit(cause: unknown): void {
    this.#pipe.giveUp(reasonOf(cause));
    const { clock } = this.#options;
    clock.sleep(LAST_WORD_MS, this.#pipe.over).then(() => this.#pipe.fail(cause), () => {});
  }

  /** The last word (that the end was read) goes over before the connection is cut. */
  async #linger(): Promise<void> {
    const timer = new AbortController();
    const late = this.#options.clock.sleep(LAST_WORD_MS, timer.signal).catch(() => {});
    const over = new LastingPipeError("the copy has ended");
    await Promise.race([this.#carried, late]);
    timer.abort();
    this.#pipe.fail(over);
    this.#life.abort(over);
    await this.#carried;
  }

  async #dial(): Promise<void> {
    if (this.#dialing) return;
    this.#dialing = true;
    try {
      if (!this.#isFirst && !this.#pipe.wasHeard) {
        // It never came about: whoever waits learns at once that nobody is there.
        await this.#carried;
        return this.#pipe.fail(this.#lastTrouble ?? new LastingPipeError("the peer said nothing"));
      }
      for (;; await this.#options.clock.sleep(AGAIN_AFTER_MS, this.#pipe.over)) {
        this.#pipe.over.throwIfAborted();
        try {
          return await this.#connect();
        } catch (cause) {
          this.#lastTrouble = cause;
          if (this.#isFirst) return this.#pipe.fail(cause);
        }
      }
    } catch {
      // It is over: told by `done`.
    } finally {
      this.#dialing = false;
    }
  }

  async #connect(): Promise<void> {
    const { transport, set, deadlineMs, clock } = this.#options;
    const verb = this.#isFirst
      ? `put ${set} ${this.#id}`
      : `resume ${set} ${this.#id} ${this.#pipe.read}`;
    const signal = this.#life.signal;
    if (!this.#isFirst) await clock.sleep(AGAIN_AFTER_MS, this.#pipe.over);
    const remote = await transport.openRemote(verb, { signal, deadlineMs });
    this.#carried = remote.done.catch((cause) => {
      this.#lastTrouble = cause;
    });
    const writer = remote.stdin.getWriter();
    writer.closed.catch(() => {}); // Seen by write().
    const reader = new ByteReader(remote.stdout, { clock, idleMs: SILENCE_MS });
    this.#pipe.attach({
      reader,
      write: (bytes) => writer.write(bytes),
      close: () => {
        remote.kill();
        writer.abort().catch(() => {}); // Its end is what is wanted.
      },
      otherHasRead: this.#isFirst ? 0 : null,
      onPlain: (head) => this.#hearPlain(head, reader),
    });
    this.#isFirst = false;
  }

  /** The peer refuses, or is of a version that speaks plain lines. */
  async #hearPlain(head: Uint8Array, reader: ByteReader): Promise<void> {
    const line = await reader.readLine(MAX_PLAIN_BYTES);
    const bytes = new Uint8Array(head.length + line.length + 1);
    bytes.set(head);
    bytes.set(line, head.length);
    bytes[bytes.length - 1] = 10;
    this.#pipe.takePlain(bytes, RECEIVE_EXIT.refused);
  }
}

/** A talk that was cut has no last line, which is what its reader looks for; `done` says why. */
function closedWhenCut(from: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = from.getReader();
  return new ReadableStream({
    async pull(controller): Promise<void> {
      const next = await reader.read().catch(() => ({ done: true, value: undefined }) as const);
      if (next.done) controller.close();
      else controller.enqueue(next.value);
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}
