/**
 * The HTTP side that is seen from outside, as an app without a port: health URLs, status, metrics,
 * status page, events; and the door for authenticated messages of the peer. Read-only, except for
 * those messages. `server.ts` gives it ports.
 *
 * @module
 */

import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
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

/** What the app needs to know; all of it is called per request and must be quick. */
export interface HealthDeps {
  health(): HealthBody;
  status(): StatusDocument;
  /** Milliseconds since the daemon's loop last turned. */
  loopAgeMs(): number;
  /** Verifies and carries out a message of the peer. Header names are in lower case. */
  message(
    headers: Readonly<Record<string, string>>,
    method: string,
    path: string,
    body: string,
  ): Promise<MessageAnswer>;
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
      return c.json(health, alive && holds(health) ? 200 : 503);
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
  get("/events", (c) => events.serve(c));

  paths.set(MESSAGE_PATH, "POST");
  app.post(MESSAGE_PATH, limitBody(deps), async (c) => {
    const body = await c.req.text();
    const answer = await deps.message(c.req.header(), c.req.method, c.req.path, body);
    return json(answer.body, answer.status);
  });

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

function json(body: unknown, status: number): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { "Content-Type": "application/json" },
  });
}
