/**
 * The ways of an astdb between the hosts: sent while this host serves, sent at rest, fetched if the peer's
 * is newer, put in place from the spool.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { LocalConfig } from "../config/types.ts";
import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { detectFormat } from "./astdb_format.ts";
import { AstdbInstallError, installAstdb } from "./astdb_install.ts";
import { stampGeneration, takeInventory, workDirectory } from "./astdb_inventory.ts";
import { isPeerAstdbNewer } from "./astdb_newer.ts";
import { writeAstdbOrigin } from "./astdb_origin.ts";
import { keepLocalKeys } from "./astdb_local_keys.ts";
import { type AstdbSnapshot, MAX_ASTDB_BYTES, readAstdb } from "./astdb_read.ts";
import { removeIfThere } from "../os/durable_file.ts";
import { putSet } from "./put_set.ts";
import { inspectAstdb } from "./receive_put.ts";
import type { OnProgress, SetHeader } from "./set_header.ts";
import type { SetSuccess } from "./set_state.ts";
import { type Generation, Spool } from "./spool.ts";
import { readSetStream } from "./stream.ts";
import { type Transport, whyCut } from "./transport.ts";

const SEND_DEADLINE_MS = 60_000;
const FETCH_DEADLINE_MS = 60_000;

/** What every way needs. */
export interface AstdbCopyContext {
  readonly config: LocalConfig;
  readonly stateDir: string;
  readonly clock: Clock;
  readonly transport: Transport;
  readonly signal: AbortSignal;
}

/** A copy that arrived at the peer, and the file it was taken of. */
export interface SentAstdb extends Omit<SetSuccess, "durationMs"> {
  /** `astdbSignature` of the file. */
  readonly signature: string;
}

/**
 * Sends the astdb of this host, which serves (or has just stopped: `atRest`).
 *
 * @throws when there is no sound astdb here, or the peer did not take it
 */
export async function sendAstdb(
  context: AstdbCopyContext,
  options: { readonly epoch: number; readonly atRest: boolean; readonly onProgress: OnProgress },
): Promise<SentAstdb> {
  const { config, stateDir, clock, transport, signal } = context;
  const { path } = config.replication.astdb!;
  const { epoch, atRest, onProgress } = options;
  const workDir = workDirectory(stateDir);
  const result = await readAstdb({ path, workDir, clock, signal, atRest });
  if (!result.ok) throw new Error(`Cannot copy the astdb as ${result.reason}`);
  const { bytes, format, sha256, signature } = result.snapshot;
  const header: SetHeader = {
    version: 1,
    set: "astdb",
    epoch,
    origin: config.role,
    snapshotWallMs: Math.floor(result.snapshot.snapshotWallMs),
    fingerprint: config.fingerprint,
    detail: { format, where: atRest ? "rest" : "live" },
  };
  await putSet({
    transport,
    clock,
    header,
    payload: ReadableStream.from([bytes]),
    totalBytes: bytes.length,
    scheduled: !atRest,
    signal,
    deadlineMs: SEND_DEADLINE_MS,
    onProgress,
  });
  const { origin, snapshotWallMs } = header;
  return { epoch, origin, snapshotWallMs, size: bytes.length, sha256, signature };
}

interface InstallContext extends Omit<AstdbCopyContext, "transport"> {
  readonly warn?: (message: string) => void;
}

/** What was put in place, or why nothing was. */
export interface InstallOutcome {
  readonly installed: boolean;
  readonly why: string;
  /** How long ago the copy had arrived; null when nothing was installed. */
  readonly ageMs: number | null;
}

/**
 * Puts the newest received copy in place if it is newer than the file there. The services must be
 * stopped. A damaged generation is passed over for the one before.
 *
 * @throws when the place can't be written (disk full, no directory)
 */
export async function installReceived(
  context: Omit<AstdbCopyContext, "transport">,
  warn: (message: string) => void,
): Promise<InstallOutcome> {
  const { config, stateDir, clock } = context;
  const generations = await new Spool(stateDir, "astdb").generations();
  if (generations.length === 0) {
    return { installed: false, why: "no astdb of the peer was ever received", ageMs: null };
  }
  const inventory = await takeInventory({ ...context, atRest: true });
  const live = inventory.live?.stamp ?? null;
  let why = "every received astdb is damaged";
  for (const generation of generations) {
    const stamp = stampGeneration(generation);
    const decision = isPeerAstdbNewer({ me: config.role, live }, stamp);
    if (live?.sha256 === stamp.sha256 && stamp.epoch >= live.epoch) {
      const fileSha256 = inventory.live!.snapshot.sha256;
      await rememberInstalled(stateDir, generation, fileSha256); // An installation was cut before its record.
    }
    if (!decision.newer) return { installed: false, why: decision.why, ageMs: null };
    try {
      await install({ ...context, warn }, generation, inventory.live?.snapshot ?? null);
      const ageMs = Math.max(0, clock.wallMs() - generation.receivedWallMs);
      return { installed: true, why: decision.why, ageMs };
    } catch (cause) {
      if (!(cause instanceof AstdbInstallError)) throw cause;
      warn(cause.message);
      why = cause.message;
    }
  }
  return { installed: false, why, ageMs: null };
}

