import assert from "node:assert/strict";
import { findPostgres } from "../../../tests/support/postgres.ts";
import { LIVE, streamPair, until } from "../../../tests/support/stream_pair.ts";
import { arm, prepareBoth, survey } from "./setup.ts";
import { CAUGHT_UP_MS, SynchronousWatch } from "./synchronous.ts";

const NAME = "relais_stream";
const SENDER = { state: "streaming", replayLsn: 0, replayLagMs: 0 };

Deno.test("commits begin to wait when the slave has kept up, and not for a backlog", () => {
  const watch = new SynchronousWatch(3000);
  const source = { sender: SENDER, synchronousNames: "", waiting: [] };
  const look = (nowMs: number, lagBytes = 0): unknown => watch.look(source, { nowMs, lagBytes });
  assert.equal(look(0), null);
  assert.equal(look(CAUGHT_UP_MS - 1), null);
  assert.equal(look(CAUGHT_UP_MS, 50_000_000), null);
  assert.equal(look(CAUGHT_UP_MS + 1), null);
  assert.deepEqual(look(2 * CAUGHT_UP_MS + 1), { set: true });
});

Deno.test("a commit that waits for longer than the patience lets all go; many short waits do not", () => {
  const watch = new SynchronousWatch(3000);
  const look = (nowMs: number, waiting: string[]): ReturnType<SynchronousWatch["look"]> =>
    watch.look({ sender: SENDER, synchronousNames: NAME, waiting }, { nowMs, lagBytes: 0 });
  for (let at = 0; at < 10_000; at += 500) assert.equal(look(at, [`1 ${at}`]), null);
  assert.equal(look(10_000, ["7 a"]), null);
  assert.equal(look(12_900, ["7 a", "8 b"]), null);
  assert.match(JSON.stringify(look(13_000, ["7 a"])), /waited for 3.0 s/);
  watch.distrust();
  assert.equal(look(13_500, ["7 a"]), null);
});

Deno.test("a slave that is not connected is waited for no longer than the patience", () => {
  const watch = new SynchronousWatch(2000);
  const source = { sender: null, synchronousNames: NAME, waiting: [] };
  assert.equal(watch.look(source, { nowMs: 0, lagBytes: 0 }), null);
  assert.match(
    JSON.stringify(watch.look(source, { nowMs: 2000, lagBytes: 0 })),
    /not connected/,
  );
});

Deno.test({
  name:
    "synchronous: commits wait for the slave, not for its absence, and wait again when it is back",
  ignore: Deno.uid() !== 0 || await findPostgres() === null,
  fn: async (): Promise<void> => {
    const patience = { synchronous: true, synchronousPatienceMs: 2000 };
    await using pair = await streamPair({ rows: 50, database: patience });
    const { clusters: { master, slave }, replicators, events } = pair;
    const names = async (): Promise<string> =>
      await master.psql("postgres", "SHOW synchronous_standby_names");
    const insert = async (): Promise<number> => {
      const began = performance.now();
      await master.psql(LIVE, "INSERT INTO waited DEFAULT VALUES");
      return performance.now() - began;
    };
    await master.psql(LIVE, "CREATE TABLE waited (id serial PRIMARY KEY)");
    await prepareBoth(pair.hosts(), await survey(pair.hosts()));
    await arm(pair.hosts());
    replicators.master.start();
    replicators.slave.start();
    await until(`commits wait: ${events.join("\n")}`, async () => await names() === NAME);
    await insert();
    const rows = "SELECT count(*) FROM waited";
    // Acknowledged is there: nothing is waited for.
    assert.equal(await slave.psql(LIVE, rows), "1");
    await slave.kill();
    const hung = await insert();
    // Patience, two looks, a reload; with much room for a slow machine.
    assert.ok(hung < 20_000, `${hung} ms`);
    assert.equal(await names(), "");
    assert.match(events.join("\n"), /Commits no longer wait for the slave/);
    assert.equal(replicators.master.stream?.synchronous, false);
    await slave.boot();
    await until(`commits wait again: ${events.join("\n")}`, async () => await names() === NAME);
    assert.equal(await slave.psql(LIVE, rows), "2");
    await replicators.master.stop();
    assert.equal(await names(), "", "nobody would let them go");
  },
});
