/**
 * `relais database-tables dump|apply`, started by relais itself as the system user of the database: the rows
 * of single tables leave on standard output, or come in on standard input and are put in place in one
 * transaction. Like `pg_dump` and `pg_restore` it ends with a status other than 0 when it failed, and says
 * why on standard error.
 *
 * @module
 */

import { Readable } from "node:stream";
import { createGzip } from "node:zlib";
import { messageOf } from "../os/errors.ts";
import { writeAll } from "../os/write_all.ts";
import type { DatabaseAddress } from "./database_connection.ts";
import { inTransaction, withSession } from "./database_session.ts";
import { applyTables } from "./tables_apply.ts";
import {
  chosenTables,
  columnList,
  describeTables,
  pinFormats,
  type TablesSelection,
} from "./tables_catalog.ts";
import { encodePiece, encodeTablesManifest } from "./tables_format.ts";

/** Longest a statement may take, in milliseconds. */
const STATEMENT_TIMEOUT_MS = 120_000;

/** Most compressed bytes that are held back until the transaction has ended. */
const MAX_DUMP_BYTES = 512 * 1024 * 1024;

/** Arguments of both, as JSON. */
export interface TablesJob {
  readonly address: DatabaseAddress;
  readonly selection: TablesSelection;
}

/** Command line of the process. */
export function tablesArguments(verb: "dump" | "apply", job: TablesJob): string[] {
  return ["database-tables", verb, JSON.stringify(job)];
}

/**
 * Does what the arguments after `database-tables` say.
 *
 * @returns the exit status
 */
export async function tablesMain(args: readonly string[]): Promise<number> {
  const [verb, text] = args;
  if (text === undefined || args.length !== 2 || (verb !== "dump" && verb !== "apply")) {
    console.error("Cannot start database-tables by hand: relais starts it itself");
    return 64;
  }
  try {
    const job = JSON.parse(text) as TablesJob;
    if (verb === "dump") await dump(job);
    else await applyTables(job);
    return 0;
  } catch (error) {
    console.error(messageOf(error).replaceAll(/\s+/g, " ").slice(0, 2000));
    return 1;
  }
}

/**
 * The rows are read at the speed of this host, whatever the line can take: a transaction that waits for a
 * slow reader would hold up an `ALTER TABLE`, and everything behind it.
 */
async function dump({ address, selection }: TablesJob): Promise<void> {
  const parts: Uint8Array[] = [];
  let size = 0;
  await withSession({
    address,
    database: address.database,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    appName: "relais-tables",
  }, async (session) => {
    const begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    await inTransaction({ query: session.query, begin }, async () => {
      await pinFormats(session.query);
      const names = (await chosenTables(session.query, selection)).map(({ name }) => name);
      const manifest = await describeTables(session.query, selection.set, names);
      async function* content(): AsyncGenerator<Uint8Array> {
        yield* encodeTablesManifest(manifest);
        for (const { name, columns, rows } of manifest.tables) {
          if (columns.length > 0 && rows > 0) {
            const copy = `COPY ${name} (${columnList(columns)}) TO STDOUT`;
            for await (const chunk of await session.copyOut(copy)) yield* encodePiece(chunk);
          }
          yield* encodePiece(new Uint8Array(0));
        }
      }
      const gzip = Readable.from(content(), { objectMode: false }).pipe(createGzip({ level: 1 }));
      for await (const chunk of gzip) {
        size += chunk.length;
        if (size > MAX_DUMP_BYTES) {
          throw new Error(
            `Cannot copy the ${selection.set} tables as they are larger than ${MAX_DUMP_BYTES} ` +
              'bytes: set delta = false, or use mode = "stream"',
          );
        }
        parts.push(chunk);
      }
    });
  });
  for (const part of parts) await writeAll(Deno.stdout, part);
}
