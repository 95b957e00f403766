import assert from "node:assert/strict";
import {
  type DatabaseHost,
  databasePair,
  eventually,
  LIVE,
  TEST_DEADLINE_MS,
} from "../../tests/support/database_pair.ts";
import { XIVO_LOCAL_TABLES } from "../../tests/support/xivo_database.ts";
import { childrenOf } from "../../tests/support/process_table.ts";
import type { TableSet } from "./tables_port.ts";

const HISTORY = ["cel", "queue_log", "call_log", "agent_login_status"];

function signal(): AbortSignal {
  return AbortSignal.timeout(TEST_DEADLINE_MS);
}

async function rowsOf(host: DatabaseHost, set: TableSet): Promise<Uint8Array<ArrayBuffer>> {
  const dump = await host.tables().dumpTables({ set, signal: signal(), onProgress: () => {} });
  const bytes = await new Response(dump.payload).bytes();
  await dump.done;
  return bytes;
}

async function apply(
  host: DatabaseHost,
  bytes: Uint8Array<ArrayBuffer>,
  options: {
    readonly set?: TableSet;
    readonly whole?: Promise<unknown>;
    readonly confirm?: () => Promise<void>;
    readonly signal?: AbortSignal;
  } = {},
): Promise<Record<string, string | number>> {
  const whole = options.whole ?? Promise.resolve();
  whole.catch(() => {}); // Awaited by who applies.
  const { detail } = await host.tables().applyTables({
    set: options.set ?? "config",
    payload: new Blob([bytes]).stream(),
    whole,
    signal: options.signal ?? signal(),
    onProgress: () => {},
    confirm: options.confirm ?? (() => Promise.resolve()),
  });
  return detail;
}

function configuration(contents: Record<string, string>): Record<string, string> {
  const left = [...XIVO_LOCAL_TABLES, ...HISTORY, "large objects"];
  return Object.fromEntries(
    Object.entries(contents).filter(([name]) =>
      !left.some((table) => name === table || name === `${table}_id_seq`) &&
      // What is derived is refreshed by the next full copy.
      name !== "mv_context"
    ),
  );
}

/** Users go, come and change; a circle of references, identities, sequences, generated columns. */
const CHANGES = `
  UPDATE userfeatures SET enablednd = 1, firstname = 'Changed' WHERE id <= 5;
  DELETE FROM linefeatures WHERE user_id = 7;
  INSERT INTO userfeatures (firstname, lastname, context) VALUES ('New', 'User', 'ctx1');
  INSERT INTO extensions (exten, context, typeval) VALUES ('7777', 'ctx1', 'x');
  INSERT INTO linefeatures (user_id, exten_id, number)
    SELECT max(u.id), max(e.id), '7777' FROM userfeatures u, extensions e;
  BEGIN; INSERT INTO grp (name, leader) VALUES ('circle', 99999);
  INSERT INTO grp_member (id, grp_id, user_id) SELECT 99999, max(id), 1 FROM grp; COMMIT;`;

