/**
 * The sets that come out of the database (`database`, `config`, `hot`): copied when something changed, said
 * to be unchanged otherwise, and who watches for changes (docs/design/tables.md).
 *
 * @module
 */

import type { LocalConfig } from "../config/types.ts";
import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { DatabaseChanges, type SignedSet } from "./database_changes.ts";
import { sayUnchanged, sendTables } from "./send_tables.ts";
import type { CopyOutcome, CopySet } from "./set_runner.ts";
import type { SetStates, SetSuccess } from "./set_state.ts";
import type { TableSet, TableSource } from "./tables_port.ts";
import type { Transport } from "./transport.ts";

/** How often changes are looked for, in milliseconds. */
const PROBE_EVERY_MS = 10_000;

/**
 * The longest that a session may keep its counters of changed rows to itself (PostgreSQL's
 * PGSTAT_MAX_INTERVAL), in milliseconds: what was seen to be unchanged was so this long ago.
 */
const COUNTER_DELAY_MS = 60_000;

/** Settings of {@linkcode DatabaseSets}. */
export interface DatabaseSetsOptions {
  readonly config: LocalConfig;
  readonly stateDir: string;
  readonly clock: Clock;
  readonly states: SetStates;
  readonly transport: Transport;
  /** Sends the whole database. */
  readonly sendWhole: (options: Parameters<CopySet>[0]) => Promise<Omit<SetSuccess, "durationMs">>;
  /** False: a whole copy is never left out as unchanged (it seeds a stream). */
  readonly mayLeaveOut: boolean;
  /** Null: changes cannot be seen; every copy is made at its time. */
  readonly tables: TableSource | null;
  /** Something changed that the peer does not have: the next copy of the set comes early. */
  readonly noteChange: (set: SignedSet) => void;
  readonly log: (level: "debug" | "warn", message: string) => void;
}

/** See the module. */
export class DatabaseSets {
  readonly #options: DatabaseSetsOptions;
  readonly #changes: DatabaseChanges;
  #probedMs: number | null = null;
  #probing: Promise<void> | null = null;
  /** What the last probe said that could not be asked; null: it could. */
  #trouble: string | null = null;

  constructor(options: DatabaseSetsOptions) {
    this.#options = options;
    this.#changes = new DatabaseChanges(options.stateDir);
  }

  /** Looks for changes if it is time, without waiting for the answer. */
  watch(epoch: number, signal: AbortSignal): void {
    const { tables, clock } = this.#options;
    const nowMs = clock.nowMs();
    if (tables === null || this.#probing !== null || !this.#watches) return;
    if (this.#probedMs !== null && nowMs - this.#probedMs < PROBE_EVERY_MS) return;
    this.#probedMs = nowMs;
    this.#probing = this.#probe(tables, epoch, signal).finally(() => this.#probing = null);
  }

  /** Waits for a question that is under way. */
  async stop(): Promise<void> {
    await this.#probing;
  }

  /** The whole database, or the word that nothing changed. */
  readonly copyDatabase: CopySet = async (options) => {
    const { tables, sendWhole, mayLeaveOut } = this.#options;
    const mark = tables === null || !mayLeaveOut ? null : await this.#mark(tables, options.signal);
    if (mark !== null && !options.asked) {
      const { all } = mark.signatures;
      const known = await this.#sayUnchanged("database", options, (then) => then.all === all);
      if (known !== null) return known;
    }
    const facts = await sendWhole(options);
    if (mark !== null) {
      const { sha256, epoch } = facts;
      await this.#changes.remember("database", {
        sha256,
        epoch,
        ...mark,
        probe: mark.probe.config,
      });
    }
    return facts;
  };

  /** Configuration tables, or the word that nothing changed. */
  readonly copyConfig: CopySet = async (options) => {
    return await this.#copyTables("config", options);
  };

  /** Hot tables, or the word that nothing changed. */
  readonly copyHot: CopySet = async (options) => await this.#copyTables("hot", options);

