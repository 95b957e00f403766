/**
 * The database worker: `relais database-worker`, started by relais itself as the system user of the
 * database, because PostgreSQL's peer authentication looks at the uid of the process. It answers a closed
 * set of operations on its standard input and ends when that closes.
 *
 * @module
 */

import { writeAll } from "../os/write_all.ts";
import { InstallWorker } from "./database_install_worker.ts";
import { MAX_WORKER_LINE_BYTES, parseWorkerArguments } from "./database_protocol.ts";
import type {
  WorkerMessage,
  WorkerOperation,
  WorkerOperations,
  WorkerRequest,
} from "./database_protocol.ts";
import { readRights } from "./database_rights.ts";
import { withSession } from "./database_session.ts";
import { readSignatures } from "./database_signature.ts";
import { DumpSnapshot } from "./database_snapshot.ts";
import { readLive } from "./database_verify_worker.ts";
import type { DatabaseAddress } from "./database_connection.ts";
import { encodeLine, readLines } from "./json_lines.ts";
import { ReturnSource } from "./return/return_source.ts";
import { ReturnTarget } from "./return/return_target.ts";
import { StreamWorker } from "./logical/stream_worker.ts";

/** How long the sessions may take to close, in milliseconds: the process ends then anyway. */
const CLOSE_DEADLINE_MS = 2000;

/** Exit status when an operation missed its deadline. */
const EXIT_LATE = 1;

/** Exit status after an error that no code expected: EX_SOFTWARE of sysexits.h. */
const EXIT_BROKEN = 70;

type Send = (message: WorkerMessage) => Promise<void>;

type Handlers = {
  readonly [Op in WorkerOperation]: (
    args: WorkerOperations[Op]["args"],
    deadlineMs: number,
  ) => Promise<WorkerOperations[Op]["result"]>;
};

/**
 * Runs the worker until its standard input closes, an operation misses its deadline, or an error turns up
 * that nobody awaits: what state its sessions are in is then unknown, and relais hears of it by the exit
 * status and the message on standard error.
 *
 * @param args what follows `database-worker` on the command line
 * @returns the exit status; the caller must exit with it (a session may still hold the event loop)
 */
export async function databaseWorkerMain(args: readonly string[]): Promise<number> {
  const address = parseWorkerArguments(args);
  const ended = Promise.withResolvers<number>();
  const fail = (error: unknown): void => {
    const where = error instanceof Error ? error.stack ?? error.message : String(error);
    console.error(`internal error: ${where.replaceAll(/\s+/g, " ").slice(0, 1000)}`);
    ended.resolve(EXIT_BROKEN);
  };
  hearUncaught(fail);
  let writing = Promise.resolve();
  const send: Send = (message) => {
    writing = writing.then(() => writeAll(Deno.stdout, encodeLine(message)));
    return writing;
  };
  const worker = new Worker(address, (reason) => {
    send({ event: "guard", reason }).catch(() => {
      // Relais is gone; the end of standard input ends the worker.
    });
  });
  serve(worker, send).then(ended.resolve, fail);
  const status = await ended.promise;
  await within(worker.close(), CLOSE_DEADLINE_MS).catch((error) => {
    console.error(`closing the sessions: ${String(error)}`);
  });
  return status;
}

/** Answers what comes on standard input until it closes or an operation is late. @returns exit status */
async function serve(worker: Worker, send: Send): Promise<number> {
  const lines = readLines(Deno.stdin.readable, MAX_WORKER_LINE_BYTES);
  let next = lines.next();
  while (true) {
    const line = await next;
    if (line.done) return 0;
    next = lines.next();
    // Relais sends one request at a time: what comes while one is answered is the end of the input.
    const closed = next.then(({ done }) => done ? null : new Promise<never>(() => {}));
    const answer = await Promise.race([worker.answer(JSON.parse(line.value)), closed]);
    if (answer === null) return 0;
    await send(answer.message);
    if (answer.lateDespiteDeadline) return EXIT_LATE;
  }
}

/** Tells of every error that nobody awaits or catches; from here on none ends the process by itself. */
function hearUncaught(tell: (error: unknown) => void): void {
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    tell(event.reason);
  });
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    tell(event.error);
  });
}

class Worker {
  readonly #install: InstallWorker;
  readonly #gained: ReturnSource;
  readonly #taking: ReturnTarget;
  readonly #stream: StreamWorker;
  readonly #handlers: Handlers;
  #snapshot: DumpSnapshot | null = null;

