/**
 * A long-running command inside a test host.
 *
 * @module
 */

import { killChild } from "../../src/os/process.ts";
import { childrenOf, signalPid } from "./process_table.ts";
import { poll } from "./poll.ts";

/** A started command: the `nsenter` outside and the command itself inside the host. */
export class HostProcess {
  readonly #starter: Deno.ChildProcess;
  #status: Deno.CommandStatus | null = null;
  readonly #ended: Promise<Deno.CommandStatus>;

  private constructor(starter: Deno.ChildProcess) {
    this.#starter = starter;
    this.#ended = starter.status.then((status) => (this.#status = status));
  }

  /** Starts an argument list of `TestHost.enter`; standard error of a piped one is the test's own. */
  static start(argv: readonly string[], stdio: "null" | "piped"): HostProcess {
    const options = {
      args: argv.slice(1),
      stdin: stdio,
      stdout: stdio,
      stderr: stdio === "piped" ? "inherit" : "null",
    } as const;
    return new HostProcess(new Deno.Command(argv[0]!, options).spawn());
  }

  /** Standard input of a piped command. */
  get stdin(): WritableStream<Uint8Array> {
    return this.#starter.stdin;
  }

  /** Standard output of a piped command. */
  get stdout(): ReadableStream<Uint8Array> {
    return this.#starter.stdout;
  }

  /** Whole lines of the standard output of a piped command, as they come; what has no end of line is left out. */
  async *lines(): AsyncGenerator<string, void, undefined> {
    let text = "";
    for await (const chunk of this.stdout.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const lines = text.split("\n");
      text = lines.pop() ?? "";
      yield* lines;
    }
  }

  /** It has not ended yet. */
  get running(): boolean {
    return this.#status === null;
  }

  /** PID of the command itself, in the test's numbering (for /proc/PID/…). */
  async pid(): Promise<number> {
    return await poll(() => this.#status === null ? childrenOf(this.#starter.pid)[0] : -1, {
      deadlineMs: 30_000,
      everyMs: 2,
      what: "the command behind nsenter",
    });
  }

  /** Sends a signal to the command; false when it has ended. */
  async signal(signal: Deno.Signal): Promise<boolean> {
    if (this.#status !== null) return false;
    const pid = await this.pid();
    return pid > 0 && signalPid(pid, signal);
  }

  /** Kills what started the command; the command ends with it. Harmless when it has ended. */
  killStarter(): void {
    if (this.#status === null) killChild(this.#starter);
  }

  /**
   * Waits for its end.
   *
   * @throws {PollTimeoutError} when it runs longer than that
   */
  async ended(deadlineMs: number): Promise<Deno.CommandStatus> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), deadlineMs);
    });
    const status = await Promise.race([this.#ended, late]);
    clearTimeout(timer);
    if (status !== null) return status;
    throw new Error(`Cannot see the command end as it still runs after ${deadlineMs} ms`);
  }

  /** Ends it: SIGKILL at once, or `signal` first and SIGKILL after `graceMs`. */
  async end(signal: Deno.Signal = "SIGKILL", graceMs = 10_000): Promise<Deno.CommandStatus> {
    await this.signal(signal);
    try {
      return await this.ended(graceMs);
    } catch {
      await this.signal("SIGKILL");
      return await this.#ended;
    }
  }
}
