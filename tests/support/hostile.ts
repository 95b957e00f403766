/**
 * What an ill-meaning or broken machine of the lab sends (see `hostile_main.ts`).
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import type { TestHost } from "./host.ts";
import type { HostProcess } from "./host_process.ts";

const DEADLINE_MS = 60_000;
const ARGV = [
  Deno.execPath(),
  ...["run", "--quiet", "--no-check", "--allow-all"],
  fileURLToPath(new URL("./hostile_main.ts", import.meta.url)),
];

/** Sends one kind of it and waits for its end; returns what it printed. */
export async function attack(host: TestHost, args: readonly string[]): Promise<string> {
  const argv = commandOf(args);
  return (await host.exec(argv, { deadlineMs: DEADLINE_MS })).stdout.trim();
}

/**
 * Who floods computes on a machine of his own: here he takes only what the others leave, or a test of what
 * reaches the hosts would be one of what he computes.
 */
function commandOf(args: readonly string[]): string[] {
  return [...(args[0] === "flood" ? ["nice", "-n", "19"] : []), ...ARGV, ...args];
}

/** Starts one that stays until its standard input is closed. */
export function startAttack(host: TestHost, args: readonly string[]): HostProcess {
  return host.spawnPiped(commandOf(args));
}

/** Ends what {@linkcode startAttack} started, and its pipes. */
export async function endAttack(attack: HostProcess): Promise<void> {
  await attack.end();
  await attack.stdin.close().catch(() => {}); // gone with its reader
  await attack.stdout.cancel().catch(() => {});
}

/** The answer to {@linkcode post}. */
export interface PostAnswer {
  readonly status: number;
  readonly text: string;
}

/** Posts a body with these headers from a machine of the lab. */
export async function post(
  host: TestHost,
  { url, headers, body }: {
    readonly url: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
  },
): Promise<PostAnswer> {
  return JSON.parse(await attack(host, ["post", url, JSON.stringify(headers), body]));
}

/** Sends each text over a connection of its own, and returns what came back on each until its end. */
export async function sendRaw(
  host: TestHost,
  { address, port, texts }: {
    readonly address: string;
    readonly port: number;
    readonly texts: readonly string[];
  },
): Promise<readonly string[]> {
  return JSON.parse(await attack(host, ["raw", address, `${port}`, JSON.stringify(texts)]));
}

/** A whole request as text. */
export function requestText(
  { method, path, headers = {}, body = "" }: {
    readonly method: string;
    readonly path: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string;
  },
): string {
  const length = new TextEncoder().encode(body).length;
  const lines = Object.entries({ Host: "relais", ...headers, "Content-Length": `${length}` })
    .map(([name, value]) => `${name}: ${value}`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n${body}`;
}

/** The status of the first answer in what {@linkcode sendRaw} brought; 0: none. */
export function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1] ?? 0);
}
