/** The way back on two real clusters: what the slave gained, brought into a master that went on alone. */
import assert from "node:assert/strict";
import {
  type DatabasePair,
  databasePair,
  LIVE,
  TEST_DEADLINE_MS,
} from "../../../tests/support/database_pair.ts";
import type { DatabaseConfig } from "../../config/types.ts";
import type { ReturnBase } from "./return_protocol.ts";
import type { ApplyRequest } from "./return_database.ts";
import type { Decisions, ReturnOutcome, ReturnSummary, RowChange } from "./return_types.ts";

const signal = AbortSignal.timeout(10 * TEST_DEADLINE_MS);
const TABLES: Partial<DatabaseConfig> = {
  returnMode: "tables",
  returnTables: [
    ...["agent_login_status", "agentfeatures", "userfeatures", "extensions", "linefeatures"],
    ...["queuemember", "cfg_01", "append:cel", "append:queue_log"],
  ],
};
const ALL: Partial<DatabaseConfig> = { returnMode: "all", returnTables: [] };

async function prepare(
  pair: DatabasePair,
  config: Partial<DatabaseConfig>,
  fresh = true,
): Promise<ReturnBase> {
  return await pair.slave.returning(config)
    .prepare({ fresh, deadlineMs: TEST_DEADLINE_MS, signal });
}

interface Brought {
  readonly summary: ReturnSummary;
  readonly changes: readonly RowChange[];
  readonly outcome: ReturnOutcome;
}

async function bring(
  pair: DatabasePair,
  config: Partial<DatabaseConfig>,
  commit: ApplyRequest["commit"],
  decisions: Decisions = {},
): Promise<Brought> {
  return await pair.slave.returning(config).gained(signal, async (summary, changes) => {
    assert(summary !== null);
    const seen: RowChange[] = [];
    const tables = summary.tables.map(({ table }) => table);
    async function* passing(): AsyncGenerator<readonly RowChange[]> {
      for await (const some of changes()) {
        seen.push(...some);
        yield some;
      }
    }
    const request = {
      tables,
      sequences: summary.sequences,
      decisions,
      commit,
      changes: passing(),
    };
    return {
      summary,
      outcome: await pair.master.returning(config).apply(request, signal),
      changes: seen,
    };
  });
}

const on = (pair: DatabasePair, host: "master" | "slave", sql: string): Promise<string> =>
  pair[host].cluster.psql(LIVE, sql);

