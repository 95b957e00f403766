/** The way back from end to end: two real clusters, real ssh between them. */
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  type DatabasePair,
  databasePair,
  eventually,
  LIVE,
  TEST_DEADLINE_MS,
} from "../../../tests/support/database_pair.ts";
import type { DatabaseConfig } from "../../config/types.ts";
import { systemClock } from "../../os/clock.ts";
import { Pair } from "../peer_fixture.ts";
import { listFolders } from "./return_folder.ts";
import { ReturnKeeper } from "./return_keeper.ts";
import { ReturnState } from "./return_state.ts";
import { saveUndelivered } from "./save_undelivered.ts";

const signal = AbortSignal.timeout(10 * TEST_DEADLINE_MS);
const EPOCH = { epoch: 5, signal };

interface Hosts {
  readonly databases: DatabasePair;
  readonly pair: Pair;
  readonly events: string[];
  readonly stateDir: string;
  keeper(config?: Partial<DatabaseConfig>): ReturnKeeper;
  on(host: "master" | "slave", sql: string): Promise<string>;
  /** The newest dated folder. */
  folder(): Promise<string>;
}

async function withHosts(
  parts: Partial<DatabaseConfig>,
  work: (hosts: Hosts) => Promise<void>,
): Promise<void> {
  const databases = await databasePair({ rows: 200, settings: { wal_level: "logical" } });
  const pair = await Pair.make("slave");
  const stateDir = pair.at("state");
  const events: string[] = [];
  try {
    await databases.copy();
    const { master, slave } = databases;
    const config: Partial<DatabaseConfig> = {
      returnMode: "tables",
      returnTables: ["userfeatures", "extensions", "append:cel"],
      ...parts,
    };
    await pair.writeConfig({ database: { ...master.config, ...config } });
    await Deno.writeTextFile(pair.at("peer/returning.json"), master.returningJson(config));
    await work({
      databases,
      pair,
      events,
      stateDir,
      keeper: (more = {}) =>
        new ReturnKeeper({
          config: pair.config({ database: { ...slave.config, ...config, ...more } }),
          stateDir,
          clock: systemClock,
          transport: pair.transport(),
          database: slave.returning({ ...config, ...more }),
          onEvent: (level, text) => events.push(`${level}: ${text}`),
        }),
      on: (host, sql) => databases[host].cluster.psql(LIVE, sql),
      folder: async () => join(stateDir, "return", (await listFolders(stateDir)).at(-1)!),
    });
  } finally {
    await pair.transport().close();
    await pair.end();
    await databases[Symbol.asyncDispose]();
  }
}

for (const returnMode of ["tables", "all"] as const) {
  Deno.test(`ReturnKeeper, return = "${returnMode}": conflicts wait, are decided, and all goes back`, async () => {
    await withHosts({ returnMode }, async ({ keeper, on, events, folder, stateDir }) => {
      const back = keeper();
      assert.match(await back.prepare(signal), /kept|slot/);
      await on("slave", "UPDATE userfeatures SET passwd = 'slave' WHERE id < 3");
      await on(
        "slave",
        "INSERT INTO cel (eventtype, eventtime, cid_name, cid_num) VALUES ('X', now(), '', '')",
      );
      await on("master", "UPDATE userfeatures SET passwd = 'master' WHERE id = 2");

      // While the slave serves: it is seen, and told once.
      await back.look(EPOCH);
      await back.look(EPOCH);
      assert.match(back.blocked!, /1 row differs on both hosts, decide: relais return conflicts/);
      assert.equal(events.filter((text) => text.includes("differs")).length, 1);
      await assert.rejects(back.check(EPOCH), /1 row differs/);
      await assert.rejects(back.deliver(EPOCH), /1 row differs/);
      assert.equal(
        await on("master", "SELECT count(*) FROM userfeatures WHERE passwd = 'slave'"),
        "0",
      );

      const report = await back.report(EPOCH);
      assert.equal(report.summary!.total, 3);
      const [conflict] = report.outcome!.conflicts;
      assert.deepEqual(
        [conflict!.slave!["passwd"], conflict!.master!["passwd"], conflict!.key],
        ["slave", "master", { id: "2" }],
      );
      await assert.rejects(back.decide("00000000", "slave"), /no such conflict/);
      await back.decide(conflict!.id, "master");

      // Remembered also by a daemon that was restarted.
      const next = keeper();
      await next.look(EPOCH);
      assert.equal(next.blocked, null);
      await next.check(EPOCH);
      assert.match(
        await next.deliver(EPOCH),
        /brought back to the master: 1 new, 1 changed, 0 deleted, 1 left by decision; what did not travel is in/,
      );
      assert.equal(
        await on(
          "master",
          "SELECT string_agg(passwd, ',' ORDER BY id) FROM userfeatures WHERE id < 3",
        ),
        "slave,master",
      );
      assert.equal(await on("master", "SELECT count(*) FROM cel WHERE eventtype = 'X'"), "1");
      const rows = (await Deno.readTextFile(join(await folder(), "changes.jsonl"))).trim().split(
        "\n",
      );
      assert.equal(rows.length, 3);
      assert(rows.map((row) => JSON.parse(row)).some(({ after }) => after.passwd === "slave"));
      // It is over: nothing is asked, sent or kept again.
      assert.equal(await next.deliver(EPOCH), "");
      assert.equal(await new ReturnState(stateDir).pending(), null);
      assert.deepEqual(await new ReturnState(stateDir).decisions(), {});
      assert.equal(
        await on("slave", "SELECT count(*) FROM pg_namespace WHERE nspname = 'relais_return'"),
        "0",
      );
    });
  });
}

