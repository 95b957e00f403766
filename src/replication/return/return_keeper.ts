/**
 * The way back of the database on the slave, from its takeover to the hand-back: keeps what is needed,
 * looks from time to time whether everything could go back, brings it back, and remembers what an operator
 * decides (docs/design/return.md).
 *
 * @module
 */

import type { LocalConfig } from "../../config/types.ts";
import type { Clock } from "../../os/clock.ts";
import { messageOf } from "../../os/errors.ts";
import { RemoteError, type Transport } from "../transport.ts";
import type { ReturnDatabase } from "./return_database.ts";
import { ReturnFolder } from "./return_folder.ts";
import { sendReturn } from "./return_send.ts";
import { type PendingReturn, ReturnState } from "./return_state.ts";
import { discardedSentence, outcomeSentence, type ReturnReport } from "./return_report.ts";
import type { ReturnChoice, ReturnOutcome, ReturnSummary, RowChange } from "./return_types.ts";

/** A takeover waits no longer for it. */
const PREPARE_MS = 3000;
/** Later there is time. */
const PREPARE_LATER_MS = 60_000;
/** Rest between two looks: this, or sixty times as long as it took. */
const LOOK_EVERY_MS = 15_000;
const LOOK_SHARE = 60;
/** A look that found everything well is believed for so long. */
const LOOK_FRESH_MS = 120_000;
/** Fewer call records than this wait for the hand-back. */
const AHEAD_ROWS = 5000;
/** Rows shown to an operator. */
const SHOWN_ROWS = 200;
const SHOWN_CHARS = 1_000_000;

/** What it works with. */
export interface ReturnKeeperOptions {
  readonly config: LocalConfig;
  readonly stateDir: string;
  readonly clock: Clock;
  readonly transport: Transport;
  readonly database: ReturnDatabase;
  /** For log, history and alerts. */
  readonly onEvent: (level: "info" | "warn", text: string) => void;
}

/** See the module. */
export class ReturnKeeper {
  readonly #options: ReturnKeeperOptions;
  readonly #state: ReturnState;
  #blocked: string | null = null;
  #lookedMs: number | null = null;
  #nextLookMs = 0;
  #lastOutcome: ReturnOutcome | null = null;
  /** One at a time: the look of the schedule, an operator's, the hand-back. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: ReturnKeeperOptions) {
    this.#options = options;
    this.#state = new ReturnState(options.stateDir);
  }

  /** Why the service can't go back now, as a sentence; null: nothing known is against it. */
  get blocked(): string | null {
    return this.#blocked;
  }

