/**
 * Two byte streams, there and back, that outlive the connection which carries them: what the other side
 * has not read is kept and written again into the next connection. Only an end that was said is an end.
 *
 * @module
 */

import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import type { ByteReader } from "./byte_reader.ts";
import {
  decodeHead,
  decodeNumber,
  encodeFrame,
  encodeOffset,
  FRAME,
  FRAME_HEAD_BYTES,
} from "./lasting_frames.ts";
import { Unread } from "./unread.ts";

/** How long a broken connection is waited for, in milliseconds. */
export const PATIENCE_MS = 120_000;
/** A connection on which nothing is heard for this long is broken, in milliseconds. */
export const SILENCE_MS = 20_000;
/** Each side says something at least this often, in milliseconds. */
const SIGN_EVERY_MS = 4000;
/** Most that one side keeps for the other, in bytes; then its writer waits. */
export const WINDOW_BYTES = 8 * 2 ** 20;

/** The connection broke and did not come back, or the other side gave up. */
export class LastingPipeError extends Error {
  override readonly name = "LastingPipeError";
}

/** One connection, while it lasts. */
export interface Carrier {
  /** Its bytes; made with {@linkcode SILENCE_MS}. */
  readonly reader: ByteReader;
  readonly write: (bytes: Uint8Array) => Promise<void>;
  /** Called once when the pipe uses it no more. */
  readonly close: () => void;
  /** What the other side said that it has read; null: it tells first. */
  readonly otherHasRead: number | null;
  /** What comes is no frame: the other side speaks plain lines, from `head` on. Default: that is a fault. */
  readonly onPlain?: (head: Uint8Array) => Promise<void>;
}

interface Attached {
  readonly carrier: Carrier;
  /** How far our stream was written into this one; null: the other side did not tell yet where to go on. */
  at: number | null;
}

/** See the module. */
export class LastingPipe {
  /** The other side's stream. Closes at its end; fails with {@linkcode LastingPipeError}. */
  readonly readable: ReadableStream<Uint8Array>;
  /** The exit status with which the other side's stream ended, once it was read to there. */
  readonly ended: Promise<number>;
  readonly #clock: Clock;
  readonly #patienceMs: number;
  readonly #onBroken: () => void;
  readonly #onGaveUp: (cause: LastingPipeError) => void;
  readonly #unread = new Unread();
  readonly #ended = Promise.withResolvers<number>();
  readonly #over = new AbortController();
  /** Arrived, not read. */
  #arrived: (Uint8Array | { readonly status: number } | { readonly cause: Error })[] = [];
  #arrivedBytes = 0;
  /** The other side's end has arrived over this connection: nothing follows it. */
  #endArrived = false;
  /** How far the other side's stream was read here. */
  #read = 0;
  #gaveUp: string | null = null;
  #mustSign = false;
  #heard = false;
  #attached: Attached | null = null;
  #patience: AbortController | null = null;
  #change = Promise.withResolvers<void>();

  constructor(options: {
    readonly clock: Clock;
    readonly patienceMs?: number;
    /** A connection broke: it is time for the next one. */
    readonly onBroken?: () => void;
    /** The other side gave its stream up: reading fails when it comes to that place. */
    readonly onGaveUp?: (cause: LastingPipeError) => void;
  }) {
    this.#clock = options.clock;
    this.#patienceMs = options.patienceMs ?? PATIENCE_MS;
    this.#onBroken = options.onBroken ?? ((): void => {});
    this.#onGaveUp = options.onGaveUp ?? ((): void => {});
    this.ended = this.#ended.promise;
    this.ended.catch(() => {}); // Not everybody wants to know.
    this.readable = new ReadableStream({
      pull: (controller) => this.#pull(controller),
      cancel: () => {
        this.#arrived = [];
      },
    }, { highWaterMark: 0 });
  }

  /** How far the other side's stream was read here. */
  get read(): number {
    return this.#read;
  }

  /** Whether the other side has ever said anything. */
  get wasHeard(): boolean {
    return this.#heard;
  }

  /** Whether there is a connection at the moment. */
  get isAttached(): boolean {
    return this.#attached !== null;
  }

