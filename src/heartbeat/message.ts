/**
 * Authenticated messages of the peer (DESIGN section 8): HMAC-SHA256 over method, path, sender, receiver,
 * counter and body. No common clock is involved: what stops a replay is the counter (within one sender
 * process) and the receiver's name (`addressee.ts`: new in every process, and every few seconds).
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHmac, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import type { PeerNotice } from "../core/types.ts";
import type { RefusalReason } from "../health/types.ts";
import type { Addressee } from "./addressee.ts";
import type { Keyring } from "./keyring.ts";

/** Where messages are sent. */
export const MESSAGE_PATH = "/peer/message";
/** Senders whose counters are remembered; see {@linkcode MessageVerifier}. */
export const SENDERS_MAX = 64;

const Notice = z.strictObject({
  kind: z.enum(["yours", "leaving", "request-switchover", "request-failback"]),
  epoch: z.number().int().min(0),
  reason: z.string().max(1000),
}) satisfies z.ZodType<PeerNotice>;

/** What a message is bound to besides its body. */
export interface Envelope {
  readonly method: string;
  readonly path: string;
  /** Instance id of the sender's daemon. */
  readonly sender: string;
  /** Name of the daemon that is meant, as its `/health` told it last. */
  readonly receiver: string;
  /** Greater than in any message of this sender before. */
  readonly counter: number;
}

/**
 * Signs and checks a message of its own, so that the first real one does not pay for what a first call
 * costs (measured: 8 ms of the 30 ms that a planned switchover may take). For the start of the daemon.
 */
export function rehearse(): void {
  const keys = [new Uint8Array(32)];
  const envelope = { method: "POST", path: MESSAGE_PATH, sender: "a", receiver: "b", counter: 1 };
  const body = noticeBody({ kind: "leaving", epoch: 0, reason: "rehearsal" });
  const headers = Object.entries(signMessage(keys, envelope, body))
    .map(([name, value]) => [name.toLowerCase(), value]);
  const addressee = { judge: () => "us" as const };
  new MessageVerifier({ keyring: { keys }, instanceId: "b", addressee, peerInstanceId: () => "a" })
    .verify({ ...envelope, headers: Object.fromEntries(headers), body });
}

/** Text of a message's body. */
export function noticeBody({ kind, epoch, reason }: PeerNotice): string {
  return JSON.stringify({ kind, epoch, reason: reason.slice(0, 1000) });
}

/** The headers that authenticate `body`, made with the first of `keys`. */
export function signMessage(
  keys: readonly Uint8Array[],
  envelope: Envelope,
  body: string,
): Record<string, string> {
  const [key] = keys;
  if (key === undefined) throw new TypeError("Cannot sign a message without a key");
  return {
    "Content-Type": "application/json",
    "X-Relais-Sender": envelope.sender,
    "X-Relais-Receiver": envelope.receiver,
    "X-Relais-Counter": String(envelope.counter),
    "X-Relais-Mac": mac(key, envelope, body).toString("hex"),
  };
}

/** What became of a message. `why` is for the log and the answer; it holds no secret. */
export type Verification =
  | { readonly ok: true; readonly notice: PeerNotice; readonly sender: string }
  | { readonly ok: false; readonly reason: RefusalReason; readonly why: string };

/** A message as it arrived; header names in lower case. */
export interface ReceivedMessage {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What {@linkcode MessageVerifier} needs. */
export interface MessageVerifierOptions {
  readonly keyring: Pick<Keyring, "keys">;
  /** Our own instance id. */
  readonly instanceId: string;
  /** Whom a receiver's name means. */
  readonly addressee: Pick<Addressee, "judge">;
  /** The instance id that the peer's `/health` names now; null while it is not known. */
  readonly peerInstanceId: () => string | null;
}

/**
 * Decides whether a message is the peer's, meant for this process and new. Remembers the last counter
 * of each sender; only messages with a good MAC are remembered, so strangers cannot fill the memory.
 * Should it be full all the same (64 restarts of the peer), unknown senders are refused unless the
 * peer's `/health` names them; then the others, which that names no more, are forgotten.
 */
export class MessageVerifier {
  readonly #options: MessageVerifierOptions;
  readonly #lastCounters = new Map<string, number>();

