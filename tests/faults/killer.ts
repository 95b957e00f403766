/**
 * Kills a daemon at a step of a goal (see `killer_main.ts` for how).
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { poll } from "../support/poll.ts";
import type { KillPoint } from "./schedule.ts";

const SCRIPT = fileURLToPath(new URL("./killer_main.ts", import.meta.url));
const ATTACH_DEADLINE_MS = 20_000;

/** What the killer saw. */
export interface KillResult {
  /** It came to the moment. */
  readonly killed: boolean;
  /** The steps that had ended by then, oldest first. */
  readonly lines: readonly string[];
}

type Message =
  | { readonly attached: number }
  | { readonly line: string }
  | { readonly killed: number }
  | { readonly gone: true };

/** A killer that has taken its place. */
export class Killer {
  readonly #process: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  #attached = false;
  #result: KillResult | null = null;
  readonly #lines: string[] = [];

  private constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.#reading = this.#read();
  }

  /** Attaches to a process (the test's numbering); returns when it watches. */
  static async attach(pid: number, point: Omit<KillPoint, "step">): Promise<Killer> {
    const deno = [Deno.execPath(), "run", "--quiet", "--no-check", "--allow-all", SCRIPT];
    // Who is traced waits for the tracer at each system call: that one must not wait for the processor.
    const process = new Deno.Command("nice", {
      args: [
        ...["-n", "-20", ...deno],
        ...[`${pid}`, point.goal, `${point.number}`, `${point.systemCalls}`],
      ],
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const killer = new Killer(process);
    await poll(() => killer.#attached || killer.#result !== null, {
      deadlineMs: ATTACH_DEADLINE_MS,
      everyMs: 2,
      what: `the killer of ${pid}`,
    });
    return killer;
  }

  /** Waits until it has killed; after that time it lets the victim live. */
  async result(deadlineMs: number): Promise<KillResult> {
    const end = performance.now() + deadlineMs;
    while (this.#result === null && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const result = this.#result ?? { killed: false, lines: [...this.#lines] };
    await this.close();
    return result;
  }

  /** Ends it; who is traced goes on. Harmless when repeated. */
  async close(): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.#process.status;
    await this.#reading;
  }

  async #read(): Promise<void> {
    let text = "";
    for await (const chunk of this.#process.stdout.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const lines = text.split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) this.#take(JSON.parse(line) as Message);
    }
    this.#result ??= { killed: false, lines: [...this.#lines] };
  }

  #take(message: Message): void {
    if ("attached" in message) this.#attached = true;
    else if ("line" in message) this.#lines.push(message.line);
    else this.#result = { killed: "killed" in message, lines: [...this.#lines] };
  }
}
