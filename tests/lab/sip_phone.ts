/**
 * A telephone of the laboratory: SIPp on the machine `phone`. It registers, is there for calls, and calls.
 * No RTP flows: a call is its SIP dialog.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { HostProcess } from "../support/host_process.ts";
import { poll } from "../support/poll.ts";
import { HeldCall } from "./held_call.ts";
import type { Laboratory } from "./laboratory.ts";
import { endSipp, shortMessages, type SipMessage } from "./sipp.ts";
import { type Extension, passwordOf } from "./telephony.ts";

const SCENARIOS = ["register", "answer", "call"] as const;
const FOLDER = "/root/sip";
/** A registration outlives every story. */
const EXPIRES_S = 7200;
/** Retransmissions of RFC 3261 take 32 s; a phone gives up sooner. */
const ANSWER_DEADLINE_S = 12;

/** A telephone with a number and an address of its own (by port). */
export class SipPhone implements AsyncDisposable {
  readonly #laboratory: Laboratory;
  readonly extension: Extension;
  #answering: HostProcess | null = null;
  #calls = 0;

  private constructor(laboratory: Laboratory, extension: Extension) {
    this.#laboratory = laboratory;
    this.extension = extension;
  }

  /** Puts the telephone on the table: not registered, not answering. */
  static async create(laboratory: Laboratory, extension: Extension): Promise<SipPhone> {
    for (const name of SCENARIOS) {
      const file = fileURLToPath(new URL(`./sip/${name}.xml`, import.meta.url));
      await laboratory.phone.writeFile(`${FOLDER}/${name}.xml`, await Deno.readTextFile(file));
    }
    return new SipPhone(laboratory, extension);
  }

  /** Port where it answers: 5071 for 1001. */
  get port(): number {
    return 4070 + Number(this.extension);
  }

  /**
   * Registers at the VIP for two hours, from the port where it answers (it does not while registering).
   *
   * @throws {ToolFailedError} when it is refused or not answered
   */
  async register(): Promise<void> {
    const answering = this.#answering !== null;
    await this.stopAnswering();
    await this.#laboratory.phone.exec(
      this.#sipp("register", [
        ...["-m", "1", "-key", "expires", String(EXPIRES_S), "-p", String(this.port)],
        ...this.#credentials(),
        ...["-s", this.extension, "-timeout", String(ANSWER_DEADLINE_S), this.#server],
      ]),
    );
    if (answering) await this.answer();
  }

  /** From now on it answers calls and OPTIONS. */
  async answer(): Promise<void> {
    if (this.#answering !== null) return;
    const log = this.#log("answer");
    await this.#laboratory.phone.exec(["rm", "-f", log]);
    const argv = this.#sipp("answer", [
      ...["-p", String(this.port), "-s", this.extension],
      ...["-trace_shortmsg", "-shortmessage_file", log],
    ]);
    this.#answering = this.#spawn(argv);
    const listening = new RegExp(`:${this.port} `);
    await this.#laboratory.phone.until(["ss", "-Hlnu"], {
      deadlineMs: 20_000,
      what: `phone ${this.extension} listening`,
      says: listening,
    });
  }

  /** It is unplugged: answers no more, and hangs up nothing. */
  async stopAnswering(): Promise<void> {
    if (this.#answering === null) return;
    await endSipp(this.#answering);
    this.#answering = null;
    const listening = ["sh", "-c", `! ss -Hlnu | grep -q ":${this.port} "`];
    await this.#laboratory.phone.until(listening, { deadlineMs: 20_000, what: "its port free" });
  }

  /** What it sent and received while it answers (from its last start on). */
  async messages(): Promise<readonly SipMessage[]> {
    return await this.#read(this.#log("answer"));
  }

  /** Calls that reached it (from its last start on). */
  async callsReceived(): Promise<number> {
    const messages = await this.messages();
    const invites = messages.filter(({ direction, text }) =>
      direction === "received" && text.startsWith("INVITE ")
    );
    return new Set(invites.map(({ callId }) => callId)).size;
  }

  /**
   * Calls `extension` through the VIP and hangs up as soon as it answers: that proves that the serving
   * Asterisk knows where the other phone is. Null: it answered; else why not.
   */
  async tryCall(extension: Extension): Promise<string | null> {
    const call = await this.#startCall(extension);
    try {
      await call.untilTalking();
      await call.hangUp();
      return null;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    } finally {
      await call.abandon();
    }
  }

  /** Calls `extension` again and again until it answers. */
  async untilCallable(extension: Extension, deadlineMs: number): Promise<void> {
    let why: string | null = "";
    await poll(async () => (why = await this.tryCall(extension)) === null, {
      deadlineMs,
      everyMs: 200,
      what: `a call from ${this.extension} answered by ${extension}`,
      instead: () => why ?? "",
    });
  }

  /**
   * Calls `extension` and stays on the line.
   *
   * @throws {Error} when it is not answered
   */
  async call(extension: Extension): Promise<HeldCall> {
    const call = await this.#startCall(extension);
    try {
      await call.untilTalking();
      return call;
    } catch (error) {
      await call.abandon();
      throw error;
    }
  }

  /** Puts the telephone away. */
  async close(): Promise<void> {
    await this.stopAnswering();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get #server(): string {
    return `${this.#laboratory.vip()}:5060`;
  }

  #credentials(): string[] {
    return ["-au", this.extension, "-ap", passwordOf(this.extension)];
  }

  #log(what: string): string {
    return `${FOLDER}/${this.extension}-${what}.log`;
  }

  /** Calls leave from ports of their own, so that a phone can answer meanwhile. */
  async #startCall(extension: Extension): Promise<HeldCall> {
    const number = ++this.#calls;
    const port = this.port + 100 + 2 * (number % 50);
    const log = this.#log(`call-${number % 50}`);
    await this.#laboratory.phone.exec(["rm", "-f", log, `${log}.errors`]);
    const callId = `${this.extension}-${number}@phone`;
    const argv = this.#sipp("call", [
      ...["-m", "1", "-cid_str", callId, "-key", "caller", this.extension, "-p", String(port)],
      ...this.#credentials(),
      ...[
        "-trace_shortmsg",
        "-shortmessage_file",
        log,
        "-trace_err",
        "-error_file",
        `${log}.errors`,
      ],
      ...["-s", extension, this.#server],
    ]);
    return new HeldCall(this.#laboratory, this.#spawn(argv), {
      callId,
      port,
      messages: () => this.#read(log),
      errors: async () => (await this.#laboratory.phone.try(["cat", `${log}.errors`])).stdout,
    });
  }

  #sipp(scenario: typeof SCENARIOS[number], args: readonly string[]): string[] {
    const address = this.#laboratory.address("phone");
    return ["sipp", "-sf", `${FOLDER}/${scenario}.xml`, "-nostdin", "-i", address, ...args];
  }

  #spawn(argv: readonly string[]): HostProcess {
    return HostProcess.start(this.#laboratory.tool.argv(["exec", "phone", ...argv]), "null");
  }

  async #read(log: string): Promise<SipMessage[]> {
    return shortMessages((await this.#laboratory.phone.try(["cat", log])).stdout);
  }
}
