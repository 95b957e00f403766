// The way back of the database between two real daemons: a takeover, rows on both hosts, a conflict that
// waits, a decision, the hand-back by itself.
import assert from "node:assert/strict";
import { Cluster } from "../support/cluster.ts";
import { sql } from "../support/host_postgres.ts";
import type { RelaisHost } from "../support/relais_host.ts";
import { DEADLINE_MS } from "./situations.ts";
import { STEADY } from "./stage.ts";

const ask = ({ host }: RelaisHost, text: string): Promise<string> =>
  sql(host, { database: "asterisk", text });

Deno.test("rows of the slave go back, a conflict keeps the service there until it is decided", async () => {
  const databaseMore = [
    'return = "tables"',
    'return_tables = ["userfeatures", "extensions", "append:cel"]',
  ];
  await using cluster = await Cluster.create({
    config: { ...STEADY, data: true, database: true, databaseMore },
  });
  await cluster.start(DEADLINE_MS);
  const { master, slave } = cluster;
  const copied = await master.relais(["sync", "database"], DEADLINE_MS);
  assert.equal(copied.code, 0, copied.stdout + copied.stderr);
  await ask(master, "UPDATE userfeatures SET passwd = 'master' WHERE id = 9");
  const nothing = await slave.relais(["return"], DEADLINE_MS);
  assert.match(nothing.stdout, /nothing is to go back/);

  await master.host.crash();
  await slave.untilState("active", DEADLINE_MS);
  await ask(
    slave,
    `UPDATE userfeatures SET passwd = 'slave' WHERE id IN (3, 9);
    INSERT INTO cel (eventtype, eventtime, cid_name, cid_num) VALUES ('SLAVE', now(), '', '')`,
  );
  const alone = await slave.relais(["return", "--json"], DEADLINE_MS);
  assert.equal(JSON.parse(alone.stdout).summary.total, 3, alone.stdout);

  await cluster.boot(master);
  await slave.waitFor(
    ({ alerts }) => alerts.some((text) => text.includes("relais return conflicts")),
    {
      deadlineMs: DEADLINE_MS,
      what: "the alert about the conflict",
    },
  );
  await master.waitFor(({ node, ready }) => node.state === "standby" && ready, {
    deadlineMs: DEADLINE_MS,
    what: "the master at rest",
  });
  await slave.untilState("active", DEADLINE_MS);
  const refused = await slave.relais(["failback"], DEADLINE_MS);
  assert.notEqual(refused.code, 0);
  assert.match(refused.stdout + refused.stderr, /1 row differs on both hosts/);
  assert.equal((await slave.status())!.node.state, "active");
  assert.equal(await ask(master, "SELECT count(*) FROM userfeatures WHERE passwd = 'slave'"), "0");

  const shown = await slave.relais(["return", "conflicts", "--json"], DEADLINE_MS);
  const { conflicts: [conflict], count } = JSON.parse(shown.stdout);
  assert.equal(count, 1);
  assert.deepEqual([conflict.slave.passwd, conflict.master.passwd], ["slave", "master"]);
  const text = await slave.relais(["return"], DEADLINE_MS);
  assert.match(text.stdout, /3 rows would go to the master/);
  assert.match(text.stdout, /slave: .*passwd="slave".*\n {2}master: .*passwd="master"/);
  const decided = await slave.relais(["return", "decide", conflict.id, "master"], DEADLINE_MS);
  assert.equal(decided.code, 0, decided.stdout + decided.stderr);

  await master.untilState("active", DEADLINE_MS);
  assert.equal(
    await ask(
      master,
      `SELECT (SELECT string_agg(passwd, ',' ORDER BY id) FROM userfeatures WHERE id IN (3, 9)),
        (SELECT count(*) FROM cel WHERE eventtype = 'SLAVE')`,
    ),
    "slave,master|1",
  );
  await cluster.untilNormal(DEADLINE_MS);
  const history = (await slave.status())!.history;
  const entry = history.find(({ rule }) => rule === "return-database");
  assert.match(
    entry!.why,
    /1 new, 1 changed, 0 deleted, 1 left by decision; what did not travel is in/,
  );
  const [, folder] = /is in (\S+)/.exec(entry!.why)!;
  assert.match(await slave.host.readFile(`${folder}/conflicts.json`), /^\[/);
  assert.match(await slave.host.readFile(`${folder}/changes.jsonl`), /"passwd":"slave"/);
  // What did not travel is told until an operator has seen to it, with the daemon and without it.
  const left = await slave.relais(["return", "conflicts"], DEADLINE_MS);
  assert.match(left.stdout, /^nothing is to go back from this host$/m);
  assert.ok(left.stdout.includes(`that did not travel: ${folder}\n`), left.stdout);
  const onMaster = await master.relais(["return", "conflicts", "--json"], DEADLINE_MS);
  assert.deepEqual(JSON.parse(onMaster.stdout).left, [], onMaster.stdout + onMaster.stderr);
  const settled = await slave.relais(["return", "settle", "all"], DEADLINE_MS);
  assert.equal(settled.code, 0, settled.stdout + settled.stderr);
  const after = await slave.relais(["return", "conflicts", "--json"], DEADLINE_MS);
  assert.deepEqual(JSON.parse(after.stdout).left, []);
  const again = await master.relais(["sync", "database"], DEADLINE_MS);
  assert.equal(again.code, 0, again.stdout + again.stderr);
});
