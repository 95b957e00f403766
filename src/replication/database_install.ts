/**
 * Installs a received dump: restore into a new database, carry what is this host's own, prove, swap
 * (docs/design/database.md). Whatever fails leaves the live database as it was.
 *
 * @module
 */

import { TRANSPORT_DEFAULTS } from "../config/defaults.ts";
import { messageOf } from "../os/errors.ts";
import { TableCount } from "./database_tables.ts";
import { DatabaseWorker } from "./database_client.ts";
import { conninfo, toolEnvironment } from "./database_connection.ts";
import type { DatabaseContext } from "./database_context.ts";
import type { Manifest } from "./database_manifest.ts";
import { openPayload } from "./database_payload.ts";
import type { OpenPayload } from "./database_payload.ts";
import { joint, startPipeline } from "./database_pipeline.ts";
import type { Pipeline } from "./database_pipeline.ts";
import type { DatabaseInstallOptions } from "./database_port.ts";
import { copyDifferences, preflightProblems, propertyDifferences } from "./database_proof.ts";
import { newDatabaseName } from "./database_protocol.ts";
import type { Inspection, InstallFacts } from "./database_protocol.ts";
import type { SetDetail } from "./set_header.ts";
import { majorVersion } from "./database_tools.ts";

/** Deadlines in milliseconds. */
const LOOK_DEADLINE_MS = 30_000;
const CREATE_DEADLINE_MS = 120_000;
const RESTORE_DEADLINE_MS = 6 * 3_600_000;
const ANALYZE_DEADLINE_MS = 3_600_000;
const INSPECT_DEADLINE_MS = 15 * 60_000;
const SWAP_DEADLINE_MS = 30_000;
const DROP_DEADLINE_MS = 120_000;

/** The restore is worth nothing until it is proved: it need not wait for the disk at each commit. */
const RESTORE_OPTIONS =
  "-c synchronous_commit=off -c maintenance_work_mem=256MB -c statement_timeout=0";

/** A dump cannot be restored on this host, or what was restored is not what was sent. */
export class InstallRefusedError extends Error {
  override readonly name = "InstallRefusedError";
  constructor(
    options: {
      readonly database: string;
      readonly rule: string;
      readonly found: readonly string[];
    },
  ) {
    super(
      `Cannot install the copy of ${options.database} as ${options.rule}: ` +
        `${options.found.join("; ")}. The standby database is unchanged`,
    );
  }
}

/**
 * Restores, verifies and swaps in what the other host dumped.
 *
 * @returns facts for the result and the log
 * @throws {InstallRefusedError | ManifestError} when the dump does not fit or its copy is not equal
 * @throws {PipelineError | DatabaseWorkerError | ToolMissingError} when a tool or the server fails
 */
export async function installDatabase(
  context: DatabaseContext,
  options: DatabaseInstallOptions,
): Promise<{ readonly detail: SetDetail }> {
  const worker = DatabaseWorker.start(await context.worker());
  let created = false;
  let payload: OpenPayload | null = null;
  try {
    options.whole.catch(() => {}); // Awaited below; it may reject long before.
    payload = await openPayload(options.payload);
    const { manifest } = payload;
    const facts = await preflight(context, { worker, manifest, signal: options.signal });
    created = true;
    await worker.request("create-new", {
      locale: manifest.locale,
      owner: manifest.properties.owner,
    }, { deadlineMs: CREATE_DEADLINE_MS, signal: options.signal });
    await restore(context, { options, facts, payload });
    // pg_restore ends well with whatever a sound archive holds: only this says that it is what was sent.
    await options.whole;
    // Both read all of it: together they take the time of one.
    const [inspected, analyzed] = await Promise.allSettled([
      worker.request("inspect-new", { excluded: manifest.excluded }, {
        deadlineMs: INSPECT_DEADLINE_MS,
        signal: options.signal,
      }),
      analyze(context, { options, facts }),
    ]);
    if (analyzed.status === "rejected") throw analyzed.reason;
    if (inspected.status === "rejected") throw inspected.reason;
    return await finish(context, {
      worker,
      manifest,
      facts,
      options,
      inspection: inspected.value,
    });
  } catch (error) {
    await payload?.cancel(error);
    if (created) await dropNew(context, worker);
    throw error;
  } finally {
    await worker.close();
  }
}

/** Refuses before anything was touched. */
async function preflight(
  context: DatabaseContext,
  given: {
    readonly worker: DatabaseWorker;
    readonly manifest: Manifest;
    readonly signal: AbortSignal;
  },
): Promise<InstallFacts> {
  const { manifest, signal } = given;
  const { roles, extensions } = manifest;
  const facts = await given.worker.request("install-facts", { roles, extensions }, {
    deadlineMs: LOOK_DEADLINE_MS,
    signal,
  });
  const found = preflightProblems(manifest, facts);
  if (found.length === 0) return facts;
  const rule = "this host is not ready for it";
  throw new InstallRefusedError({ database: context.address.database, rule, found });
}

