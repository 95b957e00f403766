/**
 * A chain of programs whose output feeds the next one (`pg_dump | zstd`), with the rule that a shell's
 * pipe does not have: the exit status of *every* program counts. A killed pg_dump makes the rest of the
 * chain end well with half of the data.
 *
 * @module
 */

import { systemClock } from "../os/clock.ts";
import type { ProcessUser } from "../os/user.ts";
import { asStdio, openJoint } from "../os/joint.ts";
import type { Joint } from "../os/joint.ts";
import { killChild, spawnTool } from "../os/process.ts";

/** Most of a program's error output that is kept, in bytes. */
const MAX_STDERR_BYTES = 4096;

/** How long a program may take to end after SIGTERM before it is killed, in milliseconds. */
const TERM_GRACE_MS = 2000;

/** How long the others may go on after one has failed before they are ended, in milliseconds. */
const BROKEN_GRACE_MS = 5000;

/** How much of a pause a paced link may catch up on, in milliseconds. */
const MAX_BURST_MS = 50;

/** One program of a chain. */
export interface Stage {
  /** Name or absolute path, then its arguments. */
  readonly argv: readonly string[];
  /** Its whole environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Hears each line of the program's error output; true: it is no error and is not kept. */
  readonly onErrorLine?: (line: string) => boolean;
}

/** Options of {@linkcode startPipeline}. */
export interface PipelineOptions {
  readonly stages: readonly Stage[];
  readonly user: ProcessUser;
  /** Feeds the first program; default: none (/dev/null). */
  readonly input?: ReadableStream<Uint8Array>;
  /** Aborting ends every program. */
  readonly signal: AbortSignal;
  /**
   * Most bytes per second between the first program and the second; default: no limit. What is kept to a
   * pace passes through relais.
   */
  readonly paceBytesPerSecond?: number;
  /** Joins the first program to the second; closed here. Without: their bytes pass through relais. */
  readonly joint?: Joint | null;
}

/** A program of a chain did not end well. */
class PipelineError extends Error {
  override readonly name = "PipelineError";
}

/** A running chain. */
export interface Pipeline {
  /** Output of the last program; must be read to its end or cancelled. */
  readonly output: ReadableStream<Uint8Array>;
  /**
   * Resolves when every program has ended with status 0 and everything was handed on.
   *
   * @throws {PipelineError} naming each program that failed, with what it said
   */
  readonly done: Promise<void>;
}

/**
 * Starts the chain.
 *
 * @throws {ToolMissingError} when one of the programs does not exist; those already started are ended
 */
export function startPipeline(options: PipelineOptions): Pipeline {
  const children: Deno.ChildProcess[] = [];
  const joined = options.joint ?? null;
  try {
    options.signal.throwIfAborted();
    for (const [index, stage] of options.stages.entries()) {
      children.push(spawnStage(stage, options, index));
    }
  } catch (error) {
    for (const [index, child] of children.entries()) {
      abandon(child, {
        hasInput: index === 0 ? options.input !== undefined : index > 1 || joined === null,
        hasOutput: index > 0 || joined === null,
      });
    }
    throw error;
  } finally {
    joined?.close();
  }
  const last = children.at(-1);
  if (last === undefined) throw new TypeError("Cannot start a chain of no programs");
  const links: Promise<void>[] = [];
  const broken = new AbortController();
  let source = options.input;
  for (const [index, child] of children.entries()) {
    if (source !== undefined) {
      const pace = new Pace(index === 1 ? options.paceBytesPerSecond ?? Infinity : Infinity);
      const link = pump(source, child.stdin, { pace, broken: broken.signal });
      link.catch(() => {
        // Told by `done`, once the exit statuses are known; a handler is needed at once.
      });
      links.push(link);
    }
    source = index === 0 && joined !== null ? undefined : child.stdout;
  }
  return { output: last.stdout, done: finish({ children, links, options, broken }) };
}

/**
 * A pipe to join the first two programs of a chain with. Null when none can be made (no room in /tmp): the
 * bytes then pass through relais, which only costs time.
 */
export async function joint(): Promise<Joint | null> {
  return await openJoint().catch(() => null);
}

function spawnStage(stage: Stage, options: PipelineOptions, index: number): Deno.ChildProcess {
  const { joint: joined = null } = options;
  const noInput = index === 0 && options.input === undefined;
  const [tool, ...args] = stage.argv;
  if (tool === undefined) throw new TypeError("Cannot run an empty argument list");
  return spawnTool(tool, {
    args,
    ...options.user,
    cwd: "/",
    clearEnv: true,
    env: { ...stage.env },
    stdin: noInput ? "null" : index === 1 && joined !== null ? asStdio(joined.reader) : "piped",
    stdout: index === 0 && joined !== null ? asStdio(joined.writer) : "piped",
    stderr: "piped",
  });
}

