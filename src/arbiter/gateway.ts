/**
 * etcd's v3 API by its own JSON gateway (https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/): the same
 * messages as over gRPC, as JSON; bytes are base64, 64-bit numbers are text. Why not gRPC:
 * docs/design/arbiter.md.
 *
 * @module
 */

import { z } from "zod";
import { messageOf } from "../os/errors.ts";
import type { Answered, Etcd, Kept } from "./etcd.ts";

/** Longest answer that is read; those that are asked for have some hundred bytes. */
const MAX_BYTES = 65_536;

/** protobuf's JSON leaves out what is zero, false or empty. */
const number64 = z.union([z.string().regex(/^-?[0-9]{1,20}$/), z.number()])
  .transform((given) => String(given)).default("0");
const header = z.object({ raft_term: number64 });
const Granted = z.object({ ID: number64, TTL: number64 });
const KeptAlive = z.object({ result: z.object({ header, TTL: number64 }) });
const Range = z.object({
  header,
  kvs: z.array(z.object({ value: z.string().default(""), lease: number64, mod_revision: number64 }))
    .default([]),
});
const Txn = z.object({ succeeded: z.boolean().default(false) });
const Token = z.object({ token: z.string().min(1) });
/** Of the gateway: `error` in 3.4, `message` too in later ones. */
const Refused = z.object({ error: z.string().optional(), message: z.string().optional() });

/** Sentences of etcd's errors that callers tell apart (etcd, api/v3rpc/rpctypes/error.go). */
const NO_LEASE = /requested lease not found/;
const BAD_TOKEN = /invalid auth token|revision of auth store is old|user name is empty/;

/** Who asks. */
export interface GatewayOptions {
  /** E.g. `http://10.20.0.254:2379`. */
  readonly url: string;
  /** Source address, authorities, client certificate. */
  readonly client: Deno.HttpClient;
  /** Null: etcd asks nobody who he is. */
  readonly user: { readonly name: string; readonly password: string } | null;
  /** Asks; default: the platform's own. */
  readonly fetch?: typeof fetch;
}

/** etcd answered, with a refusal. */
class EtcdRefusal extends Error {
  override readonly name = "EtcdRefusal";
}

/** One endpoint. */
export class Gateway implements Etcd {
  readonly #options: GatewayOptions;
  #token: string | null = null;

  constructor(options: GatewayOptions) {
    this.#options = options;
  }