for (const [mode, config] of [["tables", TABLES], ["all", ALL]] as const) {
  Deno.test(`return = "${mode}" on two clusters`, async (t) => {
    await using pair = await databasePair({ rows: 300, settings: { wal_level: "logical" } });
    await on(
      pair,
      "master",
      `CREATE TABLE "Odd: name" ("Key A" int, b text, c char(4), d bit(3), e numeric, "f""g" interval,
        PRIMARY KEY ("Key A", b));
      INSERT INTO "Odd: name" VALUES (1, 'x', 'ab', B'101', 1.50, '1 day'), (2, '', NULL, NULL, 'NaN', NULL)`,
    );
    await pair.copy();
    // The master's last hour, which the slave never saw.
    await on(
      pair,
      "master",
      `INSERT INTO cel (eventtype, eventtime, cid_name, cid_num) SELECT 'LATE', now(), 'm', g::text
        FROM generate_series(1, 50) g;
      UPDATE userfeatures SET firstname = 'Master' WHERE id = 9`,
    );
    const base = await prepare(pair, config);
    assert.deepEqual([base.already, base.mode], [false, mode]);
    assert(base.sequences > 3);

    await t.step("nothing happened: nothing goes back", async () => {
      const { summary, outcome } = await bring(pair, config, "trial");
      assert.deepEqual([summary.total, outcome.conflictCount], [0, 0]);
      assert.equal((await prepare(pair, config, false)).already, true);
    });

    await on(
      pair,
      "slave",
      `INSERT INTO cel (eventtype, eventtime, cid_name, cid_num)
        SELECT 'SLAVE', now(), E's\\'"\\\\', g::text FROM generate_series(1, 70) g;
      UPDATE userfeatures SET destunc = '7', enablednd = 1, tags = 'a=>"b"', extra = '{"x": [1]}'
        WHERE id = 3;
      DELETE FROM agent_login_status WHERE agent_id = 2;
      INSERT INTO agent_login_status (agent_id) VALUES (7);
      WITH u AS (INSERT INTO userfeatures (firstname, context) VALUES ('New', 'ctx1') RETURNING id),
        e AS (INSERT INTO extensions (exten, context) VALUES ('6001', 'ctx1') RETURNING id)
        INSERT INTO linefeatures (user_id, exten_id, number) SELECT u.id, e.id, '6001' FROM u, e;
      DELETE FROM linefeatures WHERE user_id = 8;
      DELETE FROM queuemember WHERE interface = 'SIP/' || md5('5');
      INSERT INTO queuemember VALUES ('q1', 'SIP/new', 1, NULL, 'user');
      UPDATE "Odd: name" SET c = 'z', d = B'010', e = 2.00, "f""g" = '-2 mons 03:00' WHERE b = 'x';
      DELETE FROM "Odd: name" WHERE b = '';
      INSERT INTO "Odd: name" VALUES (1, E'y'' \\\n', NULL, NULL, NULL, NULL);
      UPDATE cfg_01 SET tags = ARRAY['x,y', NULL, '"'], opts = NULL, val = NULL WHERE name = 'n2'`,
    );

    await t.step("a trial lists everything and changes nothing", async () => {
      const before = await pair.master.contents();
      const { summary, outcome, changes } = await bring(pair, config, "trial");
      assert.equal(outcome.committed, false);
      assert.equal(outcome.conflictCount, 0, JSON.stringify(outcome.conflicts));
      assert.deepEqual(await pair.master.contents(), before);
      assert.equal(changes.length, summary.total);
      const count = (name: string): unknown =>
        summary.tables.find(({ table }) => table === `public.${name}`);
      assert.deepEqual(count("cel"), {
        table: "public.cel",
        inserted: 70,
        updated: 0,
        deleted: 0,
      });
      assert.deepEqual(count("agent_login_status"), {
        table: "public.agent_login_status",
        inserted: 1,
        updated: 0,
        deleted: 1,
      });
      const user = changes.find(({ key }) => key["id"] === "3")!;
      assert.equal(user.before!["destunc"], "");
      assert.equal(user.after!["destunc"], "7");
    });

    await t.step("late rows of the master and rows of the slave are both there", async () => {
      const { outcome } = await bring(pair, config, "if-clean");
      assert(outcome.committed);
      assert.equal(
        await on(
          pair,
          "master",
          `SELECT count(*) FILTER (WHERE eventtype = 'LATE'), count(*) FILTER (WHERE eventtype = 'SLAVE'
            AND cid_name = E's\\'"\\\\') FROM cel`,
        ),
        "50|70",
      );
      assert.equal(
        await on(pair, "master", "SELECT firstname FROM userfeatures WHERE id = 9"),
        "Master",
      );
      const tables = "userfeatures extensions linefeatures queuemember agent_login_status cfg_01"
        .split(" ");
      for (const table of [...tables, ...(mode === "all" ? ['"Odd: name"'] : [])]) {
        const rows = `SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM ${table} t ${
          table === "userfeatures" ? "WHERE id <> 9" : ""
        }`;
        assert.equal(await on(pair, "master", rows), await on(pair, "slave", rows), table);
      }
    });

    await t.step("a second time everything is there already", async () => {
      const { outcome } = await bring(pair, config, "if-clean");
      assert.deepEqual([outcome.inserted, outcome.updated, outcome.deleted], [0, 0, 0]);
      assert(outcome.same > 70);
    });

    await on(
      pair,
      "slave",
      `UPDATE userfeatures SET passwd = 'slave' WHERE id = 11;
      UPDATE cfg_01 SET val = 'slave' WHERE id = 4;
      UPDATE userfeatures SET lastname = 'deleted there' WHERE id = 199;
      DELETE FROM userfeatures WHERE id = 198;
      INSERT INTO extensions (exten, context, typeval) VALUES ('7777', 'ctx1', 'slave')`,
    );
    await on(
      pair,
      "master",
      `UPDATE userfeatures SET passwd = 'master' WHERE id = 11;
      UPDATE cfg_01 SET num = 4444 WHERE id = 4;
      DELETE FROM userfeatures WHERE id = 199;
      UPDATE userfeatures SET lastname = 'kept' WHERE id = 198;
      INSERT INTO extensions (id, exten, context, typeval) VALUES (5000, '7777', 'ctx1', 'master')`,
    );

    await t.step("conflicts are shown with both values, and nothing is changed", async () => {
      const before = await pair.master.contents();
      const { outcome } = await bring(pair, config, "if-clean");
      assert.equal(outcome.committed, false);
      assert.equal(outcome.conflictCount, 5, JSON.stringify(outcome.conflicts));
      assert.deepEqual(await pair.master.contents(), before);
      const of = (table: string, value: string) =>
        outcome.conflicts.find(({ table: name, key, slave }) =>
          name === `public.${table}` && (key["id"] === value || slave?.["exten"] === value)
        )!;
      const both = of("userfeatures", "11");
      assert.deepEqual(
        [both.before!["passwd"]?.length, both.slave!["passwd"], both.master!["passwd"]],
        [32, "slave", "master"],
      );
      const unique = of("extensions", "7777");
      assert.deepEqual(
        [unique.kind, unique.slave!["typeval"], unique.master!["typeval"]],
        ["unique", "slave", "master"],
      );
      assert.equal(of("userfeatures", "199").master, null);
      assert.equal(of("userfeatures", "198").slave, null);
    });

    await t.step("without the conflicts the rest goes back", async () => {
      const { outcome: trial } = await bring(pair, config, "trial");
      const id = (value: string): string =>
        trial.conflicts.find(({ key, slave }) => key["id"] === value || slave?.["exten"] === value)!
          .id;
      const decisions = {
        [id("11")]: "slave",
        [id("4")]: "both",
        [id("199")]: "slave",
        [id("198")]: "master",
        [id("7777")]: "slave",
      } as const;
      const { outcome } = await bring(pair, config, "if-clean", decisions);
      assert(outcome.committed, JSON.stringify(outcome.conflicts));
      assert.equal(outcome.leftByDecision, 1);
      assert(outcome.replaced.some(({ row }) => row["typeval"] === "master"));
      assert.equal(
        await on(
          pair,
          "master",
          `SELECT string_agg(concat_ws(' ', id, passwd = 'slave', email, lastname), ';' ORDER BY id)
            FROM userfeatures WHERE id IN (11, 198, 199)`,
        ),
        "11 t u11@example.org Last77;" +
          "198 f u198@example.org kept;199 f u199@example.org deleted there",
      );
      assert.equal(
        await on(
          pair,
          "master",
          `SELECT (SELECT typeval FROM extensions WHERE exten = '7777'),
            (SELECT val || num FROM cfg_01 WHERE id = 4)`,
        ),
        "slave|slave4444",
      );
    });

    await t.step("the master's sequences go on above the slave's", async () => {
      await on(
        pair,
        "master",
        "INSERT INTO extensions (exten, context) VALUES ('6002', 'ctx1')",
      );
    });

    await t.step("it is over: nothing of it is left on the slave", async () => {
      await pair.slave.returning(config).done(signal);
      assert.equal(
        await on(
          pair,
          "slave",
          `SELECT (SELECT count(*) FROM pg_namespace WHERE nspname = 'relais_return'),
            (SELECT count(*) FROM pg_replication_slots)`,
        ),
        "0|0",
      );
      await pair.slave.returning(config).gained(signal, (summary) => {
        assert.equal(summary, null);
        return Promise.resolve();
      });
      await pair.copy();
    });
  });
}
