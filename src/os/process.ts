/**
 * Runs the tools that the field trusts, with explicit argument lists (never a shell) and a deadline on
 * every one of them.
 *
 * @module
 */

/** The Debian package that brings each tool, for the hint of {@linkcode ToolMissingError}. */
const DEBIAN_PACKAGE: Readonly<Record<string, string>> = {
  ip: "iproute2",
  nft: "nftables",
  systemctl: "systemd",
  pg_dump: "postgresql-client",
  pg_restore: "postgresql-client",
  vacuumdb: "postgresql-client",
  runuser: "util-linux",
  rsync: "rsync",
  ssh: "openssh-client",
  "ssh-keygen": "openssh-client",
  zstd: "zstd",
  conntrack: "conntrack",
  ps: "procps",
  nmcli: "network-manager",
};

/** A program that relais needs is not installed. */
export class ToolMissingError extends Error {
  override readonly name = "ToolMissingError";
  constructor(readonly tool: string, options?: ErrorOptions) {
    const pkg = DEBIAN_PACKAGE[tool];
    const hint = pkg === undefined ? "install it or correct its path" : `run: apt install ${pkg}`;
    super(`Cannot run ${tool} as it is not installed: ${hint}`, options);
  }
}

/** A program did not end within its deadline and was killed. */
export class ToolTimeoutError extends Error {
  override readonly name = "ToolTimeoutError";
  constructor(readonly argv: readonly string[], readonly deadlineMs: number) {
    super(
      `Cannot finish "${argv.join(" ")}" as it took longer than ${deadlineMs} ms: it was killed`,
    );
  }
}

/** A program ended with another exit status than 0. */
export class ToolFailedError extends Error {
  override readonly name = "ToolFailedError";
  constructor(readonly argv: readonly string[], readonly result: RunResult) {
    const said = (result.stderr.trim() || result.stdout.trim()).slice(0, 2000);
    super(
      `Cannot finish "${argv.join(" ")}" as it exited with ${result.code}: ${
        said || "(no message)"
      }${result.droppedBytes > 0 ? ` (${result.droppedBytes} more bytes of output dropped)` : ""}`,
    );
  }
}

/** Most bytes kept of each of standard output and standard error; the rest is read and dropped. */
export const MAX_OUTPUT_BYTES = 1024 * 1024;

/**
 * How long after the end of the program its remaining output is waited for, in milliseconds. A
 * grandchild that inherited the pipes may hold them open for ever.
 */
const DRAIN_MS = 250;

/** How a program ended and what it said. */
export interface RunResult {
  readonly code: number;
  /** The first {@linkcode MAX_OUTPUT_BYTES} of standard output. */
  readonly stdout: string;
  /** The first {@linkcode MAX_OUTPUT_BYTES} of standard error. */
  readonly stderr: string;
  /** Bytes of both that were dropped because there was too much; a text with a hole must not be parsed. */
  readonly droppedBytes: number;
}

/** Options of {@linkcode run}. */
export interface RunOptions {
  /** Text for standard input; default: none (/dev/null). */
  readonly stdin?: string;
  /** Milliseconds until the program is killed. Required: everything that waits has a deadline. */
  readonly deadlineMs: number;
  /** Aborting kills the program. */
  readonly signal?: AbortSignal;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** The environment is {@linkcode RunOptions.env} and nothing of our own. */
  readonly clearEnv?: boolean;
  /** Runs it in a process group of its own; deadline and `signal` kill the whole group. */
  readonly ownGroup?: boolean;
}

/**
 * Runs `argv` and returns its exit status and output, whatever the status is. It returns when the
 * program itself has ended and at most {@linkcode DRAIN_MS} later, even if a process that the program
 * left behind keeps its output open. The deadline and `signal` kill the program, not its children
 * (unless `ownGroup`).
 *
 * @throws {ToolMissingError} when the program does not exist
 * @throws {ToolTimeoutError} when it takes longer than `deadlineMs`
 * @throws {DOMException} `AbortError` when `signal` aborts
 */
