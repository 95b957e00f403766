/**
 * `put astdb|database|files`: takes one set stream in.
 *
 * @module
 */

import { join } from "node:path";
import { z } from "zod";
import type { DataSetName } from "../core/types.ts";
import { messageOf } from "../os/errors.ts";
import { detectFormat, findBerkeleyFault, findCorruption } from "./astdb_format.ts";
import { MAX_ASTDB_BYTES } from "./astdb_read.ts";
import { followSeed } from "./logical/receive_stream.ts";
import { keepDatabaseRecord } from "./verify/database_record.ts";
import { listFiles } from "./file_list.ts";
import { askGate, RefusedError, underPermission } from "./receive_gate.ts";
import { underLock } from "./receive_lock.ts";
import { encodeRemoteLine, type PutResult } from "./remote_protocol.ts";
import type { ReceiveContext } from "./receive.ts";
import { checkStillThere, SAME_AS, takeTables } from "./receive_tables.ts";
import { saveUndelivered } from "./return/save_undelivered.ts";
import { withoutSlash } from "./rsync_arguments.ts";
import type { OnProgress, SetHeader, SetProgress } from "./set_header.ts";
import { SetStates } from "./set_state.ts";
import { Spool } from "./spool.ts";
import { type IncomingSet, readSetStream } from "./stream.ts";

/** The sender hears something at least this often, in milliseconds. */
const SAY_EVERY_MS = 5000;
const MAX_SUMMARY_BYTES = 65_536;

/** Payload of the stream `files`: what the sender found, after rsync has copied. */
const fileSummarySchema = z.object({
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  files: z.number().int().min(0),
  bytes: z.number().int().min(0),
  /** Declared paths that the sender doesn't have or could not copy. */
  failed: z.array(z.string().max(4096)).max(1000),
});

/** See the schema. */
export type FileSummary = z.infer<typeof fileSummarySchema>;

/** Takes in the set on standard input; returns the result for the sender. */
export async function receivePut(set: DataSetName, context: ReceiveContext): Promise<PutResult> {
  return await underLock(set, context, () => putAlone(set, context));
}

async function putAlone(set: DataSetName, context: ReceiveContext): Promise<PutResult> {
  const { clock, gate, signal } = context;
  // Whatever ends the work also ends a wait for the sender's next bytes.
  const reading = new AbortController();
  const incoming = await readSetStream(context.input(), {
    clock,
    idleMs: context.idleMs ?? 120_000,
    signal: AbortSignal.any([signal, reading.signal]),
  });
  const { header } = incoming;
  try {
    checkHeader(set, header, context);
  } catch (cause) {
    await incoming.payload.cancel(cause).catch(() => {}); // The refusal is what counts.
    throw cause;
  }
  const beganMs = clock.nowMs();
  const states = new SetStates(context.stateDir, (path, why) => context.warn(`${path}: ${why}`));
  let begun = false;
  try {
    const { result } = await underPermission({ gate, header, clock, signal }, async (signal) => {
      begun = true;
      const talk = new Talk(context, signal);
      try {
        const result = await talk.during((signal, onProgress) => {
          signal.addEventListener("abort", () => reading.abort(signal.reason), { once: true });
          return takeAfterSaving(set, incoming, { ...context, signal }, onProgress);
        });
        return { result, bytes: result.size };
      } finally {
        talk.end();
      }
    });
    if (SAME_AS in header.detail) {
      await states.unchanged(set, "received", clock.wallMs());
      return result;
    }
    const { epoch, origin, snapshotWallMs } = header;
    const durationMs = clock.nowMs() - beganMs;
    const { size, sha256 } = result;
    const facts = { epoch, origin, snapshotWallMs, size, sha256, durationMs };
    await states.succeeded(set, "received", facts, clock.wallMs());
    return result;
  } catch (cause) {
    await incoming.payload.cancel(cause).catch(() => {}); // Ended or locked by its reader.
    if (begun) {
      const why = messageOf(cause);
      // The disk may be what is wrong; the sender hears of the first cause.
      await states.failed(set, "received", why, clock.wallMs()).catch((error) =>
        context.warn(`Cannot remember that: ${error}`)
      );
    }
    throw cause;
  }
}

/** What needs no daemon to be refused. */
function checkHeader(
  set: DataSetName,
  header: SetHeader,
  { config }: Pick<ReceiveContext, "config">,
): void {
  const refuse = (why: string): never => {
    throw new RefusedError(`Cannot take in the ${set} as ${why}`);
  };
  if (header.set !== set) refuse(`the stream holds the ${header.set}`);
  if (config.replication[set] === null) refuse(`replication.${set} is not configured here`);
  if (header.origin === config.role) {
    refuse(`its origin is the ${header.origin} and so is this host`);
  }
  if (header.fingerprint !== config.fingerprint) {
    refuse("the configurations of the two hosts differ: make relais.toml the same on both");
  }
  if (set !== "astdb" && config.role === "master") {
    refuse(`the master's ${set} is never replaced by the slave's: only return_paths come back`);
  }
}

/** What this host gained while it served, and did not give back, is kept before it is overwritten. */
async function takeAfterSaving(...given: Parameters<typeof take>): Promise<PutResult> {
  const [set, , context] = given;
  if (set === "database" || set === "config" || set === "hot") await saveUndelivered(context);
  return await take(...given);
}

