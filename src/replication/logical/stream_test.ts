import assert from "node:assert/strict";
import { findPostgres } from "../../../tests/support/postgres.ts";
import { LIVE, streamPair, until } from "../../../tests/support/stream_pair.ts";
import { arm, planSetup, prepareBoth, survey, tearDown } from "./setup.ts";

const SIGNAL = new AbortController().signal;
const CAN_RUN = Deno.uid() === 0 && await findPostgres() !== null;

Deno.test({
  name:
    "the database is streamed: set up, followed, healed, promoted, established again, taken down",
  ignore: !CAN_RUN,
  fn: async (t): Promise<void> => {
    await using pair = await streamPair({ rows: 500 });
    const { clusters: { master, slave }, replicators, events, nodes } = pair;
    const on = async (cluster: typeof master, query: string): Promise<string> =>
      await cluster.psql(LIVE, query);
    const state = (): string | undefined => replicators.master.stream?.state;
    const step = async (what: string, work: () => Promise<void>): Promise<void> => {
      // Each builds upon the one before.
      if (!await t.step(what, work)) throw new Error(`"${what}" failed`);
    };
    const streaming = async (what: string): Promise<void> =>
      await until(`${what}: ${events.join("\n")}`, () => state() === "streaming");
    const name = (cluster: typeof master, id: number): Promise<string> =>
      on(cluster, `SELECT firstname FROM userfeatures WHERE id = ${id}`);

    await step("a set-up says what it will do and does it once", async () => {
      await on(master, "CREATE TABLE nokey (a int, b text); INSERT INTO nokey VALUES (1, 'x')");
      const before = await survey(pair.hosts());
      const plan = planSetup(before, { mode: "stream", role: "master" });
      assert.deepEqual(plan.obstacles, []);
      assert.equal(plan.needsRestart, false);
      assert.match(plan.steps.join("\n"), /make the role relais[^]*max_slot_wal_keep_size = 2GB/);
      assert.match(plan.notCarried.join(), /large objects/);
      assert.ok((await prepareBoth(pair.hosts(), before)).length >= 4);
      assert.deepEqual(await prepareBoth(pair.hosts(), await survey(pair.hosts())), []);
      assert.equal(
        await on(master, "SELECT rolsuper::text FROM pg_roles WHERE rolname = 'nobody'"),
        "false",
      );
    });

    await step("until it is armed whole copies are made; then the slave follows", async () => {
      replicators.master.start();
      replicators.slave.start();
      await until("the stream says that it is off", () => state() === "off");
      await arm(pair.hosts());
      await until("it wants a seed", () => state() === "seeding");
      const phases = new Set<string>();
      await replicators.master.sync("database", {
        signal: SIGNAL,
        onProgress: ({ phase }) => phases.add(phase),
      });
      assert.ok(phases.has("restore"), [...phases].join());
      await streaming("the first seed");
      await on(master, "UPDATE userfeatures SET firstname = 'Streamed' WHERE id = 1");
      await on(master, "UPDATE nokey SET b = 'y'");
      await until("the row arrives", async () => await name(slave, 1) === "Streamed");
      await until("without a key", async () => await on(slave, "SELECT b FROM nokey") === "y");
      assert.match(await on(slave, "SELECT address FROM netiface LIMIT 1"), /192\.0\.2\.2/);
    });

    await step("a change of the structure is healed by a fresh copy", async () => {
      await on(
        master,
        "CREATE TABLE added (id serial PRIMARY KEY); INSERT INTO added DEFAULT VALUES",
      );
      await until(
        `the new table arrives: ${events.join("\n")}`,
        async () => await on(slave, "SELECT to_regclass('added') IS NOT NULL") === "t",
      );
      await streaming("after the new table");
      await on(master, "INSERT INTO added DEFAULT VALUES");
      await until(
        "its rows follow",
        async () => await on(slave, "SELECT count(*) FROM added") === "2",
      );
      assert.equal(await on(master, "SELECT count(*) FROM pg_replication_slots"), "1");
    });

    await step(
      "the slave serves with every row, without the master, and with free numbers",
      async () => {
        await on(master, "INSERT INTO added DEFAULT VALUES");
        await until(
          "the last row",
          async () => await on(slave, "SELECT count(*) FROM added") === "3",
        );
        Object.assign(nodes.slave, { epoch: 2, serving: true, state: "taking-over" });
        Object.assign(nodes.master, { serving: false, state: "rejoining" });
        await pair.told();
        await master.kill();
        assert.match(await replicators.slave.readyDatabase({ signal: SIGNAL }), /has ended/);
        nodes.slave.state = "active";
        assert.equal(await on(slave, "SELECT count(*) FROM pg_subscription"), "0");
        assert.ok(Number(await on(slave, "INSERT INTO added DEFAULT VALUES RETURNING id")) > 3000);
        assert.match(await replicators.slave.readyDatabase({ signal: SIGNAL }), /did not follow/);
      },
    );

    await step("after the hand-back the stream is there again by itself", async () => {
      await master.boot();
      Object.assign(nodes.master, { epoch: 3, serving: true, state: "active" });
      Object.assign(nodes.slave, { epoch: 3, serving: false, state: "standby" });
      await pair.told();
      await until("it is seeded again", () => state() === "seeding");
      await streaming("after the hand-back");
      await on(master, "UPDATE userfeatures SET firstname = 'Back' WHERE id = 1");
      await until("rows follow again", async () => await name(slave, 1) === "Back");
    });

    await step("a teardown leaves nothing on either host", async () => {
      const { done, failed } = await tearDown(pair.hosts());
      assert.deepEqual(failed, []);
      assert.match(done.join("\n"), /subscription relais_stream dropped/);
      for (const cluster of [master, slave]) {
        const left = await on(
          cluster,
          `SELECT (SELECT count(*) FROM pg_subscription)
          + (SELECT count(*) FROM pg_publication) + (SELECT count(*) FROM pg_replication_slots)
          + (SELECT count(*) FROM pg_roles WHERE rolname = 'nobody')
          + (SELECT count(*) FROM pg_class WHERE relreplident = 'f')`,
        );
        assert.equal(left, "0");
      }
      assert.deepEqual((await tearDown(pair.hosts())).done, []);
    });
  },
});
