/**
 * One question to a SIP server over UDP, on a socket of its own: nothing is kept between two checks that
 * could go stale.
 *
 * @module
 */

import { createSocket, type Socket } from "node:dgram";
import type { Clock } from "../os/clock.ts";
import { answers, encodeOptions, MAX_SIP_BYTES, parseResponse } from "./sip_message.ts";

/** How a question ended. */
export interface SipOutcome {
  /** The status of the answer, 100 to 699; null: no answer. Any of them is life. */
  readonly status: number | null;
  /** Why there is no answer, in words; empty when there is one. */
  readonly why: string;
  /** Datagrams that came meanwhile and were no answer to this question. */
  readonly strays: number;
}

/** Whom to ask, and how long to wait. */
export interface SipQuestion {
  readonly host: string;
  readonly port: number;
  readonly deadlineMs: number;
  /** Send the same request again at this pace: for a server that is just starting. Default: once. */
  readonly resendMs?: number;
  readonly clock: Clock;
  /** Aborting ends the wait. */
  readonly signal?: AbortSignal;
}

/**
 * Sends one OPTIONS and waits for its answer, at most `deadlineMs`.
 *
 * A port that nobody listens on looks like silence: the runtime's UDP sockets are not connected in the
 * kernel, so its ICMP "port unreachable" never reaches them.
 *
 * @throws {DOMException} `AbortError` when `signal` aborts
 */
export async function askSip(question: SipQuestion): Promise<SipOutcome> {
  question.signal?.throwIfAborted();
  const over = new AbortController();
  const signal = question.signal === undefined
    ? over.signal
    : AbortSignal.any([over.signal, question.signal]);
  const socket = createSocket({ type: question.host.includes(":") ? "udp6" : "udp4" });
  let strays = 0;
  try {
    const silence = question.clock.sleep(question.deadlineMs, signal).then(() => ({
      status: null,
      why: `no answer from ${question.host} port ${question.port} in ${question.deadlineMs} ms`,
    }));
    const answer = exchange({ socket, question, signal, onStray: () => strays++ });
    return { ...await Promise.race([silence, answer]), strays };
  } finally {
    over.abort();
    socket.close();
  }
}

/** What one exchange works with. */
interface Exchange {
  readonly socket: Socket;
  readonly question: SipQuestion;
  /** Aborted: the exchange is over and the socket closed. */
  readonly signal: AbortSignal;
  readonly onStray: () => void;
}

/** Settles with the answer or a local error; never on its own when nothing comes. */
function exchange(options: Exchange): Promise<Omit<SipOutcome, "strays">> {
  const { socket, question, signal, onStray } = options;
  const { host, port } = question;
  const ids = {
    branch: crypto.randomUUID(),
    callId: crypto.randomUUID(),
    tag: crypto.randomUUID().slice(0, 8),
  };
  return new Promise((resolve) => {
    const fail = (error: Error): void => {
      resolve({ status: null, why: `cannot ask ${host} port ${port}: ${error.message}` });
    };
    // Later errors of the same socket find the promise settled and are of no interest.
    socket.on("error", fail);
    socket.bind({ port: 0 }, () => {
      if (signal.aborted) return;
      const request = { host, port, localPort: socket.address().port, ...ids };
      socket.on("message", (bytes: Uint8Array) => {
        const response = bytes.length > MAX_SIP_BYTES ? null : parseResponse(bytes);
        if (response !== null && answers(response, request)) {
          resolve({ status: response.status, why: "" });
        } else {
          onStray();
        }
      });
      sendUntil(options, encodeOptions(request)).catch(fail);
    });
  });
}

/** Sends the request, again and again if the question says so, until the exchange is over. */
async function sendUntil(options: Exchange, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const { socket, question, signal } = options;
  while (!signal.aborted) {
    await new Promise<void>((resolve, reject) => {
      socket.send(bytes, question.port, question.host, (error: Error | null) => {
        if (error === null || error === undefined) resolve();
        else reject(error);
      });
    });
    if (question.resendMs === undefined) return;
    await question.clock.sleep(question.resendMs, signal).catch((error: unknown) => {
      // The end of the exchange ends the pause; the loop sees it.
      if (!signal.aborted) throw error;
    });
  }
}