Deno.test("PostgresTables carries configuration tables into a standby", async (t) => {
  await using pair = await databasePair({ rows: 500 });
  const { master, slave } = pair;
  await master.cluster.psql(
    LIVE,
    `CREATE TABLE audit (n int);
     CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN RAISE 'a trigger ran'; END $$;
     CREATE TRIGGER note BEFORE INSERT ON context FOR EACH ROW EXECUTE FUNCTION note();
     ALTER TABLE context ENABLE ALWAYS TRIGGER note;
     CREATE TABLE part (day date, n int) PARTITION BY RANGE (day);
     CREATE TABLE part_a PARTITION OF part FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
     CREATE TABLE child (extra int) INHERITS (audit);`,
  );
  await pair.copy();

  await t.step("applyTables() makes them equal, and nothing else", async () => {
    const before = await slave.contents();
    await master.cluster.psql(
      LIVE,
      `${CHANGES} INSERT INTO part VALUES ('2024-05-05', 1);
       INSERT INTO child VALUES (1, 2); INSERT INTO audit VALUES (3);
       ALTER TABLE context DISABLE TRIGGER note; INSERT INTO context VALUES ('odd', E'a\\tb\\\\n\\n');
       ALTER TABLE context ENABLE ALWAYS TRIGGER note;
       INSERT INTO cel SELECT * FROM cel LIMIT 0; DELETE FROM cel;`,
    );
    const detail = await apply(slave, await rowsOf(master, "config"));
    const [from, to] = [await master.contents(), await slave.contents()];
    assert.deepEqual(configuration(to), configuration(from));
    for (const table of [...XIVO_LOCAL_TABLES, ...HISTORY]) {
      assert.equal(to[table], before[table], `${table} is as before`);
    }
    assert.ok(Number(detail.replaced) > 0 && Number(detail.replaced) < Number(detail.tables));
    // What the trigger is set to is as before, and new rows get new numbers.
    const enabled = "SELECT tgenabled FROM pg_trigger WHERE tgname = 'note'";
    assert.equal(await slave.cluster.psql(LIVE, enabled), "A");
    await slave.cluster.psql(LIVE, "INSERT INTO userfeatures (firstname) VALUES ('After')");
    await apply(slave, await rowsOf(master, "config"));
    assert.deepEqual(configuration(await slave.contents()), configuration(from));
  });

  await t.step("applyTables() replaces nothing when nothing changed", async () => {
    assert.equal((await apply(slave, await rowsOf(master, "config"))).replaced, 0);
  });

  await t.step("applyTables() takes the hot tables alone", async () => {
    await master.cluster.psql(
      LIVE,
      `UPDATE userfeatures SET destunc = '123' WHERE id = 3;
       UPDATE grp SET name = 'not hot' WHERE id = 1;`,
    );
    await apply(slave, await rowsOf(master, "hot"), { set: "hot" });
    const sql = "SELECT (SELECT destunc FROM userfeatures WHERE id = 3), " +
      "(SELECT name FROM grp WHERE id = 1)";
    assert.equal(await slave.cluster.psql(LIVE, sql), "123|g1");
    await apply(slave, await rowsOf(master, "config"));
  });

  await t.step("applyTables() refuses hot rows that refer to what is not there", async () => {
    const before = await slave.contents();
    await master.cluster.psql(
      LIVE,
      `ALTER TABLE context DISABLE TRIGGER note; INSERT INTO context VALUES ('fresh', '');
       ALTER TABLE context ENABLE ALWAYS TRIGGER note;
       UPDATE userfeatures SET context = 'fresh' WHERE id = 4;`,
    );
    await assert.rejects(
      rowsOf(master, "hot").then((bytes) => apply(slave, bytes, { set: "hot" })),
      /refer to rows that public.context does not have.*a full copy comes first/,
    );
    assert.deepEqual(await slave.contents(), before);
    await apply(slave, await rowsOf(master, "config"));
  });

  await t.step("applyTables() changes nothing when the rows are cut, at any byte", async () => {
    await master.cluster.psql(LIVE, "UPDATE userfeatures SET lastname = 'Cut' WHERE id < 50");
    const bytes = await rowsOf(master, "config");
    const before = await slave.contents();
    const cuts = [0, 1, 17, 200, bytes.length >> 1, bytes.length - 9, bytes.length - 1];
    for (const cut of cuts) {
      await assert.rejects(apply(slave, bytes.slice(0, cut)), `cut at ${cut}`);
      assert.deepEqual(await slave.contents(), before, `cut at ${cut}`);
    }
    // Whole as far as gzip can tell, but the digest of the stream was wrong.
    const whole = Promise.reject(new Error("the digest is wrong"));
    await assert.rejects(apply(slave, bytes, { whole }), /the digest is wrong/);
    assert.deepEqual(await slave.contents(), before);
  });

  await t.step("applyTables() changes nothing when the daemon says no at the end", async () => {
    const before = await slave.contents();
    const confirm = (): Promise<void> => Promise.reject(new Error("this node is active"));
    const bytes = await rowsOf(master, "config");
    await assert.rejects(apply(slave, bytes, { confirm }), /this node is active/);
    assert.deepEqual(await slave.contents(), before);
  });

  await t.step(
    "applyTables() changes nothing when its process is killed before the commit",
    async () => {
      const before = await slave.contents();
      const bytes = await rowsOf(master, "config");
      const confirm = async (): Promise<void> => {
        const mine = childrenOf(Deno.pid).filter((pid) =>
          Deno.readTextFileSync(`/proc/${pid}/cmdline`).includes("database-tables\0apply")
        );
        assert.equal(mine.length, 1);
        Deno.kill(mine[0]!, "SIGKILL");
        await Promise.resolve();
      };
      await assert.rejects(apply(slave, bytes, { confirm }));
      await eventually(
        "the server gave the transaction up",
        async () =>
          await slave.cluster.psql(
            "postgres",
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'relais-tables'",
          ) === "0",
      );
      assert.deepEqual(await slave.contents(), before);
      await apply(slave, bytes);
      assert.deepEqual(
        configuration(await slave.contents()),
        configuration(await master.contents()),
      );
    },
  );

  await t.step("applyTables() waits for a full copy when the schema differs", async () => {
    const before = await slave.contents();
    await master.cluster.psql(LIVE, "ALTER TABLE grp ADD note text DEFAULT 'x'");
    await assert.rejects(
      rowsOf(master, "config").then((bytes) => apply(slave, bytes)),
      /schema differs from the source's: a full copy comes first/,
    );
    assert.deepEqual(await slave.contents(), before);
  });

  await t.step(
    "probeChanges() and signatures() tell configuration, hot and history apart",
    async () => {
      const tables = master.tables();
      const seen = async (): Promise<
        { config: string; hot: string; all: string; conf: string }
      > => {
        const { config, hot } = await tables.probeChanges(signal());
        const { all, configuration: conf } = await tables.signatures(signal());
        return { config, hot, all, conf };
      };
      const changed = async (sql: string): Promise<string[]> => {
        const before = await seen();
        await master.cluster.psql(LIVE, sql);
        let names: string[] = [];
        await eventually(`a change was seen: ${sql}`, async () => {
          const now = await seen();
          names = Object.keys(now).filter((key) =>
            Reflect.get(now, key) !== Reflect.get(before, key)
          );
          return names.includes("all");
        });
        return names.sort();
      };
      assert.deepEqual(
        await changed("INSERT INTO cel SELECT * FROM cel LIMIT 1; DELETE FROM call_log"),
        [
          "all",
        ],
      );
      assert.deepEqual(await changed("UPDATE grp SET name = 'seen' WHERE id = 2"), [
        "all",
        "conf",
        "config",
      ]);
      assert.deepEqual(await changed("UPDATE userfeatures SET passwd = '' WHERE id = 9"), [
        "all",
        "conf",
        "config",
        "hot",
      ]);
      assert.deepEqual(await changed("CREATE TABLE later (n int)"), ["all", "conf", "config"]);
    },
  );
});
