/**
 * The stream's line to the local PostgreSQL: a database worker that is kept, since the master looks each
 * second, and started again when it ended.
 *
 * @module
 */

import type { DatabaseConfig } from "../../config/types.ts";
import { DatabaseWorker } from "../database_client.ts";
import { DatabaseContext } from "../database_context.ts";
import type { DatabaseSeams } from "../database_context.ts";
import type { WorkerOperations } from "../database_protocol.ts";
import type { StreamOperations } from "./operations.ts";

/** See the module. */
export class StreamDatabase {
  readonly #context: DatabaseContext;
  #worker: DatabaseWorker | null = null;
  #last: Promise<unknown> = Promise.resolve();

  /** @throws {TypeError} when the configured database is not one that can be copied */
  constructor(config: DatabaseConfig, seams: DatabaseSeams = {}) {
    this.#context = new DatabaseContext(config, seams);
  }

  /**
   * Does one operation, after those that were asked before.
   *
   * @throws {DatabaseWorkerError} when it fails or takes longer than `deadlineMs`; the abort of `signal`
   */
  async ask<Op extends keyof StreamOperations>(
    op: Op,
    args: WorkerOperations[Op]["args"],
    options: { readonly deadlineMs: number; readonly signal?: AbortSignal },
  ): Promise<WorkerOperations[Op]["result"]> {
    const mine = this.#last.then(async () => {
      options.signal?.throwIfAborted();
      const worker = this.#worker ??= DatabaseWorker.start(await this.#context.worker());
      try {
        return await worker.request(op, args, options);
      } catch (error) {
        // One that ended is of no use; one that only said no costs little to start again.
        if (this.#worker === worker) this.#worker = null;
        await worker.close();
        throw error;
      }
    });
    this.#last = mine.catch(() => {}); // Told to whoever asked.
    return await mine;
  }

  /** Ends the worker. */
  async close(): Promise<void> {
    await this.#last;
    const worker = this.#worker;
    this.#worker = null;
    await worker?.close();
  }
}
