/**
 * What dump and installation share: where the database is, as whom and with which programs it is reached.
 *
 * @module
 */

import type { DatabaseConfig } from "../config/types.ts";
import { selfCommand } from "../os/self.ts";
import { lookupUser } from "../os/user.ts";
import type { ProcessUser } from "../os/user.ts";
import { databaseAddress, toolEnvironment } from "./database_connection.ts";
import type { DatabaseAddress } from "./database_connection.ts";
import { workerArguments } from "./database_protocol.ts";
import { findTool, PATH_DIRECTORIES, toolDirectories } from "./database_tools.ts";

/** Longest name of the live database, in bytes: PostgreSQL's limit (63) less `_relais_new`. */
const MAX_NAME_BYTES = 52;

/** Databases that PostgreSQL itself needs. */
const RESERVED = ["postgres", "template0", "template1"];

/** Replaceable for tests. */
export interface DatabaseSeams {
  /** Argument list that runs relais with the given verb; default: {@linkcode selfCommand}. */
  readonly self?: (verb: readonly string[]) => string[];
  /** Where programs are looked for; default: Debian's places of that server version, then the path. */
  readonly toolDirectories?: (serverVersionNum: number | null) => readonly string[];
  /** Added to the worker's environment (`DENO_DIR` when run from source). */
  readonly workerEnv?: Readonly<Record<string, string>>;
}

/** See the module. */
export class DatabaseContext {
  readonly config: DatabaseConfig;
  readonly address: DatabaseAddress;
  readonly #seams: DatabaseSeams;

  /** @throws {TypeError} when the database cannot be one that is copied */
  constructor(config: DatabaseConfig, seams: DatabaseSeams = {}) {
    this.config = config;
    this.address = databaseAddress(config);
    this.#seams = seams;
    if (RESERVED.includes(config.name)) {
      throw new TypeError(`Cannot copy the database ${config.name} as PostgreSQL itself needs it`);
    }
    if (new TextEncoder().encode(config.name).length > MAX_NAME_BYTES) {
      throw new TypeError(
        `Cannot copy the database ${config.name} as its name is longer than ${MAX_NAME_BYTES} bytes`,
      );
    }
  }

  /** Identity of every program that talks to PostgreSQL. */
  async user(): Promise<ProcessUser> {
    return await lookupUser(this.config.osUser);
  }

  /**
   * Full path of a program; for PostgreSQL's own give the server's version.
   *
   * @throws {ToolMissingError} when it is not installed
   */
  async findTool(tool: string, serverVersionNum: number | null = null): Promise<string> {
    const usual = serverVersionNum === null ? PATH_DIRECTORIES : toolDirectories(serverVersionNum);
    return await findTool(tool, this.#seams.toolDirectories?.(serverVersionNum) ?? usual);
  }

  /** Argument list that runs relais with the given verb. */
  self(verb: readonly string[]): string[] {
    return (this.#seams.self ?? selfCommand)(verb);
  }

  /** How the database worker is started. */
  async worker(): Promise<{
    readonly command: string[];
    readonly user: ProcessUser;
    readonly env: Record<string, string>;
  }> {
    const env = toolEnvironment({ address: this.address, appName: "relais", pgOptions: "" });
    return {
      command: this.self(workerArguments(this.address)),
      user: await this.user(),
      env: { ...env, ...this.#seams.workerEnv },
    };
  }
}