async function take(
  set: DataSetName,
  incoming: IncomingSet,
  context: ReceiveContext,
  onProgress: OnProgress,
): Promise<PutResult> {
  const sameAs = incoming.header.detail[SAME_AS];
  if (sameAs !== undefined) return await checkStillThere(set, incoming, context, String(sameAs));
  if (set === "files") return await takeFileSummary(incoming, context, onProgress);
  if (set === "config" || set === "hot") {
    return await takeTables(set, incoming, context, onProgress);
  }
  const { clock, signal, stateDir } = context;
  if (set === "database") return await takeDatabase(incoming, context, onProgress);
  const generation = await new Spool(stateDir, set).receive(incoming, {
    wallMs: () => clock.wallMs(),
    maxBytes: MAX_ASTDB_BYTES,
    signal,
    onProgress,
    inspect: inspectAstdb,
  });
  return { ...generation.trailer, detail: {} };
}

/** Restores while the bytes arrive: nothing rests on the disk but the new database. */
async function takeDatabase(
  incoming: IncomingSet,
  context: ReceiveContext,
  onProgress: OnProgress,
): Promise<PutResult> {
  const { database, signal, stateDir } = context;
  const { header, payload, done } = incoming;
  if (database === null) throw new RefusedError("Cannot restore as no database is configured here");
  // Earlier versions kept the last dump, as large as the database compressed.
  await Deno.remove(join(stateDir, "spool", "database"), { recursive: true }).catch(() => {});
  const { detail } = await database.install({
    payload,
    whole: done,
    detail: header.detail,
    signal,
    onProgress,
    confirm: () => askGate(context.gate, "confirm", header),
    onProved: (proof) => keepDatabaseRecord(stateDir, header, proof),
  });
  if ("stream_slot" in header.detail) await followSeed(header.detail["stream_slot"], context);
  return { ...await done, detail };
}

/**
 * Refuses a damaged astdb before it becomes a generation.
 *
 * @throws when it is neither sound SQLite nor Berkeley DB
 */
export async function inspectAstdb(path: string): Promise<void> {
  const head = new Uint8Array(16);
  const file = await Deno.open(path, { read: true });
  try {
    await file.read(head);
  } finally {
    file.close();
  }
  const format = detectFormat(head);
  const fault = format === null
    ? "it is neither SQLite nor Berkeley DB"
    : format === "sqlite"
    ? findCorruption(path)
    : findBerkeleyFault(head, (await Deno.stat(path)).size);
  if (fault !== null) throw new Error(`Cannot keep the received astdb as ${fault}`);
}

async function takeFileSummary(
  incoming: IncomingSet,
  context: ReceiveContext,
  onProgress: OnProgress,
): Promise<PutResult> {
  const files = context.config.replication.files!;
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of incoming.payload) {
    size += part.length;
    if (size > MAX_SUMMARY_BYTES) throw new RefusedError("Cannot read a summary that long");
    parts.push(part);
  }
  const text = await new Blob(parts as Uint8Array<ArrayBuffer>[]).text();
  const summary = fileSummarySchema.parse(JSON.parse(text));
  onProgress({ phase: "verify", bytes: 0, totalBytes: summary.bytes });
  const list = await listFiles(files.paths.map(withoutSlash), files, context.signal);
  if (summary.failed.length > 0) {
    throw new Error(`The copy is not complete, not copied: ${summary.failed.join(", ")}`);
  }
  return { size: list.bytes, sha256: list.sha256, detail: { files: list.files } };
}

/** Tells the sender how far it is: when something changed, at most each second, and each 5 s anyway. */
class Talk {
  readonly #context: ReceiveContext;
  readonly #gone = new AbortController();
  readonly #signal: AbortSignal;
  readonly #over = new AbortController();
  #last: SetProgress = { phase: "receive", bytes: 0, totalBytes: null };
  #saidMs: number;
  #saying = false;

  constructor(context: ReceiveContext, signal: AbortSignal) {
    this.#context = context;
    this.#signal = AbortSignal.any([signal, this.#gone.signal]);
    this.#saidMs = context.clock.nowMs();
    this.#repeat();
  }

  async during<T>(work: (signal: AbortSignal, onProgress: OnProgress) => Promise<T>): Promise<T> {
    return await work(this.#signal, (progress) => this.#note(progress));
  }

  end(): void {
    this.#over.abort();
  }

  #note(progress: SetProgress): void {
    const turned = progress.phase !== this.#last.phase;
    this.#last = progress;
    if (turned || this.#context.clock.nowMs() - this.#saidMs >= 1000) this.#say();
  }

  #say(): void {
    if (this.#saying || this.#over.signal.aborted) return;
    this.#saying = true;
    this.#saidMs = this.#context.clock.nowMs();
    this.#context.write(encodeRemoteLine({ progress: this.#last })).then(
      () => this.#saying = false,
      (cause) => this.#gone.abort(new Error("the sender is gone", { cause })),
    );
  }

  #repeat(): void {
    this.#context.clock.sleep(SAY_EVERY_MS, this.#over.signal).then(() => {
      this.#say();
      this.#repeat();
    }, () => {}); // Over.
  }
}
