import assert from "node:assert/strict";
import { finished, pipeline } from "node:stream/promises";
import { eventually } from "../../tests/support/database_pair.ts";
import { TempDirectory } from "../../tests/support/temp_directory.ts";
import { TestCluster } from "../../tests/support/postgres.ts";
import type { DatabaseAddress } from "./database_connection.ts";
import { openSession, type Session } from "./database_session.ts";
import { DumpSnapshot } from "./database_snapshot.ts";
import { ConnectionLostError } from "./database_socket.ts";

// An error that nobody hears, in any of these tests, fails the whole file: that is what they are about.

const DEADLINE_MS = 60_000;
const TERMINATE = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE application_name = 'victim'`;

async function start(): Promise<{ cluster: TestCluster; address: DatabaseAddress }> {
  const cluster = await TestCluster.start();
  const role = Deno.uid() === 0 ? "root" : cluster.osUser;
  if (role !== cluster.osUser) {
    await cluster.psql("postgres", `CREATE ROLE ${role} SUPERUSER LOGIN`);
  }
  const { directory: socketDir, port } = cluster;
  return { cluster, address: { socketDir, port, role, database: "postgres" } };
}

function open(address: DatabaseAddress, appName: string): Promise<Session> {
  return openSession({ address, database: "postgres", statementTimeoutMs: DEADLINE_MS, appName });
}

/** Asks as fast as it can until `over()`; every question must be answered or refused. */
async function keepAsking(
  address: DatabaseAddress,
  { over, onLost }: { readonly over: () => boolean; readonly onLost: () => void },
): Promise<void> {
  while (!over()) {
    let session: Session | null = null;
    try {
      session = await open(address, "victim");
      while (!over()) await session.query("SELECT 1");
    } catch {
      onLost();
    }
    await session?.end();
  }
}

Deno.test("openSession() makes sessions that the server may end at any moment", async (t) => {
  const { cluster, address } = await start();
  await using _ = cluster;
  const killer = await open(address, "killer");

  await t.step("every statement settles and no error stays unheard", async () => {
    let over = false;
    const losses = [0, 0, 0, 0];
    const asking = losses.map((_, i) =>
      keepAsking(address, { over: () => over, onLost: () => losses[i]!++ })
    );
    // 100 rounds; a slow machine, on which a session takes long to open, has more.
    const enough = (): boolean => losses.every((lost) => lost > 3);
    const end = performance.now() + DEADLINE_MS;
    for (let round = 0; round < 100 || (!enough() && performance.now() < end); round++) {
      await killer.query(TERMINATE);
      await killer.query("SELECT pg_sleep(0.01)");
    }
    over = true;
    await Promise.all(asking);
    assert.ok(enough(), `sessions were lost: ${losses}`);
  });

  await t.step(
    "a statement in progress is told, those that wait and those that follow",
    async () => {
      const session = await open(address, "victim");
      const statements = ["SELECT pg_sleep(1000)", ...Array(200).fill("SELECT 1")];
      const told = Promise.allSettled(statements.map((statement) => session.query(statement)));
      await eventually(
        "it sleeps",
        async () =>
          (await killer.query("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))
            .length === 1,
      );
      await killer.query(TERMINATE);
      assert.ok((await told).every(({ status }) => status === "rejected"));
      for (let time = 0; time < 2; time++) {
        await assert.rejects(session.query("SELECT 1"), ConnectionLostError);
        await assert.rejects(session.copyOut("COPY (SELECT 1) TO STDOUT"), ConnectionLostError);
      }
      await session.end();
      await session.end();
    },
  );

  await t.step("a COPY that is cut ends with an error on both sides", async () => {
    const [from, to] = [await open(address, "victim"), await open(address, "taker")];
    await to.query("CREATE TEMP TABLE taken (n int)");
    const source = await from.copyOut("COPY (SELECT generate_series(1, 50000000)) TO STDOUT");
    const target = await to.copyIn("COPY taken FROM STDIN");
    source.once("data", () => killer.query(TERMINATE));
    await assert.rejects(pipeline(source, target));
    await assert.rejects(from.query("SELECT 1"));
    await Promise.all([from.end(), to.end()]);
  });

  await t.step(
    "a COPY whose connection is lost before anybody listens is an error later",
    async () => {
      const session = await open(address, "victim");
      const source = await session.copyOut("COPY (SELECT generate_series(1, 50000000)) TO STDOUT");
      await killer.query(TERMINATE);
      await session.end();
      assert.ok(source.destroyed);
      await assert.rejects(finished(source));
    },
  );

  await t.step("end() breaks off what is in progress", async () => {
    const session = await open(address, "victim");
    const asked = session.query("SELECT pg_sleep(1000)");
    const told = assert.rejects(asked);
    await session.end();
    await told;
  });

  await t.step("DumpSnapshot.close() does not call its own end a loss of the guard", async () => {
    const reasons: string[] = [];
    const { snapshot } = await DumpSnapshot.open({
      address,
      selection: { localTables: [], excludeTableData: [] },
      appName: "relais-dump-test",
      statementTimeoutMs: DEADLINE_MS,
      onBlocked: (reason) => reasons.push(reason),
    });
    const guard = "SELECT pid FROM pg_stat_activity WHERE application_name = 'relais-guard'";
    const pid = Number((await killer.query(guard))[0]?.pid);
    Deno.kill(pid, "SIGSTOP");
    try {
      // Longer than the pace of the guard: its question is then on its way.
      await killer.query("SELECT pg_sleep(0.8)");
      await snapshot.close();
    } finally {
      Deno.kill(pid, "SIGCONT");
    }
    assert.deepEqual(reasons, []);
  });
  await killer.end();
});

Deno.test("openSession() rejects where no PostgreSQL listens", async () => {
  using directory = new TempDirectory();
  const address = { socketDir: directory.path, port: 5432, role: "x", database: "postgres" };
  await assert.rejects(open(address, "none"), /ENOENT/);
});

Deno.test("openSession() rejects at a listener that hangs up, without asking again and again", async () => {
  using directory = new TempDirectory();
  const address = { socketDir: directory.path, port: 5432, role: "x", database: "postgres" };
  const listener = Deno.listen({ transport: "unix", path: `${directory.path}/.s.PGSQL.5432` });
  let calls = 0;
  const answering = (async (): Promise<void> => {
    for await (const connection of listener) {
      calls++;
      await connection.read(new Uint8Array(1024));
      connection.close();
    }
  })();
  await assert.rejects(open(address, "cut"));
  listener.close();
  await answering;
  assert.equal(calls, 1);
});

Deno.test("Session.copyOut() leaves a session that answers, however its rows arrive", async () => {
  const { cluster, address } = await start();
  await using _ = cluster;
  const session = await open(address, "copies");
  try {
    // Around 16 kB the client stops reading; whether the end came along with the rows is chance.
    for (let rows = 100; rows < 4000; rows += 37) {
      const source = await session.copyOut(`COPY (SELECT generate_series(1, ${rows})) TO STDOUT`);
      let bytes = 0;
      for await (const chunk of source) bytes += chunk.length;
      assert.ok(bytes > rows);
      assert.equal((await session.query("SELECT 1 AS one"))[0]?.one, 1);
    }
  } finally {
    await session.end();
  }
});
