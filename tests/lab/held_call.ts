/**
 * A call of a telephone of the laboratory, for as long as it lasts.
 *
 * @module
 */

import type { HostProcess } from "../support/host_process.ts";
import { poll } from "../support/poll.ts";
import type { Laboratory } from "./laboratory.ts";
import { endSipp, type SipMessage } from "./sipp.ts";

/** An answer that takes longer is none. */
const ANSWER_DEADLINE_MS = 12_000;

/** How a call is seen and reached. */
export interface CallHandle {
  readonly callId: string;
  readonly port: number;
  readonly messages: () => Promise<readonly SipMessage[]>;
  readonly errors: () => Promise<string>;
}

/** A call that a phone of the laboratory began. */
export class HeldCall {
  readonly #laboratory: Laboratory;
  readonly #process: HostProcess;
  readonly #handle: CallHandle;

  constructor(laboratory: Laboratory, process: HostProcess, handle: CallHandle) {
    this.#laboratory = laboratory;
    this.#process = process;
    this.#handle = handle;
  }

  /** It goes on: nobody hung up (no BYE, no error). */
  get running(): boolean {
    return this.#process.running;
  }

  /** What the calling phone sent and received. */
  async messages(): Promise<readonly SipMessage[]> {
    return await this.#handle.messages();
  }

  /** The server hung up: what must not happen while a call is held. */
  async wasDropped(): Promise<boolean> {
    return (await this.messages()).some(({ direction, text }) =>
      direction === "received" && text.startsWith("BYE ")
    );
  }

  /** Waits until the other phone has answered; rejects with the server's word when it does not. */
  async untilTalking(): Promise<void> {
    await poll(async () => {
      const ended = !this.running;
      // To the server's own contact: the ACK of the refused first INVITE goes to the extension.
      const answered = (await this.messages()).some(({ text }) => text.startsWith("ACK sip:10."));
      if (answered && !ended) return true;
      if (ended) throw new Error(`Cannot talk as the call has ended: ${await this.#why()}`);
      return false;
    }, {
      deadlineMs: ANSWER_DEADLINE_MS,
      everyMs: 100,
      what: "an answer to the call",
      instead: () => this.#why(),
    });
  }

  /**
   * Hangs up in order: the server must answer the BYE, which proves that it still knew the call.
   *
   * @throws {Error} when the call had ended before or the BYE is not answered
   */
  async hangUp(): Promise<void> {
    const { callId, port } = this.#handle;
    const target = `UDP:${this.#laboratory.address("phone")}:${port}`;
    // Refused when SIPp has ended with the call: its exit status says so below.
    await this.#laboratory.phone.try(["socat", "-t0", "-", target], { stdin: infoRequest(callId) });
    const { code } = await this.#process.ended(ANSWER_DEADLINE_MS);
    if (code !== 0) throw new Error(`Cannot hang up in order: ${await this.#why()}`);
  }

  /** The phone loses its power; harmless when the call has ended. */
  async abandon(): Promise<void> {
    await endSipp(this.#process);
  }

  async #why(): Promise<string> {
    const last = (await this.messages()).slice(-3).map(({ direction, text }) =>
      `${direction} ${text}`
    );
    return [...last, (await this.#handle.errors()).trim()].filter((part) => part !== "").join("; ");
  }
}

/** What tells the scenario `call.xml` that its user wants to hang up. SIPp looks at the Call-ID only. */
function infoRequest(callId: string): string {
  return [
    "INFO sip:user@phone SIP/2.0",
    "Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKuser",
    "From: <sip:user@phone>;tag=user",
    "To: <sip:user@phone>",
    `Call-ID: ${callId}`,
    "CSeq: 1 INFO",
    "Content-Length: 0",
    "",
    "",
  ].join("\r\n");
}