Deno.test("ReturnKeeper: a master whose PostgreSQL is down keeps the service on the slave, or not", async () => {
  await withHosts({}, async ({ keeper, on, databases, folder }) => {
    const back = keeper();
    await back.prepare(signal);
    await on("slave", "UPDATE userfeatures SET passwd = 'slave' WHERE id = 1");
    await databases.master.cluster.kill();
    await back.look(EPOCH);
    assert.match(back.blocked!, /The service stays here: .*return-apply-begin/);
    await assert.rejects(back.deliver(EPOCH), /The service stays here/);
    await databases.master.cluster.boot();
    await back.look(EPOCH);
    assert.equal(back.blocked, null);
    await databases.master.cluster.kill();
    // This once an operator lets it go without.
    await back.go();
    await back.check(EPOCH);
    const text = await back.deliver(EPOCH);
    assert.match(
      text,
      /went back without these rows as they could not travel.*what did not travel is in/,
    );
    assert((await folder()).endsWith("-left"));
    assert.match(await Deno.readTextFile(join(await folder(), "README")), /Not all of it/);
    assert.match(
      await Deno.readTextFile(join(await folder(), "changes.jsonl")),
      /"passwd":"slave"/,
    );
    await databases.master.cluster.boot();
    assert.equal(
      await on("master", "SELECT passwd = md5('pw1') FROM userfeatures WHERE id = 1"),
      "t",
    );
  });
});

Deno.test('ReturnKeeper, on_return_failure = "go": what conflicts stays, the rest goes back', async () => {
  await withHosts({ onReturnFailure: "go" }, async ({ keeper, on, folder }) => {
    const back = keeper();
    await back.prepare(signal);
    await on("slave", "UPDATE userfeatures SET passwd = 'slave' WHERE id < 3");
    await on("master", "UPDATE userfeatures SET passwd = 'master' WHERE id = 2");
    await back.check(EPOCH);
    assert.match(await back.deliver(EPOCH), /1 changed.*1 left as both hosts changed them/);
    assert.equal(
      await on(
        "master",
        "SELECT string_agg(passwd, ',' ORDER BY id) FROM userfeatures WHERE id < 3",
      ),
      "slave,master",
    );
    const conflicts = JSON.parse(await Deno.readTextFile(join(await folder(), "conflicts.json")));
    assert.equal(conflicts[0].slave.passwd, "slave");
  });
});

