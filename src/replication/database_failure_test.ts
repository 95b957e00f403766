import assert from "node:assert/strict";
import { ToolMissingError } from "../os/process.ts";
import {
  addNoise,
  databasePair,
  dumpOptions,
  eventually,
  installOptions,
  LIVE,
  receive,
} from "../../tests/support/database_pair.ts";
import { childrenOf } from "../../tests/support/postgres.ts";

const RELAIS_SESSIONS =
  "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'relais%'";

/** Process id of a descendant of this process by the name of its program. */
async function descendant(program: string, of: number = Deno.pid): Promise<number | null> {
  for (const pid of await childrenOf(of)) {
    const name = await Deno.readTextFile(`/proc/${pid}/comm`).catch(() => "");
    const line = await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "");
    if (name.trim() === program || line.includes(`\0${program}\0`)) return pid;
    const deeper = await descendant(program, pid);
    if (deeper !== null) return deeper;
  }
  return null;
}

async function killDescendant(program: string): Promise<void> {
  let pid: number | null = null;
  await eventually(`${program} runs`, async () => (pid = await descendant(program)) !== null);
  Deno.kill(pid ?? 0, "SIGKILL");
}

Deno.test("PostgresDatabase leaves the standby as it was when a copy fails", async (t) => {
  await using pair = await databasePair({ rows: 3000 });
  const { master, slave } = pair;
  await addNoise(master);
  const whole = `${pair.directory}/whole`;
  const spool = `${pair.directory}/spool`;
  await receive(await master.source().dump(dumpOptions()), whole);
  // A server that is killed empties its unlogged tables, by design of PostgreSQL.
  const logged = async (): Promise<Record<string, string>> => ({
    ...await slave.contents(),
    session_cache: "unlogged",
  });
  const before = await logged();
  const unchanged = async (): Promise<void> => {
    assert.deepEqual(await slave.databases(), [LIVE]);
    assert.deepEqual(await logged(), before);
  };
  const received = await Deno.readFile(whole);

  await t.step("dump() rejects and errors the payload when pg_dump is killed", async () => {
    const dump = await master.source().dump(dumpOptions());
    const file = await Deno.open(spool, { write: true, create: true, truncate: true });
    const reader = dump.payload.getReader();
    const first = await reader.read();
    await file.write(first.value ?? new Uint8Array());
    await killDescendant("pg_dump");
    await assert.rejects(async () => {
      while (true) {
        const { done, value } = await reader.read();
        if (done) return;
        await file.write(value);
      }
    }, /pg_dump died of SIGKILL/);
    file.close();
    await assert.rejects(dump.done, /pg_dump died of SIGKILL/);
    await assert.rejects(slave.source().install(installOptions(spool)));
    await unchanged();
  });

  await t.step("install() refuses a payload that is cut anywhere", async () => {
    const manifestEnd = 4 + new DataView(received.buffer).getUint32(0);
    const cuts = [0, 3, 100, manifestEnd, manifestEnd + 50_000, received.length - 1];
    for (const cut of cuts) {
      await Deno.writeFile(spool, received.subarray(0, cut));
      await assert.rejects(slave.source().install(installOptions(spool)), Error, `cut ${cut}`);
      assert.deepEqual(await slave.databases(), [LIVE], `cut ${cut}`);
    }
    await unchanged();
  });

  await t.step("install() refuses a payload with one changed byte", async () => {
    const manifestEnd = 4 + new DataView(received.buffer).getUint32(0);
    const span = received.length - manifestEnd;
    for (const part of [0.01, 0.3, 0.6, 0.999]) {
      const damaged = received.slice();
      const at = manifestEnd + Math.floor(span * part);
      damaged[at] = (damaged[at] ?? 0) ^ 0x10;
      await Deno.writeFile(spool, damaged);
      await assert.rejects(slave.source().install(installOptions(spool)), Error, `at ${part}`);
    }
    await unchanged();
  });

  await t.step("install() refuses a copy that is not equal to its source", async () => {
    const length = new DataView(received.buffer).getUint32(0);
    const manifest = JSON.parse(new TextDecoder().decode(received.subarray(4, 4 + length)));
    manifest.rows["public.cel"] += 1;
    manifest.schema["table public.gone"] = "0";
    const json = new TextEncoder().encode(JSON.stringify(manifest));
    const head = new Uint8Array(4);
    new DataView(head.buffer).setUint32(0, json.length);
    await Deno.writeFile(spool, new Blob([head, json, received.subarray(4 + length)]).stream());
    await assert.rejects(
      slave.source().install(installOptions(spool)),
      /not equal to its source: public.cel has 3000 rows instead of 3001; table public.gone is missing/,
    );
    await unchanged();
  });

  await t.step("install() names a role that is missing here", async () => {
    await master.cluster.psql(LIVE, "CREATE ROLE provd; GRANT SELECT ON userfeatures TO provd");
    await receive(await master.source().dump(dumpOptions()), spool);
    await assert.rejects(
      slave.source().install(installOptions(spool)),
      /roles are missing here: createuser provd.* The standby database is unchanged/,
    );
    await unchanged();
  });

  await t.step("install() does not swap when the daemon no longer agrees", async () => {
    const confirm = (): Promise<void> => Promise.reject(new Error("this host serves now"));
    await assert.rejects(
      slave.source().install({ ...installOptions(whole), confirm }),
      /this host serves now/,
    );
    await unchanged();
  });

  await t.step("install() refuses while a replication slot holds the database", async () => {
    const drop = "SELECT pg_drop_replication_slot('old')";
    await slave.cluster.psql("postgres", "ALTER SYSTEM SET wal_level = logical");
    await slave.cluster.kill();
    await slave.cluster.boot();
    await slave.cluster.psql(LIVE, "SELECT pg_create_logical_replication_slot('old', 'pgoutput')");
    await assert.rejects(
      slave.source().install(installOptions(whole)),
      /held by replication slot old/,
    );
    await slave.cluster.psql(LIVE, drop);
    await unchanged();
  });

  await t.step("a missing program is named with its package", async () => {
    const noPostgres = { toolDirectories: (v: number | null) => v === null ? ["/usr/bin"] : [] };
    const nothing = { toolDirectories: () => [] };
    const missing = (tool: string, pkg: string) => (error: unknown): boolean =>
      error instanceof ToolMissingError && error.tool === tool && error.message.includes(pkg);
    await assert.rejects(
      master.source({}, noPostgres).dump(dumpOptions()),
      missing("pg_dump", "apt install postgresql-client"),
    );
    await assert.rejects(master.source({}, nothing).dump(dumpOptions()), missing("zstd", "zstd"));
    await assert.rejects(
      slave.source({}, noPostgres).install(installOptions(whole)),
      missing("pg_restore", "apt install postgresql-client"),
    );
    await unchanged();
  });

  await t.step("an unknown system user is named", async () => {
    await assert.rejects(
      master.source({ osUser: "nobody-of-that-name" }).signatures(),
      /no such user/,
    );
  });

  await t.step("aborting a dump ends its programs and sessions", async () => {
    const stop = new AbortController();
    const dump = await master.source().dump({ ...dumpOptions(), signal: stop.signal });
    const reader = dump.payload.getReader();
    await reader.read();
    stop.abort(new Error("enough"));
    await assert.rejects(dump.done, /enough/);
    await reader.cancel();
    assert.equal(await descendant("pg_dump"), null);
    await eventually(
      "no session is left",
      async () => await master.cluster.psql("postgres", RELAIS_SESSIONS) === "0",
    );
  });

  await t.step("a receiver that goes away ends the dump", async () => {
    const dump = await master.source().dump(dumpOptions());
    const reader = dump.payload.getReader();
    await reader.read();
    await reader.cancel(new Error("the line broke"));
    await assert.rejects(dump.done, /the line broke/);
    assert.equal(await descendant("pg_dump"), null);
  });

  await t.step("aborting an installation drops what it made", async () => {
    const stop = new AbortController();
    const installing = slave.source().install({
      ...installOptions(whole),
      signal: stop.signal,
      onProgress: () => stop.abort(new Error("enough")),
    });
    await assert.rejects(installing, /enough/);
    await unchanged();
  });

  await t.step("install() survives the death of its worker and of pg_restore", async () => {
    for (const program of ["database-worker", "pg_restore"]) {
      let killed: Promise<void> | null = null;
      const installing = slave.source().install({
        ...installOptions(whole),
        onProgress: ({ phase }) => {
          if (phase === "restore") killed ??= killDescendant(program);
        },
      });
      await assert.rejects(installing, Error, program);
      await killed;
      await unchanged();
    }
  });

  await t.step("a server that is away is an error, not a wait for ever", async () => {
    await slave.cluster.kill();
    await assert.rejects(
      slave.source().install(installOptions(whole)),
      /Cannot do "install-facts"/,
    );
    await assert.rejects(slave.source().cleanupLeftovers(), /Cannot do "cleanup"/);
    await slave.cluster.boot();
    await unchanged();
  });
});
