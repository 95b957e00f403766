/**
 * `relais receive`: what the peer may run on this host through ssh (forced command). It takes a data set,
 * gives the astdb or tells facts about this host, and nothing else. Words and exit status: `remote_protocol.ts`.
 *
 * @module
 */

import type { LocalConfig } from "../config/types.ts";
import type { DataSetName } from "../core/types.ts";
import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { takeInventory } from "./astdb_inventory.ts";
import { ByteReader } from "./byte_reader.ts";
import { InstallRefusedError } from "./database_install.ts";
import type { DatabaseSource } from "./database_port.ts";
import type { TableSource } from "./tables_port.ts";
import { receiveLasting, receiveResume } from "./receive_lasting.ts";
import type { HostFacts } from "./host_facts.ts";
import { receiveStream } from "./logical/receive_stream.ts";
import type { StreamDatabase } from "./logical/stream_database.ts";
import { receiveTunnel } from "./logical/receive_tunnel.ts";
import { parseReceiveCommand, type ReceiveVerb } from "./receive_command.ts";
import { type ReceiveGate, RefusedError } from "./receive_gate.ts";
import { receivePut } from "./receive_put.ts";
import { giveReturnLists, receiveReturn as receiveReturnFiles } from "./receive_return.ts";
import { receiveRsync } from "./receive_rsync.ts";
import {
  type DaemonSelf,
  encodeRemoteLine,
  type Hello,
  RECEIVE_EXIT,
  type RemoteLine,
} from "./remote_protocol.ts";
import { receiveReturn } from "./return/receive_return.ts";
import type { ReturnDatabase } from "./return/return_database.ts";
import { SetStates } from "./set_state.ts";
import { sampleFiles } from "./verify/file_sample.ts";
import type { FileSums } from "./verify/file_sums_protocol.ts";
import { SetStreamError, writeSetStream } from "./stream.ts";

/** An order is one short line, and there when the connection is. */
const MAX_ORDER_BYTES = 4096;
const ORDER_IDLE_MS = 10_000;

/** What `relais receive` works with. */
export interface ReceiveContext {
  readonly config: LocalConfig;
  readonly stateDir: string;
  /** Where the daemon's sockets are. */
  readonly runDir: string;
  readonly clock: Clock;
  readonly gate: ReceiveGate;
  /** Null: no database is configured here. */
  readonly database: DatabaseSource | null;
  /** Null: no database is configured. */
  readonly tables: TableSource | null;
  /** The way back of the database; default: there is none. */
  readonly returning?: ReturnDatabase | null;
  /** For the stream; null: no database is configured here. */
  readonly streamDatabase: StreamDatabase | null;
  /** System user and role of the tunnel's connections; default: {@linkcode TUNNEL_USER}. */
  readonly tunnelUser?: string;
  /** Finds what `facts` answers; the key proofs are made over `nonce`. */
  readonly facts: (nonce: string) => Promise<HostFacts>;
  /** Carries out an order about the cluster key. @throws {RefusedError} and what stopped it otherwise */
  readonly key: (order: string) => Promise<object>;
  /** Standard input; not touched by `rsync`, which inherits it. */
  readonly input: () => ReadableStream<Uint8Array>;
  /** Longest silence of the sender of a set; default: 2 minutes. */
  readonly idleMs?: number;
  /** Writes to standard output; rejects when the caller is gone. */
  readonly write: (bytes: Uint8Array) => Promise<void>;
  /** Writes to standard error. */
  readonly warn: (text: string) => void;
  /** Aborts when the process is asked to end. */
  readonly signal: AbortSignal;
}

/**
 * Does what `command` (the text of `SSH_ORIGINAL_COMMAND`) asks for.
 *
 * @returns the exit status, see {@linkcode RECEIVE_EXIT}
 */
export async function receive(command: string, context: ReceiveContext): Promise<number> {
  const verb = parseReceiveCommand(command);
  if (!("refused" in verb) && verb.verb === "put" && verb.id !== undefined) {
    return await receiveLasting(verb.set, verb.id, context, (inner) => answer(verb, inner));
  }
  return await answer(verb, context);
}

