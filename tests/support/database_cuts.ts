/**
 * Cuts copies of a database at random moments and at random bytes, and looks after each whether the standby
 * still has exactly one complete database: the one before or the whole new one, by a hash of every row,
 * sequence and large object. Everything random comes from one seed.
 *
 * @module
 */

import assert from "node:assert/strict";
import { addNoise, databasePair, eventually, LIVE } from "./database_pair.ts";
import type { DatabaseHost, DatabasePair } from "./database_pair.ts";
import { transferDatabase } from "./database_transfer.ts";
import type { Transfer, TransferOptions } from "./database_transfer.ts";
import { childrenOf } from "./postgres.ts";
import { XIVO_LOCAL_TABLES } from "./xivo_database.ts";

/** What is cut. */
export const CUT_KINDS = [
  "line", // the stream ends at a byte
  "changed byte",
  "stalled line", // the stream pauses at a byte, then the receiver dies
  "receiver",
  "receiver's worker",
  "pg_restore",
  "zstd of the receiver",
  "sender's worker",
  "pg_dump",
  "zstd of the sender",
  "slave's server",
  "master's server",
  "permission",
  "disk full",
] as const;
/** See {@linkcode CUT_KINDS}. */
export type CutKind = typeof CUT_KINDS[number];

/** What became of one cut. */
export interface CutResult {
  readonly number: number;
  readonly kind: CutKind;
  /** Where: a byte, or milliseconds after the start. */
  readonly at: string;
  /** Whether the copy was told to have gone well. */
  readonly copied: boolean;
  /** What the standby has; `lost` is what must never be. */
  readonly standby: "old" | "new" | "lost";
  readonly why: string;
}

/** Options of {@linkcode randomCuts}. */
export interface CutOptions {
  readonly seed: number;
  readonly count: number;
  /** Directory on a small file system, for the slave; null: no cut fills the disk. */
  readonly smallDisk: string | null;
  readonly onCut: (result: CutResult) => void;
}

const DEADLINE_MS = 120_000;

/** Cuts `count` copies; each kind in its turn. */
export async function randomCuts(options: CutOptions): Promise<void> {
  const random = generator(options.seed);
  await using pair = await databasePair({
    rows: 3000,
    ...(options.smallDisk === null ? {} : { slaveDirectory: `${options.smallDisk}/slave` }),
  });
  await addNoise(pair.master);
  const signal = AbortSignal.timeout(DEADLINE_MS);
  await transferDatabase(pair, { signal, paceBytesPerSecond: null });
  // The second time the code is compiled and the tables are warm.
  const whole = await transferDatabase(pair, { signal, paceBytesPerSecond: null });
  let fresh = await expected(pair);
  const kinds = CUT_KINDS.filter((kind) => kind !== "disk full" || options.smallDisk !== null);
  for (let number = 1; number <= options.count; number++) {
    const kind = kinds[(number - 1) % kinds.length]!;
    const share = random();
    await pair.slave.cluster.psql(LIVE, `UPDATE context SET displayname = 'before ${number}'`);
    const old = await contents(pair.slave);
    const cut = await copyCut(pair, { kind, share, whole, smallDisk: options.smallDisk });
    // A server that recovers from its death gives its sequences other values: both may have been copied.
    const later = await expected(pair);
    const standby = await judge(pair, { ...cut, old, fresh: [fresh, later] });
    fresh = later;
    options.onCut({ number, kind, ...cut, ...standby });
  }
}

/** One copy that is disturbed; the servers and the disk are well again afterwards. */
async function copyCut(
  pair: DatabasePair,
  given: {
    readonly kind: CutKind;
    readonly share: number;
    readonly whole: Transfer;
    readonly smallDisk: string | null;
  },
): Promise<{ readonly at: string; readonly copied: boolean; readonly why: string }> {
  const { kind, share, whole } = given;
  const byte = Math.floor(share * whole.size);
  const ms = Math.floor(share * whole.ms);
  let receiver: Deno.ChildProcess | null = null;
  const over = new AbortController();
  const after = async (work: () => Promise<void>): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, ms));
    if (!over.signal.aborted) await work();
  };
  const options: TransferOptions = {
    signal: AbortSignal.timeout(DEADLINE_MS),
    paceBytesPerSecond: null,
    onReceiver: (child) => receiver = child,
    ...wireOf(kind, byte, () => receiver),
  };
  const ballast = `${given.smallDisk}/ballast`;
  const base = `${pair.slave.cluster.dataDirectory}/base`;
  if (kind === "permission") await Deno.chmod(base, 0o500);
  const disturbing = after(async () => {
    switch (kind) {
      case "receiver":
        return kill(receiver?.pid ?? null);
      case "receiver's worker":
        return kill(await below(receiver?.pid ?? 0, "database-worker"));
      case "pg_restore":
        return kill(await below(receiver?.pid ?? 0, "pg_restore"));
      case "zstd of the receiver":
        return kill(await below(receiver?.pid ?? 0, "zstd"));
      case "sender's worker":
        return kill(await below(Deno.pid, "database-worker", receiver?.pid));
      case "pg_dump":
        return kill(await below(Deno.pid, "pg_dump", receiver?.pid));
      case "zstd of the sender":
        return kill(await below(Deno.pid, "zstd", receiver?.pid));
      case "slave's server":
        return await pair.slave.cluster.kill();
      case "master's server":
        return await pair.master.cluster.kill();
      case "disk full":
        return await fill(ballast);
    }
  });
  let why = "";
  try {
    await transferDatabase(pair, options);
  } catch (error) {
    why = String((error as Error).message).replaceAll(/\s+/g, " ").slice(0, 300);
  }
  over.abort();
  await disturbing;
  if (kind === "permission") await Deno.chmod(base, 0o700);
  if (kind === "disk full") await Deno.remove(ballast).catch(() => {}); // Too late to be made.
  for (const { cluster } of [pair.master, pair.slave]) await wellAgain(cluster);
  const atByte = kind === "line" || kind === "changed byte" || kind === "stalled line";
  const at = kind === "permission" ? "the start" : atByte ? `byte ${byte}` : `${ms} ms`;
  return { at, copied: why === "", why };
}

