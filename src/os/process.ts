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
      }`,
    );
  }
}

/** How a program ended and what it said. */
export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
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
}

/**
 * Runs `argv` and returns its exit status and output, whatever the status is.
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
  });
  let timedOut = false;
  const kill = (): void => {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has just ended by itself.
    }
  };
  const timer = setTimeout(() => {
    timedOut = true;
    kill();
  }, options.deadlineMs);
  options.signal?.addEventListener("abort", kill, { once: true });
  try {
    const fed = options.stdin === undefined ? Promise.resolve() : feed(child, options.stdin);
    const [output] = await Promise.all([child.output(), fed]);
    options.signal?.throwIfAborted();
    if (timedOut) throw new ToolTimeoutError(argv, options.deadlineMs);
    const decoder = new TextDecoder();
    return {
      code: output.code,
      stdout: decoder.decode(output.stdout),
      stderr: decoder.decode(output.stderr),
    };
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", kill);
  }
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

async function feed(child: Deno.ChildProcess, text: string): Promise<void> {
  const writer = child.stdin.getWriter();
  try {
    await writer.write(new TextEncoder().encode(text));
    await writer.close();
  } catch {
    // The program closed its input early; its exit status tells what happened.
  }
}