  async grant(
    ttlMs: number,
    signal: AbortSignal,
  ): Promise<{ readonly leaseId: string; readonly ttlMs: number }> {
    const body = { TTL: String(Math.round(ttlMs / 1000)) };
    const { ID, TTL } = Granted.parse(await this.#ask("/v3/lease/grant", body, signal));
    if (ID === "0") throw this.#error("it granted a lease without a number");
    return { leaseId: ID, ttlMs: Number(TTL) * 1000 };
  }

  async keepAlive(leaseId: string, signal: AbortSignal): Promise<Answered<number>> {
    const { result } = KeptAlive.parse(
      await this.#ask("/v3/lease/keepalive", { ID: leaseId }, signal),
    );
    return { value: Math.max(0, Number(result.TTL) * 1000), term: result.header.raft_term };
  }

  async read(key: string, signal: AbortSignal): Promise<Answered<Kept | null>> {
    const answer = Range.parse(await this.#ask("/v3/kv/range", { key: toBase64(key) }, signal));
    const [found] = answer.kvs;
    const value = found === undefined ? null : {
      value: fromBase64(found.value),
      leaseId: found.lease,
      modRevision: found.mod_revision,
    };
    return { value, term: answer.header.raft_term };
  }

  async claim(
    { key, value, leaseId, expected }: Parameters<Etcd["claim"]>[0],
    signal: AbortSignal,
  ): Promise<boolean> {
    const compare = expected === null
      ? { result: "EQUAL", target: "CREATE", key: toBase64(key), create_revision: "0" }
      : { result: "EQUAL", target: "MOD", key: toBase64(key), mod_revision: expected.modRevision };
    const put = { key: toBase64(key), value: toBase64(value), lease: leaseId };
    const body = { compare: [compare], success: [{ request_put: put }] };
    return Txn.parse(await this.#ask("/v3/kv/txn", body, signal)).succeeded;
  }

  async revoke(leaseId: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#ask("/v3/lease/revoke", { ID: leaseId }, signal);
    } catch (error) {
      if (!(error instanceof EtcdRefusal) || !NO_LEASE.test(error.message)) throw error;
    }
  }

  async about(signal: AbortSignal): Promise<string> {
    const Status = z.object({ version: z.string(), leader: number64 });
    const { version, leader } = Status.parse(await this.#ask("/v3/maintenance/status", {}, signal));
    if (leader === "0") throw this.#error("it has no leader: is the majority of etcd up?");
    return `etcd ${version}`;
  }

  async #ask(path: string, body: unknown, signal: AbortSignal): Promise<unknown> {
    const { user } = this.#options;
    if (user !== null && this.#token === null) await this.#authenticate(signal);
    try {
      return await this.#post(path, body, signal);
    } catch (error) {
      // A token ends after some minutes, or with the etcd that gave it.
      const isOld = error instanceof EtcdRefusal && BAD_TOKEN.test(error.message);
      if (user === null || !isOld) throw error;
      await this.#authenticate(signal);
      return await this.#post(path, body, signal);
    }
  }

  async #authenticate(signal: AbortSignal): Promise<void> {
    const { user } = this.#options;
    this.#token = null;
    const body = { name: user?.name ?? "", password: user?.password ?? "" };
    this.#token = Token.parse(await this.#post("/v3/auth/authenticate", body, signal)).token;
  }

  async #post(path: string, body: unknown, signal: AbortSignal): Promise<unknown> {
    const { url, client, fetch = globalThis.fetch } = this.#options;
    let response: Response;
    let text: string;
    try {
      response = await fetch(`${url}${path}`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          ...(this.#token === null ? {} : { authorization: this.#token }),
        },
        body: JSON.stringify(body),
        redirect: "error",
        signal,
        client,
      });
      text = await readBounded(response);
    } catch (error) {
      throw this.#error(signal.aborted ? messageOf(signal.reason) : explain(url, error), error);
    }
    let answer: unknown;
    try {
      answer = JSON.parse(text);
    } catch {
      throw this.#error(`it answered ${response.status} and no JSON: is this an etcd?`);
    }
    if (!response.ok) throw this.#refusal(response.status, answer);
    return answer;
  }

  #refusal(status: number, answer: unknown): EtcdRefusal {
    const parsed = Refused.safeParse(answer);
    const said = parsed.success ? parsed.data.message ?? parsed.data.error : undefined;
    return new EtcdRefusal(`${this.#options.url}: ${said ?? `it answered ${status}`}`);
  }

  #error(why: string, cause?: unknown): Error {
    return new Error(`${this.#options.url}: ${why}`, { cause });
  }
}

/** A server that misses a client certificate says so after the handshake of TLS 1.3: by an alert, or hanging up. */
function explain(url: string, error: unknown): string {
  const said = messageOf(error);
  return url.startsWith("https:") && /closed|reset by peer|broken pipe|fatal alert/.test(said)
    ? `${said} (does it ask for a client certificate, arbiter.cert and arbiter.key?)`
    : said;
}

async function readBounded(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > MAX_BYTES) throw new Error("its answer is too long");
    // The renewal of a lease is a stream: its first line is the answer.
    if (text.includes("\n")) break;
  }
  return text.split("\n")[0] ?? "";
}

function toBase64(text: string): string {
  return new TextEncoder().encode(text).toBase64();
}

function fromBase64(text: string): string {
  try {
    return new TextDecoder().decode(Uint8Array.fromBase64(text));
  } catch {
    return "";
  }
}
