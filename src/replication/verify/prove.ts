/**
 * The proof of the copies on this host (`relais verify`): reads everything, changes nothing.
 *
 * @module
 */

import type { LocalConfig } from "../../config/types.ts";
import { DATA_SET_NAMES, type DataSetName, type StateName } from "../../core/types.ts";
import type { Clock } from "../../os/clock.ts";
import { messageOf } from "../../os/errors.ts";
import { takeInventory } from "../astdb_inventory.ts";
import type { PostgresDatabase } from "../database.ts";
import { SetStates } from "../set_state.ts";
import type { Transport } from "../transport.ts";
import { type ChangedSince, compareDatabase } from "./compare_database.ts";
import { compareFiles, type OwnFile } from "./compare_files.ts";
import { databaseRecords } from "./database_record.ts";
import { forEachFile } from "../file_list.ts";
import { withoutSlash } from "../rsync_arguments.ts";
import { digestOf } from "./file_digest.ts";
import { MAX_SAMPLE } from "./file_sums_protocol.ts";
import type { ProofFinding } from "./finding.ts";
import { proveSpool } from "./spool_proof.ts";

/** Longest time of the parts, in ms. */
const DATABASE_MS = 30 * 60_000;
const FILES_MS = 15 * 60_000;

/** Where the services are at rest, so that the copies are as they were received. */
const AT_REST: readonly StateName[] = ["standby", "rejoining", "starting", "failed", "isolated"];

/** What {@linkcode proveCopies} works with. */
export interface ProveOptions {
  readonly config: LocalConfig;
  readonly stateDir: string;
  readonly clock: Clock;
  /** Null: no database is configured here. */
  readonly database: Pick<PostgresDatabase, "readLive"> | null;
  readonly transport: Transport;
  /** What the daemon says of this node; null: it does not answer. */
  readonly node: { readonly state: StateName; readonly epoch: number } | null;
  /** 32 hex digits: which files are compared. */
  readonly seed: string;
  readonly signal: AbortSignal;
  /** Told what is looked at next. */
  readonly onStep: (text: string) => void;
}

/** Looks at every configured set; a part that cannot be looked at is a finding. Throws on abort only. */
export async function proveCopies(options: ProveOptions): Promise<readonly ProofFinding[]> {
  const { config, stateDir, signal, onStep } = options;
  const findings: ProofFinding[] = [];
  const look = async (
    set: DataSetName,
    what: string,
    work: () => Promise<readonly ProofFinding[]>,
  ): Promise<void> => {
    onStep(`${set}: ${what}`);
    try {
      findings.push(...await work());
    } catch (cause) {
      signal.throwIfAborted();
      findings.push({ set, result: "unchecked", text: `could not check: ${messageOf(cause)}` });
    }
  };
  for (const set of DATA_SET_NAMES) {
    if (config.replication[set] === null) continue;
    await look(set, "copies in the spool", () => proveSpool(stateDir, set, signal));
    if (set === "astdb") await look(set, "the one in place", () => proveAstdb(options));
    if (set === "database") await look(set, "the live database", () => proveDatabase(options));
    if (set === "files") await look(set, "a sample of the files", () => proveFiles(options));
  }
  return findings;
}

/** The one in place is sound; no copy at all is a finding. */
async function proveAstdb(options: ProveOptions): Promise<readonly ProofFinding[]> {
  const { config, stateDir, clock, signal, node } = options;
  const atRest = node !== null && AT_REST.includes(node.state);
  const found = await takeInventory({ config, stateDir, clock, atRest, signal });
  const { path } = config.replication.astdb!;
  const place: ProofFinding = found.live !== null
    ? { set: "astdb", result: "equal", text: `${path} is sound` }
    : await exists(path)
    ? { set: "astdb", result: "different", text: `${path} is not usable: ${found.fault}` }
    : { set: "astdb", result: "skipped", text: `there is no ${path} yet: a takeover installs it` };
  if (found.received !== null || config.role === "master") return [place];
  return [place, { set: "astdb", result: "unchecked", text: "no copy was ever received" }];
}