/** What came of {@linkcode fetchIfNewer}. */
export interface FetchOutcome {
  /** The peer's was newer and is now in place here. */
  readonly fetched: boolean;
  /** The peer answered: its astdb is known not to be newer (or now here). */
  readonly asked: boolean;
  readonly why: string;
}

/**
 * M4: asks the peer and, if its astdb is newer, gets it into the spool and puts it in place. The services
 * must be stopped. A peer that can't be asked is an expected outcome, not an error.
 *
 * @throws on abort, and when this host can't write
 */
export async function fetchIfNewer(context: AstdbCopyContext): Promise<FetchOutcome> {
  const { config, transport, signal } = context;
  let hello;
  try {
    hello = await transport.hello({ signal });
  } catch (cause) {
    signal.throwIfAborted();
    return { fetched: false, asked: false, why: messageOf(cause) };
  }
  const no = (why: string): FetchOutcome => ({ fetched: false, asked: true, why });
  if (hello.role === config.role) {
    return no(`the peer says that it is the ${hello.role}, as we are`);
  }
  if (hello.fingerprint !== config.fingerprint) return no("the configurations of the hosts differ");
  const candidate = hello.astdb.newest === null ? null : hello.astdb[hello.astdb.newest];
  if (candidate === null) return no(`the peer has no astdb: ${hello.astdb.fault ?? "none"}`);
  const inventory = await takeInventory({ ...context, atRest: true });
  const live = inventory.live?.stamp ?? null;
  const decision = isPeerAstdbNewer({ me: config.role, live }, candidate);
  if (!decision.newer) return no(decision.why);
  try {
    const generation = await getAstdb(context);
    await install(context, generation, inventory.live?.snapshot ?? null);
  } catch (cause) {
    signal.throwIfAborted();
    return no(`the peer's is newer (${decision.why}) but: ${messageOf(cause)}`);
  }
  return { fetched: true, asked: true, why: decision.why };
}

/** Gets the peer's newest astdb into the spool. */
async function getAstdb(context: AstdbCopyContext): Promise<Generation> {
  const { config, stateDir, clock, transport, signal } = context;
  const remote = await transport.openRemote("get astdb", { signal, deadlineMs: FETCH_DEADLINE_MS });
  await remote.stdin.close().catch(() => {}); // If it ended already, reading says so.
  try {
    const incoming = await readSetStream(remote.stdout, { clock });
    const { header } = incoming;
    if (header.set !== "astdb" || header.fingerprint !== config.fingerprint) {
      throw new Error("Cannot take what the peer gave as it is no astdb of this configuration");
    }
    const generation = await new Spool(stateDir, "astdb").receive(incoming, {
      wallMs: () => clock.wallMs(),
      maxBytes: MAX_ASTDB_BYTES,
      signal,
      inspect: inspectAstdb,
    });
    await remote.stdout.cancel().catch(() => {}); // Nothing may follow the trailer; done tells.
    await remote.done;
    return generation;
  } catch (cause) {
    throw await whyCut(remote, { cause, clock, signal });
  }
}

/** Puts a generation in place; `live`: what lies there, for the keys that stay this host's own. */
async function install(
  { config, stateDir, warn }: InstallContext,
  generation: Generation,
  live: AstdbSnapshot | null,
): Promise<void> {
  const { path, localKeys } = config.replication.astdb!;
  const { sha256 } = generation.trailer;
  const format = detectFormat(await Deno.readFile(generation.path));
  if (localKeys.length === 0 || format !== "sqlite") {
    if (localKeys.length > 0 && format === "berkeley") {
      warn?.(
        "local_keys have no effect: a Berkeley DB is put in place as it is, the peer's keys too",
      );
    }
    await installAstdb({ path, from: generation.path, sha256 });
    await rememberInstalled(stateDir, generation, sha256);
    return;
  }
  const own = live !== null && live.format === "sqlite" ? live.bytes : null;
  const workDir = workDirectory(stateDir);
  // What is damaged is told in the words of an installation: the generation before is tried then.
  const made = await keepLocalKeys({ from: generation.path, own, patterns: localKeys, workDir })
    .catch((cause) => {
      throw new AstdbInstallError(messageOf(cause), { cause });
    });
  try {
    const fileSha256 = createHash("sha256").update(await Deno.readFile(made)).digest("hex");
    await installAstdb({ path, from: made, sha256: fileSha256 });
    await rememberInstalled(stateDir, generation, fileSha256);
  } finally {
    await removeIfThere(made);
  }
}

async function rememberInstalled(
  stateDir: string,
  generation: Generation,
  fileSha256: string,
): Promise<void> {
  const { epoch, origin, snapshotWallMs } = generation.header;
  const { sha256 } = generation.trailer;
  const changed = fileSha256 === sha256 ? {} : { fileSha256 };
  await writeAstdbOrigin(stateDir, {
    epoch,
    installed: { origin, snapshotWallMs, sha256, ...changed },
  });
}
