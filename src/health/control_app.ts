/**
 * What `relais <verb>` and `relais receive` ask of the daemon, as an app without a socket. Who can open
 * the socket is root and may do all of this; `control_server.ts` sees to that.
 *
 * | request | answer |
 * |---|---|
 * | `GET /status` | {@linkcode StatusDocument} |
 * | `GET /history` | list of {@linkcode HistoryEntry}, newest last |
 * | `POST /command` `{"command"}` | {@linkcode ControlResult}, as soon as the command is accepted or not |
 * | `POST /announce` | {@linkcode ControlResult} |
 * | `POST /reload` | {@linkcode ReloadResult}, when it is over |
 * | `POST /sync` `{"set","allowMassDeletion"?}` | one JSON line per progress, the last line is the {@linkcode ControlResult} |
 * | `POST /return` {@linkcode ReturnRequest} | {@linkcode ControlResult}, with `report` when it was asked for |
 * | `POST /fence` {@linkcode FenceRequest} | {@linkcode FenceResult}, when the agent has ended |
 * | `POST /receive/begin` {@linkcode OfferedHeader} | {@linkcode ControlResult} |
 * | `POST /receive/end` {@linkcode ReceivedResult} | {@linkcode ControlResult} |
 * | `POST /receive/refused` {@linkcode RefusedRequest} | {@linkcode ControlResult} |
 *
 * @module
 */

import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { stream } from "hono/streaming";
import { z } from "zod";
import { DATA_SET_NAMES, type DataSetName, type OperatorCommand } from "../core/types.ts";
import { messageOf } from "../os/errors.ts";
import { BODY_MAX_BYTES } from "./app.ts";
import type { HistoryEntry, StatusDocument } from "./types.ts";

/** Time between two progress lines, at least. */
const PROGRESS_EVERY_MS = 100;

/** How a request ended; `text` is a sentence for the operator. */
export const ControlResult = z.object({ ok: z.boolean(), text: z.string() });
/** See the schema of the same name. */
export interface ControlResult extends Readonly<z.infer<typeof ControlResult>> {}

/** How far a copy has come. */
export const SyncProgress = z.object({
  phase: z.string(),
  /** Bytes done in this phase. */
  bytes: z.number(),
  totalBytes: z.number().nullable(),
  tablesDone: z.number().optional(),
  tablesTotal: z.number().optional(),
  bytesPerSecond: z.number().nullish(),
  /** An estimate of the rest of this phase. */
  remainingMs: z.number().nullish(),
});
/** See the schema of the same name. */
export interface SyncProgress extends Readonly<z.infer<typeof SyncProgress>> {}

/** How a reload of the configuration ended. Unless `applied` or `unchanged`, nothing was touched. */
export const ReloadResult = ControlResult.extend({
  outcome: z.enum([
    "applied",
    /** The file means what it meant. */
    "unchanged",
    /** The content of the file is refused; `problems` has all of them. */
    "bad-config",
    /** The file cannot be read. */
    "no-config",
    /** The key file cannot be used, or this host is not in the file. */
    "misconfigured",
    /** Something in it needs a restart, or would make this node unfit. */
    "refused",
    /** The node is on its way from one state to another, or another reload is in progress. */
    "busy",
  ]),
  /** What differs, a sentence for each key; also when it was refused for one of them. */
  changes: z.array(z.string()),
  /** Why not, sentence by sentence; of a bad file `key: rule (got value)`. */
  problems: z.array(z.string()),
  /** What follows from it for the operator. */
  notes: z.array(z.string()),
});
/** See the schema of the same name. */
export interface ReloadResult extends Readonly<z.infer<typeof ReloadResult>> {}

const Command = z.strictObject({
  command: z.enum(
    [
      "switchover",
      "failback",
      "maintenance-on",
      "maintenance-off",
      "stop",
    ] satisfies Exclude<OperatorCommand, "fence-confirm">[],
  ),
});
const Sync = z.strictObject({
  set: z.enum([...DATA_SET_NAMES, "all"]),
  allowMassDeletion: z.boolean().optional(),
});