  /** How long the next look rests, in milliseconds of the clock; 0: it is due. */
  get dueInMs(): number {
    return Math.max(0, this.#nextLookMs - this.#options.clock.nowMs());
  }

  /**
   * At the takeover, services stopped: from here on it is known what changes.
   *
   * @returns a sentence; empty: nothing to do
   * @throws when it did not succeed within its time; it is tried again while this host serves
   */
  async prepare(signal: AbortSignal): Promise<string> {
    return await this.#alone(() => this.#prepare(PREPARE_MS, signal));
  }

  /** What `relais receive` had to keep is told here. */
  async hearWord(): Promise<void> {
    const word = await this.#state.takeWord();
    if (word !== null) this.#options.onEvent("warn", word);
  }

  /** While this host serves: lets the slot's log go, and sees whether all could go back. Never throws. */
  async look({ epoch, signal }: {
    readonly epoch: number;
    readonly signal: AbortSignal;
  }): Promise<void> {
    const { clock } = this.#options;
    const beganMs = clock.nowMs();
    await this.#alone(() => this.#look(epoch, signal)).catch((cause) => {
      if (!signal.aborted) this.#block(messageOf(cause));
    });
    const tookMs = clock.nowMs() - beganMs;
    this.#nextLookMs = clock.nowMs() + Math.max(LOOK_EVERY_MS, tookMs * LOOK_SHARE);
  }

  /**
   * Before anything stops: would it go back?
   *
   * @throws when it would not, and the policy is to wait
   */
  async check(options: { readonly epoch: number; readonly signal: AbortSignal }): Promise<void> {
    const { clock } = this.#options;
    const pending = await this.#state.pending();
    if (pending === null || this.#goes(pending)) return;
    const fresh = this.#lookedMs !== null && clock.nowMs() - this.#lookedMs < LOOK_FRESH_MS;
    if (!fresh || this.#blocked !== null) await this.look(options);
    options.signal.throwIfAborted();
    if (this.#blocked !== null) throw new Error(this.#blocked);
  }

  /**
   * At the hand-back, services stopped: brings it to the master.
   *
   * @returns what was done, as a sentence; empty: there was nothing to do
   * @throws when it did not succeed and the policy is to wait; then nothing was changed on the master
   */
  async deliver(options: {
    readonly epoch: number;
    readonly signal: AbortSignal;
  }): Promise<string> {
    return await this.#alone(() => this.#deliver(options));
  }

  /** A trial for the operator: rows, conflicts, and what would become of them. */
  async report({ epoch, signal }: {
    readonly epoch: number;
    readonly signal: AbortSignal;
  }): Promise<ReturnReport> {
    return await this.#alone(async () => {
      const pending = await this.#state.pending();
      const decisions = await this.#state.decisions();
      const common = {
        mode: this.#options.config.replication.database!.returnMode,
        since: pending === null ? null : new Date(pending.sinceWallMs).toISOString(),
        blocked: this.#blocked,
        decisions,
      };
      const empty = { summary: null, changes: [], outcome: null, trouble: null };
      if (pending === null) return { ...common, ...empty };
      if (pending.mode === "none" || !pending.prepared) {
        const trouble = pending.why ?? await this.#discarded(pending, signal);
        return { ...common, ...empty, trouble };
      }
      const shown: RowChange[] = [];
      let chars = 0;
      let trouble: string | null = null;
      let found: ReturnSummary | null = null;
      const outcome = await this.#trial(epoch, signal, (summary) => found = summary, (change) => {
        chars += JSON.stringify(change).length;
        if (shown.length < SHOWN_ROWS && chars < SHOWN_CHARS) shown.push(change);
      }).catch((cause) => {
        signal.throwIfAborted();
        trouble = messageOf(cause);
        return null;
      });
      if (outcome !== null) this.#judge(found, outcome);
      return {
        ...common,
        blocked: this.#blocked,
        summary: found,
        changes: shown,
        outcome,
        trouble,
      };
    });
  }

  /** The operator decides about one conflict, or about all that have no decision. */
  async decide(id: string, choice: ReturnChoice): Promise<string> {
    const known = this.#lastOutcome?.conflicts.some((conflict) => conflict.id === id) ?? false;
    if (id !== "all" && !known) {
      throw new Error(
        `Cannot decide about ${id} as there is no such conflict: relais return conflicts`,
      );
    }
    await this.#state.setDecisions({ ...await this.#state.decisions(), [id]: choice });
    this.#nextLookMs = 0;
    const text = `${id}: ${choice}, at the next hand-back`;
    this.#options.onEvent("info", `an operator decided about what goes back: ${text}`);
    return text;
  }

  /** The operator lets the service go back without what can't travel, this once. */
  async go(): Promise<string> {
    const pending = await this.#state.pending();
    if (pending === null) throw new Error("Cannot do that as nothing is to go back");
    await this.#state.setPending({ ...pending, go: true });
    this.#blocked = null;
    const text = "the next hand-back goes without what can't travel; that stays in a dated folder";
    this.#options.onEvent("info", `an operator decided: ${text}`);
    return text;
  }

  #goes(pending: PendingReturn): boolean {
    return pending.go || this.#options.config.replication.database!.onReturnFailure === "go";
  }

  async #prepare(deadlineMs: number, signal: AbortSignal): Promise<string> {
    const { config, clock, database } = this.#options;
    const mode = config.replication.database!.returnMode;
    const before = await this.#state.pending();
    const sinceWallMs = before?.sinceWallMs ?? clock.wallMs();
    const common = { mode, sinceWallMs, go: before?.go ?? false, counters: null };
    try {
      if (mode === "none") {
        if (before?.mode === "none" && before.counters !== null) return "";
        const counters = await database.counters(deadlineMs, signal);
        await this.#state.setPending({ ...common, prepared: true, why: null, counters });
        return "";
      }
      const fresh = before === null || before.mode !== mode;
      const base = await database.prepare({ fresh, deadlineMs, signal });
      await this.#state.setPending({ ...common, prepared: true, why: null });
      for (const note of base.notes) this.#options.onEvent("warn", `The way back: ${note}`);
      return base.already
        ? "what changes is followed since the takeover before"
        : mode === "all"
        ? `a slot follows what changes in ${base.tables} tables; ${base.sequences} sequences raised`
        : `${base.rows} rows of ${base.tables} tables kept; ${base.sequences} sequences raised`;
    } catch (cause) {
      const why = `What changes is not followed: ${
        messageOf(signal.aborted ? signal.reason : cause)
      }`;
      await this.#state.setPending({ ...common, prepared: false, why }).catch(() => {}); // Told below.
      throw new Error(why, { cause });
    }
  }

  async #look(epoch: number, signal: AbortSignal): Promise<void> {
    const { database, onEvent } = this.#options;
    let pending = await this.#state.pending();
    if (pending === null) {
      this.#blocked = null;
      return;
    }
    if (!pending.prepared) {
      const text = await this.#prepare(PREPARE_LATER_MS, signal);
      if (text !== "") {
        onEvent("warn", `The way back: ${text}, but only from now on, not from the takeover on`);
      }
      pending = (await this.#state.pending())!;
    }
    if (pending.mode === "none") return;
    if (pending.mode === "all") await database.catchUp(signal);
    let found: ReturnSummary | null = null;
    try {
      const outcome = await this.#trial(epoch, signal, (summary) => found = summary);
      if (outcome !== null) {
        this.#judge(found, outcome);
        const { history } = found!;
        if (this.#blocked === null && history >= AHEAD_ROWS) await this.#goAhead(epoch, signal);
      }
    } catch (cause) {
      // No master to go back to, or one that is not ready: no hand-back either.
      if (
        cause instanceof RemoteError && (cause.kind === "unreachable" || cause.kind === "refused")
      ) {
        this.#lookedMs = null;
        return;
      }
      throw cause;
    }
  }

  /** Call records that are many go while the telephones work: what is left for the hand-back is short. */
  async #goAhead(epoch: number, signal: AbortSignal): Promise<void> {
    const { database, onEvent } = this.#options;
    await database.gained(signal, async (summary, changes, ahead) => {
      if (summary === null) return;
      const total = await ahead.begin();
      const given = { ...this.#options, epoch, signal, decisions: {}, changes: changes() };
      const outcome = await sendReturn({
        ...given,
        summary: { ...summary, total },
        commit: "if-clean",
      });
      if (!outcome.committed) return;
      await ahead.done();
      onEvent("info", `${total} call records went to the master ahead of the hand-back`);
    });
  }

  /** Null: nothing was prepared in this database, or there is nothing to bring. */
  async #trial(
    epoch: number,
    signal: AbortSignal,
    onSummary: (summary: ReturnSummary) => void,
    onChange: (change: RowChange) => void = () => {},
  ): Promise<ReturnOutcome | null> {
    const decisions = await this.#state.decisions();
    return await this.#options.database.gained(signal, async (summary, changes) => {
      if (summary === null) return null;
      onSummary(summary);
      async function* passing(): AsyncGenerator<readonly RowChange[]> {
        for await (const some of changes()) {
          some.forEach(onChange);
          yield some;
        }
      }
      const given = { ...this.#options, epoch, signal, summary, decisions };
      return await sendReturn({ ...given, changes: passing(), commit: "trial" });
    });
  }

  #judge(summary: ReturnSummary | null, outcome: ReturnOutcome): void {
    this.#lastOutcome = outcome;
    this.#lookedMs = this.#options.clock.nowMs();
    const why = whyNot(summary, outcome);
    if (why === null) this.#clear();
    else this.#block(why);
  }

  async #deliver({ epoch, signal }: {
    readonly epoch: number;
    readonly signal: AbortSignal;
  }): Promise<string> {
    const { database, stateDir, clock } = this.#options;
    const pending = await this.#state.pending();
    if (pending === null) return "";
    if (pending.mode === "none") return await this.#finish(await this.#discarded(pending, signal));
    const goes = this.#goes(pending);
    if (!pending.prepared) {
      if (goes) return await this.#finish(`${pending.why}: gone back without`);
      throw this.#block(pending.why ?? "what changed is not known");
    }
    const decisions = await this.#state.decisions();
    const commit = goes ? "without" : "if-clean";
    let folder: ReturnFolder | null = null;
    const text = await database.gained(signal, async (summary, changes) => {
      if (summary === null) return "nothing was followed in this database";
      const incomplete = summary.notes.length > 0 ? summary.notes.join("; ") : null;
      if (incomplete !== null && !goes) throw this.#block(whyNot(summary, null) ?? incomplete);
      if (summary.total === 0) return incomplete ?? "the database gained nothing";
      folder = await ReturnFolder.begin(stateDir, clock.wallMs());
      let outcome: ReturnOutcome | null = null;
      let failure: string | null = null;
      try {
        const kept = folder.keep(changes());
        const given = { ...this.#options, epoch, signal, summary, decisions };
        outcome = await sendReturn({ ...given, changes: kept, commit });
      } catch (cause) {
        failure = messageOf(signal.aborted ? signal.reason : cause);
        await folder.abandon();
        folder = null;
        if (!goes) throw this.#block(`what the database gained can't go back: ${failure}`);
      }
      if (outcome !== null && !outcome.committed) {
        await folder?.abandon();
        this.#judge(summary, outcome);
        throw new Error(this.#blocked ?? "the master did not keep the rows");
      }
      if (folder === null) {
        // It was not read to its end: once more, for the folder alone.
        folder = await ReturnFolder.begin(stateDir, clock.wallMs());
        // deno-lint-ignore no-empty -- written by keep()
        for await (const _ of folder.keep(changes())) {}
      }
      const left = failure !== null || outcome!.conflictCount > 0 || outcome!.leftByDecision > 0 ||
        incomplete !== null;
      const why = failure === null
        ? outcomeSentence(outcome!)
        : `The service went back without these rows as they could not travel: ${failure}`;
      const kept = await folder.end({
        delivered: !left,
        why: incomplete === null ? why : `${why}. Not known: ${incomplete}`,
        summary,
        conflicts: outcome?.conflicts ?? [],
        replaced: outcome?.replaced ?? [],
      }).then(
        ({ path, removed }) =>
          `${left ? "what did not travel is in" : "kept in"} ${path}` +
          (removed === null ? "" : `; ${removed}`),
        (cause) => messageOf(cause),
      );
      return `${why}; ${kept}`;
    });
    return await this.#finish(text);
  }

  /** It is over; what is left in the database goes with the next copy at the latest. */
  async #finish(text: string): Promise<string> {
    await this.#state.setPending(null);
    await this.#state.setDecisions(null);
    this.#lastOutcome = null;
    this.#lookedMs = null;
    this.#clear();
    const { database, onEvent } = this.#options;
    await database.done(AbortSignal.timeout(5000)).catch((cause) => {
      onEvent(
        "warn",
        `What the way back had kept in the database is still there: ${messageOf(cause)}`,
      );
    });
    return text;
  }

  async #discarded(pending: PendingReturn, signal: AbortSignal): Promise<string> {
    const { database } = this.#options;
    const now = await database.counters(PREPARE_MS, signal).catch(() => null);
    return discardedSentence(pending.counters, now);
  }

  #block(why: string): Error {
    const text = `The service stays here: ${why}`;
    if (text !== this.#blocked) this.#options.onEvent("warn", text);
    this.#blocked = text;
    return new Error(text);
  }

  #clear(): void {
    if (this.#blocked !== null) {
      this.#options.onEvent("info", "nothing is against the way back of the database any more");
    }
    this.#blocked = null;
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => {}); // Told to whoever asked.
    return await mine;
  }
}

function whyNot(summary: ReturnSummary | null, outcome: ReturnOutcome | null): string | null {
  const parts: string[] = [];
  const count = outcome?.conflictCount ?? 0;
  if (count > 0) {
    parts.push(
      `${count} ${count === 1 ? "row differs" : "rows differ"} on both hosts, decide: ` +
        "relais return conflicts",
    );
  }
  if (summary !== null && summary.notes.length > 0) {
    parts.push(`${summary.notes.join("; ")}; to go back without it: relais return go`);
  }
  return parts.length === 0 ? null : parts.join("; ");
}