export async function run(argv: readonly string[], options: RunOptions): Promise<RunResult> {
  const [tool, ...args] = argv;
  if (tool === undefined) throw new TypeError("Cannot run an empty argument list");
  options.signal?.throwIfAborted();
  const child = spawnTool(tool, {
    args,
    stdin: options.stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    ...(options.env === undefined ? {} : { env: { ...options.env } }),
    clearEnv: options.clearEnv ?? false,
    detached: options.ownGroup ?? false,
  });
  let timedOut = false;
  const kill = (): void => options.ownGroup === true ? killGroup(child) : killChild(child);
  const timer = setTimeout(() => {
    timedOut = true;
    kill();
  }, options.deadlineMs);
  options.signal?.addEventListener("abort", kill, { once: true });
  const feeder = options.stdin === undefined ? null : new Feeder(child.stdin, options.stdin);
  const stdout = new Capture(child.stdout);
  const stderr = new Capture(child.stderr);
  let status: Deno.CommandStatus;
  try {
    status = await child.status;
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", kill);
  }
  await Promise.all([stdout.finish(), stderr.finish(), feeder?.finish()]);
  options.signal?.throwIfAborted();
  if (timedOut) throw new ToolTimeoutError(argv, options.deadlineMs);
  return {
    code: status.code,
    stdout: stdout.text(),
    stderr: stderr.text(),
    droppedBytes: stdout.droppedBytes + stderr.droppedBytes,
  };
}

/**
 * Like {@linkcode run}, but anything other than exit status 0 is an error.
 *
 * @throws {ToolFailedError} when the exit status is not 0; and what {@linkcode run} throws
 */
export async function runOk(argv: readonly string[], options: RunOptions): Promise<RunResult> {
  const result = await run(argv, options);
  if (result.code !== 0) throw new ToolFailedError(argv, result);
  return result;
}

/**
 * Spawns a program for callers that stream; they must await its status.
 *
 * @throws {ToolMissingError} when the program does not exist
 */
export function spawnTool(tool: string, options: Deno.CommandOptions): Deno.ChildProcess {
  try {
    return new Deno.Command(tool, options).spawn();
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) throw new ToolMissingError(tool, { cause });
    throw cause;
  }
}

/** Sends a signal (default: the one that can't be refused) to a program that may have ended already. */
export function killChild(child: Deno.ChildProcess, signal: Deno.Signal = "SIGKILL"): void {
  try {
    child.kill(signal);
  } catch {
    // It has just ended by itself.
  }
}

/** Kills a program that was spawned as leader of its group, and all that it started and left in there. */
function killGroup(child: Deno.ChildProcess): void {
  try {
    Deno.kill(-child.pid, "SIGKILL");
  } catch {
    // The group has just ended by itself.
  }
}

/** Reads one output of a child from its first byte on, keeping a bounded part of it. */
class Capture {
  /** Bytes beyond {@linkcode MAX_OUTPUT_BYTES}. */
  droppedBytes = 0;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #chunks: Uint8Array[] = [];
  readonly #done: Promise<void>;
  #keptBytes = 0;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
    this.#done = this.#readAll();
    // finish() reports a failed read; until then it must not count as unhandled.
    this.#done.catch(() => {});
  }

  /** Waits for the end of the output, at most {@linkcode DRAIN_MS}; then stops reading. */
  async finish(): Promise<void> {
    if (!await settlesWithin(this.#done, DRAIN_MS)) await this.#reader.cancel();
    await this.#done;
  }

  text(): string {
    const decoder = new TextDecoder();
    return this.#chunks.map((chunk) => decoder.decode(chunk, { stream: true })).join("") +
      decoder.decode();
  }

  async #readAll(): Promise<void> {
    while (true) {
      const { done, value } = await this.#reader.read();
      if (done) return;
      const kept = value.subarray(0, MAX_OUTPUT_BYTES - this.#keptBytes);
      if (kept.length > 0) this.#chunks.push(kept);
      this.#keptBytes += kept.length;
      this.droppedBytes += value.length - kept.length;
    }
  }
}

/** Writes a text to a child's standard input, which the child need not read. */
class Feeder {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #done: Promise<void>;

  constructor(stream: WritableStream<Uint8Array<ArrayBuffer>>, text: string) {
    this.#writer = stream.getWriter();
    this.#done = this.#writeAll(text);
  }

  /**
   * Stops writing: the program has ended. A write that a grandchild's full pipe blocks can't be
   * interrupted (a stream's abort waits for it); it is abandoned and ends with that grandchild.
   */
  async finish(): Promise<void> {
    if (await settlesWithin(this.#done, DRAIN_MS)) return;
    this.#writer.abort().catch(() => {
      // It failed to write in the same moment: the pipe is closed, which is what was wanted.
    });
  }

  async #writeAll(text: string): Promise<void> {
    try {
      await this.#writer.write(new TextEncoder().encode(text));
      await this.#writer.close();
    } catch {
      // The program closed its input early; its exit status tells what happened.
    }
  }
}

/** Whether `promise` settles within `ms`; a rejection is left to whoever awaits it. */
async function settlesWithin(promise: Promise<void>, ms: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const settled = promise.then(() => true, () => true);
  try {
    return await Promise.race([settled, late]);
  } finally {
    clearTimeout(timer);
  }
}
