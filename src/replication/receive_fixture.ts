/**
 * `relais receive` on the second host of `peer_fixture.ts`: the real `receive()` with a gate that reads
 * its answers from a file, and a database that keeps its dump in a file.
 */
import { join } from "node:path";
import { systemClock } from "../os/clock.ts";
import { writeAll } from "../os/write_all.ts";
import { PostgresDatabase } from "./database.ts";
import { PostgresTables } from "./postgres_tables.ts";
import type { DatabaseSource } from "./database_port.ts";
import type { DatabaseSeams } from "./database_context.ts";
import { StreamDatabase } from "./logical/stream_database.ts";
import { receive } from "./receive.ts";
import type { Permission, ReceiveGate } from "./receive_gate.ts";
import { ReturnDatabase } from "./return/return_database.ts";
import type { PeerGate } from "./peer_fixture.ts";

const home = join(Deno.args[0]!, "peer");
const config = JSON.parse(Deno.readTextFileSync(join(home, "config.json")));

function answers(): PeerGate {
  return JSON.parse(Deno.readTextFileSync(join(home, "gate.json")));
}

function note(line: string): void {
  Deno.writeTextFileSync(join(home, "gate.log"), line + "\n", { append: true });
}

function permission(question: string, what: string): Promise<Permission> {
  note(`${question} ${what}`);
  const { daemon, refusal } = answers();
  if (daemon === null) return Promise.reject(new Error("no control socket"));
  return Promise.resolve(refusal === null ? { ok: true } : { ok: false, reason: refusal });
}

const gate: ReceiveGate = {
  whoAmI: () => {
    const { daemon } = answers();
    return daemon === null ? Promise.reject(new Error("no socket")) : Promise.resolve(daemon);
  },
  begin: (header) => permission("begin", `${header.set} ${header.epoch} ${header.origin}`),
  confirm: (header) => permission("confirm", header.set),
  end: ({ set, ok, reason, note: sentence }) => {
    note(`end ${set} ${ok} ${reason}`);
    if (sentence !== undefined) note(`note ${sentence}`);
    return Promise.resolve();
  },
  refused: ({ set, reason }) => {
    note(`refused ${set} ${reason}`);
    return Promise.resolve();
  },
};

const fake: DatabaseSource = {
  dump: () => Promise.reject(new Error("not in this test")),
  async install(
    { payload, whole, signal, confirm, onProgress },
  ): Promise<{ readonly detail: { readonly tables: number } }> {
    onProgress({ phase: "restore", bytes: 0, totalBytes: null });
    const text = await new Response(payload).text();
    await whole;
    if (text.startsWith("slow")) {
      note("restoring");
      await systemClock.sleep(60_000, signal);
    }
    await confirm();
    await Deno.writeTextFile(join(home, "database"), text);
    return { detail: { tables: 3 } };
  },
  cleanupLeftovers: () => Promise.resolve(),
};

/** The way back on a real cluster, if the test made one. */
function returning(): ReturnDatabase | null {
  try {
    const { config, self, workerEnv } = JSON.parse(
      Deno.readTextFileSync(join(home, "returning.json")),
    );
    return new ReturnDatabase(config, { self: (verb) => [...self, ...verb], workerEnv });
  } catch {
    return null;
  }
}

/** A real database, if the test wrote down how its worker is started. */
function realSeams(): DatabaseSeams | null {
  // A test of the stream has real PostgreSQL on both hosts.
  const { streamed = null } = config as { streamed?: { main: string; denoDir: string } | null };
  if (streamed !== null) {
    return {
      self: (verb) => [Deno.execPath(), "run", "-A", "--quiet", streamed.main, ...verb],
      workerEnv: { DENO_DIR: streamed.denoDir },
    };
  }
  try {
    const { self, workerEnv } = JSON.parse(Deno.readTextFileSync(join(home, "seams.json")));
    return { self: (verb) => [...self, ...verb], workerEnv };
  } catch {
    return null;
  }
}

const seams = realSeams();
const settings = config.replication.database;
const database = seams === null ? fake : new PostgresDatabase(settings, seams);
const tables = seams === null ? null : new PostgresTables(settings, seams);

const ended = new AbortController();
Deno.addSignalListener("SIGTERM", () => ended.abort(new Error("asked to end")));
Deno.exit(
  await receive(Deno.env.get("SSH_ORIGINAL_COMMAND") ?? "", {
    config,
    stateDir: join(home, "state"),
    runDir: join(home, "run"),
    clock: systemClock,
    gate,
    returning: returning(),
    database: settings === null ? null : database,
    tables: settings === null ? null : tables,
    streamDatabase: seams === null ? null : new StreamDatabase(settings, seams),
    // A role that every Debian has a system user for.
    tunnelUser: "nobody",
    facts: () => Promise.reject(new Error("not in this test")),
    key: () => Promise.reject(new Error("not in this test")),
    input: () => Deno.stdin.readable,
    write: (bytes) => writeAll(Deno.stdout, bytes),
    warn: (text) => console.error(text),
    signal: ended.signal,
  }),
);