  async #copyTables(set: TableSet, options: Parameters<CopySet>[0]): Promise<CopyOutcome> {
    const { states, config, clock, transport } = this.#options;
    const source = this.#options.tables!;
    const full = this.#changes.copy("database", states.read("database", "sent"), options.epoch);
    if (full === null) return { waits: "the peer has no full copy of this epoch yet" };
    const probe = await source.probeChanges(options.signal);
    if (!options.asked) {
      // What the probe does not see to have changed has not: no worker is started for it.
      const known = await this.#sayUnchanged(set, options, (_, then) => then === probe[set]);
      if (known !== null) return known;
    }
    const signatures = await source.signatures(options.signal);
    if (signatures.schema !== full.signatures.schema) {
      // Rows fit into the tables that they came from.
      this.#options.noteChange("database");
      return { waits: "the schema changed: a full copy comes first" };
    }
    const { configuration } = signatures;
    if (!options.asked && set === "config") {
      const known = await this.#sayUnchanged(
        set,
        options,
        (then) => then.configuration === configuration,
      );
      if (known !== null) {
        // Seen to change and yet the same: that probe is the one to compare with from here on.
        const copy = this.#changes.copy(set, states.read(set, "sent"), options.epoch);
        if (copy !== null) await this.#changes.remember(set, { ...copy, probe: probe[set] });
        return known;
      }
    }
    const facts = await sendTables({ ...options, set, config, clock, transport, source });
    const { sha256, epoch } = facts;
    await this.#changes.remember(set, { sha256, epoch, signatures, probe: probe[set] });
    return facts;
  }

  async #sayUnchanged(
    set: SignedSet,
    options: Parameters<CopySet>[0],
    isSame: (
      then: { readonly all: string; readonly configuration: string },
      probe: string,
    ) => boolean,
  ): Promise<CopyOutcome | null> {
    const { states, config, clock, transport } = this.#options;
    const copy = this.#changes.copy(set, states.read(set, "sent"), options.epoch);
    if (copy === null || !isSame(copy.signatures, copy.probe)) return null;
    const unchangedWallMs = clock.wallMs() - COUNTER_DELAY_MS;
    const { sha256 } = copy;
    const there = await sayUnchanged({ ...options, set, sha256, config, clock, transport });
    return there ? { unchangedWallMs } : null;
  }

  get #watches(): boolean {
    const { database, config, hot } = this.#options.config.replication;
    return this.#options.mayLeaveOut &&
      (config !== null || hot !== null || database?.onChange === true);
  }

  /** Signatures and probe of one moment; the probe first, so that it is never newer than what is sent. */
  async #mark(tables: TableSource, signal: AbortSignal): Promise<{
    readonly signatures: Awaited<ReturnType<TableSource["signatures"]>>;
    readonly probe: Awaited<ReturnType<TableSource["probeChanges"]>>;
  }> {
    const probe = await tables.probeChanges(signal);
    return { probe, signatures: await tables.signatures(signal) };
  }

  async #probe(tables: TableSource, epoch: number, signal: AbortSignal): Promise<void> {
    const { states, config: { replication }, noteChange, log } = this.#options;
    try {
      const probe = await tables.probeChanges(signal);
      const differs = (set: SignedSet, now: string): boolean => {
        const copy = this.#changes.copy(set, states.read(set, "sent"), epoch);
        return copy !== null && copy.probe !== now;
      };
      if (replication.config !== null && differs("config", probe.config)) noteChange("config");
      if (replication.hot !== null && differs("hot", probe.hot)) noteChange("hot");
      const alone = replication.config === null && replication.database!.onChange;
      if (alone && differs("database", probe.config)) noteChange("database");
      this.#trouble = null;
    } catch (cause) {
      if (signal.aborted) return;
      const why = messageOf(cause);
      if (why !== this.#trouble) log("warn", `Changes of the database cannot be seen: ${why}`);
      this.#trouble = why;
    }
  }
}
