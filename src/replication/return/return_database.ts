/**
 * The way back as the rest of relais sees it: what the slave's database gained, and bringing it into the
 * master's (docs/design/return.md). Each call has a database worker of its own.
 *
 * @module
 */

import type { DatabaseConfig } from "../../config/types.ts";
import { DatabaseWorker } from "../database_client.ts";
import { DatabaseContext, type DatabaseSeams } from "../database_context.ts";
import type { WorkerOperation, WorkerOperations } from "../database_protocol.ts";
import type { CatchUp, ReturnBase, ReturnCounters } from "./return_protocol.ts";
import type {
  Decisions,
  ReturnOutcome,
  ReturnSummary,
  RowChange,
  SequenceState,
} from "./return_types.ts";

/** Deadlines in milliseconds. */
const CATCH_UP_MS = 5 * 60_000;
const OPEN_MS = 5 * 60_000;
const READ_MS = 60_000;
const APPLY_MS = 5 * 60_000;
const DONE_MS = 20_000;

/** What the master is given. */
export interface ApplyRequest {
  readonly tables: readonly string[];
  readonly sequences: readonly SequenceState[];
  readonly decisions: Decisions;
  readonly commit: WorkerOperations["return-apply-end"]["args"]["commit"];
  /** Ends only when all changes were seen; an error leaves the database as it was. */
  readonly changes: AsyncIterable<readonly RowChange[]>;
}

/** History that goes before the hand-back, so that less is left for it. */
export interface Ahead {
  /** From here on only history is read. @returns the number of rows */
  begin(): Promise<number>;
  /** The master has it. */
  done(): Promise<void>;
}

/** See the module. */
export class ReturnDatabase {
  readonly #context: DatabaseContext;
  readonly #config: DatabaseConfig;

  /** @throws {TypeError} when the configured database is not one that can be copied */
  constructor(config: DatabaseConfig, seams: DatabaseSeams = {}) {
    this.#context = new DatabaseContext(config, seams);
    this.#config = config;
  }

  /**
   * Slave, at a takeover: keeps what is needed to tell later what was gained.
   *
   * @param fresh what an earlier service left behind is not continued
   * @throws {DatabaseWorkerError} when PostgreSQL can't be reached, or not used for that
   */
  async prepare(options: {
    readonly fresh: boolean;
    readonly deadlineMs: number;
    readonly signal: AbortSignal;
  }): Promise<ReturnBase> {
    const { returnMode: mode, returnTables: tables, localTables } = this.#config;
    if (mode === "none") throw new TypeError('Cannot prepare a return as return is "none"');
    const { fresh, deadlineMs, signal } = options;
    const args = { mode, tables, localTables, fresh };
    return await this.#with((worker) =>
      worker.request("return-prepare", args, { deadlineMs, signal })
    );
  }

  /** Slave: lets the slot's log go. @throws {DatabaseWorkerError} when the slot is lost */
  async catchUp(signal: AbortSignal): Promise<CatchUp> {
    return await this.#ask("return-catch-up", {}, CATCH_UP_MS, signal);
  }

  /** Slave: rows changed in its database, as PostgreSQL counts. */
  async counters(deadlineMs: number, signal: AbortSignal): Promise<ReturnCounters> {
    return await this.#ask("return-counters", {}, deadlineMs, signal);
  }

  /** Slave: it is over. */
  async done(signal: AbortSignal): Promise<void> {
    await this.#ask("return-done", {}, DONE_MS, signal);
  }

  /**
   * Slave: finds what was gained and lets `work` read it, in the order in which it is best applied.
   * `work` gets null when nothing was prepared in this database.
   */
  async gained<T>(
    signal: AbortSignal,
    work: (
      summary: ReturnSummary | null,
      changes: () => AsyncGenerator<readonly RowChange[]>,
      ahead: Ahead,
    ) => Promise<T>,
  ): Promise<T> {
    return await this.#with(async (worker) => {
      const summary = await worker.request("return-open", {}, { deadlineMs: OPEN_MS, signal });
      async function* changes(): AsyncGenerator<readonly RowChange[]> {
        for (let from = 0;;) {
          const options = { deadlineMs: READ_MS, signal };
          const some = (await worker.request("return-read", { from }, options)).changes;
          if (some.length === 0) return;
          from += some.length;
          yield some;
        }
      }
      const options = { deadlineMs: OPEN_MS, signal };
      return await work(summary, changes, {
        begin: async () => (await worker.request("return-ahead", {}, options)).rows,
        done: async () => void await worker.request("return-ahead-done", {}, options),
      });
    });
  }

  /**
   * Master, services at rest: brings changes in, all in one transaction.
   *
   * @throws {DatabaseWorkerError} when the schemas differ or PostgreSQL refuses; what `changes` throws
   */
  async apply(request: ApplyRequest, signal: AbortSignal): Promise<ReturnOutcome> {
    const { tables, sequences, decisions, commit } = request;
    const options = { deadlineMs: APPLY_MS, signal };
    return await this.#with(async (worker) => {
      await worker.request("return-apply-begin", { tables }, options);
      for await (const changes of request.changes) {
        await worker.request("return-apply", { changes, decisions }, options);
      }
      return await worker.request("return-apply-end", { decisions, sequences, commit }, options);
    });
  }

  async #ask<Op extends WorkerOperation>(
    op: Op,
    args: WorkerOperations[Op]["args"],
    deadlineMs: number,
    signal: AbortSignal,
  ): Promise<WorkerOperations[Op]["result"]> {
    return await this.#with((worker) => worker.request(op, args, { deadlineMs, signal }));
  }

  async #with<T>(work: (worker: DatabaseWorker) => Promise<T>): Promise<T> {
    const worker = DatabaseWorker.start(await this.#context.worker());
    try {
      return await work(worker);
    } finally {
      await worker.close();
    }
  }
}
