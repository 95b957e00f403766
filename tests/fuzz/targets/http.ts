/**
 * Parsers of HTTP: heads, requests, the server's side of a connection, what the peer's pages say.
 *
 * @module
 */

import { createApp } from "../../../src/health/app.ts";
import { BODY_MAX_BYTES } from "../../../src/health/app.ts";
import { RefusedRequest, takeRequest, toRequest } from "../../../src/health/http_request.ts";
import { chooseLanguage } from "../../../src/health/page/language.ts";
import { DEADLINES, ServedConnection } from "../../../src/health/served_connection.ts";
import { peerReport } from "../../../src/health/types.ts";
import { HttpConnection, HttpFailure } from "../../../src/heartbeat/http_connection.ts";
import { parseHealth } from "../../../src/heartbeat/http_probe.ts";
import { MESSAGE_PATH, MessageVerifier, noticeBody } from "../../../src/heartbeat/message.ts";
import { SENDERS_MAX, signMessage } from "../../../src/heartbeat/message.ts";
import { MessageAnswerBody } from "../../../src/heartbeat/notice.ts";
import { contentLength, HttpGarbageError, parseHead } from "../../../src/os/http_head.ts";
import { sampleHealth, sampleStatus } from "../../support/health_sample.ts";
import { bytesOf, chunksOf, concat, jsonOf, textOf } from "../bytes.ts";
import type { Random } from "../random.ts";
import { mustBePlain, mustEqual, mustHold, orRefused, orRefusedLater } from "../target.ts";
import { stateless, type Subject, type Target } from "../target.ts";

const WORDS = ["GET ", "POST ", "HEAD ", " HTTP/1.1\r\n", " HTTP/1.0\r\n", "\r\n\r\n", "\r\n", "\r"]
  .concat([
    "Content-Length: ",
    "Transfer-Encoding: chunked\r\n",
    "Connection: close\r\n",
    "Host: a\r\n",
  ])
  .concat(["Connection: keep-alive\r\n", "/health", "/status", "/metrics", "/events", MESSAGE_PATH])
  .concat(["?lang=fr", "Accept-Language: ", "%2e%2e/", "#", "X-A: b\r\n", ":", "\t", "0", "16385"])
  .concat([
    "CONNECT ",
    "TRACE ",
    "//",
    "http://x/",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.",
    "99999999999",
  ]);
const POST = `POST ${MESSAGE_PATH} HTTP/1.1\r\nHost: a:1\r\n`;

