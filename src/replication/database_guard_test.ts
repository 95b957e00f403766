import assert from "node:assert/strict";
import {
  addNoise,
  databasePair,
  dumpOptions,
  eventually,
  LIVE,
  receive,
} from "../../tests/support/database_pair.ts";
import { DumpYieldedError } from "./database_dump.ts";
import type { Signatures } from "./database_protocol.ts";

Deno.test("dump() gets out of the way of the PBX", async (t) => {
  await using pair = await databasePair({ rows: 1000 });
  const { master } = pair;
  await addNoise(master);

  await t.step("dump() gives way when a change of a table waits for it", async () => {
    // Nobody reads on: without the guard the ALTER TABLE below would wait for ever.
    const dump = await master.source().dump(dumpOptions());
    const reader = dump.payload.getReader();
    // The second piece comes from pg_dump: it has all of its locks.
    for (const _ of ["manifest", "dump"]) await reader.read();
    await master.cluster.psql(LIVE, "ALTER TABLE cel ADD extra text");
    const yielded = (error: unknown): boolean =>
      error instanceof DumpYieldedError && /waited .*ALTER TABLE cel ADD extra/.test(error.message);
    await assert.rejects(dump.done, yielded);
    await assert.rejects(async () => {
      while (!(await reader.read()).done);
    }, yielded);
  });

  await t.step("dump() is not disturbed by work that does not wait", async () => {
    const session = await master.session();
    try {
      const dump = await master.source().dump(dumpOptions());
      await Promise.all([
        session.query("UPDATE public.userfeatures SET lastname = 'x' WHERE id < 50"),
        receive(dump, `${pair.directory}/spool`),
      ]);
    } finally {
      await session.end();
    }
  });

  await t.step("dump() gives up when somebody else keeps a table locked", async () => {
    const session = await master.session();
    try {
      await session.query("BEGIN; LOCK TABLE public.cel");
      await assert.rejects(master.source().dump(dumpOptions()), /lock timeout/);
    } finally {
      await session.end();
    }
  });

  const signatures = (): Promise<Signatures> => master.source().signatures();

  await t.step("signatures() stay the same while nothing is changed", async () => {
    let last = await signatures();
    await eventually("the counters have settled", async () => {
      const now = await signatures();
      const same = now.all === last.all;
      last = now;
      return same;
    });
    await master.cluster.psql(LIVE, "SELECT count(*) FROM userfeatures");
    assert.deepEqual(await signatures(), last);
  });

  const changes: readonly (readonly [what: string, sql: string, configuration: boolean])[] = [
    ["a row of configuration", "INSERT INTO staticsip (var_name) VALUES ('a')", true],
    ["a row of history", "DELETE FROM queue_log WHERE id = 1", false],
    ["an emptied table", "TRUNCATE staticsip", true],
    ["a definition", "ALTER TABLE mail ADD more text", true],
    ["a setting", `ALTER DATABASE ${LIVE} SET work_mem = '8MB'`, true],
    ["a large object", "SELECT lowrite(lo_open(img, 131072), '\\x00') FROM logo LIMIT 1", true],
  ];
  for (const [what, sql, configuration] of changes) {
    await t.step(`signatures() change with ${what}`, async () => {
      const before = await signatures();
      await master.cluster.psql(LIVE, sql);
      await eventually(
        "the signature differs",
        async () => (await signatures()).all !== before.all,
      );
      if (configuration) assert.notEqual((await signatures()).configuration, before.configuration);
      else assert.equal((await signatures()).configuration, before.configuration);
    });
  }

  await t.step("signatures() do not change with a host's own or an excluded table", async () => {
    const source = master.source({ excludeTableData: ["queue_log"] });
    const before = await source.signatures();
    const both = await signatures();
    await master.cluster.psql(LIVE, "DELETE FROM netiface; DELETE FROM queue_log");
    await eventually("the change is counted", async () => (await signatures()).all !== both.all);
    assert.deepEqual(await source.signatures(), before);
  });
});