/** What `relais receive` was offered; more fields may follow, they are not needed to decide. */
export const OfferedHeader = z.object({
  set: z.enum(DATA_SET_NAMES),
  epoch: z.number().int().min(0),
  origin: z.enum(["master", "slave"]),
  fingerprint: z.string().max(200),
});
/** See the schema of the same name. */
export interface OfferedHeader extends Readonly<z.infer<typeof OfferedHeader>> {}

/** How a reception ended. */
export const ReceivedResult = z.object({
  set: z.enum(DATA_SET_NAMES),
  ok: z.boolean(),
  /** Why not; null when ok. */
  reason: z.string().max(4000).nullable(),
  bytes: z.number().min(0),
  durationMs: z.number().min(0),
  /** A sentence for the history. */
  note: z.string().max(2000).exactOptional(),
});
/** See the schema of the same name. */
export interface ReceivedResult extends Readonly<z.infer<typeof ReceivedResult>> {}

/** What an operator asks about the way back of the database. */
export const ReturnRequest = z.discriminatedUnion("action", [
  z.strictObject({ action: z.literal("report") }),
  z.strictObject({
    action: z.literal("decide"),
    conflict: z.string().regex(/^([0-9a-f]{8}|all)$/, "is not the name of a conflict"),
    choice: z.enum(["master", "slave", "both"]),
  }),
  z.strictObject({ action: z.literal("go") }),
]);
/** See the schema of the same name. */
export type ReturnRequest = z.infer<typeof ReturnRequest>;

/** The report is a document of its own (docs/design/return.md). */
export const ReturnResult = ControlResult.extend({ report: z.looseObject({}).optional() });
/** See the schema of the same name. */
export interface ReturnResult extends Readonly<z.infer<typeof ReturnResult>> {}

/** What an operator asks of the device that switches the peer off. */
export const FenceRequest = z.strictObject({
  action: z.enum(["test", "off", "on", "reboot", "confirm"]),
});
/** See the schema of the same name. */
export interface FenceRequest extends Readonly<z.infer<typeof FenceRequest>> {}

/** How it ended, and what is known of the peer's power then. */
export const FenceResult = ControlResult.extend({ power: z.enum(["on", "off", "unknown"]) });
/** See the schema of the same name. */
export interface FenceResult extends Readonly<z.infer<typeof FenceResult>> {}

/** What `relais receive` refused by itself; set null: it was not even a data set. */
export const RefusedRequest = z.object({
  set: z.enum(DATA_SET_NAMES).nullable(),
  reason: z.string().min(1).max(4000),
});
/** See the schema of the same name. */
export interface RefusedRequest extends Readonly<z.infer<typeof RefusedRequest>> {}

type Awaitable<T> = T | Promise<T>;

/** What the daemon does about each request. */
export interface ControlDeps {
  status(): StatusDocument;
  /** Newest last. */
  history(): readonly HistoryEntry[];
  /** Accepts the command or says why not; what follows is seen in the status. */
  command(command: Exclude<OperatorCommand, "fence-confirm">): Awaitable<ControlResult>;
  announce(): Awaitable<ControlResult>;
  /** Reads the configuration again and applies what differs, or nothing. */
  reload(): Promise<ReloadResult>;
  /** Copies now. `signal` aborts when the operator gives up. */
  sync(
    set: DataSetName | "all",
    options: {
      readonly signal: AbortSignal;
      /** The files may be deleted on the peer, however many they are. */
      readonly allowMassDeletion: boolean;
      readonly onProgress: (progress: SyncProgress) => void;
    },
  ): Promise<ControlResult>;
  /** What the database gained and what is to become of it. `signal` aborts when the operator gives up. */
  returning(request: ReturnRequest, signal: AbortSignal): Promise<ReturnResult>;
  /** Asks the device that switches the peer off. `signal` aborts when the operator gives up. */
  fence(request: FenceRequest, signal: AbortSignal): Promise<FenceResult>;
  /** May this data set be taken in? Also asked again while it comes in. */
  receiveBegin(header: OfferedHeader): Awaitable<ControlResult>;
  receiveEnd(result: ReceivedResult): Awaitable<void>;
  /** `relais receive` did not even have to ask; default: nobody is told. */
  receiveRefused?(refused: RefusedRequest): Awaitable<void>;
  /** Hears of a handler that failed: a bug, answered with 500. */
  readonly onError?: (error: Error) => void;
}

