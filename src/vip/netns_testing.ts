/**
 * Network namespaces for tests: gone when the test is, however it ends.
 *
 * @module
 */

import { runOk, spawnTool } from "../os/process.ts";

/** One namespace, held by a process that ends when its standard input closes (root needed). */
export class Netns implements AsyncDisposable {
  readonly #holder: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;

  private constructor(holder: Deno.ChildProcess) {
    this.#holder = holder;
    this.#stdin = holder.stdin.getWriter();
  }

  /** Makes a namespace with `lo`, and a veth pair `eth0` (10.0.0.2/24, fd00::2/64) and `wire`. */
  static async create(): Promise<Netns> {
    const holder = spawnTool("unshare", {
      args: ["--net", "sh", "-c", "echo ready; exec cat >/dev/null"],
      stdin: "piped",
      stdout: "piped",
    });
    const reader = holder.stdout.getReader();
    const { value } = await reader.read();
    await reader.cancel();
    const netns = new Netns(holder);
    if (value === undefined) {
      await netns[Symbol.asyncDispose]();
      throw new Error("Cannot make a network namespace: this test needs root");
    }
    await netns.batch(`
      link set lo up
      link add eth0 type veth peer name wire
      link set eth0 up
      link set wire up
      address add 10.0.0.2/24 dev eth0
      address add fd00::2/64 dev eth0 nodad
    `);
    return netns;
  }

  /** Argument list that enters the namespace. */
  get enter(): readonly string[] {
    return ["nsenter", `--net=/proc/${this.#holder.pid}/ns/net`];
  }

  /** How to call `ip` in it. */
  get ipCommand(): readonly string[] {
    return [...this.enter, "ip"];
  }

  /** `ip` with arguments split at blanks; what it printed. */
  async ip(args: string): Promise<string> {
    const argv = [...this.ipCommand, ...args.split(" ")];
    return (await runOk(argv, { deadlineMs: 10_000 })).stdout;
  }

  /** Several `ip` commands, one a line. */
  async batch(lines: string): Promise<void> {
    await runOk([...this.ipCommand, "-batch", "-"], { deadlineMs: 10_000, stdin: lines });
  }

  /** How the kernel would send to `address`: `[gateway, source]`. */
  async routeTo(address: string): Promise<readonly [string | null, string | null]> {
    const json = JSON.parse(await this.ip(`-json route get ${address}`));
    return [json[0].gateway ?? null, json[0].prefsrc ?? null];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stdin.close().catch(() => {
      // The holder has ended already.
    });
    await this.#holder.status;
  }
}

/**
 * Polls until `check` is true.
 *
 * @throws {Error} after 15 s
 */
export async function until(what: string, check: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!await check()) {
    if (performance.now() > deadline) throw new Error(`Cannot wait any longer for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
