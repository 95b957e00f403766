/**
 * How `relais <verb>` talks to the daemon of this host: HTTP on its control socket.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import http from "node:http";
import { z } from "zod";
import type { DataSetName, OperatorCommand } from "../core/types.ts";
import {
  ControlResult,
  type FenceRequest,
  FenceResult,
  OfferedHeader,
  type ReceivedResult,
  type RefusedRequest,
  ReloadResult,
  type ReturnRequest,
  ReturnResult,
  SyncProgress,
} from "../health/control_app.ts";
import { HistoryEntry, StatusDocument } from "../health/types.ts";

/** Where the daemon listens unless `--run-dir` says otherwise. */
const CONTROL_SOCKET = "/run/relais/control.sock";
const DEADLINE_MS = 5_000;
/** A move in progress is waited for, and the start of new services: most of it is the services' time. */
const RELOAD_DEADLINE_MS = 10 * 60_000;
/** A copy may take hours; the operator can end it at any time. */
const SYNC_DEADLINE_MS = 24 * 3_600_000;
/** Every row that goes back is looked at on both hosts. */
/** The longest `fencing.deadline` twice, as there may be two questions, and a margin. */
const FENCE_DEADLINE_MS = 11 * 60_000;
const RETURN_DEADLINE_MS = 10 * 60_000;
const ANSWER_MAX_BYTES = 4 * 1024 * 1024;
const POLL_MS = 50;