function requests(): Uint8Array[] {
  const body = noticeBody({ kind: "leaving", epoch: 3, reason: "it reboots" });
  return [
    "GET /health HTTP/1.1\r\nHost: 10.20.0.11:8460\r\n\r\n",
    "GET /?lang=fr HTTP/1.1\r\nHost: x\r\nAccept-Language: fr;q=0.8, en;q=0.9\r\n\r\n",
    "HEAD /metrics HTTP/1.0\r\nhost:x\r\nConnection: close\r\n\r\n",
    `${POST}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    "GET /status HTTP/1.1\r\nHost: a\r\n\r\nGET /health/active HTTP/1.1\r\nHost: a\r\n\r\n",
    `DELETE /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`,
  ].map(bytesOf);
}

const headTarget = stateless({
  name: "http-request",
  files: ["os/http_head.ts", "health/http_request.ts"],
  weight: 40,
  maxBytes: 26_000,
  corpus: requests,
  words: WORDS,
  feed(bytes, random): boolean {
    const head = orRefused(() => parseHead(bytes), HttpGarbageError)?.value ?? null;
    if (head !== null) {
      mustHold(head.length <= bytes.length, "a head longer than what arrived");
      mustHold(/^[\x20-\x7e]+$/.test(head.firstLine), "control characters in the first line");
      for (const [name, value] of head.headers) {
        mustHold(name === name.toLowerCase() && !/[\s:]/.test(name), `header name ${name}`);
        mustHold(!/[^\t\x20-\x7e]/.test(value), "control characters in a header");
      }
      const length = orRefused(() => contentLength(head), HttpGarbageError)?.value ?? 0;
      mustHold(Number.isSafeInteger(length) && length >= 0, `a body of ${length} bytes`);
    }
    const taken = orRefused(() => takeRequest(bytes), RefusedRequest)?.value ?? null;
    if (taken === null) return false;
    mustHold(taken.length <= bytes.length, "a request longer than what arrived");
    mustHold(taken.body.length <= BODY_MAX_BYTES, "a body longer than the limit");
    mustHold(taken.target.startsWith("/"), "a target that is no path");
    const first = takeRequest(bytes.subarray(0, taken.length));
    mustEqual(first?.length, taken.length, "the request alone");
    // While bytes are missing there is neither a request nor a refusal of what will be accepted.
    mustEqual(takeRequest(bytes.subarray(0, random.below(taken.length))), null, "a part of it");
    toRequest(taken);
    return true;
  },
});

/** A connection of which the other end is these bytes. */
class MemoryConn {
  readonly #chunks: Uint8Array[];
  readonly written: Uint8Array[] = [];
  #closed = false;

  constructor(chunks: readonly Uint8Array[]) {
    this.#chunks = chunks.filter((chunk) => chunk.length > 0);
  }

  read(into: Uint8Array): Promise<number | null> {
    if (this.#closed) return Promise.reject(new Deno.errors.BadResource("closed"));
    const chunk = this.#chunks[0];
    if (chunk === undefined) return Promise.resolve(null);
    mustHold(into.length > 0, "the server reads into no room");
    const part = chunk.subarray(0, into.length);
    into.set(part);
    if (part.length < chunk.length) this.#chunks[0] = chunk.subarray(part.length);
    else this.#chunks.shift();
    return Promise.resolve(part.length);
  }

  write(bytes: Uint8Array): Promise<number> {
    if (this.#closed) return Promise.reject(new Deno.errors.BadResource("closed"));
    this.written.push(new Uint8Array(bytes));
    return Promise.resolve(bytes.length);
  }

  close(): void {
    this.#closed = true;
  }
}

const serverTarget: Target = {
  name: "http-server",
  files: ["health/served_connection.ts", "health/app.ts", "health/types.ts"],
  weight: 1,
  maxBytes: 26_000,
  corpus: requests,
  words: WORDS,
  open(): Subject {
    let failed: Error | null = null;
    let garbage = 0;
    const app = createApp({
      health: () => sampleHealth(),
      status: () => sampleStatus(),
      loopAgeMs: () => 1,
      message: ({ body }) =>
        Promise.resolve({ status: 403, body: { accepted: false, text: `${body.length} bytes` } }),
      allow: () => true,
      onGarbage: () => garbage++,
      onError: (error) => failed ??= error,
    });
    const serve = async (chunks: readonly Uint8Array[]): Promise<Uint8Array> => {
      const conn = new MemoryConn(chunks);
      await new ServedConnection({
        conn: conn as unknown as Deno.Conn,
        handle: (request) => app.fetch(request, { remoteAddress: "10.20.0.12" }),
        deadlines: DEADLINES,
        onGarbage: () => garbage++,
        onError: (error) => failed ??= error,
        onIdle: () => {},
      }).serve();
      return concat(...conn.written);
    };
    return {
      async feed(bytes, random): Promise<boolean> {
        const text = textOf(bytes);
        // Events have no end of their own: the stream ends with the connection, after its first piece.
        const before = garbage;
        const answer = await serve([bytes]);
        if (failed !== null) throw failed;
        mustHold(answer.length < 1_000_000, `an answer of ${answer.length} bytes`);
        if (answer.length > 0) {
          const head = parseHead(answer);
          mustHold(head !== null && /^HTTP\/1\.1 \d{3} /.test(head.firstLine), "no HTTP answer");
          mustHold(!head.firstLine.startsWith("HTTP/1.1 500"), "an internal error");
        }
        const accepted = garbage === before && answer.length > 0;
        if (!text.includes("/events")) {
          mustEqual(textOf(await serve(chunksOf(bytes, random))), textOf(answer), "in pieces");
        }
        return accepted;
      },
      drip: async (bytes): Promise<void> => {
        await serve(Array.from(bytes, (byte) => Uint8Array.of(byte)));
      },
    };
  },
};

/** What a peer's health server may answer. */
function answers(): Uint8Array[] {
  const body = JSON.stringify(sampleHealth());
  const head = (length: number): string =>
    `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n`;
  return [
    `${head(body.length)}\r\n${body}`,
    `${head(body.length)}connection: close\r\n\r\n${body}`,
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    `HTTP/1.0 404\r\n\r\n`,
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
  ].map(bytesOf);
}

const clientTarget: Target = {
  name: "http-answer",
  files: ["heartbeat/http_connection.ts"],
  weight: 0.3,
  maxBytes: 70_000,
  corpus: answers,
  words: WORDS,
  open(): Subject {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    let chunks: readonly Uint8Array[] = [];
    const serving = (async (): Promise<void> => {
      for await (const conn of listener) {
        try {
          // A stuffed socket is no use here: the client reads as fast as it comes.
          for (const chunk of chunks) await conn.write(chunk);
          await conn.closeWrite();
          await conn.read(new Uint8Array(1024));
        } catch {
          // The client has hung up.
        }
        conn.close();
      }
    })().catch(() => {});
    const { port } = listener.addr as Deno.NetAddr;
    return {
      async feed(bytes, random): Promise<boolean> {
        chunks = chunksOf(bytes, random).slice(0, 40);
        const whole = concat(...chunks);
        const connection = new HttpConnection({ address: "127.0.0.1", port });
        try {
          const answer = await orRefusedLater(
            () => connection.request({ method: "GET", path: "/health", deadlineMs: 20_000 }),
            HttpFailure,
          );
          if (answer === null) return false;
          const head = parseHead(whole);
          mustHold(head !== null, "an answer without a head");
          const end = head.length + contentLength(head);
          mustHold(end <= whole.length, "an answer that has not arrived");
          const { status, body } = answer.value;
          mustEqual(body, textOf(whole.subarray(head.length, end)), "the body");
          mustHold(status >= 0 && status <= 999, `status ${status}`);
          return true;
        } finally {
          connection.close();
        }
      },
      async close(): Promise<void> {
        listener.close();
        await serving;
      },
    };
  },
};

const healthTarget = stateless({
  name: "health-body",
  files: ["heartbeat/http_probe.ts", "health/types.ts"],
  weight: 30,
  maxBytes: 20_000,
  json: true,
  corpus: () =>
    [
      sampleHealth(),
      sampleHealth({ role: "master", state: "active", serving: true, unfitReasons: ["no disk"] }),
      sampleHealth({ stream: { state: "behind", lagMs: 10, lagBytes: null } }),
    ].map(jsonOf),
  words: ['"role"', '"epoch":', '"instanceId"', '"dataAges"', "null", "true", '"master"', ","],
  feed(bytes): boolean {
    const parsed = orRefused(() => parseHealth(textOf(bytes)), Error);
    if (parsed === null) return false;
    const body = parsed.value;
    mustBePlain(body);
    mustHold(Number.isSafeInteger(body.epoch) && body.epoch >= 0, `epoch ${body.epoch}`);
    mustHold(Number.isSafeInteger(body.seq) && body.seq >= 0, `seq ${body.seq}`);
    mustHold(body.instanceId !== "", "no instance id");
    const text = JSON.stringify(body);
    mustHold(text.length < 1_300_000, `${text.length} characters are kept of it`);
    mustEqual(parseHealth(text), body, "read again");
    mustEqual(peerReport(body, 4, 5).receivedAt, 5, "the report");
    return true;
  },
});

const KEY = new Uint8Array(32).fill(7);

function messages(): Uint8Array[] {
  const kinds = ["yours", "leaving", "request-switchover", "request-failback"] as const;
  return kinds.map((kind) => {
    const body = noticeBody({ kind, epoch: 4, reason: "it is planned" });
    return bytesOf(`${POST}Content-Length: ${body.length}\r\n\r\n${body}`);
  });
}

/** Signs whatever body is there, as a peer would that has the key and means ill. */
function signed(bytes: Uint8Array, random: Random): Uint8Array {
  const text = textOf(bytes);
  const at = text.indexOf("\r\n\r\n");
  const body = at < 0 ? text : text.slice(at + 4);
  const sender = random.oneIn(3) ? `stranger-${random.next()}` : "peer";
  const receiver = random.oneIn(20) ? "another" : "me";
  const counter = random.pick([random.next(), random.next() * 1000, 0, 999_999_999_999_999]);
  const envelope = { method: "POST", path: MESSAGE_PATH, sender, receiver, counter };
  const headers = Object.entries(signMessage([KEY], envelope, body))
    .map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return bytesOf(`${POST}${headers}Content-Length: ${bytesOf(body).length}\r\n\r\n${body}`);
}

const messageTarget: Target = {
  name: "peer-message",
  files: ["heartbeat/message.ts"],
  weight: 15,
  maxBytes: 4000,
  corpus: messages,
  words: ["X-Relais-Sender: ", "X-Relais-Receiver: me", "X-Relais-Counter: ", "X-Relais-Mac: ", "{"]
    .concat(['"kind"', '"epoch"', '"reason"', '"yours"', "\r\n", "0".repeat(64)]),
  mend: signed,
  open(): Subject {
    let peer: string | null = null;
    const verifier = new MessageVerifier({
      keyring: { keys: [new Uint8Array(32).fill(1), KEY] },
      instanceId: "me",
      addressee: { judge: (name) => name === "me" ? "us" : "other" },
      peerInstanceId: () => peer,
    });
    return {
      feed(bytes, random): boolean {
        const taken = orRefused(() => takeRequest(bytes), RefusedRequest)?.value ?? null;
        if (taken === null) return false;
        const { head, method, target, body } = taken;
        // Not known, the usual one, or whoever speaks: it has restarted.
        peer = random.pick([null, "peer", head.headers.get("x-relais-sender") ?? null]);
        const message = {
          method,
          path: target,
          headers: Object.fromEntries(head.headers),
          body: textOf(body),
        };
        const found = verifier.verify(message);
        if (!found.ok) return false;
        const { notice, sender } = found;
        mustHold(Number.isSafeInteger(notice.epoch) && notice.epoch >= 0, `epoch ${notice.epoch}`);
        mustHold(notice.reason.length <= 1000, "a reason that is too long");
        mustEqual(Object.keys(notice).sort(), ["epoch", "kind", "reason"], "its keys");
        mustHold(sender !== "me", "one of our own");
        mustHold(
          peer === null || sender === peer,
          "a sender that the peer's /health does not name",
        );
        mustHold(!verifier.verify(message).ok, "a replay was accepted");
        return true;
      },
      sizes: () => ({ senders: [verifier.senders, SENDERS_MAX] }),
    };
  },
};

const answerTarget = stateless({
  name: "message-answer",
  files: ["heartbeat/notice.ts"],
  weight: 5,
  json: true,
  corpus:
    () => [jsonOf({ accepted: true, text: "it is done" }), jsonOf({ accepted: false, text: "" })],
  feed(bytes): boolean {
    const json = orRefused(() => JSON.parse(textOf(bytes)) as unknown, SyntaxError);
    const parsed = MessageAnswerBody.safeParse(json?.value);
    if (!parsed.success) return false;
    mustHold(parsed.data.text.length <= 2000, "a text that is too long");
    mustBePlain(parsed.data);
    return true;
  },
});

const languageTarget = stateless({
  name: "accept-language",
  files: ["health/page/language.ts"],
  weight: 5,
  corpus: () => ["fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", "en", ""].map(bytesOf),
  words: ["fr", "en", ";q=", ",", "-", "*", "0.", " ; "],
  feed(bytes): boolean {
    const text = textOf(bytes);
    const language = chooseLanguage(undefined, text);
    mustHold(language === "en" || language === "fr", `language ${language}`);
    return language === "fr";
  },
});

/** All of them. */
export const HTTP_TARGETS: readonly Target[] = [
  headTarget,
  serverTarget,
  clientTarget,
  healthTarget,
  messageTarget,
  answerTarget,
  languageTarget,
];
