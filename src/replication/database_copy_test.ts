import assert from "node:assert/strict";
import {
  type DatabaseHost,
  databasePair,
  dumpOptions,
  eventually,
  installOptions,
  LIVE,
  receive,
} from "../../tests/support/database_pair.ts";
import { XIVO_LOCAL_TABLES } from "../../tests/support/xivo_database.ts";
import type { Session } from "./database_session.ts";
import type { SetProgress } from "./set_header.ts";

/** What belongs to the database and to its objects but is no row. */
const PROPERTIES = `
  SELECT pg_get_userbyid(datdba), shobj_description(d.oid, 'pg_database'), datconnlimit,
    (SELECT string_agg(format('%s %s %s', CASE grantee WHEN 0 THEN 'PUBLIC'
      ELSE pg_get_userbyid(grantee) END, privilege_type, is_grantable), ',' ORDER BY 1)
      FROM (SELECT * FROM aclexplode(datacl) ORDER BY grantee, privilege_type) a) AS grants,
    (SELECT string_agg(format('%s %s', setrole::regrole, setconfig), ';' ORDER BY setrole)
      FROM pg_db_role_setting WHERE setdatabase = d.oid) AS settings,
    (SELECT string_agg(format('%s %s %s', relname, pg_get_userbyid(relowner), relacl), ';'
      ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace) AS objects
  FROM pg_database d WHERE datname = current_database()`;

function pause(ms: number): Promise<false> {
  return new Promise((resolve) => setTimeout(() => resolve(false), ms));
}

/** A part of the PBX: keeps a session, opens another one when it is lost. */
class ReconnectingClient {
  readonly #host: DatabaseHost;
  #session: Session | null = null;
  /** Sessions that were lost. */
  losses = 0;

  constructor(host: DatabaseHost) {
    this.#host = host;
  }