async function finish(
  running: {
    readonly children: readonly Deno.ChildProcess[];
    readonly links: readonly Promise<void>[];
    readonly options: PipelineOptions;
    /** Aborted when a program has failed: an input that pauses must not keep the others waiting. */
    readonly broken: AbortController;
  },
): Promise<void> {
  const { children, options } = running;
  const onAbort = (): void => {
    endAll(children);
    running.broken.abort();
  };
  let grace: ReturnType<typeof setTimeout> | undefined;
  for (const child of children) {
    child.status.then(({ success }) => {
      if (success) return;
      running.broken.abort();
      // Joined programs see it by their pipe, at their next byte: one that waits for its server has none.
      grace ??= setTimeout(() => endAll(children), BROKEN_GRACE_MS);
    });
  }
  options.signal.addEventListener("abort", onAbort, { once: true });
  if (options.signal.aborted) onAbort();
  const said = children.map((child, index) =>
    readText(child.stderr, options.stages[index]?.onErrorLine)
  );
  const statuses = await Promise.all(children.map((child) => child.status));
  clearTimeout(grace);
  options.signal.removeEventListener("abort", onAbort);
  const links = await Promise.allSettled(running.links);
  const texts = await Promise.all(said);
  options.signal.throwIfAborted();
  const failures = statuses.flatMap((status, index) => {
    if (status.success) return [];
    const tool = options.stages[index]?.argv[0];
    const how = status.signal === null ? `exited with ${status.code}` : `died of ${status.signal}`;
    return [`${tool} ${how}: ${texts[index]?.trim() || "(no message)"}`];
  });
  for (const link of links) {
    if (link.status === "rejected" && failures.length === 0) failures.push(String(link.reason));
  }
  if (failures.length > 0) throw new PipelineError(failures.join("; "));
}

/** Keeps a flow of bytes at or below a rate, whatever happened long ago. */
class Pace {
  readonly #bytesPerSecond: number;
  /** When the bytes taken so far may have passed. */
  #dueAt = systemClock.nowMs();

  constructor(bytesPerSecond: number) {
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Waits until `bytes` more may have passed. */
  async take(bytes: number): Promise<void> {
    const now = systemClock.nowMs();
    this.#dueAt = Math.max(this.#dueAt, now - MAX_BURST_MS) + bytes / this.#bytesPerSecond * 1000;
    if (this.#dueAt - now >= 1) await systemClock.sleep(this.#dueAt - now);
  }
}

/** Hands everything on, at the pace of the slower side. */
async function pump(
  from: ReadableStream<Uint8Array>,
  to: WritableStream<Uint8Array>,
  { pace, broken }: { readonly pace: Pace; readonly broken: AbortSignal },
): Promise<void> {
  const reader = from.getReader();
  const writer = to.getWriter();
  const onBroken = (): void => {
    reader.cancel(new Error("a program of the chain has failed")).catch(() => {}); // Seen by read().
  };
  broken.addEventListener("abort", onBroken, { once: true });
  try {
    while (true) {
      const { done, value } = await reader.read();
      // A cancelled input ends like one that is complete.
      if (broken.aborted) throw new Error("a program of the chain has failed");
      if (done) break;
      await writer.write(value);
      await pace.take(value.length);
    }
    await writer.close();
  } catch (cause) {
    await Promise.allSettled([reader.cancel(cause), writer.abort(cause)]);
    throw new Error("the next program did not take all of the data", { cause });
  } finally {
    broken.removeEventListener("abort", onBroken);
  }
}

async function readText(
  stream: ReadableStream<Uint8Array>,
  onErrorLine: (line: string) => boolean = () => false,
): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  /** A line that has not ended yet. */
  let begun = "";
  const keep = (part: string): void => {
    if (text.length < MAX_STDERR_BYTES) text += part;
  };
  try {
    for await (const chunk of stream) {
      const lines = (begun + decoder.decode(chunk, { stream: true })).split("\n");
      begun = lines.pop()!.slice(0, MAX_STDERR_BYTES);
      for (const line of lines) {
        if (!onErrorLine(line)) keep(`${line}\n`);
      }
    }
    keep(begun);
  } catch (error) {
    // Nobody awaits this until the program has ended: unheard, it would end the daemon.
    text += ` (the rest could not be read: ${String(error)})`;
  }
  return text.slice(0, MAX_STDERR_BYTES);
}

/** SIGTERM lets pg_dump and pg_restore cancel what the server does for them; then SIGKILL. */
function endAll(children: readonly Deno.ChildProcess[]): void {
  for (const child of children) killChild(child, "SIGTERM");
  const timer = setTimeout(() => {
    for (const child of children) killChild(child);
  }, TERM_GRACE_MS);
  const clear = (): void => clearTimeout(timer);
  Promise.all(children.map((child) => child.status)).then(clear, clear);
}

/** Ends a program whose chain could not be started. */
function abandon(
  child: Deno.ChildProcess,
  options: { readonly hasInput: boolean; readonly hasOutput: boolean },
): void {
  killChild(child);
  const ignore = (): void => {
    // Its streams break because it was killed; nobody uses them.
  };
  if (options.hasInput) child.stdin.abort().catch(ignore);
  if (options.hasOutput) child.stdout.cancel().catch(ignore);
  child.stderr.cancel().catch(ignore);
}