async function proveDatabase(options: ProveOptions): Promise<readonly ProofFinding[]> {
  const { config, stateDir, database, signal } = options;
  const skip = (text: string): ProofFinding[] => [{ set: "database", result: "skipped", text }];
  if (config.role === "master") return skip("the master's own is the source");
  if (database === null) return skip("PostgreSQL is not used here");
  const records = await databaseRecords(stateDir);
  const newest = records[0] ?? null;
  const reading = { deadlineMs: DATABASE_MS, signal };
  const ask = (record: typeof newest): ReturnType<PostgresDatabase["readLive"]> =>
    database.readLive({
      excluded: record?.manifest.excluded ?? [],
      sums: record?.manifest.sums ?? [],
    }, reading);
  let live = await ask(newest);
  const record = records.find(({ databaseOid }) => databaseOid === live.databaseOid) ?? null;
  if (record === null) {
    const tables = Object.keys(live.rows).length;
    const text = `${tables} tables can be read, but there is no record of what this database was ` +
      "copied from: the next full copy makes one (relais sync database, on the host that serves)";
    return [{ set: "database", result: "unchecked", text }];
  }
  if (record !== newest) live = await ask(record);
  return compareDatabase(record, live, changedSince(options, record.header));
}

/** What may rightly have changed the database since its full copy. */
function changedSince(
  { config, stateDir, node }: ProveOptions,
  header: { readonly epoch: number; readonly snapshotWallMs: number },
): ChangedSince {
  // A node that serves writes; one that served since, or may have, did.
  if (node !== null && (!AT_REST.includes(node.state) || node.epoch > header.epoch)) {
    return "everything";
  }
  // Not every version knows the key.
  const { mode } = (config.replication.database ?? {}) as { readonly mode?: unknown };
  if (mode === "stream") return "everything";
  const states = new SetStates(stateDir, () => {});
  const later = DATA_SET_NAMES.some((set) =>
    !["astdb", "database", "files"].includes(set) &&
    (states.read(set, "received").snapshotWallMs ?? -1) >= header.snapshotWallMs
  );
  return later ? "configuration" : "nothing";
}

async function proveFiles(options: ProveOptions): Promise<readonly ProofFinding[]> {
  const { config, stateDir, transport, signal, seed, node } = options;
  const files = config.replication.files!;
  const skip = (text: string): ProofFinding[] => [{ set: "files", result: "skipped", text }];
  if (config.role === "master") return skip("the master's own are the source");
  if (node !== null && !AT_REST.includes(node.state)) {
    return skip(`this node is ${node.state}: its own files are the ones in use`);
  }
  const { snapshotWallMs } = new SetStates(stateDir, () => {}).read("files", "received");
  if (snapshotWallMs === null) {
    return [{ set: "files", result: "unchecked", text: "no copy was ever received" }];
  }
  const remote = await transport.openRemote(`file-sums ${seed} ${MAX_SAMPLE}`, {
    signal,
    deadlineMs: FILES_MS,
  });
  await remote.stdin.close().catch(() => {}); // It may have ended already; result() says why.
  const line = await transport.result(remote);
  if (!("fileSums" in line)) throw new Error("the peer gave no answer to file-sums");
  const { sample } = line.fileSums;
  const wanted = new Map(sample.map(({ path }, i) => [path, i]));
  const own: OwnFile[] = sample.map(() => null);
  // Only what the listing has is opened: the peer names no file of this host that is not declared.
  await forEachFile(files.paths.map(withoutSlash), files, signal, ({ path, size, mode }) => {
    const at = wanted.get(path);
    if (at !== undefined) own[at] = { size, mode, sha256: null };
  });
  for (const [i, mine] of own.entries()) {
    if (mine === null) continue;
    signal.throwIfAborted();
    const sha256 = await digestOf(sample[i]!.path).then((found) => found.sha256, () => null);
    own[i] = { ...mine, sha256 };
  }
  return compareFiles(sample, own, { copiedWallMs: snapshotWallMs });
}

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}
