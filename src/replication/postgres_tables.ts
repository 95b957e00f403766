/**
 * Relais' side of the sets `config` and `hot`: starts `relais database-tables` as the system user of the
 * database, feeds it and believes nothing but its exit status and its words (docs/design/tables.md).
 *
 * @module
 */

import type { DatabaseConfig } from "../config/types.ts";
import { killChild, spawnTool } from "../os/process.ts";
import { toolEnvironment } from "./database_connection.ts";
import { DatabaseContext, type DatabaseSeams } from "./database_context.ts";
import { startPipeline } from "./database_pipeline.ts";
import type { DatabaseDump } from "./database_port.ts";
import { PostgresDatabase } from "./database.ts";
import type { Signatures } from "./database_protocol.ts";
import { readProbe } from "./database_probe.ts";
import type { SetDetail } from "./set_header.ts";
import { COMMIT_WORD, READY_WORD } from "./tables_apply.ts";
import { encodePiece } from "./tables_format.ts";
import type { ApplyTablesOptions, ChangeProbe, TableSet, TableSource } from "./tables_port.ts";
import { tablesArguments } from "./tables_worker.ts";
import { pipelinePayload } from "./pipeline_payload.ts";

/** The longest that reading or applying may take, in milliseconds. */
const DUMP_DEADLINE_MS = 10 * 60_000;
const APPLY_DEADLINE_MS = 15 * 60_000;

/** Most of the process's output that is kept, in characters. */
const MAX_OUTPUT = 8192;

/** The rows of single tables could not be read or put in place. */
class TablesError extends Error {
  override readonly name = "TablesError";
}

/** Single tables of a PostgreSQL database of this host's cluster. */
export class PostgresTables implements TableSource {
  readonly #context: DatabaseContext;
  readonly #database: PostgresDatabase;

  /** @throws {TypeError} when the configured database is not one that can be copied */
  constructor(config: DatabaseConfig, seams: DatabaseSeams = {}) {
    this.#context = new DatabaseContext(config, seams);
    this.#database = new PostgresDatabase(config, seams);
  }

