/**
 * Sees that something in the declared `paths` changed (inotify), so that the copy comes within seconds and
 * not at the hour. New directories are watched by themselves. It costs nothing while nothing changes; the
 * number of watches is bounded, as they are the kernel's memory and other programs want some too.
 *
 * @module
 */

import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { run } from "../os/process.ts";
import { pathKind } from "./file_list.ts";

/** More directories than this are not watched: `every` remains. */
const MAX_WATCHES = 8192;
/** A change is told when nothing else changed for this long… */
const QUIET_MS = 3000;
/** …or this long after the first one. */
const LONGEST_MS = 15_000;
const COUNT_DEADLINE_MS = 30_000;

/** Settings of {@linkcode FilesWatch}. */
export interface FilesWatchOptions {
  readonly paths: readonly string[];
  readonly clock: Clock;
  /** Called after a burst of changes, never twice for the same one. */
  readonly onChange: () => void;
  /** Called once if they can't be watched. */
  readonly onTrouble: (message: string) => void;
  /** Default: {@linkcode MAX_WATCHES}. */
  readonly maxWatches?: number;
}

/** Watches from the moment it is made until {@linkcode FilesWatch.stop}. */
export class FilesWatch {
  readonly #options: FilesWatchOptions;
  readonly #over = new AbortController();
  readonly #done: Promise<void>;
  #watcher: Deno.FsWatcher | null = null;
  #firstMs: number | null = null;
  #lastMs = 0;
  #telling: Promise<void> = Promise.resolve();

  constructor(options: FilesWatchOptions) {
    this.#options = options;
    this.#done = this.#run();
  }

  /** Ends it. */
  async stop(): Promise<void> {
    this.#over.abort();
    this.#close();
    await this.#done;
    await this.#telling;
  }

  async #run(): Promise<void> {
    const { onTrouble } = this.#options;
    try {
      const paths = await this.#watchable();
      if (paths.length === 0 || this.#over.signal.aborted) return;
      this.#watcher = Deno.watchFs([...paths], { recursive: true });
      for await (const { kind } of this.#watcher) {
        if (this.#over.signal.aborted) return;
        if (kind !== "access" && kind !== "any") this.#note();
      }
    } catch (cause) {
      if (this.#over.signal.aborted) return;
      onTrouble(
        `Cannot watch the files for changes, they are copied at their hour: ${messageOf(cause)} ` +
          `(limits: sysctl fs.inotify.max_user_watches, fs.inotify.max_user_instances)`,
      );
    } finally {
      this.#close();
    }
  }

  /** The paths that are there, if they are few enough. */
  async #watchable(): Promise<readonly string[]> {
    const { paths, maxWatches = MAX_WATCHES } = this.#options;
    const here: string[] = [];
    let directories = 0;
    for (const path of paths) {
      const kind = await pathKind(path);
      if (kind === "missing") continue;
      here.push(path);
      if (kind === "other") continue;
      // A dot a directory: names may be anything.
      const { stdout, droppedBytes } = await run(
        ["find", `${path}/`, "-type", "d", "-printf", "."],
        { deadlineMs: COUNT_DEADLINE_MS, signal: this.#over.signal, env: { LC_ALL: "C" } },
      );
      directories += stdout.length + droppedBytes;
    }
    if (directories <= maxWatches) return here;
    throw new Error(
      `${directories} directories are more than the ${maxWatches} that relais watches`,
    );
  }

  #note(): void {
    const { clock } = this.#options;
    this.#lastMs = clock.nowMs();
    if (this.#firstMs !== null) return;
    this.#firstMs = this.#lastMs;
    this.#telling = this.#tell(this.#firstMs).catch(() => {}); // Stopped meanwhile.
  }

  async #tell(firstMs: number): Promise<void> {
    const { clock, onChange } = this.#options;
    for (;;) {
      const dueMs = Math.min(this.#lastMs + QUIET_MS, firstMs + LONGEST_MS);
      const waitMs = dueMs - clock.nowMs();
      if (waitMs <= 0) break;
      await clock.sleep(waitMs, this.#over.signal);
    }
    this.#firstMs = null;
    onChange();
  }

  #close(): void {
    try {
      this.#watcher?.close();
    } catch {
      // It has ended by itself.
    }
    this.#watcher = null;
  }
}