  constructor(address: DatabaseAddress, onBlocked: (reason: string) => void) {
    const install = new InstallWorker(address);
    this.#install = install;
    const gained = this.#gained = new ReturnSource(address);
    const taking = this.#taking = new ReturnTarget(address);
    this.#stream = new StreamWorker(address);
    this.#handlers = {
      ...this.#stream.handlers(),
      "dump-open": async (args, deadlineMs) => {
        const opened = await DumpSnapshot.open({
          address,
          selection: args,
          appName: args.appName,
          statementTimeoutMs: deadlineMs,
          slot: args.slot ?? null,
          onBlocked,
        });
        this.#snapshot = opened.snapshot;
        return { snapshot: opened.id, manifest: opened.manifest };
      },
      "dump-release": async () => {
        await this.#snapshot?.release();
        return null;
      },
      "rights": (_, deadlineMs) => readRights(address, deadlineMs),
      "exists": (_, deadlineMs) => install.exists(deadlineMs),
      "verify-live": (args, deadlineMs) => readLive(address, args, deadlineMs),
      "signatures": (args, deadlineMs) =>
        withSession({
          address,
          database: address.database,
          statementTimeoutMs: deadlineMs,
          appName: "relais-signature",
        }, ({ query }) => readSignatures(query, args)),
      "install-facts": (args, deadlineMs) => install.facts(args, deadlineMs),
      "create-new": (args, deadlineMs) => install.create(args, deadlineMs),
      "carry-local": (args, deadlineMs) => install.carryLocal(args.localTables, deadlineMs),
      "inspect-new": (args, deadlineMs) => install.inspect(args.excluded, deadlineMs),
      "set-properties": (args, deadlineMs) => install.setProperties(args, deadlineMs),
      "swap": (_, deadlineMs) => install.swap(deadlineMs),
      "drop-old": (_, deadlineMs) => install.drop("old", deadlineMs),
      "drop-new": (_, deadlineMs) => install.drop("new", deadlineMs),
      "cleanup": (_, deadlineMs) => install.cleanup(deadlineMs),
      "return-prepare": (args, deadlineMs) => gained.prepare(args, deadlineMs),
      "return-catch-up": (_, deadlineMs) => gained.catchUp(deadlineMs),
      "return-open": (_, deadlineMs) => gained.open(deadlineMs),
      "return-read": ({ from }) => gained.read(from),
      "return-ahead": () => gained.ahead(),
      "return-ahead-done": () => gained.aheadDone(),
      "return-done": (_, deadlineMs) => gained.done(deadlineMs),
      "return-counters": (_, deadlineMs) => gained.counters(deadlineMs),
      "return-apply-begin": (args, deadlineMs) => taking.begin(args, deadlineMs),
      "return-apply": (args) => taking.apply(args),
      "return-apply-end": (args) => taking.end(args),
    };
  }

  async answer(
    request: WorkerRequest,
  ): Promise<{ message: WorkerMessage; lateDespiteDeadline: boolean }> {
    const { id, op, deadlineMs } = request;
    try {
      const result = await within(this.#run(op, request.args, deadlineMs), deadlineMs);
      return { message: { id, result }, lateDespiteDeadline: false };
    } catch (error) {
      return {
        message: { id, error: describeError(error) },
        lateDespiteDeadline: error instanceof LateError,
      };
    }
  }

  async close(): Promise<void> {
    await Promise.all([
      this.#snapshot?.close(),
      this.#install.close(),
      this.#gained.close(),
      this.#taking.close(),
      this.#stream.close(),
    ]);
  }

  #run<Op extends WorkerOperation>(
    op: Op,
    args: WorkerOperations[Op]["args"],
    deadlineMs: number,
  ): Promise<unknown> {
    const handler = Object.hasOwn(this.#handlers, op) ? this.#handlers[op] : undefined;
    if (handler === undefined) throw new TypeError(`Cannot do the unknown operation ${String(op)}`);
    return handler(args, deadlineMs);
  }
}

class LateError extends Error {
  override readonly name = "LateError";
}

/** PostgreSQL's message with its detail and hint, in one line. */
function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { detail, hint, code } = error as { detail?: unknown; hint?: unknown; code?: unknown };
  const parts = [error.message];
  if (typeof detail === "string") parts.push(detail);
  if (typeof hint === "string") parts.push(hint);
  const text = parts.join("; ");
  return typeof code === "string" && !text.includes(code) ? `${text} (${code})` : text;
}

async function within<T>(work: Promise<T>, deadlineMs: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new LateError(`took longer than ${deadlineMs} ms`)),
      deadlineMs,
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