/** The app behind the control socket. */
export function createControlApp(deps: ControlDeps): Hono {
  const app = new Hono();
  app.use(bodyLimit({
    maxSize: BODY_MAX_BYTES,
    onError: (c) => c.json(no(`Cannot read a request of more than ${BODY_MAX_BYTES} bytes`), 413),
  }));
  app.get("/status", (c) => c.json(deps.status()));
  app.get("/history", (c) => c.json(deps.history()));
  app.post("/command", (c) => withBody(c, Command, ({ command }) => deps.command(command)));
  app.post("/announce", async (c) => c.json(await deps.announce()));
  app.post("/reload", async (c) => c.json(await deps.reload()));
  app.post(
    "/return",
    (c) => withBody(c, ReturnRequest, (request) => deps.returning(request, c.req.raw.signal)),
  );
  app.post(
    "/fence",
    (c) => withBody(c, FenceRequest, (request) => deps.fence(request, c.req.raw.signal)),
  );
  app.post(
    "/receive/begin",
    (c) => withBody(c, OfferedHeader, (header) => deps.receiveBegin(header)),
  );
  app.post("/receive/end", (c) =>
    withBody(c, ReceivedResult, async (result) => {
      await deps.receiveEnd(result);
      return { ok: true, text: "noted" };
    }));
  app.post("/receive/refused", (c) =>
    withBody(c, RefusedRequest, async (refused) => {
      await deps.receiveRefused?.(refused);
      return { ok: true, text: "noted" };
    }));
  app.post("/sync", async (c) => {
    const body = await readBody(c, Sync);
    return body.ok ? streamSync(c, deps, body.data) : c.json(no(body.why), 400);
  });
  app.notFound((c) =>
    c.json(no(`Cannot answer ${c.req.method} ${c.req.path}: no such request`), 404)
  );
  app.onError((error, c) => {
    deps.onError?.(error);
    return c.json(no(`internal error: ${error.message}`), 500);
  });
  return app;
}

/** Progress lines, thinned out; a client that goes away ends the copy. */
function streamSync(c: Context, deps: ControlDeps, asked: z.infer<typeof Sync>): Response {
  c.header("Content-Type", "application/x-ndjson");
  // Its length is not known in advance.
  c.header("Transfer-Encoding", "chunked");
  return stream(c, async (out) => {
    const gone = new AbortController();
    out.onAbort(() => gone.abort());
    let latest: SyncProgress | null = null;
    const send = setInterval(() => {
      if (latest !== null) void out.write(`${JSON.stringify({ progress: latest })}\n`);
      latest = null;
    }, PROGRESS_EVERY_MS);
    let result: ControlResult;
    try {
      result = await deps.sync(asked.set, {
        signal: gone.signal,
        allowMassDeletion: asked.allowMassDeletion ?? false,
        onProgress: (progress) => latest = { ...progress },
      });
    } catch (error) {
      result = no(messageOf(error));
    } finally {
      clearInterval(send);
    }
    await out.write(`${JSON.stringify({ result })}\n`);
  });
}

async function withBody<T>(
  c: Context,
  schema: z.ZodType<T>,
  answer: (body: T) => Awaitable<ControlResult>,
): Promise<Response> {
  const body = await readBody(c, schema);
  return body.ok ? c.json(await answer(body.data)) : c.json(no(body.why), 400);
}

async function readBody<T>(
  c: Context,
  schema: z.ZodType<T>,
): Promise<{ ok: true; data: T } | { ok: false; why: string }> {
  let json: unknown;
  try {
    json = await c.req.json();
  } catch {
    return { ok: false, why: "Cannot read the request as it is no JSON" };
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return { ok: true, data: parsed.data };
  return { ok: false, why: `Cannot read the request: ${z.prettifyError(parsed.error)}` };
}

function no(text: string): ControlResult {
  return { ok: false, text };
}
