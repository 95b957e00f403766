import assert from "node:assert/strict";
import { databasePair, LIVE } from "../../tests/support/database_pair.ts";
import { secondPostgres } from "../../tests/support/second_postgres.ts";

const second = await secondPostgres();
if ("missing" in second) {
  console.log(
    `SKIPPED: copies between two major versions of PostgreSQL were not tried.\n  ${second.missing}`,
  );
}
const ignore = "missing" in second;
const bin = "missing" in second ? "" : second.bin;

async function tables(
  { master, slave }: Awaited<ReturnType<typeof databasePair>>,
): Promise<void> {
  const signal = AbortSignal.timeout(60_000);
  const onProgress = (): void => {};
  const { payload, done } = await master.tables().dumpTables({ set: "config", signal, onProgress });
  await slave.tables().applyTables({
    set: "config",
    payload,
    whole: done,
    signal,
    onProgress,
    confirm: () => Promise.resolve(),
  });
}

Deno.test({
  name: "a standby of a newer major version takes whole copies and tables",
  ignore,
  fn: async () => {
    await using pair = await databasePair({ rows: 200, masterBin: bin });
    await pair.copy();
    await pair.master.cluster.psql(
      LIVE,
      "UPDATE userfeatures SET firstname = 'Newer' WHERE id = 1",
    );
    await tables(pair);
    const sql = "SELECT firstname FROM userfeatures WHERE id = 1";
    assert.equal(await pair.slave.cluster.psql(LIVE, sql), "Newer");
  },
});

Deno.test({
  name: "a standby of an older major version refuses both and stays as it was",
  ignore,
  fn: async () => {
    await using pair = await databasePair({ rows: 200, slaveBin: bin });
    const before = await pair.slave.contents();
    await assert.rejects(pair.copy(), /older than the dump's/);
    await assert.rejects(tables(pair), /which is older: upgrade it/);
    assert.deepEqual(await pair.slave.contents(), before);
  },
});