  constructor(options: MessageVerifierOptions) {
    this.#options = options;
  }

  /** Senders that are remembered now. */
  get senders(): number {
    return this.#lastCounters.size;
  }

  /** Checks a message and, if it is good, uses its counter up. */
  verify(message: ReceivedMessage): Verification {
    const envelope = readEnvelope(message);
    if (envelope === null) {
      return refused("malformed", "its X-Relais-* headers are missing or malformed");
    }
    const { sender, receiver, counter } = envelope;
    // The MAC first: nothing about our state is told to who does not have the key.
    if (!this.#macIsGood(message, envelope)) {
      return refused("mac", "its MAC is wrong: the hosts need the same cluster key");
    }
    const { instanceId, addressee, peerInstanceId } = this.#options;
    if (sender === instanceId) return refused("own", "it is one of our own");
    const meant = addressee.judge(receiver);
    if (meant === "other") return refused("addressee", "it is meant for another daemon process");
    if (meant === "late") return refused("late", "it was on its way for too long");
    const peer = peerInstanceId();
    if (peer !== null && sender !== peer) {
      const why = "its sender is not the daemon process that the peer's /health names";
      return refused("sender", why);
    }
    if (counter <= (this.#lastCounters.get(sender) ?? -1)) {
      return refused("replay", "its counter was used before: a replay");
    }
    const notice = readNotice(message.body);
    if (notice === null) {
      return refused("body", "its body is not a message that this version knows");
    }
    if (!this.#remember(sender, counter, peer)) {
      return refused("senders", "too many senders were heard before");
    }
    return { ok: true, notice, sender };
  }

  #macIsGood({ headers, body }: ReceivedMessage, envelope: Envelope): boolean {
    const given = headers["x-relais-mac"] ?? "";
    if (!/^[0-9a-f]{64}$/.test(given)) return false;
    const bytes = Buffer.from(given, "hex");
    let good = false;
    // Every key is tried, whichever fits: the time taken tells nothing.
    for (const key of this.#options.keyring.keys) {
      if (timingSafeEqual(bytes, mac(key, envelope, body))) good = true;
    }
    return good;
  }

  #remember(sender: string, counter: number, peer: string | null): boolean {
    if (!this.#lastCounters.has(sender) && this.#lastCounters.size >= SENDERS_MAX) {
      if (peer === null) return false;
      this.#lastCounters.clear();
    }
    this.#lastCounters.set(sender, counter);
    return true;
  }
}

/** Each field is preceded by its length, so that no two different messages have the same bytes. */
function mac(key: Uint8Array, envelope: Envelope, body: string): Buffer {
  const { method, path, sender, receiver, counter } = envelope;
  const hmac = createHmac("sha256", key);
  hmac.update("relais-message-1\n");
  for (const field of [method, path, sender, receiver, String(counter), body]) {
    const bytes = Buffer.from(field, "utf8");
    hmac.update(`${bytes.length}:`);
    hmac.update(bytes);
  }
  return hmac.digest();
}

function readEnvelope({ method, path, headers }: ReceivedMessage): Envelope | null {
  const sender = headers["x-relais-sender"] ?? "";
  const receiver = headers["x-relais-receiver"] ?? "";
  const counter = headers["x-relais-counter"] ?? "";
  if (!ID.test(sender) || !ID.test(receiver) || !/^(0|[1-9]\d{0,14})$/.test(counter)) return null;
  return { method, path, sender, receiver, counter: Number(counter) };
}

const ID = /^[\x21-\x7e]{1,100}$/;

function readNotice(body: string): PeerNotice | null {
  try {
    return Notice.safeParse(JSON.parse(body)).data ?? null;
  } catch {
    return null;
  }
}

function refused(reason: RefusalReason, why: string): Verification {
  return { ok: false, reason, why: `Cannot accept a message as ${why}` };
}
