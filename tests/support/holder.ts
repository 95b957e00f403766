/**
 * Namespaces that live exactly as long as the test that made them: their PID 1 reads a pipe from the test
 * process and ends when it closes, also when the test was killed with SIGKILL; the kernel then ends every
 * process in there and frees the namespaces with all their interfaces and mounts. Nothing is written down
 * anywhere, so there is nothing to sweep.
 *
 * @module
 */

/** How long a set of namespaces may take to come up. */
const READY_DEADLINE_MS = 20_000;

/** Which namespaces to make, and what runs in them. */
export interface HolderOptions {
  /** Options of `unshare`, e.g. `["--mount", "--net"]`. PID namespace and fork are always added. */
  readonly unshare: readonly string[];
  /** The script (absolute path) with its arguments; prints `ready PID`, then waits for end of input. */
  readonly init: readonly string[];
  /** Put before `unshare`, e.g. an `nsenter` into the mount namespace to start from. */
  readonly prefix?: readonly string[];
}

/** A set of namespaces held by their own PID 1. */
export class Holder {
  readonly #unshare: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  #ended = false;

  private constructor(
    unshare: Deno.ChildProcess,
    stdin: WritableStreamDefaultWriter<Uint8Array>,
    /** PID 1 of the namespaces, as the test process sees it. */
    readonly pid: number,
  ) {
    this.#unshare = unshare;
    this.#stdin = stdin;
  }

  /**
   * Makes the namespaces and waits until their PID 1 says that it is ready.
   *
   * @throws {Error} when the script fails; the message holds what it printed
   */
  static async start(options: HolderOptions): Promise<Holder> {
    const unshare = ["unshare", "--fork", "--pid", "--kill-child", ...options.unshare];
    const argv = [...(options.prefix ?? []), ...unshare, "--", ...options.init];
    const child = new Deno.Command(argv[0]!, {
      args: argv.slice(1),
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const stdin = child.stdin.getWriter();
    const timer = setTimeout(() => child.kill("SIGKILL"), READY_DEADLINE_MS);
    const stderr = collect(child.stderr);
    const stdout = collect(child.stdout);
    const said = await stdout.until("\n"); // both pipes stay open in unshare
    clearTimeout(timer);
    const pid = /^ready (\d+)$/m.exec(said)?.[1];
    if (pid !== undefined) {
      await Promise.all([stdout.cancel(), stderr.cancel()]);
      return new Holder(child, stdin, Number(pid));
    }
    await stdin.close().catch(() => {});
    const { code } = await child.status;
    throw new Error(
      `Cannot make namespaces as "${argv.join(" ")}" ended with ${code}: ${said}${await stderr
        .until(null)}`,
    );
  }

  /** The namespaces are there. */
  get running(): boolean {
    return !this.#ended;
  }

  /** Kills everything in the namespaces at once and waits until it is gone; harmless when repeated. */
  async end(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    try {
      Deno.kill(this.pid, "SIGKILL");
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // it has ended by itself
    }
    await this.#stdin.close().catch(() => {}); // the pipe is broken when PID 1 went first
    await this.#unshare.status;
  }
}

/** Reads a pipe as it comes; `until(null)` waits for its end. */
function collect(stream: ReadableStream<Uint8Array>): {
  readonly until: (mark: string | null) => Promise<string>;
  readonly cancel: () => Promise<void>;
} {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const until = async (mark: string | null): Promise<string> => {
    while (mark === null || !text.includes(mark)) {
      const { value, done } = await reader.read();
      if (done) break;
      text += value;
    }
    return text;
  };
  return { until, cancel: () => reader.cancel() };
}