async function answer(
  verb: ReturnType<typeof parseReceiveCommand>,
  context: ReceiveContext,
): Promise<number> {
  const gate = watched(context.gate);
  try {
    if ("refused" in verb) throw new RefusedError(verb.refused);
    return await perform(verb, { ...context, gate });
  } catch (cause) {
    const reason = messageOf(cause);
    const kind = cause instanceof RefusedError || cause instanceof InstallRefusedError
      ? "refused"
      : cause instanceof SetStreamError
      ? "badData"
      : "failed";
    context.warn(reason);
    await tellDaemon(verb, { kind, reason, gate });
    const silent = !("refused" in verb) &&
      (["rsync", "get", "database-tunnel"].includes(verb.verb) ||
        (verb.verb === "return" && verb.what === "list"));
    // In those, standard output belongs to another protocol. Otherwise the caller may be gone.
    if (!silent) await say(context, { ok: false, kind, reason }).catch(() => {});
    return RECEIVE_EXIT[kind];
  }
}

/** Remembers whether the daemon knows how it ended. */
function watched(gate: ReceiveGate): ReceiveGate & { readonly knows: boolean } {
  let knows = false;
  return {
    get knows(): boolean {
      return knows;
    },
    whoAmI: () => gate.whoAmI(),
    begin: async (header) => {
      const permission = await gate.begin(header);
      if (!permission.ok) knows = true;
      return permission;
    },
    confirm: (header) => gate.confirm(header),
    end: async (outcome) => {
      await gate.end(outcome);
      knows = true;
    },
    refused: async (what) => await gate.refused?.(what),
  };
}

/** What was refused before the daemon was asked stands in the history of this host, too. */
async function tellDaemon(
  verb: ReturnType<typeof parseReceiveCommand>,
  { kind, reason, gate }: {
    readonly kind: "refused" | "badData" | "failed";
    readonly reason: string;
    readonly gate: ReturnType<typeof watched>;
  },
): Promise<void> {
  if (gate.knows) return;
  const set = "refused" in verb
    ? null
    : verb.verb === "put"
    ? verb.set
    : verb.verb === "rsync"
    ? "files"
    : null;
  if (set === null && kind !== "refused") return; // A question that found no answer.
  // The sender hears of it in any case; a daemon that does not answer is why, more often than not.
  await gate.refused?.({ set, reason: reason.slice(0, 4000) }).catch(() => {});
}

async function perform(verb: ReceiveVerb, context: ReceiveContext): Promise<number> {
  switch (verb.verb) {
    case "hello":
      await say(context, await hello(context));
      return RECEIVE_EXIT.ok;
    case "facts": {
      const facts = await context.facts(verb.nonce);
      // The clock is read last: the asker compares it with its own at the arrival of the line.
      await say(context, { ok: true, facts, wallMs: context.clock.wallMs() });
      return RECEIVE_EXIT.ok;
    }
    case "key":
      await say(context, { ok: true, key: await context.key(await readOrderLine(context)) });
      return RECEIVE_EXIT.ok;
    case "put":
      await say(context, { ok: true, ...await receivePut(verb.set, context) });
      return RECEIVE_EXIT.ok;
    case "resume":
      await receiveResume(verb, context);
      return RECEIVE_EXIT.ok;
    case "get":
      await giveAstdb(context);
      return RECEIVE_EXIT.ok;
    case "return":
      if (verb.what === "list") await giveReturnLists(context);
      else if (verb.what === "apply") {
        await say(context, { ok: true, ...await receiveReturnFiles(context) });
      } else await say(context, { ok: true, returned: await receiveReturn(context) });
      return RECEIVE_EXIT.ok;
    case "database-tunnel":
      return await receiveTunnel(verb.peer, context);
    case "stream":
      await say(context, { ok: true, stream: await receiveStream(verb.peer, context) });
      return RECEIVE_EXIT.ok;
    case "file-sums":
      await say(context, await fileSums(verb, context));
      return RECEIVE_EXIT.ok;
    case "rsync":
      return await receiveRsync(verb, context);
  }
}

