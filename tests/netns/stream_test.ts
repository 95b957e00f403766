// mode = "stream" with the real program between two hosts: set up by one command, followed, a power cut.
import assert from "node:assert/strict";
import { Cluster } from "../support/cluster.ts";
import { postgresPrograms, sql } from "../support/host_postgres.ts";
import { poll } from "../support/poll.ts";
import { relaisToml } from "../support/relais_config.ts";
import type { RelaisHost } from "../support/relais_host.ts";
import { DEADLINE_MS } from "./situations.ts";
import { STEADY } from "./stage.ts";

const CONFIG = { ...STEADY, database: true };
const AS_POSTGRES = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups"];

Deno.test("stream: set up by one command, the slave serves with every row after a power cut, and follows again", async (t) => {
  const toml = relaisToml(CONFIG).replace('every = "1h"', 'mode = "stream"');
  await using cluster = await Cluster.create({ config: CONFIG, toml });
  const { master, slave } = cluster;
  const on = (host: RelaisHost, text: string): Promise<string> =>
    sql(host.host, { database: "asterisk", text });
  const until = async (what: string, check: () => Promise<boolean>): Promise<void> =>
    void await poll(check, {
      deadlineMs: DEADLINE_MS,
      everyMs: 100,
      what,
      instead: async () =>
        `${(await master.relais(["stream", "status", "--json"])).stdout}\n${master.log(20)}`,
    });
  // What the package does.
  for (const { host } of cluster.both) await host.exec(["useradd", "--system", "relais"]);
  await on(
    master,
    "CREATE TABLE calls (id serial PRIMARY KEY, what text); CREATE TABLE nokey (a int)",
  );
  await cluster.start(DEADLINE_MS);

  await t.step("setup says that PostgreSQL must be restarted, then does the rest", async () => {
    const first = await master.relais(["stream", "setup", "--yes"], DEADLINE_MS);
    assert.equal(first.code, 1, first.stdout);
    assert.match(first.stderr, /PostgreSQL must be restarted: systemctl restart/);
    const slaveSays = await slave.relais(["stream", "setup", "--yes"], DEADLINE_MS);
    assert.match(slaveSays.stderr, /this is the slave/);
    const control = `${postgresPrograms()}/pg_ctl`;
    await master.host.exec([
      ...[...AS_POSTGRES, control, "-D", "/var/lib/postgresql/main"],
      ...["-m", "fast", "-w", "-l", "/var/log/postgresql.log", "restart"],
    ], { deadlineMs: DEADLINE_MS });
    const second = await master.relais(["stream", "setup", "--yes"], DEADLINE_MS);
    assert.equal(second.code, 0, `${second.stdout}\n${second.stderr}\n${master.log(30)}`);
    assert.match(second.stdout, /the slave follows the database/);
    const third = await master.relais(["stream", "setup", "--yes"], DEADLINE_MS);
    assert.match(third.stdout, /set up already/);
    assert.equal(await on(master, "SELECT rolsuper FROM pg_roles WHERE rolname = 'relais'"), "f");
  });

  await t.step("rows follow, and the lag is shown", async () => {
    await on(master, "INSERT INTO calls (what) SELECT 'm' FROM generate_series(1, 500)");
    await on(master, "INSERT INTO nokey VALUES (1); UPDATE nokey SET a = 2");
    await until("500 rows", async () => await on(slave, "SELECT count(*) FROM calls") === "500");
    assert.equal(await on(slave, "SELECT a FROM nokey"), "2");
    const { stdout } = await master.relais(["stream", "status"]);
    assert.match(stdout, /^streaming, \d+ ms and \d+ bytes behind/);
    await slave.waitFor(({ peer }) => peer.report?.stream?.state === "streaming", {
      deadlineMs: DEADLINE_MS,
      what: "the slave knows how far it is behind",
    });
  });

  await t.step("a planned move loses nothing, and back again the slave follows", async () => {
    await on(master, "INSERT INTO calls (what) SELECT 'p' FROM generate_series(1, 3000)");
    const moved = await master.relais(["switchover"], DEADLINE_MS);
    assert.equal(moved.code, 0, moved.stderr);
    await slave.untilState("active", DEADLINE_MS);
    assert.equal(await on(slave, "SELECT count(*) FROM calls WHERE what = 'p'"), "3000");
    const history = (await master.status())?.history.map(({ why }) => why).join("\n") ?? "";
    assert.match(history, /the slave has every change of the database/);
    const back = await slave.relais(["failback"], DEADLINE_MS);
    assert.equal(back.code, 0, back.stderr);
    await cluster.untilNormal(DEADLINE_MS);
    await slave.waitFor(({ peer }) => peer.report?.stream?.state === "streaming", {
      deadlineMs: DEADLINE_MS,
      what: "the stream runs again",
    });
  });

  await t.step("power cut: the slave serves with every row and free numbers", async () => {
    await master.host.crash();
    const status = await slave.untilState("active", DEADLINE_MS);
    const history = status.history.map(({ rule, why }) => `${rule}: ${why}`).join("\n");
    assert.match(history, /LOSS: lost by this takeover: database: followed the stream/);
    assert.match(history, /ready-database: the stream of the database has ended/);
    assert.equal(await on(slave, "SELECT count(*) FROM calls WHERE what = 'm'"), "500");
    await on(slave, "INSERT INTO calls (what) SELECT 's' FROM generate_series(1, 50)");
    assert.ok(Number(await on(slave, "SELECT min(id) FROM calls WHERE what = 's'")) > 5000);
    assert.equal(await on(slave, "SELECT count(*) FROM pg_subscription"), "0");
  });

  await t.step("the master is back, and the slave follows again by itself", async () => {
    await cluster.boot(master);
    await cluster.untilNormal(DEADLINE_MS);
    await master.waitFor(({ stream }) => stream?.state === "streaming", {
      deadlineMs: DEADLINE_MS,
      what: "the stream runs again",
    });
    await on(master, "INSERT INTO calls (what) VALUES ('again')");
    await until(
      "the new row",
      async () => await on(slave, "SELECT count(*) FROM calls WHERE what = 'again'") === "1",
    );
    assert.equal(await on(master, "SELECT count(*) FROM pg_replication_slots"), "1");
  });

  await t.step("teardown leaves nothing of it", async () => {
    const { code, stdout, stderr } = await master.relais(["stream", "teardown", "--yes"]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /the stream is taken down/);
    for (const host of cluster.both) {
      const left = "SELECT (SELECT count(*) FROM pg_subscription) + (SELECT count(*) FROM " +
        "pg_publication) + (SELECT count(*) FROM pg_replication_slots) + " +
        "(SELECT count(*) FROM pg_roles WHERE rolname = 'relais')";
      assert.equal(await on(host, left), "0");
    }
  });
});
