/**
 * Takes a dump: one snapshot, counted and dumped, compressed, guarded (docs/design/database.md).
 *
 * @module
 */

import { REPLICATION_DEFAULTS, TRANSPORT_DEFAULTS } from "../config/defaults.ts";
import { conninfo, toolEnvironment } from "./database_connection.ts";
import type { DatabaseContext } from "./database_context.ts";
import { encodeManifest } from "./database_manifest.ts";
import type { Manifest } from "./database_manifest.ts";
import { joint, startPipeline } from "./database_pipeline.ts";
import type { Pipeline } from "./database_pipeline.ts";
import type { DatabaseDump, DatabaseDumpOptions } from "./database_port.ts";
import { LOCK_TIMEOUT_MS } from "./database_session.ts";
import { versionText } from "./database_tools.ts";
import { DatabaseWorker } from "./database_client.ts";
import { pipelinePayload } from "./pipeline_payload.ts";

/** How long counting may take, in milliseconds. */
const OPEN_DEADLINE_MS = 10 * 60_000;
const RELEASE_DEADLINE_MS = 10_000;

/** The longest that a dump may take, in milliseconds; the sender sets the pace. */
const DUMP_DEADLINE_MS = 6 * 3_600_000;

/** Somebody waited behind the dump, which gave way. */
export class DumpYieldedError extends Error {
  override readonly name = "DumpYieldedError";
  constructor(database: string, reason: string) {
    super(
      `Cannot finish the copy of ${database} as it gave way: ${reason}; it is tried again later`,
    );
  }
}

/**
 * Begins a dump of the live database.
 *
 * @throws {ToolMissingError} when pg_dump or zstd is not installed
 * @throws {DatabaseWorkerError} when PostgreSQL cannot be reached, or the dump cannot be restored elsewhere
 */
export async function dumpDatabase(
  context: DatabaseContext,
  options: DatabaseDumpOptions,
): Promise<DatabaseDump> {
  const { config, address } = context;
  const { paceBytesPerSecond: pace = REPLICATION_DEFAULTS.databasePace } = config;
  // Ends everything: the caller's signal, the guard, the deadline, a consumer that went away.
  const stop = new AbortController();
  const signal = AbortSignal.any([
    options.signal,
    stop.signal,
    AbortSignal.timeout(DUMP_DEADLINE_MS),
  ]);
  const appName = `relais-dump-${crypto.randomUUID().slice(0, 8)}`;
  const compression = config.compression ?? TRANSPORT_DEFAULTS.compression;
  // Without compression something else must stand behind the pace: it is between two programs.
  const squeeze = compression === "zstd"
    ? [await context.findTool("zstd"), "-1", "-q", "-c"]
    : [await context.findTool("cat")];
  const worker = DatabaseWorker.start({
    ...await context.worker(),
    onGuard: (reason) => stop.abort(new DumpYieldedError(address.database, reason)),
  });
  try {
    options.onProgress({ phase: "count", bytes: 0, totalBytes: null });
    const { snapshot, manifest } = await worker.request("dump-open", {
      localTables: config.localTables,
      excludeTableData: config.excludeTableData,
      appName,
      ...(options.slot === undefined ? {} : { slot: options.slot }),
    }, { deadlineMs: OPEN_DEADLINE_MS, signal });
    const pgDump = await context.findTool("pg_dump", manifest.serverVersionNum);
    const env = toolEnvironment({ address, appName, pgOptions: "" });
    const argv = [
      ...[pgDump, "-Fc", "-Z0", "--no-tablespaces", `--lock-wait-timeout=${LOCK_TIMEOUT_MS}`],
      `--snapshot=${snapshot}`,
      ...manifest.excluded.map((table) => `--exclude-table-data=${table}`),
      ...["-d", conninfo(address.database)],
    ];
    const pipeline = startPipeline({
      stages: [{ argv, env }, { argv: squeeze, env }],
      user: await context.user(),
      signal,
      paceBytesPerSecond: pace ?? Infinity,
      joint: pace === null ? await joint() : null,
    });
    return stream({ manifest, pipeline, worker, stop, signal, onProgress: options.onProgress });
  } catch (error) {
    await worker.close();
    // The guard may have ended the counting: then its reason is the one to tell.
    throw stop.signal.aborted ? stop.signal.reason : error;
  }
}

function stream(
  parts: {
    readonly manifest: Manifest;
    readonly pipeline: Pipeline;
    readonly worker: DatabaseWorker;
    readonly stop: AbortController;
    readonly signal: AbortSignal;
    readonly onProgress: DatabaseDumpOptions["onProgress"];
  },
): DatabaseDump {
  const { manifest, pipeline, worker, stop, signal } = parts;
  const done = pipeline.done.finally(() => worker.close());
  let released: Promise<unknown> | null = null;
  const payload = pipelinePayload(pipeline, {
    done,
    stop,
    head: encodeManifest(manifest),
    onPiece: (bytes) => {
      // The first output proves that pg_dump has taken the snapshot over.
      released ??= worker.request("dump-release", {}, { deadlineMs: RELEASE_DEADLINE_MS, signal })
        .catch((cause) => stop.abort(cause));
      parts.onProgress({ phase: "dump", bytes, totalBytes: null });
    },
  });
  return { detail: describe(manifest), payload, done };
}

function describe(manifest: Manifest): DatabaseDump["detail"] {
  const counts = Object.values(manifest.rows);
  return {
    server: versionText(manifest.serverVersionNum),
    tables: counts.length,
    rows: counts.reduce((sum, count) => sum + count, 0),
    large_objects: manifest.largeObjects,
    database_bytes: manifest.databaseBytes,
  };
}
