/**
 * Relais' end of the line to its database worker.
 *
 * @module
 */

import type { ProcessUser } from "../os/user.ts";
import { killChild, spawnTool } from "../os/process.ts";
import { MAX_WORKER_LINE_BYTES } from "./database_protocol.ts";
import type { WorkerMessage, WorkerOperation, WorkerOperations } from "./database_protocol.ts";
import { encodeLine, readLines } from "./json_lines.ts";

/** How much longer than the worker relais itself waits for an answer, in milliseconds. */
const ANSWER_GRACE_MS = 5000;

/** How long the worker may take to end after its input closed, in milliseconds. */
const END_GRACE_MS = 4000;

/** Most of the worker's error output that is kept, in characters. */
const MAX_STDERR = 4096;

/** The worker ended, or an operation failed there. */
export class DatabaseWorkerError extends Error {
  override readonly name = "DatabaseWorkerError";
}

/** Options of {@linkcode DatabaseWorker.start}. */
export interface DatabaseWorkerOptions {
  /** Argument list that runs `relais database-worker …`. */
  readonly command: readonly string[];
  readonly user: ProcessUser;
  readonly env: Readonly<Record<string, string>>;
  /** The guard ended the dump, for that reason. */
  readonly onGuard?: (reason: string) => void;
}

interface Waiting {
  readonly id: number;
  readonly op: WorkerOperation;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** A running worker. */
export class DatabaseWorker {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #onGuard: (reason: string) => void;
  readonly #ended: Promise<void>;
  #waiting: Waiting | null = null;
  #lastId = 0;
  #dead: DatabaseWorkerError | null = null;
  #stderr = "";

  private constructor(options: DatabaseWorkerOptions) {
    const [tool, ...args] = options.command;
    if (tool === undefined) throw new TypeError("Cannot start a worker without a command");
    this.#onGuard = options.onGuard ?? (() => {});
    this.#child = spawnTool(tool, {
      args,
      ...options.user,
      cwd: "/",
      clearEnv: true,
      env: { ...options.env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    });
    this.#writer = this.#child.stdin.getWriter();
    this.#ended = this.#watch();
  }

  /**
   * Starts a worker; whether PostgreSQL can be reached turns out at the first operation.
   *
   * @throws {ToolMissingError} when relais' own program is not where it was
   */
  static start(options: DatabaseWorkerOptions): DatabaseWorker {
    return new DatabaseWorker(options);
  }

  /**
   * Lets the worker do one operation; one at a time.
   *
   * @throws {DatabaseWorkerError} when it failed, took longer than `deadlineMs`, or the worker ended
   * @throws {DOMException} `AbortError` when `signal` aborts; the worker is ended then
   */
  async request<Op extends WorkerOperation>(
    op: Op,
    args: WorkerOperations[Op]["args"],
    options: { readonly deadlineMs: number; readonly signal?: AbortSignal },
  ): Promise<WorkerOperations[Op]["result"]> {
    const { deadlineMs, signal } = options;
    signal?.throwIfAborted();
    if (this.#dead !== null) throw this.#dead;
    if (this.#waiting !== null) throw new TypeError(`Cannot ask for ${op} before the last answer`);
    const id = ++this.#lastId;
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#waiting = { id, op, resolve, reject };
    });
    const abort = (): void => this.#fail(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    const timer = setTimeout(() => {
      this.#fail(new DatabaseWorkerError(`the database worker did not answer in ${deadlineMs} ms`));
    }, deadlineMs + ANSWER_GRACE_MS);
    try {
      this.#writer.write(encodeLine({ id, op, args, deadlineMs })).catch(() => {
        // The worker has ended; #watch tells why.
      });
      return await answer as WorkerOperations[Op]["result"];
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Ends the worker and its sessions. */
  async close(): Promise<void> {
    const timer = setTimeout(() => killChild(this.#child), END_GRACE_MS);
    await this.#writer.close().catch(() => {
      // It has ended before.
    });
    await this.#ended;
    clearTimeout(timer);
  }

  async #watch(): Promise<void> {
    const answers = this.#readAnswers().catch((error: unknown) => {
      this.#fail(new DatabaseWorkerError(`the database worker answers nonsense: ${String(error)}`));
    });
    const [status] = await Promise.all([this.#child.status, answers, this.#readStderr()]);
    const said = this.#stderr.trim() || "(no message)";
    const how = status.signal ?? `exit status ${status.code}`;
    this.#fail(new DatabaseWorkerError(`the database worker ended (${how}): ${said}`));
  }

  async #readAnswers(): Promise<void> {
    for await (const line of readLines(this.#child.stdout, MAX_WORKER_LINE_BYTES)) {
      const message = JSON.parse(line) as WorkerMessage;
      if ("event" in message) {
        this.#onGuard(message.reason);
        continue;
      }
      const waiting = this.#waiting;
      if (waiting === null || waiting.id !== message.id) continue;
      this.#waiting = null;
      if ("error" in message) {
        waiting.reject(new DatabaseWorkerError(`Cannot do "${waiting.op}": ${message.error}`));
      } else waiting.resolve(message.result);
    }
  }

  async #readStderr(): Promise<void> {
    const decoder = new TextDecoder();
    try {
      for await (const chunk of this.#child.stderr) {
        const text = decoder.decode(chunk, { stream: true });
        if (this.#stderr.length < MAX_STDERR) this.#stderr += text;
      }
    } catch (error) {
      // Nobody awaits this until close(): unheard, it would end the daemon.
      this.#stderr += ` (the rest could not be read: ${String(error)})`;
    }
  }

  /** Whoever waits gets `error`; the worker is of no use any more. */
  #fail(error: Error): void {
    this.#dead ??= error instanceof DatabaseWorkerError
      ? error
      : new DatabaseWorkerError("the database worker was ended");
    this.#waiting?.reject(error);
    this.#waiting = null;
    killChild(this.#child);
  }
}
