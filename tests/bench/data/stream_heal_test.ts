import assert from "node:assert/strict";
import { findPostgres } from "../../support/postgres.ts";
import { LIVE, streamPair, until } from "../../support/stream_pair.ts";
import { arm, prepareBoth, survey } from "../../../src/replication/logical/setup.ts";

Deno.test({
  name: "a stream that is disabled, stuck or lost is seeded anew; the master's disk stays bounded",
  ignore: Deno.uid() !== 0 || await findPostgres() === null,
  fn: async (t): Promise<void> => {
    await using pair = await streamPair({
      rows: 50,
      settings: { max_slot_wal_keep_size: "16MB", min_wal_size: "32MB", max_wal_size: "32MB" },
      seedPauseMs: () => 0,
    });
    const { clusters: { master, slave }, replicators, events } = pair;
    await master.psql(LIVE, "CREATE TABLE heal (id int PRIMARY KEY, t text)");
    await prepareBoth(pair.hosts(), await survey(pair.hosts()));
    await arm(pair.hosts());
    replicators.master.start();
    replicators.slave.start();
    const streaming = (): boolean => replicators.master.stream?.state === "streaming";
    const arrives = async (id: number): Promise<void> => {
      await master.psql(LIVE, `INSERT INTO heal VALUES (${id}, 'x')`);
      await until(
        `row ${id} arrives: ${events.join("\n")}`,
        async () =>
          await slave.psql(LIVE, `SELECT t FROM heal WHERE id = ${id}`).catch(() => "") === "x",
      );
      await until("it streams", streaming);
    };
    const step = async (what: string, work: () => Promise<void>): Promise<void> => {
      // Each begins with a stream that is well.
      if (!await t.step(what, work)) throw new Error(`"${what}" failed: ${events.join("\n")}`);
    };
    const told = (what: RegExp): void => assert.match(events.join("\n"), what);
    await arrives(1);

    await step("disabled by somebody", async () => {
      await slave.psql(LIVE, "ALTER SUBSCRIPTION relais_stream DISABLE");
      await arrives(2);
      told(/seeds the stream, as the slave's subscription is disabled/);
    });

    await step("stuck at a row that somebody wrote on the slave", async () => {
      await slave.psql(LIVE, "INSERT INTO heal VALUES (3, 'own')");
      await arrives(3);
      told(/seeds the stream, as the slave cannot apply the changes/);
    });

    await step("away for longer than the master keeps its log", async () => {
      await slave.kill();
      for (let round = 0; round < 4; round++) {
        await master.psql(
          LIVE,
          `CREATE TABLE IF NOT EXISTS noise (t text);
           INSERT INTO noise SELECT string_agg(md5(g::text), '') FROM generate_series(1, 300000) g`,
        );
        await master.psql(LIVE, "DELETE FROM noise; SELECT pg_switch_wal(); CHECKPOINT");
      }
      await until(
        `the slot is lost: ${events.join("\n")}`,
        async () => {
          // Or dropped already, by a seed that failed as the slave is dead.
          const found = await master.psql(LIVE, "SELECT wal_status FROM pg_replication_slots");
          return found === "lost" || found === "";
        },
      );
      const kept = await master.psql(LIVE, "SELECT sum(size) FROM pg_ls_waldir()");
      assert.ok(Number(kept) < 100_000_000, `${kept} bytes of log kept`);
      await slave.boot();
      await arrives(4);
      told(/the log it needs is gone/);
      assert.equal(await master.psql(LIVE, "SELECT count(*) FROM pg_replication_slots"), "1");
    });
  },
});
