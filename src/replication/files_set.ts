/**
 * The data set `files` of this host: the declared paths while the master serves, and `return_paths` at every
 * hand-over.
 *
 * @module
 */

import type { LocalConfig } from "../config/types.ts";
import type { Clock } from "../os/clock.ts";
import { pathKind } from "./file_list.ts";
import { sendFiles, sendReturnPaths } from "./files.ts";
import { FilesWatch } from "./files_watch.ts";
import type { ReplicatorOptions } from "./replicator_types.ts";
import { baseAtTakeover, ReturnBase } from "./return_base.ts";
import { returnPathsOf } from "./return_protocol.ts";
import { bringFilesBack } from "./return_send.ts";
import type { OnProgress } from "./set_header.ts";
import type { CopySet } from "./set_runner.ts";
import type { Transport } from "./transport.ts";
import { listTree } from "./tree_list.ts";

/** Settings of {@linkcode FilesSet}. */
export interface FilesSetOptions {
  readonly config: LocalConfig;
  readonly stateDir: string;
  readonly clock: Clock;
  readonly transport: Transport;
  readonly log: ReplicatorOptions["log"];
}

/** See the module. */
export class FilesSet {
  readonly #options: FilesSetOptions;
  /** While this node is the source. */
  #watch: FilesWatch | null = null;

  constructor(options: FilesSetOptions) {
    this.#options = options;
  }

  /** Watches the declared paths, if it does not yet; only the host that sends them needs to. */
  watch(onChange: () => void): void {
    const { config, clock, log } = this.#options;
    const { files } = config.replication;
    if (this.#watch !== null || files?.onChange !== true) return;
    this.#watch = new FilesWatch({
      paths: files.paths,
      clock,
      onChange,
      onTrouble: (message) => log("warn", message, { set: "files" }),
    });
  }

  /** Ends the watch. */
  async stopWatching(): Promise<void> {
    const watch = this.#watch;
    this.#watch = null;
    await watch?.stop();
  }

  /** Makes the declared paths of the peer equal to these here. */
  readonly copy: CopySet = async (options) => {
    const { config, clock, transport } = this.#options;
    const snapshotWallMs = Math.floor(clock.wallMs());
    const { size, sha256 } = await sendFiles({
      ...options,
      config,
      clock,
      transport,
      scheduled: true,
    });
    return { epoch: options.epoch, origin: config.role, snapshotWallMs, size, sha256 };
  };

  /**
   * At a hand-over: `return_paths` go along. The slave's are merged into the master's (`return_send.ts`), the
   * master's are copied. Asks no `mayRead`.
   *
   * @throws when it failed; the message says where what did not travel is kept
   */
  async sendBack(options: {
    readonly signal: AbortSignal;
    readonly epoch: number;
    readonly onProgress?: OnProgress;
  }): Promise<{ readonly paths: readonly string[]; readonly sentence: string }> {
    const { config, clock, stateDir, transport } = this.#options;
    const { signal, epoch } = options;
    const onProgress = options.onProgress ?? ((): void => {});
    const given = { config, transport, clock, epoch, signal, onProgress };
    if (config.role === "slave") return await bringFilesBack({ ...given, stateDir });
    const { paths } = await sendReturnPaths(given);
    return { paths, sentence: paths.length === 0 ? "" : `sent: ${paths.join(", ")}` };
  }

  /**
   * When the slave begins a takeover: notes what lies in `return_paths` now, beside the steps and never in
   * their way. What is gone from here already was deleted by no telephone.
   */
  async noteReturnBase({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const { config, stateDir } = this.#options;
    if (config.role !== "slave" || config.replication.files === null) return;
    const store = new ReturnBase(stateDir);
    for (const path of returnPathsOf(config.replication.files)) {
      if (await pathKind(path) !== "directory") continue;
      const { tree } = await listTree(path, signal);
      await store.write(path, baseAtTakeover(await store.read(path), tree));
    }
  }
}
