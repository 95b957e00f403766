/**
 * Where received copies rest: `<stateDir>/spool/<set>/`. A copy is received into `in.<pid>.<n>.part`, flushed, and
 * becomes a generation `<epoch>-<snapshotWallMs>-<sha8>` (with a `.json` beside it) by rename only when
 * it is whole. Old generations are removed; a failure leaves the previous ones untouched.
 *
 * @module
 */

import { join } from "node:path";
import { z } from "zod";
import type { DataSetName } from "../core/types.ts";
import { writeAll } from "../os/write_all.ts";
import { removeIfThere, syncPath, writeFileAtomically } from "../os/durable_file.ts";
import {
  type OnProgress,
  type SetHeader,
  setHeaderSchema,
  type SetTrailer,
  setTrailerSchema,
} from "./set_header.ts";
import type { IncomingSet } from "./stream.ts";

/** How many generations of each set are kept; single tables and files go straight to their place. */
const GENERATIONS_KEPT: Readonly<Record<DataSetName, number>> = {
  astdb: 5,
  database: 1,
  config: 0,
  hot: 0,
  files: 1,
};

/** A part that nothing was written to for this long belongs to nobody. */
const PART_STALE_MS = 600_000;
/** Numbers the parts of this process. */
let partCount = 0;

/** A received copy that is whole and whose digest was right. */
export interface Generation {
  /** Absolute path of the payload. */
  readonly path: string;
  readonly header: SetHeader;
  readonly trailer: SetTrailer;
  /** When it was complete, on this host's wall clock. */
  readonly receivedWallMs: number;
}

const sidecarSchema = z.object({
  header: setHeaderSchema,
  trailer: setTrailerSchema,
  receivedWallMs: z.number(),
});

/** A copy could not be received; previous ones are untouched. */
export class SpoolError extends Error {
  override readonly name = "SpoolError";
}

/** Options of {@linkcode Spool.receive}. */
export interface SpoolReceiveOptions {
  readonly wallMs: () => number;
  /** Largest payload accepted, in bytes. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  /** Checks the flushed file before it becomes a generation; a rejection refuses it. */
  readonly inspect?: (path: string) => Promise<void>;
}

/**
 * The spool of one set. Two processes may receive at once (the daemon fetches while the peer puts): each
 * writes its own part.
 */
export class Spool {
  readonly directory: string;
  readonly #set: DataSetName;

  constructor(stateDir: string, set: DataSetName) {
    this.#set = set;
    this.directory = join(stateDir, "spool", set);
  }

  /** Makes the directory (0700) and removes what killed receptions left. */
  async prepare(): Promise<void> {
    await Deno.mkdir(this.directory, { recursive: true, mode: 0o700 });
    for (const name of await this.#names()) {
      const path = join(this.directory, name);
      if (name.endsWith(".part") && await isAbandoned(path)) await removeIfThere(path);
    }
  }

