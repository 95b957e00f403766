/**
 * A telephone of the lab: registers and asks whether a phone can be called, with the time-outs of RFC 3261
 * (T1 = 500 ms, doubled). Runs inside a machine of the lab:
 *
 * ```
 * phone.ts register USER SERVER [EXPIRES_S]
 * phone.ts callable USER SERVER
 * ```
 *
 * Prints `{"status": 200, "server": "…", "ms": 1.2}`; status 0: no answer within the deadline of 8 s.
 *
 * @module
 */

import { createSocket, type Socket } from "node:dgram";
import { fileURLToPath } from "node:url";
import type { TestHost } from "./host.ts";

/** What a phone got. */
export interface PhoneAnswer {
  /** SIP status code; 0: none. */
  readonly status: number;
  /** Name of the answering server. */
  readonly server: string;
  /** From the first request to the answer. */
  readonly ms: number;
}

const T1_MS = 500;
const DEADLINE_MS = 8_000;

/** Registers phone `user` at `server` from a machine of the lab. */
export async function register(
  host: TestHost,
  options: { readonly user: string; readonly server: string; readonly expiresS?: number },
): Promise<PhoneAnswer> {
  const { user, server, expiresS = 3600 } = options;
  return await runPhone(host, ["register", user, server, String(expiresS)]);
}

/** Asks the server whether phone `user` can be called: status 200 or 404. */
export async function callable(
  host: TestHost,
  options: { readonly user: string; readonly server: string },
): Promise<PhoneAnswer> {
  return await runPhone(host, ["callable", options.user, options.server]);
}

async function runPhone(host: TestHost, args: readonly string[]): Promise<PhoneAnswer> {
  const script = fileURLToPath(import.meta.url);
  const deno = [Deno.execPath(), "run", "--quiet", "--no-check", "--allow-all"];
  const { stdout } = await host.exec([...deno, script, ...args], {
    deadlineMs: DEADLINE_MS + 5_000,
  });
  return JSON.parse(stdout) as PhoneAnswer;
}

function requestText(
  method: "REGISTER" | "OPTIONS",
  { user, server, expiresS }: { user: string; server: string; expiresS: string },
): string {
  const host = server.includes(":") ? `[${server}]` : server;
  const aor = `sip:${user}@${host}`;
  const id = crypto.randomUUID();
  return [
    `${method} ${method === "REGISTER" ? `sip:${host}` : aor} SIP/2.0`,
    `Via: SIP/2.0/UDP phone.invalid:5060;branch=z9hG4bK${id};rport`,
    "Max-Forwards: 70",
    `From: <sip:${user}@${host}>;tag=${id.slice(0, 8)}`,
    `To: <${aor}>`,
    `Call-ID: ${id}`,
    `CSeq: 1 ${method}`,
    `Contact: <sip:${user}@phone.invalid:5060>`,
    ...(method === "REGISTER" ? [`Expires: ${expiresS}`] : []),
    "Content-Length: 0",
    "",
    "",
  ].join("\r\n");
}

/** Sends, repeats, waits. The socket is connected: an answer from another address is none. */
async function exchange(request: string, server: string): Promise<PhoneAnswer> {
  const socket = createSocket(server.includes(":") ? "udp6" : "udp4");
  const start = performance.now();
  try {
    await new Promise<void>((resolve) => socket.connect(5060, server, () => resolve()));
    const answer = nextAnswer(socket);
    for (let wait = T1_MS; performance.now() - start < DEADLINE_MS; wait *= 2) {
      socket.send(request);
      const text = await Promise.race([answer, timeout(wait)]);
      if (text === null) continue;
      const status = Number(/^SIP\/2\.0 (\d{3})/.exec(text)?.[1] ?? "0");
      const name = /^Server: (.*)\r$/mi.exec(text)?.[1] ?? "";
      return { status, server: name, ms: performance.now() - start };
    }
    return { status: 0, server: "", ms: performance.now() - start };
  } finally {
    socket.close();
  }
}

function nextAnswer(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.on("message", (bytes) => resolve(new TextDecoder().decode(bytes)));
    socket.on("error", () => {}); // refused: a phone tries again, too
  });
}

function timeout(ms: number): Promise<null> {
  return new Promise((resolve) => setTimeout(() => resolve(null), ms));
}

if (import.meta.main) {
  const [verb, user = "", server = "", expiresS = "3600"] = Deno.args;
  const method = verb === "register" ? "REGISTER" : "OPTIONS";
  const answer = await exchange(requestText(method, { user, server, expiresS }), server);
  console.log(JSON.stringify(answer));
  Deno.exit(0); // the timers of lost races would keep it
}
