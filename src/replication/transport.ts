/**
 * Calls `relais receive` on the peer through ssh.
 *
 * @module
 */

import type { TransportConfig } from "../config/types.ts";
import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { killChild, run, spawnTool } from "../os/process.ts";
import { ByteReader, CutStreamError } from "./byte_reader.ts";
import { Pace } from "./pace.ts";
import {
  type Hello,
  MAX_RESULT_LINE_BYTES,
  parseRemoteLine,
  type RemoteLine,
} from "./remote_protocol.ts";
import type { OnProgress } from "./set_header.ts";
import { rsyncShell, sshCommand, sshExit } from "./ssh_arguments.ts";

/** `unreachable`: no connection; `refused`: the peer said no; `failed`: it tried and failed. */
export type RemoteErrorKind = "unreachable" | "refused" | "failed" | "badData";

/** The peer could not be asked, or said no. */
export class RemoteError extends Error {
  override readonly name = "RemoteError";
  constructor(readonly kind: RemoteErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** Options of every call. */
export interface RemoteOptions {
  readonly signal?: AbortSignal;
  /** The ssh process is killed after this many milliseconds. */
  readonly deadlineMs: number;
}

/** A verb that runs on the peer. */
export interface Remote {
  readonly stdin: WritableStream<Uint8Array>;
  readonly stdout: ReadableStream<Uint8Array>;
  /** Resolves when it ended with exit status 0; rejects with a {@linkcode RemoteError} or the abort. */
  readonly done: Promise<void>;
  /** Ends the local ssh (and with it the remote side) at once. */
  kill(): void;
}

/** A peer whose stream was cut has this long to say why, in ms. */
const LAST_WORDS_MS = 500;

/**
 * Why reading what the peer gives failed with `cause`: if the peer ended by itself, what it said on its
 * standard error explains a stream that is cut. Ends the verb.
 *
 * @returns what to throw
 * @throws the reason of `signal` when it aborts
 */
export async function whyCut(
  remote: Remote,
  { cause, clock, signal }: {
    readonly cause: unknown;
    readonly clock: Clock;
    readonly signal: AbortSignal;
  },
): Promise<unknown> {
  const timer = new AbortController();
  const ended = remote.done.then(() => null, (error: unknown) => error);
  const said = await Promise.race([
    ended,
    clock.sleep(LAST_WORDS_MS, timer.signal).then(() => null, () => null),
  ]);
  timer.abort();
  remote.kill();
  signal.throwIfAborted();
  return said ?? cause;
}

/** The next address is tried when the one before has not answered within this time. */
const NEXT_ADDRESS_AFTER_MS = 700;
/** How long the address that answered is used without asking again. */
const ADDRESS_FRESH_MS = 30_000;
const HELLO_DEADLINE_MS = 10_000;
/** Longest silence of a peer that works for us (it says something each 5 s). */
const SILENCE_MS = 60_000;
const MAX_STDERR_BYTES = 4096;

/** The way to the peer: its addresses in order of preference, and what ssh needs. */
export class Transport {
  readonly #transport: TransportConfig;
  readonly #runDir: string;
  readonly #addresses: () => readonly string[];
  readonly #clock: Clock;
  readonly #used = new Set<string>();
  /** `bandwidth`, shared by what the schedule copies; null: no limit. What a move sends goes without. */
  readonly pace: Pace | null;
  #good: { readonly address: string; readonly atMs: number } | null = null;

  constructor(options: {
    readonly transport: TransportConfig;
    readonly runDir: string;
    /** The peer's addresses, best first. */
    readonly addresses: () => readonly string[];
    readonly clock: Clock;
  }) {
    this.#transport = options.transport;
    this.#runDir = options.runDir;
    this.#addresses = options.addresses;
    this.#clock = options.clock;
    const { bandwidthBytesPerSecond: bytesPerSecond } = options.transport;
    this.pace = bytesPerSecond ? new Pace({ bytesPerSecond, clock: options.clock }) : null;
  }

  /**
   * Asks the peer what it is and has. The addresses are tried in order, the next one as soon as the one
   * before failed or was silent for 0.7 s; the first answer wins.
   *
   * @throws {RemoteError} when none answers
   */
  async hello(options: { readonly signal?: AbortSignal }): Promise<Hello> {
    const addresses = this.#ordered();
    if (addresses.length === 0) throw new RemoteError("unreachable", "no address of the peer");
    const losers = new AbortController();
    const signal = AbortSignal.any([losers.signal, ...(options.signal ? [options.signal] : [])]);
    const attempts: Promise<{ readonly address: string; readonly hello: Hello }>[] = [];
    for (const [index, address] of addresses.entries()) {
      attempts.push(this.#attempt({ address, index, previous: attempts[index - 1], signal }));
    }
    try {
      const { address, hello } = await Promise.any(attempts);
      this.#good = { address, atMs: this.#clock.nowMs() };
      return hello;
    } catch (cause) {
      options.signal?.throwIfAborted();
      throw worst(cause);
    } finally {
      losers.abort();
      await Promise.allSettled(attempts);
    }
  }

  /**
   * The address to use now: the one that answered lately, or the first that answers.
   *
   * @throws {RemoteError} when none answers
   */
  async address(options: { readonly signal?: AbortSignal }): Promise<string> {
    const good = this.#good;
    const fresh = good !== null && this.#clock.nowMs() - good.atMs < ADDRESS_FRESH_MS &&
      this.#addresses().includes(good.address);
    if (!fresh) await this.hello(options);
    return this.#good!.address;
  }

  /**
   * Runs a verb of `relais receive` on the peer.
   *
   * @throws {RemoteError} when the peer can't be reached; {@linkcode ToolMissingError} without ssh
   */
  async openRemote(verb: string, options: RemoteOptions): Promise<Remote> {
    return this.#open(await this.address(options), verb, options);
  }

  /**
   * Reads progress lines and the result of `remote`.
   *
   * @throws {RemoteError} when the last line or the exit status says anything but success
   */
  async result(
    remote: Remote & { readonly silenceMs?: number },
    onProgress?: OnProgress,
  ): Promise<RemoteLine & { ok: true }> {
    let last: RemoteLine | null = null;
    const lines = new ByteReader(remote.stdout, {
      clock: this.#clock,
      idleMs: remote.silenceMs ?? SILENCE_MS,
    });
    try {
      for (;;) {
        const line = parseRemoteLine(await lines.readLine(MAX_RESULT_LINE_BYTES));
        if ("progress" in line) onProgress?.(line.progress);
        else last = line;
      }
    } catch (cause) {
      if (!(cause instanceof CutStreamError)) {
        remote.kill();
        await lines.cancel(cause);
        await remote.done.catch(() => {});
        const why = messageOf(cause);
        throw new RemoteError("failed", `Cannot understand the peer's answer: ${why}`, { cause });
      }
    }
    if (last !== null && "ok" in last && !last.ok) {
      await remote.done.catch(() => {}); // It ends with a status that says the same.
      throw new RemoteError(last.kind, `The peer says: ${last.reason}`);
    }
    await remote.done;
    if (last === null) throw new RemoteError("failed", "The peer ended without a result");
    return last as RemoteLine & { ok: true };
  }

  /** The value of rsync's `-e` for `address`. */
  rsyncShell(address: string): string {
    this.#used.add(address);
    return rsyncShell({ transport: this.#transport, runDir: this.#runDir, address });
  }

  /** Asks again which address answers before the next call. */
  forget(): void {
    this.#good = null;
  }

  /** Ends the kept connections. */
  async close(): Promise<void> {
    for (const address of this.#used) {
      const input = { transport: this.#transport, runDir: this.#runDir, address };
      // Exit status 255 when there is none: that is what is wanted.
      await run(sshExit(input), { deadlineMs: 2000 }).catch(() => {});
    }
    this.#used.clear();
  }

  async #attempt(options: {
    readonly address: string;
    readonly index: number;
    readonly previous: Promise<unknown> | undefined;
    readonly signal: AbortSignal;
  }): Promise<{ readonly address: string; readonly hello: Hello }> {
    const { address, index, previous, signal } = options;
    if (previous !== undefined) {
      const turn = new AbortController();
      const timed = this.#clock.sleep(
        index * NEXT_ADDRESS_AFTER_MS,
        AbortSignal.any([turn.signal, signal]),
      );
      const failed = new Promise<void>((resolve) => previous.catch(() => resolve()));
      await Promise.race([timed, failed]).finally(() => turn.abort());
      timed.catch(() => {}); // The turn came earlier.
    }
    return { address, hello: await this.#helloAt(address, signal) };
  }

  #ordered(): readonly string[] {
    const addresses = [...new Set(this.#addresses())];
    const good = this.#good?.address;
    return good !== undefined && addresses.includes(good)
      ? [good, ...addresses.filter((address) => address !== good)]
      : addresses;
  }

  async #helloAt(address: string, signal: AbortSignal): Promise<Hello> {
    const remote = this.#open(address, "hello", { signal, deadlineMs: HELLO_DEADLINE_MS });
    await remote.stdin.close().catch(() => {}); // It may have ended already; result() says why.
    const line = await this.result(remote);
    if (!("role" in line)) throw new RemoteError("failed", `${address} gave no answer to hello`);
    return line;
  }

  #open(address: string, verb: string, options: RemoteOptions): Remote {
    options.signal?.throwIfAborted();
    this.#used.add(address);
    const argv = sshCommand({ transport: this.#transport, runDir: this.#runDir, address, verb });
    const child = spawnTool(argv[0]!, {
      args: argv.slice(1),
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    });
    const done = this.#watch(child, { address, verb, ...options });
    done.catch(() => {}); // Whoever opened it awaits it later.
    return { stdin: child.stdin, stdout: child.stdout, done, kill: () => killChild(child) };
  }

  async #watch(
    child: Deno.ChildProcess,
    options: RemoteOptions & { readonly address: string; readonly verb: string },
  ): Promise<void> {
    const { address, verb, deadlineMs } = options;
    const stderr = collect(child.stderr);
    const timer = new AbortController();
    let late = false;
    this.#clock.sleep(deadlineMs, timer.signal).then(() => {
      late = true;
      killChild(child);
    }, () => {});
    const onAbort = (): void => killChild(child);
    options.signal?.addEventListener("abort", onAbort, { once: true });
    if (options.signal?.aborted) killChild(child);
    try {
      const { code } = await child.status;
      const said = await stderr.finish(this.#clock);
      options.signal?.throwIfAborted();
      if (late) {
        throw new RemoteError("failed", `${verb} on ${address} took longer than ${deadlineMs} ms`);
      }
      if (code === 0) return;
      if (code === 255) this.#good = null;
      throw new RemoteError(code === 255 ? "unreachable" : "failed", describe(address, code, said));
    } finally {
      timer.abort();
      options.signal?.removeEventListener("abort", onAbort);
    }
  }
}

function describe(address: string, code: number, said: string): string {
  const text = said.replaceAll(/\s+/g, " ").trim();
  const hint = /Host key verification failed|No .* host key is known/.test(text)
    ? ": its host key is not the pinned one, run: relais pair"
    : /Permission denied/.test(text)
    ? ": it does not know our key, run: relais pair"
    : "";
  return code === 255
    ? `Cannot reach ${address} through ssh: ${text || "no message"}${hint}`
    : `relais receive on ${address} ended with ${code}: ${text || "no message"}`;
}

/** Of several failures the one that says most: a refusal beats a silence. */
function worst(cause: unknown): unknown {
  if (!(cause instanceof AggregateError)) return cause;
  const errors = cause.errors as readonly unknown[];
  const told = errors.find((error) => error instanceof RemoteError && error.kind !== "unreachable");
  if (told !== undefined || errors.length === 1) return told ?? errors[0];
  const texts = errors.map(messageOf);
  return new RemoteError("unreachable", texts.join("; "), { cause });
}

/** Collects the beginning of a stream; a kept ssh connection may hold it open, so it never waits long. */
function collect(
  stream: ReadableStream<Uint8Array>,
): { readonly finish: (clock: Clock) => Promise<string> } {
  const reader = stream.getReader();
  const parts: Uint8Array[] = [];
  let size = 0;
  const all = (async (): Promise<void> => {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      if (size < MAX_STDERR_BYTES) parts.push(value.subarray(0, MAX_STDERR_BYTES - size));
      size += value.length;
    }
  })().catch(() => {}); // Cancelled below.
  return {
    finish: async (clock): Promise<string> => {
      const timer = new AbortController();
      await Promise.race([all, clock.sleep(250, timer.signal).catch(() => {})]);
      timer.abort();
      await reader.cancel().catch(() => {});
      const decoder = new TextDecoder();
      return parts.map((part) => decoder.decode(part, { stream: true })).join("");
    },
  };
}
