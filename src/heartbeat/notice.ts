/**
 * Sends authenticated messages to the peer over whichever link carries them. The planned move waits for
 * this, so a connection is kept ready per address and used again while it is fresh.
 *
 * @module
 */

import { z } from "zod";
import type { PeerNotice } from "../core/types.ts";
import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { isProved, PROOF_HEADER } from "./answer_proof.ts";
import type { Keyring } from "./keyring.ts";
import {
  type HttpAnswer,
  HttpConnection,
  HttpFailure,
  type HttpRequest,
} from "./http_connection.ts";
import { MESSAGE_PATH, noticeBody, rehearse, signMessage } from "./message.ts";

/** A kept connection older than this may have been closed by the peer's server meanwhile (it does so after 60 s). */
const FRESH_MS = 30_000;
/** The share of the time left that one link may use while others remain to be tried. */
const TRY_SHARE = 0.5;

/** What {@linkcode PeerMessenger} needs. */
export interface PeerMessengerOptions {
  readonly clock: Clock;
  readonly port: number;
  readonly keyring: Pick<Keyring, "keys">;
  /** Our own instance id. */
  readonly instanceId: string;
}

/** How a message is to be sent. */
export interface SendOptions {
  /** The name that the peer's `/health` told last. */
  readonly receiver: string;
  /** For all tries together. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
}

/** What the peer answers to a message: JSON in the body, whatever the HTTP status is. */
export const MessageAnswerBody = z.object({ accepted: z.boolean(), text: z.string().max(2000) });
/** See the schema of the same name. */
type MessageAnswerBody = z.infer<typeof MessageAnswerBody>;

/** What became of a message. */
export interface SendResult {
  /** The peer has answered; false: on no link, or something else answered. */
  readonly delivered: boolean;
  /** The peer does what the message asks. */
  readonly accepted: boolean;
  /** HTTP status of the answer, proved or not; null: none. 403: it does not take the message for its peer's. */
  readonly status: number | null;
  /** What the peer says of it, or why it was not delivered: a sentence. */
  readonly text: string;
}

/** Sends messages, one at a time; later ones wait for earlier ones. */
export class PeerMessenger {
  readonly #options: PeerMessengerOptions;
  readonly #connections = new Map<string, { connection: HttpConnection; usedAt: number }>();
  #counter = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: PeerMessengerOptions) {
    this.#options = options;
    rehearse();
  }

  /**
   * Sends `notice` to the first of `addresses` (best link first) that takes it. An answer of the peer
   * ends the tries, also when it is a refusal, if it proves that it is the peer's (`answer_proof.ts`); each try has its own counter, so that a try whose answer
   * was lost does not make the next one a replay. The peer may then hear a message twice.
   */
  send(
    addresses: readonly string[],
    notice: PeerNotice,
    options: SendOptions,
  ): Promise<SendResult> {
    const deadline = this.#options.clock.nowMs() + options.deadlineMs;
    const result = this.#last.then(() => this.#send({ addresses, notice, options, deadline }));
    this.#last = result.catch(() => {});
    return result;
  }

  /** Closes all connections. */
  close(): void {
    for (const { connection } of this.#connections.values()) connection.close();
    this.#connections.clear();
  }

  async #send({ addresses, notice, options, deadline }: {
    addresses: readonly string[];
    notice: PeerNotice;
    options: SendOptions;
    deadline: number;
  }): Promise<SendResult> {
    const errors: string[] = [];
    let status: number | null = null;
    for (const [index, address] of addresses.entries()) {
      const left = deadline - this.#options.clock.nowMs();
      if (left <= 0 || options.signal?.aborted) break;
      const isLast = index === addresses.length - 1;
      const deadlineMs = isLast ? left : left * TRY_SHARE;
      try {
        const answer = await this.#post({ address, notice, options, deadlineMs });
        if (answer.proved) return readAnswer(answer);
        status = answer.status;
        errors.push(unproved(address, answer));
      } catch (error) {
        errors.push(messageOf(error));
      }
    }
    const why = errors.length === 0 ? "there was no time or no link to try" : errors.join("; ");
    const text = `Cannot tell the peer "${notice.kind}": ${why}`.slice(0, 1000);
    return { delivered: false, accepted: false, status, text };
  }

  async #post({ address, notice, options, deadlineMs }: {
    address: string;
    notice: PeerNotice;
    options: SendOptions;
    deadlineMs: number;
  }): Promise<HttpAnswer & { readonly proved: boolean }> {
    const connection = this.#connection(address);
    const reused = connection.warm;
    const end = this.#options.clock.nowMs() + deadlineMs;
    const ask = async (ms: number): Promise<HttpAnswer & { readonly proved: boolean }> => {
      const request = this.#compose(notice, options, ms);
      const answer = await connection.request(request);
      const { status, body, headers } = answer;
      const proved = isProved(
        this.#options.keyring.keys,
        { nonce: request.headers["X-Relais-Mac"] ?? "", path: MESSAGE_PATH, status, body },
        headers.get(PROOF_HEADER.toLowerCase()),
      );
      return { ...answer, proved };
    };
    try {
      return await ask(deadlineMs);
    } catch (error) {
      // The peer's server has closed the kept connection to make room: that says nothing about the link.
      if (!reused || !(error instanceof HttpFailure) || error.kind !== "closed") throw error;
      return await ask(Math.max(1, end - this.#options.clock.nowMs()));
    }
  }

  #compose(
    notice: PeerNotice,
    options: SendOptions,
    deadlineMs: number,
  ): HttpRequest & { readonly headers: Readonly<Record<string, string>> } {
    const body = noticeBody(notice);
    const headers = signMessage(this.#options.keyring.keys, {
      method: "POST",
      path: MESSAGE_PATH,
      sender: this.#options.instanceId,
      receiver: options.receiver,
      counter: ++this.#counter,
    }, body);
    const request = { method: "POST", path: MESSAGE_PATH, headers, body, deadlineMs } as const;
    return options.signal === undefined ? request : { ...request, signal: options.signal };
  }

  #connection(address: string): HttpConnection {
    const now = this.#options.clock.nowMs();
    let known = this.#connections.get(address);
    if (known === undefined) {
      const { port } = this.#options;
      known = { connection: new HttpConnection({ address, port }), usedAt: now };
      this.#connections.set(address, known);
    }
    if (now - known.usedAt > FRESH_MS) known.connection.close();
    known.usedAt = now;
    return known.connection;
  }
}

/** Who answers so may be the peer with another key, or anybody: what he says is for people only. */
function unproved(address: string, { status, body }: HttpAnswer): string {
  const said = body.replaceAll(/[^\x20-\x7e]+/g, " ").slice(0, 200);
  return `what answered ${status} at ${address} did not prove that it has the cluster key (${said})`;
}

/** Only 2xx can be a yes: what refuses a message (403, 413, 500) may have another body. */
function readAnswer({ status, body }: HttpAnswer): SendResult {
  let said: MessageAnswerBody | undefined;
  try {
    said = MessageAnswerBody.safeParse(JSON.parse(body)).data;
  } catch {
    said = undefined;
  }
  if (said === undefined) {
    const text = `The peer answered ${status} without a word that this version knows`;
    return { delivered: false, accepted: false, status, text };
  }
  return {
    delivered: true,
    status,
    accepted: said.accepted && status >= 200 && status < 300,
    text: said.text,
  };
}