/** The standby as it is found, and once more as relais leaves it when it starts. */
async function judge(
  pair: DatabasePair,
  found: {
    readonly copied: boolean;
    readonly why: string;
    readonly old: string;
    readonly fresh: readonly string[];
  },
): Promise<{ readonly standby: CutResult["standby"]; readonly why: string }> {
  const { slave } = pair;
  const look = async (): Promise<CutResult["standby"]> => {
    const now = await contents(slave).catch(() => "");
    if (found.fresh.includes(now)) return "new";
    return now === found.old && !found.copied ? "old" : "lost";
  };
  const before = await look();
  await slave.source().cleanupLeftovers();
  const standby = await look();
  const left = await slave.databases();
  if (before !== standby || left.length !== 1) {
    const why = `${before} before, ${standby} after the clean-up, with ${left.join(", ")}`;
    return { standby: "lost", why: `${why}; ${found.why}` };
  }
  return { standby, why: found.why };
}

/** What happens to the bytes on their way. */
function wireOf(
  kind: CutKind,
  byte: number,
  receiver: () => Deno.ChildProcess | null,
): Partial<TransferOptions> {
  if (kind !== "line" && kind !== "changed byte" && kind !== "stalled line") return {};
  return {
    wire: (payload) => {
      let passed = 0;
      return payload.pipeThrough(
        new TransformStream<Uint8Array, Uint8Array>({
          async transform(chunk, controller): Promise<void> {
            const from = passed;
            passed += chunk.length;
            if (byte < from || byte >= passed) return controller.enqueue(chunk);
            if (kind === "changed byte") {
              const changed = chunk.slice();
              changed[byte - from]! ^= 0x10;
              return controller.enqueue(changed);
            }
            controller.enqueue(chunk.slice(0, byte - from));
            if (kind === "stalled line") {
              await new Promise((resolve) => setTimeout(resolve, 300));
              kill(receiver()?.pid ?? null);
            }
            controller.terminate();
          },
        }),
      );
    },
  };
}

/** What the slave has after a good copy: all of the master's, but its own tables and their sequences. */
async function expected(pair: DatabasePair): Promise<string> {
  const [from, own] = [await pair.master.contents(), await pair.slave.contents()];
  const local = Object.entries(own).filter(([name]) =>
    XIVO_LOCAL_TABLES.some((table) => name === table || name === `${table}_id_seq`)
  );
  return hashed({ ...from, ...Object.fromEntries(local) });
}

/** Hash of everything that the slave has. */
async function contents(host: DatabaseHost): Promise<string> {
  return hashed(await host.contents());
}

/** In one order, without what PostgreSQL empties after a crash by design. */
function hashed(contents: Readonly<Record<string, string>>): string {
  const all = { ...contents, session_cache: "unlogged" };
  return JSON.stringify(Object.entries(all).sort(([a], [b]) => a < b ? -1 : 1));
}

/** Starts a server that was killed, or that a full disk ended, again. */
async function wellAgain(cluster: DatabaseHost["cluster"]): Promise<void> {
  const answers = (): Promise<boolean> =>
    cluster.psql("postgres", "SELECT 1").then(() => true, () => false);
  if (await answers()) return;
  const pid = await cluster.postmasterPid().catch(() => null);
  if (pid !== null && await Deno.stat(`/proc/${pid}`).catch(() => null) !== null) {
    // It recovers by itself from the death of one of its processes.
    await eventually("the server answers", answers);
    return;
  }
  await cluster.boot();
}

/** Takes every block of the file system that is left. */
async function fill(path: string): Promise<void> {
  const file = await Deno.open(path, { write: true, create: true });
  const block = new Uint8Array(1_000_000);
  try {
    for (let n = 0; n < 4000; n++) await file.write(block);
  } catch (error) {
    assert.equal((error as { code?: string }).code, "ENOSPC");
  } finally {
    file.close();
  }
}

/** Process id of a descendant by its program or verb; `but` and what is below it are left out. */
async function below(parent: number, program: string, but?: number): Promise<number | null> {
  for (const pid of await childrenOf(parent)) {
    if (pid === but) continue;
    const name = await Deno.readTextFile(`/proc/${pid}/comm`).catch(() => "");
    const line = await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "");
    if (name.trim() === program || line.includes(`\0${program}\0`)) return pid;
    const deeper = await below(pid, program, but);
    if (deeper !== null) return deeper;
  }
  return null;
}

function kill(pid: number | null): void {
  try {
    if (pid !== null) Deno.kill(pid, "SIGKILL");
  } catch {
    // It has just ended by itself.
  }
}

/** Numbers from 0 to 1 (mulberry32). */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
