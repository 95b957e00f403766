/**
 * The copying of data sets as the daemon sees it: a schedule while this node serves, copies on demand,
 * and the ways of the astdb at a change of roles.
 *
 * @module
 */

import type { LocalConfig } from "../config/types.ts";
import { DATA_SET_NAMES } from "../core/types.ts";
import type { DataSetName } from "../core/types.ts";
import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import {
  type AstdbCopyContext,
  fetchIfNewer,
  type FetchOutcome,
  type InstallOutcome,
  installReceived,
  sendAstdb,
} from "./astdb_copy.ts";
import { readAstdbOrigin, writeAstdbOrigin } from "./astdb_origin.ts";
import { astdbSignature } from "./astdb_read.ts";
import { type PossibleLoss, possibleLoss } from "./loss.ts";
import { sendDatabase } from "./send_database.ts";
import type { DatabaseSource } from "./database_port.ts";
import { FilesWatch } from "./files_watch.ts";
import { sendFiles, sendReturnPaths } from "./files.ts";
import { pathKind } from "./file_list.ts";
import { baseAtTakeover, ReturnBase } from "./return_base.ts";
import { returnPathsOf } from "./return_protocol.ts";
import { bringFilesBack } from "./return_send.ts";
import { listTree } from "./tree_list.ts";
import type { OnProgress, SetProgress } from "./set_header.ts";
import { type SetState, SetStates } from "./set_state.ts";
import { type CopySet, SetRunner } from "./set_runner.ts";
import { RemoteError, Transport } from "./transport.ts";

/** Half of a second: a change of the astdb is to be over there within two. */
const TICK_MS = 500;
/** Shortest time between two copies of a changed astdb. */
const ASTDB_GAP_MS = 1000;
const BULK_GAP_MS = 10_000;
/** The first copies after a node became active; the bulk lets the telephones come back first. */
const FIRST_DELAY_MS: Readonly<Record<DataSetName, number>> = {
  astdb: 0,
  database: 5000,
  files: 5000,
};

/** May this node be read from now (active and healthy)? */
export type MayRead =
  | { readonly ok: true; readonly epoch: number }
  | { readonly ok: false; readonly reason: string };

/** One line of status. */
export interface DataSetStatus {
  readonly set: DataSetName;
  /** From this host to the peer. */
  readonly sent: SetState;
  /** From the peer to this host. */
  readonly received: SetState;
  /** Milliseconds since the last good copy from this host was taken; null: none. */
  readonly sentAgeMs: number | null;
  /** Milliseconds since the last good copy of the peer was taken; null: none. */
  readonly receivedAgeMs: number | null;
  /** Null: nothing is being sent. */
  readonly running: { readonly progress: SetProgress; readonly forMs: number } | null;
  /** Milliseconds to the next scheduled copy (0: now); null: this host is not the source now. */
  readonly nextInMs: number | null;
  /** Failures to send since the last success. */
  readonly failures: number;
}

/** Settings of {@linkcode Replicator}. */
export interface ReplicatorOptions {
  readonly config: LocalConfig;
  readonly stateDir: string;
  readonly runDir: string;
  readonly clock: Clock;
  readonly log: (
    level: "debug" | "info" | "warn" | "error",
    message: string,
    fields: Readonly<Record<string, unknown>>,
  ) => void;
  /** Best first. */
  readonly peerAddresses: () => readonly string[];
  readonly mayRead: () => MayRead;
  readonly database: DatabaseSource | null;
  /** A copy ended: for the history. `error` null: it went well. */
  readonly onCopyEnd?: (set: DataSetName, error: unknown) => void;
}

/** Copies the configured data sets. */
export class Replicator {
  readonly #options: ReplicatorOptions;
  readonly #states: SetStates;
  readonly #transport: Transport;
  readonly #runners: ReadonlyMap<DataSetName, SetRunner>;
  readonly #loop = new AbortController();
  #looping: Promise<void> = Promise.resolve();
  #sourceEpoch: number | null = null;
  /** Signature of the astdb that was last sent. */
  #sentSignature: string | null = null;
  /** While this node is the source. */
  #filesWatch: FilesWatch | null = null;
  /** The last bulk copy (database, files): they run one after the other. */
  #bulk: Promise<unknown> = Promise.resolve();