  /** Aborts when the pipe has failed for good; its reason is why. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Uses `carrier` from now on instead of the one before. */
  attach(carrier: Carrier): void {
    this.#detach();
    if (this.#over.signal.aborted) return carrier.close();
    const { otherHasRead } = carrier;
    if (otherHasRead !== null && !this.#unread.has(otherHasRead)) return carrier.close();
    // What arrived and was not read comes again: the other side hears how far it was read.
    this.#arrived = [];
    this.#arrivedBytes = 0;
    this.#endArrived = false;
    this.#mustSign = true;
    const attached = { carrier, at: otherHasRead };
    this.#attached = attached;
    this.#send(attached).catch(() => this.#broken(attached));
    this.#hear(attached).catch(() => this.#broken(attached));
  }

  /** The first connection has yet to come: it is waited for like a broken one. */
  expect(): void {
    this.#wait();
  }

  /**
   * Writes a part of our stream; waits while the other side has too much to read.
   *
   * @throws {LastingPipeError} when it failed for good
   */
  async write(bytes: Uint8Array): Promise<void> {
    while (this.#unread.bytes >= WINDOW_BYTES) await this.#changed();
    this.#over.signal.throwIfAborted();
    this.#unread.add(bytes);
    this.#notify();
  }

  /** Our stream ends here. */
  end(status: number): void {
    this.#unread.end(status);
    this.#notify();
  }

  /** Resolves when the other side has read our end; rejects when that will never be. */
  async allRead(signal: AbortSignal): Promise<void> {
    const onAbort = (): void => this.#notify();
    signal.addEventListener("abort", onAbort);
    try {
      while (!this.#unread.isAllRead) {
        signal.throwIfAborted();
        await this.#changed();
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Our stream is given up: the other side's reading of it fails behind what was written. */
  giveUp(reason: string): void {
    this.#gaveUp ??= reason.slice(0, 1000);
    this.#notify();
  }

  /** Takes what the other side said in plain lines as its whole stream. */
  takePlain(bytes: Uint8Array, status: number): void {
    this.#patience?.abort();
    this.#detach();
    this.#arrived = [bytes, { status }];
    this.#notify();
  }

  /** Everything that waits fails with `cause`. */
  fail(cause: unknown): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort(cause);
    this.#ended.reject(cause);
    this.#patience?.abort();
    this.#detach();
    this.#notify();
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    for (;;) {
      const next = this.#arrived.shift();
      if (next instanceof Uint8Array) {
        this.#arrivedBytes -= next.length;
        this.#read += next.length;
        controller.enqueue(next);
      } else if (next !== undefined && "cause" in next) {
        controller.error(next.cause);
      } else if (next !== undefined) {
        this.#read += 1;
        this.#ended.resolve(next.status);
        controller.close();
      }
      if (next !== undefined) {
        this.#mustSign = true;
        this.#notify();
        return;
      }
      await this.#changed();
    }
  }

  /** Writes into one connection, until it breaks or another one takes its place. */
  async #send(attached: Attached): Promise<void> {
    const { carrier } = attached;
    let toldGaveUp = false;
    while (this.#attached === attached) {
      const part = attached.at === null ? null : this.#unread.frameAt(attached.at);
      if (this.#mustSign) {
        this.#mustSign = false;
        await carrier.write(encodeFrame(FRAME.read, encodeOffset(this.#read)));
      } else if (part !== null) {
        attached.at = part.next;
        await carrier.write(part.frame);
      } else if (this.#gaveUp !== null && attached.at !== null && !toldGaveUp) {
        toldGaveUp = true;
        await carrier.write(encodeFrame(FRAME.gaveUp, new TextEncoder().encode(this.#gaveUp)));
      } else {
        const timer = new AbortController();
        const sign = this.#clock.sleep(SIGN_EVERY_MS, timer.signal).then(() => {
          this.#mustSign = true;
        }, () => {});
        await Promise.race([this.#changed().catch(() => {}), sign]);
        timer.abort();
      }
    }
  }

  async #hear(attached: Attached): Promise<void> {
    const { reader, onPlain } = attached.carrier;
    let first = true;
    while (this.#attached === attached) {
      const head = await reader.readExactly(FRAME_HEAD_BYTES);
      if (first && onPlain !== undefined && head[0] === 0x7b) return await onPlain(head);
      const { kind, length } = decodeHead(head);
      const content = await reader.readExactly(length);
      if (this.#attached !== attached) return;
      first = false;
      this.#heard = true;
      this.#patience?.abort(); // It is there again.
      this.#patience = null;
      this.#take(kind, content, attached);
    }
  }

  #take(kind: number, content: Uint8Array, attached: Attached): void {
    // What nobody sends who means well, and what could be sent without end as it counts for no bytes.
    if (kind !== FRAME.read && this.#endArrived) throw new RangeError("something follows the end");
    switch (kind) {
      case FRAME.data:
        if (content.length === 0) throw new RangeError("a part of no bytes");
        this.#arrivedBytes += content.length;
        if (this.#arrivedBytes > 2 * WINDOW_BYTES) throw new RangeError("more than was agreed");
        this.#arrived.push(content);
        break;
      case FRAME.read: {
        const offset = decodeNumber(content);
        this.#unread.release(offset);
        attached.at ??= offset;
        break;
      }
      case FRAME.end:
        this.#endArrived = true;
        this.#arrived.push({ status: decodeNumber(content) });
        break;
      case FRAME.gaveUp: {
        const why = new TextDecoder().decode(content).replaceAll(/\p{Cc}/gu, "?");
        const cause = new LastingPipeError(`the sender gave up: ${why}`);
        // Behind what has arrived; our own stream goes on, it may say what came of it.
        this.#endArrived = true;
        this.#arrived.push({ cause });
        this.#onGaveUp(cause);
        break;
      }
    }
    this.#notify();
  }

  #broken(attached: Attached): void {
    if (this.#attached !== attached) return;
    this.#detach();
    this.#notify();
    if (this.#over.signal.aborted) return;
    this.#wait();
    this.#onBroken();
  }

  #wait(): void {
    if (this.#patience !== null) return;
    const patience = new AbortController();
    this.#patience = patience;
    const ms = this.#patienceMs;
    this.#clock.sleep(ms, patience.signal).then(() => {
      const why = `the connection broke and did not come back within ${ms / 1000} s`;
      this.fail(new LastingPipeError(why));
    }, () => {}); // It came back.
  }

  #detach(): void {
    const attached = this.#attached;
    this.#attached = null;
    attached?.carrier.reader.cancel(new Error("the connection is not used any more"));
    attached?.carrier.close();
  }

  #notify(): void {
    const { resolve } = this.#change;
    this.#change = Promise.withResolvers();
    resolve();
  }

  /** Waits for the next change; throws when the pipe has failed. */
  async #changed(): Promise<void> {
    this.#over.signal.throwIfAborted();
    await this.#change.promise;
    this.#over.signal.throwIfAborted();
  }
}

/** Text of a failure for {@linkcode LastingPipe.giveUp}. */
export function reasonOf(cause: unknown): string {
  return messageOf(cause ?? "no reason was given");
}