/** The daemon did not answer, or answered what makes no sense; the message is for the operator. */
export class ControlError extends Error {
  override readonly name = "ControlError";
  constructor(
    readonly kind: "not-running" | "forbidden" | "timeout" | "bad-answer",
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** What {@linkcode ControlClient.waitFor} saw last. */
export interface Waited {
  /** The predicate held. */
  readonly done: boolean;
  /** Null: the daemon gave no status in all that time. */
  readonly status: StatusDocument | null;
}

interface Call {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: unknown;
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
  /** Called for each whole line as it arrives. */
  readonly onLine?: (line: string) => void;
}

/** A client of the daemon of this host. Every call throws {@linkcode ControlError} if it cannot answer. */
export class ControlClient {
  readonly #path: string;

  constructor(socketPath: string = CONTROL_SOCKET) {
    this.#path = socketPath;
  }

  /** The daemon's status. */
  async status(): Promise<StatusDocument> {
    return this.#parse(StatusDocument, await this.#call({ method: "GET", path: "/status" }));
  }

  /** The node's history, newest last. */
  async history(): Promise<readonly HistoryEntry[]> {
    return this.#parse(
      z.array(HistoryEntry),
      await this.#call({ method: "GET", path: "/history" }),
    );
  }

  /** Gives a command; returns as soon as the daemon has accepted it or not. */
  command(command: Exclude<OperatorCommand, "fence-confirm">): Promise<ControlResult> {
    return this.#post("/command", { command });
  }

  /** Has the daemon read its configuration again; returns when that is over. */
  async reload(): Promise<ReloadResult> {
    const call = {
      method: "POST",
      path: "/reload",
      body: {},
      deadlineMs: RELOAD_DEADLINE_MS,
    } as const;
    return this.#parse(ReloadResult, await this.#call(call));
  }

  /** Announces the VIPs held here again. */
  announce(): Promise<ControlResult> {
    return this.#post("/announce", {});
  }

  /** Asks whether a data set may be taken in; to be asked again while it comes in. */
  receiveBegin(header: OfferedHeader): Promise<ControlResult> {
    // Only what the daemon decides on: the rest may be long.
    return this.#post("/receive/begin", OfferedHeader.parse(header));
  }

  /** Tells how a reception ended. */
  receiveEnd(result: ReceivedResult): Promise<ControlResult> {
    return this.#post("/receive/end", result);
  }

  /** What the slave's database gained, and what is to become of it. */
  async returning(request: ReturnRequest): Promise<ReturnResult> {
    const call = {
      method: "POST",
      path: "/return",
      body: request,
      deadlineMs: RETURN_DEADLINE_MS,
    } as const;
    return this.#parse(ReturnResult, await this.#call(call));
  }

  /** Has the daemon ask the device that switches the peer off; returns when that is over. */
  async fence(request: FenceRequest): Promise<FenceResult> {
    const call = {
      method: "POST",
      path: "/fence",
      body: request,
      deadlineMs: FENCE_DEADLINE_MS,
    } as const;
    return this.#parse(FenceResult, await this.#call(call));
  }

  /** Tells what was refused without asking. */
  receiveRefused(refused: RefusedRequest): Promise<ControlResult> {
    return this.#post("/receive/refused", refused);
  }

  /** Copies a data set (or all of them) to the peer now; aborting `signal` ends the copy. */
  async sync(
    set: DataSetName | "all",
    onProgress: (progress: SyncProgress) => void,
    signal?: AbortSignal,
    { allowMassDeletion = false }: { readonly allowMassDeletion?: boolean } = {},
  ): Promise<ControlResult> {
    let result: ControlResult | null = null;
    const onLine = (line: string): void => {
      const said = this.#parse(SyncLine, line);
      if (said.result !== undefined) result = said.result;
      if (said.progress !== undefined) onProgress(said.progress);
    };
    const rest = await this.#call({
      method: "POST",
      path: "/sync",
      body: { set, ...(allowMassDeletion ? { allowMassDeletion } : {}) },
      deadlineMs: SYNC_DEADLINE_MS,
      onLine,
      ...(signal === undefined ? {} : { signal }),
    });
    if (result !== null) return result;
    if (rest === "") {
      throw new ControlError("not-running", "The daemon ended in the middle of the copy");
    }
    // A refusal is one object, not lines.
    return this.#parse(ControlResult, rest);
  }

  /**
   * Looks at the status until `holds`, at most `deadlineMs`; `onLook` sees every status on the way. A
   * daemon that does not answer for a moment (it restarts) is waited for.
   */
  async waitFor(
    holds: (status: StatusDocument) => boolean,
    { deadlineMs, onLook, signal }: {
      readonly deadlineMs: number;
      readonly onLook?: (status: StatusDocument) => void;
      readonly signal?: AbortSignal;
    },
  ): Promise<Waited> {
    const end = performance.now() + deadlineMs;
    let status: StatusDocument | null = null;
    do {
      signal?.throwIfAborted();
      try {
        status = await this.status();
        onLook?.(status);
        if (holds(status)) return { done: true, status };
      } catch (error) {
        if (!(error instanceof ControlError)) throw error;
        if (error.kind !== "not-running" && error.kind !== "timeout") throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    } while (performance.now() < end);
    return { done: false, status };
  }

  async #post(path: string, body: unknown): Promise<ControlResult> {
    return this.#parse(ControlResult, await this.#call({ method: "POST", path, body }));
  }

  #parse<T>(schema: z.ZodType<T>, text: string): T {
    let json: unknown = null;
    try {
      json = JSON.parse(text);
    } catch {
      // Refused by the schema below.
    }
    const parsed = schema.safeParse(json);
    if (parsed.success) return parsed.data;
    throw new ControlError(
      "bad-answer",
      `Cannot read the answer of the daemon (${this.#path}) as it is of another version: restart it: systemctl restart relais`,
      { cause: parsed.error },
    );
  }

  /** The body of the answer: with `onLine`, what remained after the last whole line. */
  #call({ method, path, body, deadlineMs = DEADLINE_MS, signal, onLine }: Call): Promise<string> {
    return new Promise((resolve, reject) => {
      const text = body === undefined ? null : Buffer.from(JSON.stringify(body));
      const request = http.request({
        socketPath: this.#path,
        method,
        path,
        agent: false,
        headers: text === null
          ? {}
          : { "Content-Type": "application/json", "Content-Length": String(text.length) },
      });
      let answer: http.IncomingMessage | null = null;
      const fail = (error: unknown): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        // Of the two, only destroying the response closes the connection once there is one (Deno 2.6).
        request.destroy();
        answer?.destroy();
        reject(error instanceof ControlError ? error : this.#explain(error));
      };
      const timer = setTimeout(() => {
        const seconds = deadlineMs / 1000;
        fail(new ControlError("timeout", `The daemon did not answer ${path} within ${seconds} s`));
      }, deadlineMs);
      const onAbort = (): void => fail(new ControlError("timeout", "interrupted"));
      if (signal?.aborted) return onAbort();
      signal?.addEventListener("abort", onAbort, { once: true });
      request.on("error", fail);
      request.on("response", (response) => {
        answer = response;
        let rest = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          rest += chunk;
          try {
            if (onLine !== undefined) rest = takeLines(rest, onLine);
          } catch (error) {
            return fail(error);
          }
          if (rest.length > ANSWER_MAX_BYTES) {
            fail(new ControlError("bad-answer", "too long an answer"));
          }
        });
        response.on("error", fail);
        response.on("close", () => fail(new Error("closed")));
        response.on("end", () => {
          response.removeAllListeners("close");
          clearTimeout(timer);
          signal?.removeEventListener("abort", onAbort);
          resolve(rest);
        });
      });
      request.end(text ?? undefined);
    });
  }

  #explain(error: unknown): ControlError {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "EACCES" || code === "EPERM") {
      const text = `Cannot open ${this.#path} as only root may: run it with sudo`;
      return new ControlError("forbidden", text, { cause: error });
    }
    return new ControlError(
      "not-running",
      `relais is not running on this host (no answer on ${this.#path}): systemctl start relais`,
      { cause: error },
    );
  }
}

const SyncLine = z.object({
  progress: SyncProgress.optional(),
  result: ControlResult.optional(),
});

function takeLines(text: string, onLine: (line: string) => void): string {
  const lines = text.split("\n");
  const rest = lines.pop() ?? "";
  for (const line of lines) onLine(line);
  return rest;
}