  constructor(options: ReplicatorOptions) {
    const { config, stateDir, runDir, clock } = options;
    this.#options = options;
    this.#states = new SetStates(stateDir, (path, why) => {
      options.log("warn", `Cannot use ${path}, it counts as none: ${why}`, { path });
    });
    this.#transport = new Transport({
      transport: config.replication.transport,
      runDir,
      addresses: options.peerAddresses,
      clock,
    });
    this.#runners = this.#makeRunners();
  }

  /** The sets that this host may send: configured, and its role's to send. */
  get sources(): readonly DataSetName[] {
    return [...this.#runners.keys()];
  }

  /**
   * Before a planned move: whether what must go over can go over. Also opens the ssh connection that the
   * copies then use.
   *
   * @returns a sentence
   * @throws {RemoteError} when the peer does not answer through ssh, or is not our peer
   */
  async checkTransport({ signal }: { readonly signal: AbortSignal }): Promise<string> {
    const { role, fingerprint, replication } = this.#options.config;
    if (replication.astdb === null && (replication.files?.returnPaths.length ?? 0) === 0) {
      return "nothing has to be copied at a hand-over";
    }
    const hello = await this.#transport.hello({ signal });
    if (hello.role === role) {
      throw new RemoteError("refused", `Cannot copy to the peer as it says that it is the ${role}`);
    }
    if (hello.fingerprint !== fingerprint) {
      throw new RemoteError(
        "refused",
        "Cannot copy to the peer as the configurations differ: make relais.toml the same on both",
      );
    }
    return `relais receive answers on ${await this.#transport.address({ signal })}`;
  }

  /** Begins the schedule. */
  start(): void {
    this.#looping = this.#run();
  }

  /** Ends the schedule, cuts copies in progress, closes kept connections. */
  async stop(): Promise<void> {
    this.#loop.abort();
    await this.#looping;
    await this.#filesWatch?.stop();
    await Promise.all([...this.#runners.values()].map((runner) => runner.stop()));
    await this.#transport.close();
  }

  /**
   * Copies a set now; a copy in progress is waited for first.
   *
   * @throws when the set is not configured or this node may not be read; what the copy failed with
   */
  async sync(set: DataSetName, options: {
    readonly signal: AbortSignal;
    readonly onProgress?: OnProgress;
    readonly allowMassDeletion?: boolean;
  }): Promise<SetState> {
    const runner = this.#runners.get(set);
    if (runner === undefined) throw new Error(this.#whyNoRunner(set));
    const may = this.#options.mayRead();
    if (!may.ok) throw new Error(`Cannot copy the ${set} from here as ${may.reason}`);
    return await runner.copyNow({
      epoch: may.epoch,
      signal: options.signal,
      onProgress: options.onProgress ?? ((): void => {}),
      allowMassDeletion: options.allowMassDeletion ?? false,
    });
  }

  /** Every configured set, in the order of {@linkcode DATA_SET_NAMES}. */
  status(): readonly DataSetStatus[] {
    const { config, clock } = this.#options;
    return DATA_SET_NAMES.filter((set) => config.replication[set] !== null).map((set) => {
      const sent = this.#states.read(set, "sent");
      const received = this.#states.read(set, "received");
      const runner = this.#runners.get(set);
      const running = runner?.running ?? null;
      const nextMs = runner?.nextMs ?? null;
      return {
        set,
        sent,
        received,
        sentAgeMs: this.#ageMs(sent),
        receivedAgeMs: this.#ageMs(received),
        running: running &&
          { progress: running.progress, forMs: clock.nowMs() - running.startedMs },
        nextInMs: nextMs === null ? null : Math.max(0, nextMs - clock.nowMs()),
        failures: runner?.failures ?? 0,
      };
    });
  }

  /**
   * M4: gets the peer's astdb if it is newer and puts it in place. The services must be stopped.
   *
   * @throws on abort, and when this host can't write
   */
  async fetchAstdbIfNewer({ signal }: { readonly signal: AbortSignal }): Promise<FetchOutcome> {
    if (this.#options.config.replication.astdb === null) {
      return { fetched: false, asked: false, why: "the astdb is not copied here" };
    }
    return await fetchIfNewer(this.#astdbContext(signal));
  }

  /**
   * At a hand-over, after the services stopped: sends what Asterisk wrote last. Asks no `mayRead`.
   *
   * @throws when there is no sound astdb here, or the peer did not take it
   */
  async sendAstdbAtRest(
    options: { readonly signal: AbortSignal; readonly epoch: number },
  ): Promise<SetState | null> {
    const { config, clock } = this.#options;
    if (config.replication.astdb === null) return null;
    const { epoch, signal } = options;
    const beganMs = clock.nowMs();
    const context = this.#astdbContext(signal);
    const facts = await sendAstdb(context, { epoch, atRest: true, onProgress: () => {} });
    this.#sentSignature = facts.signature;
    const { origin, snapshotWallMs, size, sha256 } = facts;
    const durationMs = clock.nowMs() - beganMs;
    const success = { epoch, origin, snapshotWallMs, size, sha256, durationMs };
    return await this.#states.succeeded("astdb", "sent", success, clock.wallMs());
  }

  /**
   * At a takeover, services stopped: puts the newest received astdb in place unless the one there is
   * newer.
   *
   * @throws when the place can't be written
   */
  async installReceivedAstdb(
    { signal }: { readonly signal: AbortSignal },
  ): Promise<InstallOutcome> {
    const { config, log } = this.#options;
    if (config.replication.astdb === null) {
      return { installed: false, why: "the astdb is not copied here", ageMs: null };
    }
    return await installReceived(this.#astdbContext(signal), (message) => log("warn", message, {}));
  }

  /**
   * At a hand-over: `return_paths` go along. The slave's are merged into the master's (`return_send.ts`), the
   * master's are copied. Asks no `mayRead`.
   *
   * @throws when it failed; the message says where what did not travel is kept
   */
  async sendFilesBack(options: {
    readonly signal: AbortSignal;
    readonly epoch: number;
    readonly onProgress?: OnProgress;
  }): Promise<{ readonly paths: readonly string[]; readonly sentence: string }> {
    const { config, clock, stateDir } = this.#options;
    const { signal, epoch } = options;
    const onProgress = options.onProgress ?? ((): void => {});
    const transport = this.#transport;
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

  /** At a takeover without the peer's help: what may be lost, as the age of this host's copy of it. */
  lossReport(): readonly PossibleLoss[] {
    const { config: { role }, stateDir } = this.#options;
    return possibleLoss({ role, sets: this.status(), live: readAstdbOrigin(stateDir) });
  }

  #makeRunners(): ReadonlyMap<DataSetName, SetRunner> {
    const { config, clock } = this.#options;
    const copies: Readonly<Record<DataSetName, CopySet>> = {
      astdb: (options) => this.#copyAstdb(options),
      database: (options) => this.#afterBulk(() => this.#copyDatabase(options), options.signal),
      files: (options) => this.#afterBulk(() => this.#copyFiles(options), options.signal),
    };
    const runners = DATA_SET_NAMES.filter((set) => this.#isSource(set)).map((set) => {
      const runner = new SetRunner({
        set,
        clock,
        states: this.#states,
        everyMs: config.replication[set]!.everyMs,
        minGapMs: set === "astdb" ? ASTDB_GAP_MS : BULK_GAP_MS,
        firstDelayMs: FIRST_DELAY_MS[set],
        copy: copies[set],
        onEnd: (state, error) => this.#logEnd(state, error),
      });
      return [set, runner] as const;
    });
    return new Map(runners);
  }

  /** The stand-in's database and files never replace the master's: only `return_paths` go back. */
  #isSource(set: DataSetName): boolean {
    const { role, replication } = this.#options.config;
    if (replication[set] === null) return false;
    if (set === "astdb") return true;
    return role === "master" && (set !== "database" || this.#options.database !== null);
  }

  #whyNoRunner(set: DataSetName): string {
    const { role, replication } = this.#options.config;
    return replication[set] === null
      ? `Cannot copy the ${set} as replication.${set} is not configured`
      : role === "slave"
      ? `Cannot copy the ${set} from here as the slave's never replaces the master's: ` +
        `only the astdb and return_paths go back`
      : `Cannot copy the ${set} as PostgreSQL can't be used here`;
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#options;
    const { signal } = this.#loop;
    while (!signal.aborted) {
      try {
        await this.#tick();
      } catch (cause) {
        log("error", `The copying of data stumbled: ${cause}`, {});
      }
      await clock.sleep(TICK_MS, signal).catch(() => {}); // Stopped: the loop's condition ends it.
    }
  }

  async #tick(): Promise<void> {
    const may = this.#options.mayRead();
    if (!may.ok) {
      if (this.#sourceEpoch === null) return;
      this.#sourceEpoch = null;
      await this.#filesWatch?.stop();
      this.#filesWatch = null;
      for (const runner of this.#runners.values()) runner.ceaseSource(may.reason);
      return;
    }
    if (may.epoch !== this.#sourceEpoch) await this.#becomeSource(may.epoch);
    this.#watchAstdb();
    this.#watchFiles();
    for (const runner of this.#runners.values()) runner.tick();
  }

  async #becomeSource(epoch: number): Promise<void> {
    const { config, stateDir } = this.#options;
    if (config.replication.astdb !== null) {
      await writeAstdbOrigin(stateDir, { epoch, installed: null });
    }
    this.#sourceEpoch = epoch;
    for (const runner of this.#runners.values()) runner.becomeSource(epoch);
  }

  /** Only the host that sends them watches them. */
  #watchFiles(): void {
    const { config, clock, log } = this.#options;
    const runner = this.#runners.get("files");
    const { files } = config.replication;
    if (this.#filesWatch !== null || runner === undefined || files?.onChange !== true) return;
    this.#filesWatch = new FilesWatch({
      paths: files.paths,
      clock,
      onChange: () => runner.noteChange(),
      onTrouble: (message) => log("warn", message, { set: "files" }),
    });
  }

  #watchAstdb(): void {
    const { astdb } = this.#options.config.replication;
    if (astdb === null || !astdb.onChange) return;
    const signature = astdbSignature(astdb.path);
    if (signature !== null && signature !== this.#sentSignature) {
      this.#runners.get("astdb")?.noteChange();
    }
  }

  async #copyAstdb({ epoch, signal, onProgress }: Parameters<CopySet>[0]): ReturnType<CopySet> {
    const options = { epoch, atRest: false, onProgress };
    const sent = await sendAstdb(this.#astdbContext(signal), options);
    this.#sentSignature = sent.signature;
    return sent;
  }

  async #copyDatabase({ epoch, signal, onProgress }: Parameters<CopySet>[0]): ReturnType<CopySet> {
    const { config, clock, database } = this.#options;
    const transport = this.#transport;
    const source = database!;
    return await sendDatabase({ config, clock, transport, source, epoch, signal, onProgress });
  }

  async #copyFiles(options: Parameters<CopySet>[0]): ReturnType<CopySet> {
    const { config, clock } = this.#options;
    const snapshotWallMs = Math.floor(clock.wallMs());
    const result = await sendFiles({
      ...options,
      config,
      clock,
      transport: this.#transport,
      scheduled: true,
    });
    const { epoch } = options;
    const { size, sha256 } = result;
    return { epoch, origin: config.role, snapshotWallMs, size, sha256 };
  }

  async #afterBulk<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const mine = this.#bulk.then(() => {
      signal.throwIfAborted();
      return work();
    });
    this.#bulk = mine.catch(() => {}); // Told by its runner.
    return await mine;
  }

  #astdbContext(signal: AbortSignal): AstdbCopyContext {
    const { config, stateDir, clock } = this.#options;
    return { config, stateDir, clock, transport: this.#transport, signal };
  }

  #ageMs(state: SetState): number | null {
    if (state.lastSuccessWallMs === null) return null;
    const takenMs = state.lastSuccessWallMs - (state.durationMs ?? 0);
    return Math.max(0, this.#options.clock.wallMs() - takenMs);
  }

  #logEnd(state: SetState, error: unknown): void {
    const { log, onCopyEnd } = this.#options;
    onCopyEnd?.(state.set, error);
    const { set, size, durationMs, sha256 } = state;
    if (error === null) {
      const level = set === "astdb" ? "debug" : "info";
      log(level, `The ${set} is copied to the peer`, { set, size, durationMs, sha256 });
    } else {
      const why = messageOf(error);
      log("warn", `The ${set} could not be copied to the peer: ${why}`, { set });
    }
  }
}
