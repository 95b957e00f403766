/**
 * One call of `relais receive` on the peer, over a connection of its own: a kept one would prove nothing
 * about key and pinned host key, and would stay behind.
 *
 * @module
 */

import type { TransportConfig } from "../config/types.ts";
import type { Clock } from "../os/clock.ts";
import { killChild, spawnTool } from "../os/process.ts";
import { type FactsAnswer, HostFacts } from "../replication/host_facts.ts";
import {
  helloSchema,
  MAX_RESULT_LINE_BYTES,
  parseRemoteLine,
  type RemoteLine,
} from "../replication/remote_protocol.ts";
import { sshOptions } from "../replication/ssh_arguments.ts";

/** How a call is made. */
export interface CallOptions {
  readonly transport: TransportConfig;
  readonly address: string;
  readonly clock: Clock;
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
  /** What the verb reads from its standard input; default: nothing. */
  readonly input?: string;
}

/** The call brought no answer that counts. */
export class CallError extends Error {
  override readonly name = "CallError";
  /** `code`: how ssh ended, 255 if it did not reach the peer, else how `relais receive` ended. */
  constructor(readonly code: number, message: string) {
    super(message);
  }
}

/** What the peer answered and when its last byte arrived. */
export interface Answer {
  readonly line: RemoteLine;
  /** Wall clock of this host. */
  readonly arrivedWallMs: number;
}

/** What the peer tells, and how far its clock is ahead of ours. */
export interface PeerFacts {
  readonly facts: HostFacts;
  /** Positive: the peer's clock is ahead. */
  readonly offsetMs: number;
}

/**
 * Asks and returns the last line of the answer.
 *
 * @throws {Error} when there is none that can be understood, with what ssh or the peer said
 */
export async function callPeer(verb: string, options: CallOptions): Promise<Answer> {
  const { transport, address, clock, deadlineMs, signal } = options;
  signal.throwIfAborted();
  // ssh takes the first value of an option: none of these connections is shared or kept.
  const alone = ["-o", "ControlMaster=no", "-o", "ControlPath=none"];
  const args = [
    ...alone,
    ...sshOptions({ transport, runDir: "/run", address }),
    "--",
    address,
    verb,
  ];
  const stdin = options.input === undefined ? "null" : "piped";
  const child = spawnTool("ssh", { args, stdin, stdout: "piped", stderr: "piped" });
  const within = AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]);
  const kill = (): void => killChild(child);
  within.addEventListener("abort", kill, { once: true });
  try {
    if (options.input !== undefined) await give(child, options.input);
    const [out, err, { code }] = await Promise.all([
      readAll(child.stdout, clock),
      readAll(child.stderr, clock),
      child.status,
    ]);
    if (within.aborted) {
      throw new Error(`${address} did not answer "${verb.split(" ")[0]}" in time`);
    }
    const text = out.text.trim();
    if (code !== 0 || text === "") {
      throw new CallError(code, explain(address, code, text || err.text));
    }
    const last = new TextEncoder().encode(text.slice(text.lastIndexOf("\n") + 1));
    return { line: parseRemoteLine(last), arrivedWallMs: out.lastByteWallMs };
  } finally {
    within.removeEventListener("abort", kill);
  }
}

/**
 * Asks the peer for its facts.
 *
 * @throws {Error} when it does not tell them
 */
export async function askFacts(nonce: string, options: CallOptions): Promise<PeerFacts> {
  const { line, arrivedWallMs } = await callPeer(`facts ${nonce}`, options);
  if (!isFacts(line)) throw new Error(`${options.address} gave no facts: another version?`);
  return { facts: line.facts, offsetMs: line.wallMs - arrivedWallMs };
}

/**
 * Asks the peer what it is.
 *
 * @returns its role
 * @throws {Error} when it does not answer
 */
export async function askHello(options: CallOptions): Promise<string> {
  const { line } = await callPeer("hello", options);
  const hello = helloSchema.safeParse(line);
  if (!hello.success) throw new Error(`${options.address} gave no answer to hello`);
  return hello.data.role;
}

function isFacts(line: RemoteLine): line is FactsAnswer {
  return "facts" in line && HostFacts.safeParse(line.facts).success;
}

/** In words, with what to do where ssh's message is known. Pure. */
function explain(address: string, code: number, said: string): string {
  const text = said.replaceAll(/\s+/g, " ").trim().slice(0, 500) || "no message";
  if (code !== 255) return `relais receive on ${address} ended with ${code}: ${refusal(text)}`;
  const hint = /Host key verification failed|No .* host key is known/.test(text)
    ? " (its host key is not the pinned one)"
    : /Permission denied/.test(text)
    ? " (it does not know our key, or runs something else for it)"
    : "";
  return `ssh to ${address}: ${text}${hint}`;
}

/** The reason of a line of the protocol; other text as it is. */
function refusal(text: string): string {
  try {
    const { reason } = JSON.parse(text) as { reason?: unknown };
    return typeof reason === "string" ? reason : text;
  } catch {
    return text;
  }
}

/** It may have ended before it read that: its exit status tells. */
async function give(child: Deno.ChildProcess, text: string): Promise<void> {
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text)).catch(() => {});
  await writer.close().catch(() => {});
}

async function readAll(
  stream: ReadableStream<Uint8Array>,
  clock: Clock,
): Promise<{ readonly text: string; readonly lastByteWallMs: number }> {
  const decoder = new TextDecoder();
  let text = "";
  let lastByteWallMs = clock.wallMs();
  for await (const chunk of stream) {
    lastByteWallMs = clock.wallMs();
    if (text.length <= 4 * MAX_RESULT_LINE_BYTES) text += decoder.decode(chunk, { stream: true });
  }
  return { text, lastByteWallMs };
}