  /** What the database of the moment says; null: there is none at this moment. */
  async firstname(): Promise<string | null> {
    try {
      this.#session ??= await this.#host.session();
      const sql = "SELECT firstname FROM public.userfeatures WHERE id = 1";
      return String((await this.#session.query(sql))[0]?.firstname);
    } catch {
      if (this.#session !== null) this.losses++;
      await this.end();
      return null;
    }
  }

  async end(): Promise<void> {
    const session = this.#session;
    this.#session = null;
    await session?.end();
  }
}

function isLocal(name: string): boolean {
  return XIVO_LOCAL_TABLES.some((table) => name === table || name === `${table}_id_seq`);
}

function without(
  contents: Record<string, string>,
  skip: (name: string) => boolean,
): Record<string, string> {
  return Object.fromEntries(Object.entries(contents).filter(([name]) => !skip(name)));
}

Deno.test("PostgresDatabase copies a whole database into a standby", async (t) => {
  await using pair = await databasePair({ rows: 3000 });
  const { master, slave } = pair;
  const spool = `${pair.directory}/first`;

  await t.step("install() makes every row, sequence and large object equal", async () => {
    const own = await slave.contents();
    await slave.cluster.psql(
      LIVE,
      "SELECT setval('mail_id_seq', 77); INSERT INTO mail (origin) VALUES ('s')",
    );
    const dump = await master.source().dump(dumpOptions());
    await receive(dump, spool);
    const installed = await slave.source().install(installOptions(spool));
    assert.equal(dump.detail.large_objects, 10);
    assert.equal(installed.detail.tables, dump.detail.tables);
    assert.equal(installed.detail.rows, dump.detail.rows);
    const [from, to] = [await master.contents(), await slave.contents()];
    assert.deepEqual(without(to, isLocal), without(from, isLocal));
    // The host's own rows, its own sequences: not the master's, not those of another moment.
    for (const table of XIVO_LOCAL_TABLES.filter((name) => name !== "mail")) {
      assert.equal(to[table], own[table], table);
      assert.notEqual(to[table], from[table], table);
    }
    assert.equal(to.mail_id_seq, "78 t");
    assert.equal(await slave.cluster.psql(LIVE, "SELECT max(id) FROM mail"), "78");
    assert.deepEqual(await slave.databases(), [LIVE]);
  });

  await t.step("install() keeps owner, grants, settings, comment and statistics", async () => {
    assert.equal(
      await slave.cluster.psql(LIVE, PROPERTIES),
      await master.cluster.psql(LIVE, PROPERTIES),
    );
    assert.equal(
      await slave.cluster.psql(LIVE, "SHOW search_path; SHOW timezone"),
      '"$user", public, provd\nEurope/Paris',
    );
    const analyzed = "SELECT count(*) > 0 FROM pg_stats WHERE tablename = 'cel'";
    assert.equal(await slave.cluster.psql(LIVE, analyzed), "t");
  });

  await t.step("install() gives sessions that were connected the new database", async () => {
    await master.cluster.psql(LIVE, "UPDATE userfeatures SET firstname = 'New' WHERE id = 1");
    const dump = await master.source().dump(dumpOptions());
    await receive(dump, spool);
    const phones = [new ReconnectingClient(slave), new ReconnectingClient(slave)] as const;
    const [idle, busy] = phones;
    try {
      assert.notEqual(await idle.firstname(), "New");
      const swapped = Promise.withResolvers<void>();
      const asking = (async (): Promise<number> => {
        let answers = 0;
        for (let over = false; !over;) {
          if (await busy.firstname() !== null) answers++;
          over = await Promise.race([swapped.promise.then(() => true), pause(5)]);
        }
        return answers;
      })();
      try {
        await slave.source().install(installOptions(spool));
      } finally {
        swapped.resolve();
      }
      assert.ok(await asking > 0, "the busy session asked while the copy was installed");
      for (const phone of phones) {
        await eventually(
          "a session sees the new database",
          async () => await phone.firstname() === "New",
        );
        assert.ok(phone.losses > 0, "it was connected before the swap");
      }
    } finally {
      for (const phone of phones) await phone.end();
    }
  });

  await t.step("install() names its phases and counts bytes", async () => {
    const seen: SetProgress[] = [];
    await slave.source().install({ ...installOptions(spool), onProgress: (p) => seen.push(p) });
    const phases = [...new Set(seen.map((progress) => progress.phase))];
    assert.deepEqual(phases, ["restore", "analyze", "verify", "swap", "drop"]);
    const last = seen.findLast((progress) => progress.phase === "restore");
    assert.ok(last !== undefined && last.bytes > 0);
  });

  await t.step("dump() leaves the rows of excluded tables out, with their parts", async () => {
    await master.cluster.psql(
      LIVE,
      `CREATE TABLE stat_calls (day date, n int) PARTITION BY RANGE (day);
       CREATE TABLE stat_calls_2024 PARTITION OF stat_calls
         FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
       INSERT INTO stat_calls VALUES ('2024-05-05', 7);`,
    );
    const excludeTableData = ["public.cel", "queue_*", "stat_calls"];
    const dump = await master.source({ excludeTableData }).dump(dumpOptions());
    await receive(dump, spool);
    await slave.source({ excludeTableData }).install(installOptions(spool));
    const count = "SELECT (SELECT count(*) FROM cel), (SELECT count(*) FROM queue_log), " +
      "(SELECT count(*) FROM stat_calls), (SELECT count(*) FROM call_log)";
    assert.equal(await slave.cluster.psql(LIVE, count), "0|0|0|300");
  });

  await t.step("dump() refuses to leave out rows that others refer to", async () => {
    await assert.rejects(
      master.source({ excludeTableData: ["extensions"] }).dump(dumpOptions()),
      /without the rows of public.extensions as rows of public.linefeatures refer to them/,
    );
  });

  await t.step("install() makes the database on a host that has none", async () => {
    const from = await master.contents();
    await slave.cluster.psql("postgres", `DROP DATABASE ${LIVE}`);
    await pair.copy();
    const to = await slave.contents();
    assert.deepEqual(without(to, isLocal), without(from, isLocal));
    assert.equal(await slave.cluster.psql(LIVE, "SELECT count(*) FROM netiface"), "0");
  });

  await t.step("install() carries own tables into a definition that has changed", async () => {
    await slave.cluster.psql(LIVE, "INSERT INTO netiface VALUES ('eth9', '192.0.2.9', '')");
    await master.cluster.psql(
      LIVE,
      `ALTER TABLE netiface ADD comment text DEFAULT 'none', ADD CHECK (ifname <> 'bad');
       CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN RAISE 'triggers must not see carried rows'; END $$;
       CREATE TRIGGER refuse BEFORE INSERT ON netiface FOR EACH ROW EXECUTE FUNCTION refuse();`,
    );
    await pair.copy();
    const rows = "SELECT ifname, address, comment FROM netiface";
    assert.equal(await slave.cluster.psql(LIVE, rows), "eth9|192.0.2.9|none");
    await assert.rejects(
      slave.cluster.psql(LIVE, "INSERT INTO netiface VALUES ('eth1', '', '')"),
      /triggers must not see/,
    );
  });
});