  /**
   * Receives one copy.
   *
   * @throws {SpoolError} when the disk is full or the copy is too large; what the stream and `inspect`
   * throw; previous generations stay as they were in every case
   */
  async receive(incoming: IncomingSet, options: SpoolReceiveOptions): Promise<Generation> {
    const part = join(this.directory, `in.${Deno.pid}.${++partCount}.part`);
    try {
      await this.prepare();
      await this.#fill(part, incoming, options);
      const trailer = await incoming.done;
      await options.inspect?.(part);
      options.signal?.throwIfAborted();
      return await this.#adopt(part, incoming.header, trailer, options.wallMs());
    } catch (cause) {
      await incoming.payload.cancel(cause).catch(() => {}); // Already ended or failed.
      await removeIfThere(part);
      throw nameDiskTrouble(cause, this.#set, this.directory);
    }
  }

  /** Every whole generation: highest epoch, then last received, first; damaged ones are left out. */
  async generations(): Promise<readonly Generation[]> {
    const found: Generation[] = [];
    for (const name of await this.#names()) {
      if (!name.endsWith(".json")) continue;
      const generation = await this.#readSidecar(name);
      if (generation !== null) found.push(generation);
    }
    return found.sort((a, b) =>
      b.header.epoch - a.header.epoch || b.receivedWallMs - a.receivedWallMs
    );
  }

  async #fill(part: string, incoming: IncomingSet, options: SpoolReceiveOptions): Promise<void> {
    const file = await Deno.open(part, { write: true, createNew: true, mode: 0o600 });
    try {
      let size = 0;
      const reader = incoming.payload.getReader();
      try {
        for (;;) {
          options.signal?.throwIfAborted();
          const { value, done } = await reader.read();
          if (done) break;
          size += value.length;
          if (size > options.maxBytes) throw tooLarge(this.#set, options.maxBytes);
          await writeAll(file, value);
          options.onProgress?.({ phase: "receive", bytes: size, totalBytes: null });
        }
      } finally {
        reader.releaseLock();
      }
      await file.sync();
    } finally {
      file.close();
    }
  }

  async #adopt(
    part: string,
    header: SetHeader,
    trailer: SetTrailer,
    receivedWallMs: number,
  ): Promise<Generation> {
    const name = `${header.epoch}-${header.snapshotWallMs}-${trailer.sha256.slice(0, 8)}`;
    const path = join(this.directory, name);
    const sidecar = JSON.stringify({ header, trailer, receivedWallMs }) + "\n";
    await writeFileAtomically(`${path}.json`, sidecar);
    await Deno.rename(part, path);
    await syncPath(this.directory);
    await this.#prune();
    return { path, header, trailer, receivedWallMs };
  }

  /** Keeps the newest generations; removes everything else that is ours to remove. */
  async #prune(): Promise<void> {
    const kept = (await this.generations()).slice(0, GENERATIONS_KEPT[this.#set]);
    const names = new Set(kept.flatMap(({ path }) => [path, `${path}.json`]));
    for (const name of await this.#names()) {
      const path = join(this.directory, name);
      if (!names.has(path) && !name.endsWith(".part")) await removeIfThere(path);
    }
  }

  async #readSidecar(name: string): Promise<Generation | null> {
    const path = join(this.directory, name.slice(0, -".json".length));
    try {
      const text = await Deno.readTextFile(`${path}.json`);
      const sidecar = sidecarSchema.parse(JSON.parse(text));
      const info = await Deno.lstat(path);
      const whole = info.isFile && info.size === sidecar.trailer.size;
      return whole && sidecar.header.set === this.#set ? { path, ...sidecar } : null;
    } catch {
      return null; // Interrupted or damaged: not a generation; #prune removes it.
    }
  }

  async #names(): Promise<readonly string[]> {
    try {
      const names: string[] = [];
      for await (const entry of Deno.readDir(this.directory)) {
        if (entry.isFile) names.push(entry.name);
      }
      return names;
    } catch (cause) {
      if (cause instanceof Deno.errors.NotFound) return [];
      throw cause;
    }
  }
}

/** Whether the process that wrote a part is gone. */
async function isAbandoned(path: string): Promise<boolean> {
  const pid = /in\.([0-9]+)\.[0-9]+\.part$/.exec(path)?.[1];
  const info = await statOrNull(path);
  const idleMs = Date.now() - (info?.mtime?.getTime() ?? 0);
  return pid === undefined || idleMs > PART_STALE_MS || await statOrNull(`/proc/${pid}`) === null;
}

async function statOrNull(path: string): Promise<Deno.FileInfo | null> {
  try {
    return await Deno.lstat(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return null;
    throw cause;
  }
}

function tooLarge(set: DataSetName, maxBytes: number): SpoolError {
  return new SpoolError(
    `Cannot receive the ${set} as it is larger than ${maxBytes} bytes: the previous copy is kept`,
  );
}

function nameDiskTrouble(cause: unknown, set: DataSetName, directory: string): unknown {
  const code = (cause as { readonly code?: unknown } | null)?.code;
  if (code !== "ENOSPC" && code !== "EDQUOT") return cause;
  return new SpoolError(
    `Cannot receive the ${set} as the disk of ${directory} is full: ` +
      `the previous copy is kept, free some space`,
    { cause },
  );
}
