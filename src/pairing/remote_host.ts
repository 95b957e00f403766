/**
 * The other host, through one ssh session in which `relais pair-peer` runs.
 *
 * @module
 */

import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { killChild, spawnTool } from "../os/process.ts";
import { writeAll } from "../os/write_all.ts";
import { ByteReader, CutStreamError } from "../replication/byte_reader.ts";
import { passOnErrors } from "./pass_on_errors.ts";
import { SUDO_PROMPT } from "./first_contact.ts";
import {
  ANSWERS,
  type AnswerTo,
  envelopeSchema,
  greetingSchema,
  MAX_PAIR_LINE_BYTES,
  PAIR_PROTOCOL,
  type PairHost,
  type PairRequest,
} from "./protocol.ts";

/** Longest silence: the password is typed meanwhile, and the way is tried at up to 64 addresses. */
const SILENCE_MS = 15 * 60_000;
/** Lines that a login may print before relais speaks (a greeting in a shell's start file). */
const MAX_STRAY_LINES = 100;
const END_DEADLINE_MS = 30_000;

/** A session with the other host. */
export class RemoteHost implements PairHost {
  readonly #child: Deno.ChildProcess;
  readonly #lines: ByteReader;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #clock: Clock;

  private constructor(child: Deno.ChildProcess, clock: Clock, signal: AbortSignal) {
    this.#child = child;
    this.#clock = clock;
    this.#writer = child.stdin.getWriter();
    this.#lines = new ByteReader(child.stdout, { clock, idleMs: SILENCE_MS, signal });
  }

  /**
   * Logs in and waits until relais answers there. ssh asks for the password by itself, on the terminal or
   * through SSH_ASKPASS; what it says goes to standard error.
   *
   * @throws {Error} in words: no login, no relais there, another version
   */
  static async open(argv: readonly string[], { clock, signal, name, askPassword, env }: {
    readonly clock: Clock;
    /** Added to ssh's environment. */
    readonly env: Readonly<Record<string, string>>;
    /** Asked when sudo over there wants the password of its user. */
    readonly askPassword: () => Promise<string>;
    readonly signal: AbortSignal;
    /** `root@10.20.0.12`. */
    readonly name: string;
  }): Promise<RemoteHost> {
    const [tool = "", ...args] = argv;
    const stdio = { stdin: "piped", stdout: "piped", stderr: "piped" } as const;
    const child = spawnTool(tool, { args, env: { ...env }, ...stdio });
    const host = new RemoteHost(child, clock, signal);
    const listening = passOnErrors(child.stderr, {
      prompt: SUDO_PROMPT,
      onPrompt: async () => await host.#send(await askPassword()),
      write: (text) => writeAll(Deno.stderr, new TextEncoder().encode(text)),
    });
    // No password: sudo's input ends, and it says so.
    listening.catch(() => host.#writer.close().catch(() => {}));
    try {
      await host.#greet(name);
      return host;
    } catch (cause) {
      await host.close();
      await listening; // Why there was no password says more than what came of it.
      throw cause;
    }
  }

  async ask<Request extends PairRequest>(request: Request): Promise<AnswerTo<Request["do"]>> {
    let said: unknown;
    try {
      await this.#send(JSON.stringify(request));
      said = JSON.parse(await this.#readLine());
    } catch (cause) {
      const why = cause instanceof CutStreamError || cause instanceof TypeError
        ? "the ssh session ended"
        : messageOf(cause);
      throw new Error(`Cannot go on with the other host (${request.do}): ${why}`, { cause });
    }
    const envelope = envelopeSchema.parse(said);
    if (!envelope.ok) throw new Error(`The other host says: ${envelope.error}`);
    return ANSWERS[request.do].parse(envelope.answer) as AnswerTo<Request["do"]>;
  }

  /** Ends the session; the other side takes back what was not kept. */
  async close(): Promise<void> {
    await this.#writer.close().catch(() => {}); // It has ended already.
    const timer = new AbortController();
    const late = this.#clock.sleep(END_DEADLINE_MS, timer.signal).then(() =>
      killChild(this.#child)
    );
    late.catch(() => {}); // It ended in time.
    await this.#child.status;
    timer.abort();
    await this.#lines.cancel("done");
  }

  async #send(line: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(`${line}\n`));
  }

  async #readLine(): Promise<string> {
    return new TextDecoder().decode(await this.#lines.readLine(MAX_PAIR_LINE_BYTES));
  }

  async #greet(name: string): Promise<void> {
    for (let stray = 0; stray < MAX_STRAY_LINES; stray++) {
      let line: string;
      try {
        line = await this.#readLine();
      } catch (cause) {
        if (!(cause instanceof CutStreamError)) throw cause;
        throw new Error(await this.#whyNoGreeting(name), { cause });
      }
      const greeting = greetingSchema.safeParse(parseJson(line));
      if (!greeting.success) continue;
      const { protocol, version, problem } = greeting.data;
      if (problem !== null) throw new Error(`The other host says: ${problem}`);
      if (protocol === PAIR_PROTOCOL) return;
      throw new Error(
        `Cannot pair with relais ${version} of ${name} as it speaks another protocol: install the same ` +
          `version on both hosts`,
      );
    }
    throw new Error(`Cannot understand ${name} as something else than relais answers there`);
  }

  async #whyNoGreeting(name: string): Promise<string> {
    const { code } = await this.#child.status;
    const log = "what ssh says is above";
    if (code === 255) {
      return `Cannot log in as ${name}: ${log}. If root may not log in with a password there, use a key ` +
        `(ssh-copy-id, then --identity FILE) or USER@HOST with sudo`;
    }
    if (code === 127) {
      return `Cannot find relais on ${name}: install the package there, or say where it is with --program`;
    }
    return `Cannot run relais pair-peer as ${name} as it ended with ${code}: ${log}. A user other than ` +
      `root needs sudo`;
  }
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}
