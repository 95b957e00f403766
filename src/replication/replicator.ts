/**
 * The copying of data sets as the daemon sees it: a schedule while this node serves, copies on demand,
 * and the ways of the astdb at a change of roles.
 *
 * @module
 */

import { DATA_SET_NAMES } from "../core/types.ts";
import type { DataSetName } from "../core/types.ts";
import { messageOf } from "../os/errors.ts";
import { readAstdbOrigin, writeAstdbOrigin } from "./astdb_origin.ts";
import { AstdbSet } from "./astdb_set.ts";
import { DatabaseSets } from "./database_sets.ts";
import { FilesSet } from "./files_set.ts";
import { createStream, sendSeed, warnStillArmed } from "./logical/create_stream.ts";
import type { Stream } from "./logical/stream.ts";
import type { StreamStatus } from "./logical/stream_types.ts";
import { type PossibleLoss, possibleLoss } from "./loss.ts";
import type { DataSetStatus, ReplicatorOptions } from "./replicator_types.ts";
import { createReturnKeeper } from "./return/create_keeper.ts";
import type { ReturnKeeper } from "./return/return_keeper.ts";
import { sendDatabase } from "./send_database.ts";
import type { OnProgress } from "./set_header.ts";
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
  // Behind the full copy, which comes first if the peer has none.
  config: 6000,
  hot: 6000,
  files: 5000,
};