async function restore(
  context: DatabaseContext,
  given: {
    readonly options: DatabaseInstallOptions;
    readonly facts: InstallFacts;
    readonly payload: OpenPayload;
  },
): Promise<void> {
  const { options, payload } = given;
  const { address } = context;
  const database = conninfo(newDatabaseName(address.database));
  const version = given.facts.serverVersionNum;
  const tools = {
    pgRestore: await context.findTool("pg_restore", version),
  };
  const { compression = TRANSPORT_DEFAULTS.compression } = context.config;
  const zstd = compression === "zstd" ? await context.findTool("zstd") : null;
  const env = toolEnvironment({ address, appName: "relais-restore", pgOptions: RESTORE_OPTIONS });
  const user = await context.user();
  const tables = new TableCount(Object.keys(payload.manifest.rows).length);
  const input = payload.dump((bytes) =>
    options.onProgress({ phase: "restore", bytes, totalBytes: null, ...tables.progress })
  );
  const pipeline = startPipeline({
    stages: [
      // The configurations are the same on both hosts, or nothing arrives here.
      ...(zstd === null ? [] : [{ argv: [zstd, "-d", "-q", "-c"], env }]),
      {
        argv: [
          ...[tools.pgRestore, "--exit-on-error", "--verbose", "--no-tablespaces"],
          ...["-d", database],
        ],
        env,
        onErrorLine: (line) => tables.hear(line),
      },
    ],
    user,
    input,
    signal: deadline(options.signal, RESTORE_DEADLINE_MS),
    joint: zstd === null ? null : await joint(),
  });
  try {
    await drained(pipeline);
  } catch (error) {
    // A stream that was cut makes the programs fail: it is the cause, not what they say of it.
    throw payload.failure() ?? error;
  }
}

/** Statistics of the new database; without them the first calls after the swap would be slow. */
async function analyze(
  context: DatabaseContext,
  given: { readonly options: DatabaseInstallOptions; readonly facts: InstallFacts },
): Promise<void> {
  const { options, facts } = given;
  const { address } = context;
  const database = conninfo(newDatabaseName(address.database));
  const vacuumdb = await context.findTool("vacuumdb", facts.serverVersionNum);
  const env = toolEnvironment({ address, appName: "relais-restore", pgOptions: RESTORE_OPTIONS });
  options.onProgress({ phase: "analyze", bytes: 0, totalBytes: null });
  await drained(startPipeline({
    stages: [{ argv: [vacuumdb, "-q", "-Z", "-j2", "-d", database], env }],
    user: await context.user(),
    signal: deadline(options.signal, ANALYZE_DEADLINE_MS),
  }));
}

/** Proves and swaps. */
async function finish(
  context: DatabaseContext,
  given: {
    readonly worker: DatabaseWorker;
    readonly manifest: Manifest;
    readonly facts: InstallFacts;
    readonly options: DatabaseInstallOptions;
    readonly inspection: Inspection;
  },
): Promise<{ readonly detail: SetDetail }> {
  const { worker, manifest, facts, inspection } = given;
  const { signal, onProgress, confirm } = given.options;
  const { database } = context.address;
  onProgress({ phase: "verify", bytes: 0, totalBytes: null });
  const sameMajor =
    majorVersion(facts.serverVersionNum) === majorVersion(manifest.serverVersionNum);
  const local = await worker.request("carry-local", { localTables: context.config.localTables }, {
    deadlineMs: INSPECT_DEADLINE_MS,
    signal,
  });
  const properties = await worker.request("set-properties", manifest.properties, {
    deadlineMs: LOOK_DEADLINE_MS,
    signal,
  });
  const found = [
    ...copyDifferences(manifest, inspection, { sameMajor }),
    ...propertyDifferences(manifest.properties, properties),
  ];
  if (found.length > 0) {
    throw new InstallRefusedError({ database, rule: "it is not equal to its source", found });
  }
  const databaseOid = inspection.databaseOid ?? null;
  if (databaseOid !== null) await given.options.onProved?.({ manifest, databaseOid });
  await confirm();
  signal.throwIfAborted();
  onProgress({ phase: "swap", bytes: 0, totalBytes: null });
  // Not with the signal: a swap is done or not done, never broken off.
  const { swapMs } = await worker.request("swap", {}, { deadlineMs: SWAP_DEADLINE_MS });
  // The new one is live; freeing the old one's disk takes as long as the disk needs.
  onProgress({ phase: "drop", bytes: 0, totalBytes: null });
  const counts = Object.values(inspection.rows);
  return {
    detail: {
      tables: counts.length,
      rows: counts.reduce((sum, count) => sum + count, 0),
      local_tables: local.tables.length,
      swap_ms: swapMs,
      ...await dropOld(worker),
    },
  };
}

/** The copy is live already: an old one that stays for now is a remark, not a failure. */
async function dropOld(worker: DatabaseWorker): Promise<SetDetail> {
  try {
    await worker.request("drop-old", {}, { deadlineMs: DROP_DEADLINE_MS });
    return {};
  } catch (error) {
    const why = messageOf(error);
    return { old_database_kept: why.slice(0, 500).replaceAll(/\s+/g, " ") };
  }
}

/** After a failure; with a new worker, because the first may be what failed. */
async function dropNew(context: DatabaseContext, failed: DatabaseWorker): Promise<void> {
  await failed.close();
  try {
    const worker = DatabaseWorker.start(await context.worker());
    try {
      await worker.request("drop-new", {}, { deadlineMs: DROP_DEADLINE_MS });
    } finally {
      await worker.close();
    }
  } catch {
    // The server is away. The first error is the one to tell; the next installation, or the start of the
    // daemon, drops it.
  }
}

/** Waits for a chain that has nothing to say. */
async function drained(pipeline: Pipeline): Promise<void> {
  const ignored = pipeline.output.pipeTo(new WritableStream());
  const [, done] = await Promise.allSettled([ignored, pipeline.done]);
  if (done.status === "rejected") throw done.reason;
}

function deadline(signal: AbortSignal, ms: number): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(ms)]);
}
