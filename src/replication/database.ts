/**
 * The data set `database`: a PostgreSQL database copied as a whole (docs/design/database.md).
 *
 * @module
 */

import type { DatabaseConfig } from "../config/types.ts";
import { messageOf } from "../os/errors.ts";
import { DatabaseWorker } from "./database_client.ts";
import { DatabaseContext } from "./database_context.ts";
import type { DatabaseSeams } from "./database_context.ts";
import { dumpDatabase } from "./database_dump.ts";
import { installDatabase } from "./database_install.ts";
import type {
  DatabaseDump,
  DatabaseDumpOptions,
  DatabaseInstallOptions,
  DatabaseSource,
} from "./database_port.ts";
import type {
  LiveFacts,
  Signatures,
  WorkerOperation,
  WorkerOperations,
} from "./database_protocol.ts";
import type { DatabaseRights } from "./host_facts.ts";
import type { SetDetail } from "./set_header.ts";

/** Deadlines in milliseconds. */
const CLEANUP_DEADLINE_MS = 180_000;
const SIGNATURE_DEADLINE_MS = 10_000;
const RIGHTS_DEADLINE_MS = 10_000;

/** Copies of a PostgreSQL database of this host's cluster. */
export class PostgresDatabase implements DatabaseSource {
  readonly #context: DatabaseContext;

  /** @throws {TypeError} when the configured database is not one that can be copied */
  constructor(config: DatabaseConfig, seams: DatabaseSeams = {}) {
    this.#context = new DatabaseContext(config, seams);
  }

  /** @inheritdoc */
  async dump(options: DatabaseDumpOptions): Promise<DatabaseDump> {
    return await dumpDatabase(this.#context, options);
  }

  /** @inheritdoc */
  async install(options: DatabaseInstallOptions): Promise<{ readonly detail: SetDetail }> {
    return await installDatabase(this.#context, options);
  }

  /**
   * Makes sure that exactly one complete live database remains after a crash at any point of an
   * installation, and drops the rest.
   *
   * @throws {DatabaseWorkerError} when PostgreSQL cannot be reached
   */
  async cleanupLeftovers(): Promise<void> {
    await this.#ask("cleanup", {}, CLEANUP_DEADLINE_MS);
  }

  /**
   * Change signatures of the live database: equal ones mean that nothing was changed in between.
   *
   * @throws {DatabaseWorkerError} when PostgreSQL cannot be reached
   */
  async signatures(signal?: AbortSignal): Promise<Signatures> {
    const { localTables, excludeTableData } = this.#context.config;
    const selection = { localTables, excludeTableData };
    return await this.#ask("signatures", selection, SIGNATURE_DEADLINE_MS, signal);
  }

  /**
   * Whether the live database is there.
   *
   * @throws {DatabaseWorkerError} when PostgreSQL cannot be reached
   */
  async exists(signal?: AbortSignal): Promise<boolean> {
    return await this.#ask("exists", {}, RIGHTS_DEADLINE_MS, signal);
  }

  /**
   * Reads the live database as a whole for a proof. Changes nothing.
   *
   * @throws {DatabaseWorkerError} when PostgreSQL cannot be reached or a table cannot be read
   */
  async readLive(
    args: WorkerOperations["verify-live"]["args"],
    options: { readonly deadlineMs: number; readonly signal?: AbortSignal },
  ): Promise<LiveFacts> {
    return await this.#ask("verify-live", args, options.deadlineMs, options.signal);
  }

  /**
   * What the configured user may do in the local server, and how much room there is. Changes nothing.
   *
   * @throws {DatabaseWorkerError} when PostgreSQL cannot be reached or refuses the user
   */
  async rights(signal?: AbortSignal): Promise<DatabaseRights> {
    return await this.#ask("rights", {}, RIGHTS_DEADLINE_MS, signal);
  }

  /** Client programs that fit a server version: those that are not there, each as a sentence. */
  async missingTools(serverVersionNum: number): Promise<readonly string[]> {
    const looked = await Promise.allSettled(
      ["pg_dump", "pg_restore"].map((tool) => this.#context.findTool(tool, serverVersionNum)),
    );
    return looked.flatMap((each) => each.status === "rejected" ? [messageOf(each.reason)] : []);
  }

  async #ask<Op extends WorkerOperation>(
    op: Op,
    args: WorkerOperations[Op]["args"],
    deadlineMs: number,
    signal?: AbortSignal,
  ): Promise<WorkerOperations[Op]["result"]> {
    const worker = DatabaseWorker.start(await this.#context.worker());
    try {
      return await worker.request(op, args, signal ? { deadlineMs, signal } : { deadlineMs });
    } finally {
      await worker.close();
    }
  }
}
