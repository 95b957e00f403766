/**
 * A program on a machine of a test that says, line by line, what it hears on the network.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import type { HostProcess } from "./host_process.ts";
import { poll } from "./poll.ts";

const DEADLINE_MS = 20_000;

/** Where such a program can be started. */
export interface EarHost {
  spawnPiped(argv: readonly string[]): HostProcess;
}

/** A running one; `T` is what it says of each frame. It ends when its standard input does. */
export class Ear<T extends object> implements AsyncDisposable {
  readonly #process: HostProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<void>;
  readonly #keptMax: number;
  #ready = false;
  readonly #heard: T[] = [];

  private constructor(process: HostProcess, keptMax: number) {
    this.#process = process;
    this.#keptMax = keptMax;
    this.#input = process.stdin.getWriter();
    this.#reading = this.#read();
  }

  /**
   * Starts a program beside this file; returns when it listens.
   *
   * @param keptMax what is heard beyond so many frames is dropped
   */
  static async start<T extends object>(
    host: EarHost,
    program: string,
    args: readonly string[],
    keptMax: number,
  ): Promise<Ear<T>> {
    const script = fileURLToPath(new URL(`./${program}`, import.meta.url));
    const deno = [Deno.execPath(), "run", "--no-check", "--allow-all", "--quiet"];
    const ear = new Ear<T>(host.spawnPiped([...deno, script, ...args]), keptMax);
    await poll(() => ear.#ready, { deadlineMs: DEADLINE_MS, what: "the ear" });
    return ear;
  }

  /** What was heard, oldest first. */
  get heard(): readonly T[] {
    return this.#heard;
  }

  /** Ends it; harmless when repeated. */
  async close(): Promise<void> {
    await this.#input.close().catch(() => {}); // it has ended by itself
    await this.#process.ended(DEADLINE_MS);
    await this.#reading;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #read(): Promise<void> {
    for await (const line of this.#process.lines()) {
      const heard = JSON.parse(line) as T | { readonly ready: true };
      if ("ready" in heard) this.#ready = true;
      else if (this.#heard.length < this.#keptMax) this.#heard.push(heard);
    }
  }
}
