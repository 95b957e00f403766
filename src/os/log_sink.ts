/**
 * Where log lines go: the journal by its native protocol, or standard error. Neither ever makes the
 * daemon wait: the VIPs must be renewed also when nobody reads the log.
 *
 * @module
 */

import { encodeJournalEntry, formatPrefixed, type LogEntry } from "./log_format.ts";
import { UnixDatagramSender } from "./unix_datagram.ts";

/** Takes entries; {@linkcode LogSink.flush} waits for what is still under way. */
export interface LogSink {
  write(entry: LogEntry): void;
  /** Resolves when everything written so far is out, or after `deadlineMs`. */
  flush(deadlineMs: number): Promise<void>;
}

/** Bytes that may wait for a slow reader of standard error. Beyond it, lines are dropped and counted. */
const MAX_WAITING_BYTES = 1 << 20;

/** What {@linkcode LineSink} writes to: `Deno.stderr` or anything like it. */
export interface ByteWriter {
  write(bytes: Uint8Array): Promise<number>;
}

/** Lines on standard error, in order, written in the background. */
export class LineSink implements LogSink {
  readonly #out: ByteWriter;
  readonly #format: (entry: LogEntry) => string;
  readonly #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #dropped = 0;
  #pump: Promise<void> | null = null;

  constructor(out: ByteWriter, format: (entry: LogEntry) => string) {
    this.#out = out;
    this.#format = format;
  }

  write(entry: LogEntry): void {
    if (this.#waitingBytes > MAX_WAITING_BYTES) {
      this.#dropped++;
      return;
    }
    if (this.#dropped > 0) {
      const message = `${this.#dropped} log lines were dropped as nobody read them`;
      this.#dropped = 0;
      this.#push({ ...entry, level: "warning", area: "log", message, fields: {} });
    }
    this.#push(entry);
  }

  async flush(deadlineMs: number): Promise<void> {
    if (this.#pump === null) return;
    let timer = 0;
    const deadline = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, deadlineMs);
    });
    await Promise.race([this.#pump, deadline]);
    clearTimeout(timer);
  }

  #push(entry: LogEntry): void {
    const bytes = new TextEncoder().encode(this.#format(entry));
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#pump ??= this.#run();
  }

  async #run(): Promise<void> {
    try {
      for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
        for (let at = 0; at < next.length;) at += await this.#out.write(next.subarray(at));
        this.#waiting.shift();
        this.#waitingBytes -= next.length;
      }
    } catch {
      // Standard error is gone (closed pipe): there is no place left to say so.
      this.#waiting.length = 0;
      this.#waitingBytes = 0;
    } finally {
      this.#pump = null;
    }
  }
}

/** Fields for the journal; what the journal does not take goes to standard error, which it also reads. */
export class JournalSink implements LogSink {
  readonly #sender: UnixDatagramSender;
  readonly #fallback: LineSink;

  /**
   * @param socket the journal's, `/run/systemd/journal/socket`
   * @throws {SocketError} when the kernel gives no socket
   */
  constructor(socket: string, fallback: ByteWriter) {
    this.#sender = new UnixDatagramSender(socket);
    this.#fallback = new LineSink(fallback, formatPrefixed);
  }

  write(entry: LogEntry): void {
    if (this.#sender.send(encodeJournalEntry(entry)) !== 0) this.#fallback.write(entry);
  }

  flush(deadlineMs: number): Promise<void> {
    return this.#fallback.flush(deadlineMs);
  }

  /** Gives the socket back. */
  close(): void {
    this.#sender.close();
  }
}