Deno.test("ReturnKeeper: a master that is killed in the middle has all of it or nothing", async () => {
  await withHosts({}, async ({ keeper, on, databases }) => {
    const back = keeper();
    await back.prepare(signal);
    await on(
      "slave",
      `INSERT INTO cel (eventtype, eventtime, cid_name, cid_num)
        SELECT 'X', now(), '', g::text FROM generate_series(1, 5000) g;
      UPDATE userfeatures SET passwd = 'slave'`,
    );
    const delivered = back.deliver(EPOCH).then(() => true, () => false);
    await eventually("rows arrive on the master", async () =>
      (await databases.master.cluster.psql(
        "postgres",
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'relais-return' AND xact_start IS NOT NULL",
      )) !== "0");
    await databases.master.cluster.kill();
    const done = await delivered;
    await databases.master.cluster.boot();
    const found = await on(
      "master",
      `SELECT (SELECT count(*) FROM cel WHERE eventtype = 'X'),
        (SELECT count(*) FROM userfeatures WHERE passwd = 'slave')`,
    );
    const [calls, users] = found.split("|").map(Number);
    assert.equal(calls === 5000, users! > 0, found);
    if (done) assert.equal(calls, 5000);
    // Whatever it was, the next try ends well and brings nothing twice.
    if (!done) assert.match(await back.deliver(EPOCH), /brought back/);
    assert.equal(await on("master", "SELECT count(*) FROM cel WHERE eventtype = 'X'"), "5000");
  });
});

Deno.test("ReturnKeeper: many call records go ahead, later changes of them too, nothing twice", async () => {
  for (const returnMode of ["tables"] as const) {
    await withHosts({ returnMode }, async ({ keeper, on, events }) => {
      const back = keeper();
      await back.prepare(signal);
      await on(
        "slave",
        `INSERT INTO cel (eventtype, eventtime, cid_name, cid_num)
          SELECT 'X', now(), '', g::text FROM generate_series(1, 6000) g;
        UPDATE userfeatures SET passwd = 'slave' WHERE id = 1`,
      );
      await back.look(EPOCH);
      assert.match(events.join("\n"), /6000 call records went to the master ahead/);
      const calls = "SELECT count(*), count(call_log_id) FROM cel WHERE eventtype = 'X'";
      assert.equal(await on("master", calls), "6000|0");
      // Everything else waits for the hand-back.
      assert.equal(
        await on("master", "SELECT count(*) FROM userfeatures WHERE passwd = 'slave'"),
        "0",
      );
      assert.equal((await back.report(EPOCH)).summary!.total, 1);
      await on("slave", "UPDATE cel SET call_log_id = 7 WHERE eventtype = 'X' AND cid_num < '2'");
      await on(
        "slave",
        "INSERT INTO cel (eventtype, eventtime, cid_name, cid_num) VALUES ('X', now(), '', '')",
      );
      const [all, updated] = (await on("slave", calls)).split("|");
      assert.match(await back.deliver(EPOCH), new RegExp(`1 new, ${Number(updated) + 1} changed`));
      assert.equal(await on("master", calls), `${all}|${updated}`);
    });
  }
});

Deno.test("saveUndelivered() keeps what did not travel before a copy replaces it, and drops the slot", async () => {
  for (const returnMode of ["all"] as const) {
    await withHosts({ returnMode }, async ({ keeper, on, databases, stateDir, folder, events }) => {
      const back = keeper();
      await back.prepare(signal);
      await on("slave", "UPDATE userfeatures SET passwd = 'slave' WHERE id = 1");
      const returning = databases.slave.returning({
        returnMode,
        returnTables: ["userfeatures"],
      });
      await saveUndelivered({ stateDir, clock: systemClock, signal, returning });
      assert((await folder()).endsWith("-left"));
      assert.match(await Deno.readTextFile(join(await folder(), "changes.jsonl")), /"slave"/);
      await back.hearWord();
      assert.match(events.join("\n"), /1 rows that this host gained .* are in .*-left/);
      assert.equal(await back.deliver(EPOCH), "");
      // No slot is left that would keep the database from being replaced.
      await databases.copy();
    });
  }
});

Deno.test('ReturnKeeper, return = "none": says how much stays behind', async () => {
  await withHosts({ returnMode: "none" }, async ({ keeper, on }) => {
    const back = keeper();
    assert.equal(await back.prepare(signal), "");
    await on("slave", "UPDATE userfeatures SET passwd = 'slave' WHERE id < 4");
    await back.check(EPOCH);
    assert.match(
      await back.deliver(EPOCH),
      /rows of the database \(0 new, 3 changed, 0 deleted .*stay behind/,
    );
  });
});
