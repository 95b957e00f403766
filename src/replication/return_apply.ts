/**
 * Carries out a plan of the way back on the master, whose services are stopped: files that rsync laid into
 * the staging directory go to their places by rename, what they replace or what was deleted on the stand-in
 * goes into a dated folder. Everything is looked at again before it is touched.
 *
 * @module
 */

import { chmod, lchown } from "node:fs/promises";
import { dirname, join } from "node:path";
import { syncPath } from "../os/durable_file.ts";
import { KeptFolder } from "./kept_folder.ts";
import {
  besideName,
  type ReturnConflict,
  type ReturnPlan,
  type ReturnPut,
} from "./return_merge.ts";
import { STAGING_NAME } from "./rsync_arguments.ts";
import { lookAt, sameEntry } from "./tree_list.ts";

/** What was done, for the sender's history. */
export interface ReturnOutcome {
  /** Files put in place. */
  readonly put: number;
  /** Files that were deleted on the stand-in and are set aside here. */
  readonly deleted: number;
  /** The plan's and those that were found here. */
  readonly conflicts: readonly ReturnConflict[];
}

/** Options of {@linkcode applyReturn}. */
export interface ApplyReturnOptions {
  /** The declared directory. */
  readonly path: string;
  readonly plan: ReturnPlan;
  readonly kept: KeptFolder;
  /** Aborts between two files. */
  readonly signal: AbortSignal;
}

/**
 * Applies one directory's plan; a second time does nothing.
 *
 * @throws when something can't be moved (disk, rights, a link where a directory should be), or on abort
 */
export async function applyReturn(options: ApplyReturnOptions): Promise<ReturnOutcome> {
  return await new Application(options).run();
}

/** Removes what an earlier, cut return left in the staging directory. */
async function removeStaging(path: string): Promise<void> {
  await Deno.remove(join(path, STAGING_NAME), { recursive: true }).catch((cause) => {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
  });
}

class Application {
  readonly #options: ApplyReturnOptions;
  readonly #conflicts: ReturnConflict[];
  readonly #changed = new Set<string>();

  constructor(options: ApplyReturnOptions) {
    this.#options = options;
    this.#conflicts = [...options.plan.conflicts];
  }

  async run(): Promise<ReturnOutcome> {
    const { path, plan, signal } = this.#options;
    let [put, deleted] = [0, 0];
    for (const { name, was } of plan.asides) {
      signal.throwIfAborted();
      const now = lookAt(this.#inside(name));
      if (now === undefined) continue; // Done by an attempt before.
      if (sameEntry(now, was)) {
        await this.#setAside(name);
        deleted += 1;
      } else {
        this.#conflict(name, "deleted on the slave, changed on the master meanwhile: it is kept");
      }
    }
    for (const one of plan.puts) {
      signal.throwIfAborted();
      if (await this.#put(one)) put += 1;
    }
    await removeStaging(path);
    for (const directory of this.#changed) await syncPath(directory);
    return { put, deleted, conflicts: this.#conflicts };
  }

  async #put({ from, to, over }: ReturnPut): Promise<boolean> {
    const { path } = this.#options;
    const staged = this.#inside(`${STAGING_NAME}/${from}`);
    const arrived = lookAt(staged);
    if (arrived === undefined) return false; // Excluded, or gone there while it was read.
    await this.#makeParents(from, to);
    const now = lookAt(join(path, to));
    let place = to;
    if (now !== undefined && sameEntry(now, arrived)) return false; // Done by an attempt before.
    if (now !== undefined && over !== null && sameEntry(now, over)) {
      await this.#setAside(to);
    } else if (now !== undefined) {
      place = besideName(to, { has: (name) => lookAt(join(path, name)) !== undefined });
      this.#conflict(to, `changed on the master meanwhile: the slave's is ${place}`);
    }
    const target = join(path, place);
    await Deno.rename(staged, target);
    this.#changed.add(dirname(target));
    return true;
  }

  async #setAside(name: string): Promise<void> {
    const place = this.#inside(name);
    await this.#options.kept.moveIn(place);
    this.#changed.add(dirname(place));
  }

  /**
   * The absolute place of a name. relais works as root in directories of another user: a link on the way
   * must not lead it elsewhere.
   */
  #inside(name: string): string {
    const { path } = this.#options;
    const parts = name.split("/").slice(0, -1);
    for (let depth = 1; depth <= parts.length; depth++) {
      const place = join(path, ...parts.slice(0, depth));
      const info = statOrNull(place);
      if (info !== null && !info.isDirectory) {
        throw new Error(`Cannot work in ${place} as it is no directory (a link is not followed)`);
      }
    }
    return join(path, name);
  }

  /** Makes the directories of `to` with owner and mode of those of `from` on the stand-in. */
  async #makeParents(from: string, to: string): Promise<void> {
    const { path } = this.#options;
    this.#inside(to);
    const parts = to.split("/").slice(0, -1);
    const models = from.split("/").slice(0, -1);
    for (let depth = 1; depth <= parts.length; depth++) {
      const place = join(path, ...parts.slice(0, depth));
      if (statOrNull(place) !== null) continue;
      const model = statOrNull(join(path, STAGING_NAME, ...models.slice(0, depth)));
      await Deno.mkdir(place, { mode: 0o700 });
      if (model === null) continue;
      await lchown(place, model.uid!, model.gid!);
      await chmod(place, model.mode! & 0o7777);
    }
  }

  #conflict(name: string, what: string): void {
    this.#conflicts.push({ name, what, slave: null, master: null });
  }
}

function statOrNull(path: string): Deno.FileInfo | null {
  try {
    return Deno.lstatSync(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return null;
    throw cause;
  }
}