async function readOrderLine({ input, clock, signal }: ReceiveContext): Promise<string> {
  const lines = new ByteReader(input(), { clock, idleMs: ORDER_IDLE_MS, signal });
  return new TextDecoder().decode(await lines.readLine(MAX_ORDER_BYTES));
}

/** Writes one line of the protocol. */
async function say(context: Pick<ReceiveContext, "write">, line: RemoteLine): Promise<void> {
  await context.write(encodeRemoteLine(line));
}

/** Reads a sample of the declared files; the caller hears something before each. */
async function fileSums(
  { seed, count }: { readonly seed: string; readonly count: number },
  context: ReceiveContext,
): Promise<FileSums> {
  const { config: { replication: { files } }, signal } = context;
  if (files === null) {
    throw new RefusedError("Cannot read files as replication.files is not configured here");
  }
  const fileSums = await sampleFiles(files, {
    seed,
    count,
    signal,
    onFile: (done) =>
      say(context, { progress: { phase: "digest", bytes: done, totalBytes: null } }),
  });
  return { ok: true, fileSums };
}

async function daemonSelf(context: ReceiveContext): Promise<DaemonSelf | null> {
  try {
    return await context.gate.whoAmI();
  } catch (cause) {
    context.warn(`The relais daemon here does not answer: ${cause}`);
    return null;
  }
}

async function hello(context: ReceiveContext): Promise<Hello> {
  const { config, stateDir, clock, signal } = context;
  const daemon = await daemonSelf(context);
  const atRest = daemon !== null && !daemon.serving;
  const found = await takeInventory({ config, stateDir, clock, atRest, signal });
  const states = new SetStates(stateDir, (path, why) => context.warn(`${path}: ${why}`));
  const received: Record<string, Hello["received"][DataSetName]> = {};
  for (const set of ["astdb", "database", "files"] as const) {
    if (config.replication[set] === null) continue;
    const { snapshotWallMs, epoch, lastError } = states.read(set, "received");
    received[set] = { snapshotWallMs, epoch, lastError };
  }
  return {
    ok: true,
    role: config.role,
    fingerprint: config.fingerprint,
    daemon: daemon && { state: daemon.state, epoch: daemon.epoch, serving: daemon.serving },
    astdb: {
      live: found.live?.stamp ?? null,
      received: found.received?.stamp ?? null,
      newest: found.newest,
      fault: found.fault,
    },
    received,
  };
}

/** Streams the newest astdb of this host. */
async function giveAstdb(context: ReceiveContext): Promise<void> {
  const { config, stateDir, clock, signal } = context;
  const daemon = await daemonSelf(context);
  const atRest = daemon !== null && !daemon.serving;
  const found = await takeInventory({ config, stateDir, clock, atRest, signal });
  const { live, received, newest } = found;
  const sink = new WritableStream<Uint8Array>({ write: (chunk) => context.write(chunk) });
  const options = { clock, signal };
  if (newest === "live" && live !== null) {
    const { snapshot, stamp } = live;
    const { epoch, origin } = stamp;
    const header = {
      version: 1,
      set: "astdb",
      epoch,
      origin,
      snapshotWallMs: stamp.snapshotWallMs,
      fingerprint: config.fingerprint,
      detail: { format: snapshot.format, where: "live" },
    } as const;
    await writeSetStream(sink, header, ReadableStream.from([snapshot.bytes]), options);
  } else if (newest === "received" && received !== null) {
    const { path, header } = received.generation;
    const file = await Deno.open(path, { read: true });
    await writeSetStream(sink, header, file.readable, options);
  } else {
    throw new Error(
      `Cannot give an astdb as there is none here: ${found.fault ?? "none received"}`,
    );
  }
}