  /** @inheritdoc */
  async probeChanges(signal?: AbortSignal): Promise<ChangeProbe> {
    return await readProbe(this.#context, signal);
  }

  /** @inheritdoc */
  async signatures(signal?: AbortSignal): Promise<Signatures> {
    return await this.#database.signatures(signal);
  }

  /** @inheritdoc */
  async exists(signal?: AbortSignal): Promise<boolean> {
    return await this.#database.exists(signal);
  }

  /** @inheritdoc */
  async dumpTables(
    { set, signal, onProgress }: {
      readonly set: TableSet;
      readonly signal: AbortSignal;
      readonly onProgress: ApplyTablesOptions["onProgress"];
    },
  ): Promise<DatabaseDump> {
    const stop = new AbortController();
    const { command, user, env } = await this.#process("dump", set);
    const pipeline = startPipeline({
      stages: [{ argv: command, env }],
      user,
      signal: AbortSignal.any([signal, stop.signal, AbortSignal.timeout(DUMP_DEADLINE_MS)]),
    });
    const { done } = pipeline;
    const payload = pipelinePayload(pipeline, {
      done,
      stop,
      onPiece: (bytes) => onProgress({ phase: "send", bytes, totalBytes: null }),
    });
    return { detail: {}, payload, done };
  }

  /**
   * See {@linkcode TableSource.applyTables}.
   *
   * @throws {TablesError} when PostgreSQL did not take the rows, or they do not fit: nothing was changed
   */
  async applyTables(options: ApplyTablesOptions): Promise<{ readonly detail: SetDetail }> {
    const { payload, whole, onProgress } = options;
    const signal = AbortSignal.any([options.signal, AbortSignal.timeout(APPLY_DEADLINE_MS)]);
    const { command, user, env } = await this.#process("apply", options.set);
    signal.throwIfAborted();
    const child = spawnTool(command[0]!, {
      args: command.slice(1),
      ...user,
      cwd: "/",
      clearEnv: true,
      env,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    });
    const onAbort = (): void => killChild(child);
    signal.addEventListener("abort", onAbort, { once: true });
    const words = new Words(child.stdout);
    const stderr = new Response(child.stderr).text().catch((error) => String(error));
    try {
      const writer = child.stdin.getWriter();
      const feed = async (bytes: Uint8Array): Promise<void> => {
        for (const piece of encodePiece(bytes)) {
          await writer.write(piece as Uint8Array<ArrayBuffer>);
        }
      };
      let failure: unknown = null;
      try {
        let bytes = 0;
        for await (const chunk of payload) {
          bytes += chunk.length;
          onProgress({ phase: "apply", bytes, totalBytes: null });
          await feed(chunk);
        }
        await whole;
        await feed(new Uint8Array(0));
        await words.until(READY_WORD);
        await options.confirm();
        signal.throwIfAborted();
        onProgress({ phase: "commit", bytes, totalBytes: bytes });
        await feed(new TextEncoder().encode(COMMIT_WORD));
      } catch (cause) {
        failure = cause;
      }
      await writer.close().catch(() => {}); // It has ended: its status tells.
      const { success } = await child.status;
      const said = (await stderr).trim().slice(0, MAX_OUTPUT);
      signal.throwIfAborted();
      // What PostgreSQL says is the cause; a broken pipe only follows it.
      if (!success && said !== "" && !isOurs(failure)) throw new TablesError(said);
      if (failure !== null) throw failure;
      if (!success) throw new TablesError("Cannot put the rows in place: the process was killed");
      return { detail: JSON.parse(await words.rest()) as SetDetail };
    } finally {
      signal.removeEventListener("abort", onAbort);
      killChild(child);
      await words.close();
    }
  }

  async #process(verb: "dump" | "apply", set: TableSet): Promise<{
    readonly command: string[];
    readonly user: Awaited<ReturnType<DatabaseContext["user"]>>;
    readonly env: Record<string, string>;
  }> {
    const { localTables, excludeTableData, hotTables } = this.#context.config;
    const { address } = this.#context;
    const selection = { set, localTables, excludeTableData, hotTables };
    const { user, env } = await this.#context.worker();
    const base = toolEnvironment({ address, appName: "relais-tables", pgOptions: "" });
    return {
      command: this.#context.self(tablesArguments(verb, { address, selection })),
      user,
      env: { ...base, ...env },
    };
  }
}

/** A refusal of the daemon or of the stream, not a pipe that broke as the process had ended. */
function isOurs(failure: unknown): boolean {
  return failure !== null && !(failure instanceof Deno.errors.BrokenPipe) &&
    !(failure instanceof TypeError) && !(failure instanceof WordsEnded);
}

class WordsEnded extends Error {
  override readonly name = "WordsEnded";
}

/** What the process says on its standard output. */
class Words {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  #text = "";

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
  }

  /** Reads until `word` came; what follows stays. */
  async until(word: string): Promise<void> {
    while (!this.#text.includes(word)) {
      if (!await this.#more()) throw new WordsEnded(`the process ended without saying ${word}`);
    }
    this.#text = this.#text.slice(this.#text.indexOf(word) + word.length);
  }

  /** Everything to the end. */
  async rest(): Promise<string> {
    while (await this.#more());
    return this.#text;
  }

  /** Nobody listens any more. */
  async close(): Promise<void> {
    await this.#reader.cancel().catch(() => {}); // It has broken: that is an end too.
  }

  async #more(): Promise<boolean> {
    const { value, done } = await this.#reader.read();
    if (done) return false;
    if (this.#text.length < MAX_OUTPUT) this.#text += this.#decoder.decode(value, { stream: true });
    return true;
  }
}
