import assert from "node:assert/strict";
import { databasePair, LIVE } from "../../tests/support/database_pair.ts";
import type { DatabaseConfig, ReplicationConfig } from "../config/types.ts";
import { systemClock } from "../os/clock.ts";
import { Pair } from "./peer_fixture.ts";
import type { Replicator } from "./replicator.ts";
import { type SetState, SetStates } from "./set_state.ts";

/** Looking for changes, copying them and a busy machine take their time. */
const PATIENCE_MS = 60_000;

async function until(condition: () => Promise<boolean> | boolean, what: string): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!await condition()) {
    if (performance.now() > end) throw new Error(`Waited in vain: ${what}`);
    await systemClock.sleep(100);
  }
}

Deno.test("the sets of the database follow what changes, over ssh, and say when nothing did", async (t) => {
  await using databases = await databasePair({ rows: 300 });
  const { master, slave } = databases;
  const pair = await Pair.make("master");
  const sections = (config: DatabaseConfig): Partial<ReplicationConfig> => ({
    astdb: null,
    files: null,
    database: config,
    config: { everyMs: 600_000 },
    hot: { everyMs: 600_000 },
  });
  await pair.writeConfig(sections(slave.config));
  await Deno.writeTextFile(pair.at("peer/seams.json"), JSON.stringify(slave.seams));
  let epoch = 1;
  const start = (): Replicator => {
    const replicator = pair.replicator({
      config: pair.config(sections(master.config)),
      database: master.source(),
      tables: master.tables(),
      mayRead: () => ({ ok: true, epoch }),
    });
    replicator.start();
    return replicator;
  };
  const received = (set: "database" | "config" | "hot"): SetState =>
    new SetStates(pair.at("peer/state"), () => {}).read(set, "received");
  const value = (sql: string): Promise<string> => slave.cluster.psql(LIVE, sql);
  let replicator = start();
  try {
    await t.step("the whole comes first, then the tables, by themselves", async () => {
      await until(() => received("config").sha256 !== null, "the configuration tables came");
      await until(() => received("hot").sha256 !== null, "the hot tables came");
      assert.ok(received("database").sha256 !== null);
      assert.equal(await value("SELECT count(*) FROM userfeatures"), "200");
    });

    await t.step("a change of configuration follows without a copy of the whole", async () => {
      const whole = received("database");
      await master.cluster.psql(LIVE, "UPDATE grp SET name = 'followed' WHERE id = 3");
      await until(
        async () => await value("SELECT name FROM grp WHERE id = 3") === "followed",
        "the row came",
      );
      assert.equal(received("database").sha256, whole.sha256);
      assert.equal(received("config").lastError, null);
    });

    await t.step("a change by telephone follows in the hot tables", async () => {
      await master.cluster.psql(LIVE, "UPDATE userfeatures SET enablednd = 1 WHERE id = 8");
      await until(
        async () => await value("SELECT enablednd FROM userfeatures WHERE id = 8") === "1",
        "the row came",
      );
    });

    await t.step(
      "a change of the schema brings the whole first, then rows follow again",
      async () => {
        const whole = received("database");
        await master.cluster.psql(LIVE, "ALTER TABLE grp ADD note text; UPDATE grp SET note = 'n'");
        await until(() => received("database").sha256 !== whole.sha256, "the whole came");
        await master.cluster.psql(LIVE, "UPDATE grp SET note = 'again' WHERE id = 1");
        await until(
          async () => await value("SELECT note FROM grp WHERE id = 1") === "again",
          "the row came",
        );
      },
    );

    await t.step("a set in which nothing changed is not sent, and both hosts say so", async () => {
      // Until here something changed since the last copy of the whole.
      await replicator.sync("database", { signal: AbortSignal.timeout(PATIENCE_MS) });
      await replicator.sync("config", { signal: AbortSignal.timeout(PATIENCE_MS) });
      await until(() => replicator.status().every(({ running }) => running === null), "all rests");
      const before = received("config");
      await replicator.stop();
      // The next daemon finds the copies too old, asks, and learns that they are what there is.
      for (const set of ["database", "config", "hot"] as const) {
        const path = pair.at(`state/sets/${set}.sent.json`);
        const state = JSON.parse(await Deno.readTextFile(path));
        state.lastSuccessWallMs -= 3_600_000;
        await Deno.writeTextFile(path, JSON.stringify(state));
      }
      replicator = start();
      await until(
        () => received("database").checkedWallMs !== null,
        "the whole is called unchanged",
      );
      await until(
        () => received("config").checkedWallMs !== null,
        "the tables are called unchanged",
      );
      assert.equal(received("config").sha256, before.sha256);
      const [sent] = replicator.status().filter(({ set }) => set === "database");
      assert.ok(sent!.sent.checkedWallMs !== null);
      assert.ok(sent!.sentAgeMs! < 1_800_000, "the age counts from the proof");
    });

    await t.step("a peer that lost its database gets the whole again", async () => {
      await replicator.stop();
      await slave.cluster.psql("postgres", `DROP DATABASE ${LIVE} WITH (FORCE)`);
      const path = pair.at("state/sets/database.sent.json");
      const state = JSON.parse(await Deno.readTextFile(path));
      await Deno.writeTextFile(
        path,
        JSON.stringify({ ...state, lastSuccessWallMs: state.lastSuccessWallMs - 3_600_000 }),
      );
      replicator = start();
      await until(async () => (await slave.databases()).includes(LIVE), "the database is back");
      assert.equal(await value("SELECT count(*) FROM userfeatures"), "200");
    });

    await t.step("nothing is taken by a peer that serves, nor of an older epoch", async () => {
      await until(() => replicator.status().every(({ running }) => running === null), "all rests");
      await pair.setGate({ daemon: pair.peerDaemon("active"), refusal: "this node is active" });
      const signal = AbortSignal.timeout(PATIENCE_MS);
      await assert.rejects(replicator.sync("config", { signal }), /this node is active/);
      await assert.rejects(replicator.sync("hot", { signal }), /this node is active/);
      assert.match(received("config").sha256 ?? "", /^[0-9a-f]{64}$/);
      await pair.setGate({ daemon: pair.peerDaemon("standby"), refusal: null });
      epoch = 2;
      await until(() => received("database").epoch === 2, "a new epoch begins with the whole");
    });
  } finally {
    await replicator.stop();
    await pair.end();
  }
});
