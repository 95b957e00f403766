/**
 * `GET /health` of the peer on every link: the second signal beside ICMP (DESIGN section 3). It also
 * brings what the peer says of itself.
 *
 * @module
 */

import type { Clock } from "../os/clock.ts";
// The contract of GET /health lives with the server that answers it.
import { HealthBody } from "../health/types.ts";
import { messageOf } from "../os/errors.ts";
import { isProved, makeNonce, NONCE_HEADER, PROOF_HEADER } from "./answer_proof.ts";
import { type HttpAnswer, HttpConnection, HttpFailure } from "./http_connection.ts";
import type { Keyring } from "./keyring.ts";

/**
 * Why a probe brought no report. `closed` and failed connects count as `refused`; `unproved`: who answered
 * did not show that it has the cluster key.
 */
export type ProbeFailureKind = "timeout" | "refused" | "garbage" | "status" | "unproved";

/** What happened to the probes of one network since the daemon started. */
export interface ProbeCounters {
  sent: number;
  received: number;
  /** Answers that were none: no HTTP, no JSON, another shape, too long. */
  ignored: number;
  /** Asked for while the one before was still in flight, so not sent. */
  skipped: number;
}

/** What {@linkcode HttpProbe} needs. */
export interface HttpProbeOptions {
  readonly clock: Clock;
  readonly port: number;
  /** From connect to the last byte of the answer. */
  readonly deadlineMs: number;
  /** A well-formed answer with status 200. `atMs` (monotonic) is when its last byte arrived. */
  readonly onReport: (network: string, report: HealthBody, rttMs: number, atMs: number) => void;
  readonly onFailure: (network: string, kind: ProbeFailureKind, detail: string) => void;
  /** With a key in it, only answers count that prove that they are the peer's. */
  readonly trust?: HealthTrust;
}

/** What an answer must prove. */
export interface HealthTrust {
  readonly keyring: Pick<Keyring, "keys">;
  /** Our own process: its own words, sent back to it, are nobody's. */
  readonly instanceId: string;
}

const HEALTH_PATH = "/health";

interface Target {
  readonly address: string;
  readonly connection: HttpConnection;
}

/** Asks the peer's health server; at most one question per network is in flight. */
export class HttpProbe {
  readonly #options: HttpProbeOptions;
  readonly #targets = new Map<string, Target>();
  readonly #inFlight = new Set<string>();
  readonly #counters = new Map<string, ProbeCounters>();
  readonly #closed = new AbortController();

  constructor(options: HttpProbeOptions) {
    this.#options = options;
  }

  /**
   * Starts one probe of `address` (IPv4 or IPv6, without brackets) over `network`. Does nothing while
   * the one before is in flight: that one ends by its deadline. After a failure the next probe uses a
   * new connection.
   */
  probe(network: string, address: string): void {
    if (this.#closed.signal.aborted) return;
    const counters = this.counters(network);
    if (this.#inFlight.has(network)) {
      counters.skipped++;
      return;
    }
    this.#inFlight.add(network);
    counters.sent++;
    const started = this.#options.clock.nowMs();
    this.#ask(this.#connection(network, address)).then(
      (report) => {
        this.#inFlight.delete(network);
        if (this.#closed.signal.aborted) return;
        counters.received++;
        const atMs = this.#options.clock.nowMs();
        this.#options.onReport(network, report, atMs - started, atMs);
      },
      (error: unknown) => {
        this.#inFlight.delete(network);
        if (this.#closed.signal.aborted) return;
        const kind = kindOf(error);
        if (kind === "garbage") counters.ignored++;
        this.#options.onFailure(network, kind, messageOf(error));
      },
    );
  }

  /** The live counters of `network`. */
  counters(network: string): ProbeCounters {
    let counters = this.#counters.get(network);
    if (counters === undefined) {
      counters = { sent: 0, received: 0, ignored: 0, skipped: 0 };
      this.#counters.set(network, counters);
    }
    return counters;
  }

  /** Drops all connections, so that the next probes make new ones (after a link came back). */
  reconnect(): void {
    for (const [network, target] of this.#targets) {
      if (!this.#inFlight.has(network)) target.connection.close();
    }
  }

  /** Ends all probes; nothing is reported any more. */
  close(): void {
    this.#closed.abort();
    for (const { connection } of this.#targets.values()) connection.close();
    this.#targets.clear();
  }

  #connection(network: string, address: string): HttpConnection {
    const known = this.#targets.get(network);
    if (known?.address === address) return known.connection;
    known?.connection.close();
    const connection = new HttpConnection({ address, port: this.#options.port });
    this.#targets.set(network, { address, connection });
    return connection;
  }

  async #ask(connection: HttpConnection): Promise<HealthBody> {
    const { deadlineMs, trust } = this.#options;
    return await askHealth(connection, { deadlineMs, signal: this.#closed.signal, trust });
  }
}

/**
 * One `GET /health` with a nonce that the answer must be proved over, if there is a key.
 *
 * @throws {Error} when nothing came that counts
 */
export async function askHealth(
  connection: HttpConnection,
  { deadlineMs, signal, trust }: {
    readonly deadlineMs: number;
    readonly signal: AbortSignal;
    readonly trust?: HealthTrust | undefined;
  },
): Promise<HealthBody> {
  const nonce = makeNonce();
  const answer = await connection.request({
    method: "GET",
    path: HEALTH_PATH,
    headers: { [NONCE_HEADER]: nonce },
    deadlineMs,
    signal,
  });
  if (trust !== undefined && trust.keyring.keys.length > 0) prove(answer, nonce, trust);
  if (answer.status !== 200) throw new BadAnswer("status", `it answered ${answer.status}`);
  const report = parseHealth(answer.body);
  if (report.instanceId !== trust?.instanceId) return report;
  throw new BadAnswer("unproved", "it is what this node itself says");
}

/** @throws {BadAnswer} unless the answer was made for this question by who has one of our keys */
function prove({ status, body, headers }: HttpAnswer, nonce: string, trust: HealthTrust): void {
  const given = headers.get(PROOF_HEADER.toLowerCase());
  const answer = { nonce, path: HEALTH_PATH, status, body };
  if (isProved(trust.keyring.keys, answer, given)) return;
  throw new BadAnswer(
    "unproved",
    given === undefined
      ? "it bears no proof of the cluster key: the peer has no key, or it is not the peer"
      : "its proof is wrong: the peer has another cluster key, or it is not the peer",
  );
}

/** An answer that is HTTP but no report. */
class BadAnswer extends Error {
  override readonly name = "BadAnswer";
  constructor(readonly kind: "garbage" | "status" | "unproved", why: string) {
    super(`Cannot use the peer's answer to GET /health: ${why}`);
  }
}

/**
 * Reads the body of `GET /health`.
 *
 * @throws {Error} when it is none
 */
export function parseHealth(body: string): HealthBody {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    throw new BadAnswer("garbage", "it is no JSON");
  }
  const parsed = HealthBody.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new BadAnswer("garbage", `${issue?.path.join(".") || "body"}: ${issue?.message ?? "?"}`);
}

function kindOf(error: unknown): ProbeFailureKind {
  if (error instanceof BadAnswer) return error.kind;
  if (!(error instanceof HttpFailure)) return "refused";
  return error.kind === "closed" || error.kind === "aborted" ? "refused" : error.kind;
}
