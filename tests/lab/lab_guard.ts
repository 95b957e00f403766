/**
 * Holds a laboratory for one test run and takes it down when the run has ended, in whatever way: the
 * guard is a process of its own that waits for the end of its standard input, which the kernel closes.
 *
 * @module
 */

import { spawnTool } from "../../src/os/process.ts";
import type { LabTool } from "./lab_tool.ts";

const START_DEADLINE_MS = 30_000;
/** Taking down a laboratory whose every process is stuck takes about 20 s. */
const END_DEADLINE_MS = 60_000;

/** A process that holds `LAB_DIR`. */
export class LabGuard implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #log: string;

  private constructor(child: Deno.ChildProcess, log: string) {
    this.#child = child;
    this.#log = log;
  }

  /**
   * Takes `LAB_DIR`; what a killed run left behind there is gone afterwards.
   *
   * @throws {Error} when another test run has it
   */
  static async start(tool: LabTool): Promise<LabGuard> {
    // In a session of its own: neither Ctrl-C nor a signal to the test's process group reaches it.
    const argv = ["setsid", ...tool.argvThatStays(["guard"])];
    const child = spawnTool(argv[0]!, {
      args: argv.slice(1),
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    });
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const late = AbortSignal.timeout(START_DEADLINE_MS);
    late.addEventListener("abort", () => reader.cancel().catch(() => {}));
    const { value = "" } = await reader.read();
    await reader.cancel();
    if (!value.startsWith("ready")) {
      await child.stdin.close().catch(() => {}); // it has ended already
      throw new Error(
        `Cannot take the laboratory ${tool.directory} as its guard did not start: see above`,
      );
    }
    return new LabGuard(child, `${tool.directory}/guard.log`);
  }

  /** Takes the laboratory down and gives `LAB_DIR` back; harmless when repeated. */
  async close(): Promise<void> {
    await this.#child.stdin.close().catch(() => {}); // closed already
    const late = setTimeout(() => this.#child.kill("SIGKILL"), END_DEADLINE_MS);
    const { code } = await this.#child.status;
    clearTimeout(late);
    if (code !== 0) {
      throw new Error(
        `Cannot take the laboratory down as its guard exited with ${code}: see ${this.#log}`,
      );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