/** Copies the configured data sets. */
export class Replicator {
  readonly #options: ReplicatorOptions;
  readonly #states: SetStates;
  readonly #transport: Transport;
  readonly #runners: ReadonlyMap<DataSetName, SetRunner>;
  /** The astdb: kept, fetched, put in place. */
  readonly astdb: AstdbSet;
  /** The files, both ways. */
  readonly files: FilesSet;
  readonly #databaseSets: DatabaseSets | null;
  readonly #back: ReturnKeeper | null;
  readonly #stream: Stream | null;
  readonly #loop = new AbortController();
  #looping: Promise<void> = Promise.resolve();
  #sourceEpoch: number | null = null;
  /** It is being seen whether what this host gained could go back. */
  #looking = false;
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
    const shared = { config, stateDir, clock, transport: this.#transport, log: options.log };
    this.astdb = new AstdbSet({ ...shared, states: this.#states });
    this.files = new FilesSet(shared);
    const { database, tables } = options;
    this.#databaseSets = database === null ? null : new DatabaseSets({
      ...{ config, stateDir, clock, tables },
      sendWhole: (copy) => {
        const whole = { ...copy, config, clock, transport: this.#transport, source: database };
        return this.#stream === null ? sendDatabase(whole) : sendSeed(this.#stream, whole);
      },
      mayLeaveOut: config.replication.database?.mode !== "stream",
      states: this.#states,
      transport: this.#transport,
      noteChange: (set) => this.#runners.get(set)?.noteChange(),
      log: (level, message) => options.log(level, message, {}),
    });
    this.#runners = this.#makeRunners();
    this.#back = createReturnKeeper(options, this.#transport);
    this.#stream = createStream({
      ...options,
      requestSeed: () => {
        const runner = this.#runners.get("database");
        // One that is on its way is the seed.
        if (runner?.running === null) runner.noteChange();
      },
    });
  }

  /** The stream of the database; null: it is copied only. */
  get stream(): StreamStatus | null {
    return this.#stream?.status ?? null;
  }

  /** What the slave's database gained, on its way back; null: nothing ever goes back from here. */
  get back(): ReturnKeeper | null {
    return this.#back;
  }

  /**
   * At a takeover, services stopped: the database becomes this host's own, and from here on it is known
   * what it gains.
   *
   * @returns what was done, as a sentence; empty: there was nothing to do
   * @throws when PostgreSQL does not do it, or does not answer in time
   */
  async readyDatabase({ signal }: { readonly signal: AbortSignal }): Promise<string> {
    const { role } = this.#options.config;
    if (role !== "slave") return "";
    const [promoted] = await Promise.allSettled([this.#stream?.promote(signal) ?? ""]);
    // Also after a promotion that failed: what changes must be known all the same.
    const prepared = await this.#back?.prepare(signal) ?? "";
    if (promoted.status === "rejected") throw promoted.reason;
    return [promoted.value, prepared].filter((text) => text !== "").join("; ");
  }

  /**
   * At a hand-back, services stopped: brings to the master what this host's database gained.
   *
   * @returns what was done, as a sentence; empty: there was nothing to do
   * @throws when it did not succeed and the policy is to wait
   */
  async returnDatabase(
    options: { readonly signal: AbortSignal; readonly epoch: number },
  ): Promise<string> {
    return await this.#back?.deliver(options) ?? "";
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
  async checkTransport({ signal, epoch = 0 }: {
    readonly signal: AbortSignal;
    /** The epoch of what leaves this host. */
    readonly epoch?: number;
  }): Promise<string> {
    const { role, fingerprint, replication } = this.#options.config;
    const returns = this.#back !== null && replication.database?.returnMode !== "none";
    if (
      replication.astdb === null && (replication.files?.returnPaths.length ?? 0) === 0 && !returns
    ) {
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
    await this.#back?.check({ epoch, signal });
    return `relais receive answers on ${await this.#transport.address({ signal })}`;
  }

  /** Begins the schedule. */
  start(): void {
    this.#looping = this.#run();
    this.#stream?.start();
    if (this.#stream === null) warnStillArmed(this.#options);
  }

  /** Ends the schedule, cuts copies in progress, closes kept connections. */
  async stop(): Promise<void> {
    this.#loop.abort();
    await this.#looping;
    await this.#databaseSets?.stop();
    await this.#stream?.stop();
    await this.files.stopWatching();
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
        maxAgeMs: config.replication[set]?.maxAgeMs ?? null,
      };
    });
  }

  /** At a takeover without the peer's help: what may be lost, as the age of this host's copy of it. */
  lossReport(): readonly PossibleLoss[] {
    const { config: { role }, stateDir } = this.#options;
    const stream = this.#options.stream?.peer() ?? null;
    return possibleLoss({ role, sets: this.status(), live: readAstdbOrigin(stateDir), stream });
  }

  /**
   * At a planned move, services stopped: lets the stream come to its end.
   *
   * @returns a sentence; empty: nothing is streamed from here
   */
  async drainStream({ signal }: { readonly signal: AbortSignal }): Promise<string> {
    if (this.#stream === null || this.#options.config.role !== "master") return "";
    return await this.#stream.drain(signal);
  }

  #makeRunners(): ReadonlyMap<DataSetName, SetRunner> {
    const { config, clock } = this.#options;
    const copies: Readonly<Record<DataSetName, CopySet>> = {
      astdb: this.astdb.copy,
      database: (options) => this.#bulkOf((sets) => sets.copyDatabase(options), options.signal),
      // One after the other: rows that were put in place must not be undone by an older whole.
      config: (options) => this.#bulkOf((sets) => sets.copyConfig(options), options.signal),
      hot: (options) => this.#bulkOf((sets) => sets.copyHot(options), options.signal),
      files: (options) => this.#afterBulk(() => this.files.copy(options), options.signal),
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
    if (role === "slave" || set === "files") return role === "master";
    return this.#options.database !== null && (set === "database" || this.#options.tables !== null);
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
    await this.#back?.hearWord();
    if (may.ok) this.#lookBack(may.epoch);
    if (!may.ok) {
      if (this.#sourceEpoch === null) return;
      this.#sourceEpoch = null;
      await this.files.stopWatching();
      for (const runner of this.#runners.values()) runner.ceaseSource(may.reason);
      return;
    }
    if (may.epoch !== this.#sourceEpoch) await this.#becomeSource(may.epoch);
    if (this.astdb.hasChanged()) this.#runners.get("astdb")?.noteChange();
    this.#databaseSets?.watch(may.epoch, this.#loop.signal);
    const files = this.#runners.get("files");
    if (files !== undefined) this.files.watch(() => files.noteChange());
    for (const runner of this.#runners.values()) runner.tick();
  }

  /** In the background: copies go on meanwhile. */
  #lookBack(epoch: number): void {
    const back = this.#back;
    if (back === null || this.#looking || back.dueInMs > 0) return;
    this.#looking = true;
    const { signal } = this.#loop;
    back.look({ epoch, signal }).finally(() => this.#looking = false);
  }

  async #becomeSource(epoch: number): Promise<void> {
    const { config, stateDir } = this.#options;
    if (config.replication.astdb !== null) {
      await writeAstdbOrigin(stateDir, { epoch, installed: null });
    }
    this.#sourceEpoch = epoch;
    for (const runner of this.#runners.values()) runner.becomeSource(epoch);
  }

  async #bulkOf<T>(work: (sets: DatabaseSets) => Promise<T>, signal: AbortSignal): Promise<T> {
    const sets = this.#databaseSets!;
    return await this.#afterBulk(() => work(sets), signal);
  }

  async #afterBulk<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const mine = this.#bulk.then(() => {
      signal.throwIfAborted();
      return work();
    });
    this.#bulk = mine.catch(() => {}); // Told by its runner.
    return await mine;
  }

  #ageMs(state: SetState): number | null {
    if (state.lastSuccessWallMs === null) return null;
    const copiedMs = state.lastSuccessWallMs - (state.durationMs ?? 0);
    const takenMs = Math.max(copiedMs, state.checkedWallMs ?? 0);
    return Math.max(0, this.#options.clock.wallMs() - takenMs);
  }

  #logEnd(state: SetState, error: unknown): void {
    const { log } = this.#options;
    const { set, size, durationMs, sha256 } = state;
    if (error === null) {
      const level = set === "database" || set === "files" ? "info" : "debug";
      log(level, `The ${set} is copied to the peer`, { set, size, durationMs, sha256 });
    } else {
      const why = messageOf(error);
      log("warn", `The ${set} could not be copied to the peer: ${why}`, { set });
    }
  }
}
