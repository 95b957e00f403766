/**
 * The HTTP side that is seen from outside, as an app without a port: health URLs, status, metrics,
 * status page, events; and the door for authenticated messages of the peer. Read-only, except for
 * those messages. `server.ts` gives it ports.
 *
 * @module
 */

import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { StatusCode } from "hono/utils/http-status";
import { type Clock, systemClock } from "../os/clock.ts";
import { HEALTH_CONDITIONS, LOOP_AGE_MAX_MS } from "./conditions.ts";
import { EventClients } from "./events.ts";
import { renderMetrics } from "./metrics.ts";
import { chooseLanguage } from "./page/language.ts";
import { PAGE_HEADERS, renderPage } from "./page/page.ts";
import type { HealthBody, StatusDocument } from "./types.ts";

/** Longest body of a request, in bytes. */
export const BODY_MAX_BYTES = 16 * 1024;

/** Where messages of the peer arrive. */
export const MESSAGE_PATH = "/peer/message";

/** An HTTP answer made elsewhere; `body` becomes JSON. */
export interface MessageAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** A message as it arrived. */
export interface PostedMessage {
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly method: string;
  readonly path: string;
  readonly body: string;
  /** Where it came from, as the server saw it. */
  readonly remoteAddress: string;
}

/** What an answer must be bound to so that the peer can tell it from anybody's; see `answer_proof.ts`. */
export interface AnswerToProve {
  readonly nonce: string;
  readonly path: string;
  readonly status: number;
  readonly body: string;
}

/** Headers of question and answer; the same as in `heartbeat/answer_proof.ts`, which a test holds. */
export const NONCE_HEADER = "X-Relais-Nonce";
/** See {@linkcode NONCE_HEADER}. */
export const PROOF_HEADER = "X-Relais-Proof";

/** What the app needs to know; all of it is called per request and must be quick. */
export interface HealthDeps {
  health(): HealthBody;
  status(): StatusDocument;
  /** Milliseconds since the daemon's loop last turned. */
  loopAgeMs(): number;
  /** Verifies and carries out a message of the peer. */
  message(message: PostedMessage): Promise<MessageAnswer>;
  /** The proof that an answer is ours; null: there is no key, or the nonce is none. Default: none. */
  prove?(answer: AnswerToProve): string | null;
  /** May this address (canonical text, no brackets) ask at all? */
  allow(remoteAddress: string): boolean;
  /** Counts a request that no user of relais makes. */
  readonly onGarbage?: (why: string) => void;
  /** Counts a request from an address that is not allowed. */
  readonly onRefused?: (remoteAddress: string) => void;
  /** Hears of a handler that failed: a bug, answered with 500. */
  readonly onError?: (error: Error) => void;
  readonly clock?: Clock;
}

/** What the server hands to the app beside the request. */
export interface HealthEnv {
  readonly Bindings: { readonly remoteAddress: string };
}

/** The app. `app.request(path, init, { remoteAddress })` asks it without a port. */
export function createApp(deps: HealthDeps): Hono<HealthEnv> {
  const app = new Hono<HealthEnv>();
  const events = new EventClients({
    status: () => deps.status(),
    clock: deps.clock ?? systemClock,
  });
  const paths = new Map<string, "GET" | "POST">();

  app.use(async (c, next) => {
    // Without an address there is no permission: `allow` decides on what the server saw.
    const remote = c.env?.remoteAddress ?? "";
    if (!deps.allow(remote)) {
      deps.onRefused?.(remote);
      return c.json({ error: "this address may not ask" }, 403);
    }
    c.header("Cache-Control", "no-store");
    c.header("X-Content-Type-Options", "nosniff");
    return await next();
  });

  function get(
    path: string,
    answer: (c: Context<HealthEnv>) => Response | Promise<Response>,
  ): void {
    paths.set(path, "GET");
    app.get(path, answer);
  }

  for (const { path, holds } of HEALTH_CONDITIONS) {
    get(path, (c) => {
      const health = deps.health();
      const alive = deps.loopAgeMs() <= LOOP_AGE_MAX_MS;
      const status = alive && holds(health) ? 200 : 503;
      return proved(c, { status, body: health, nonce: c.req.header(NONCE_HEADER) });
    });
  }
  get("/status", (c) => c.json(deps.status()));
  get("/metrics", (c) => {
    const type = "text/plain; version=0.0.4; charset=utf-8";
    return c.body(renderMetrics(deps.status()), 200, { "Content-Type": type });
  });
  get("/", (c) => {
    const language = chooseLanguage(c.req.query("lang"), c.req.header("accept-language"));
    return c.body(renderPage(deps.status(), language), 200, PAGE_HEADERS);
  });
  get("/events", (c) => events.serve(c, c.env?.remoteAddress ?? ""));

  paths.set(MESSAGE_PATH, "POST");
  app.post(MESSAGE_PATH, limitBody(deps), async (c) => {
    const remoteAddress = c.env?.remoteAddress ?? "";
    const { method, path } = c.req;
    const headers = c.req.header();
    const body = await c.req.text();
    const answer = await deps.message({ headers, method, path, body, remoteAddress });
    return proved(c, { ...answer, nonce: headers["x-relais-mac"] });
  });

  /** As JSON, with the proof that it is ours and the answer to this question, if it was asked for. */
  function proved(
    c: Context<HealthEnv>,
    { status, body, nonce }: MessageAnswer & { readonly nonce: string | undefined },
  ): Response {
    const text = JSON.stringify(body);
    c.header("Content-Type", "application/json");
    const proof = nonce === undefined
      ? null
      : deps.prove?.({ nonce, path: c.req.path, status, body: text }) ?? null;
    if (proof !== null) c.header(PROOF_HEADER, proof);
    return c.newResponse(text, status as StatusCode);
  }

  app.all("*", (c) => {
    const method = paths.get(c.req.path);
    deps.onGarbage?.(`${c.req.method} ${c.req.path}`.slice(0, 200));
    if (method === undefined) return c.json({ error: "there is nothing here" }, 404);
    const allowed = method === "GET" ? "GET, HEAD" : method;
    return c.json({ error: `only ${allowed} is answered here` }, 405, { Allow: allowed });
  });
  app.onError((error, c) => {
    deps.onError?.(error);
    return c.json({ error: "internal error: see the journal of relais" }, 500);
  });
  return app;
}

function limitBody(deps: HealthDeps): ReturnType<typeof bodyLimit> {
  return bodyLimit({
    maxSize: BODY_MAX_BYTES,
    onError: (c) => {
      deps.onGarbage?.("a body that is too long");
      return c.json({ error: `the body may have ${BODY_MAX_BYTES} bytes at most` }, 413);
    },
  });
}
