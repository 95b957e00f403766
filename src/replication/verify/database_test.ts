import assert from "node:assert/strict";
import {
  databasePair,
  dumpOptions,
  installOptions,
  LIVE,
  receive,
} from "../../../tests/support/database_pair.ts";
import type { SetHeader } from "../set_header.ts";
import { type ChangedSince, compareDatabase } from "./compare_database.ts";
import { databaseRecords, keepDatabaseRecord } from "./database_record.ts";
import { overall, type ProofFinding, summary } from "./finding.ts";

const HEADER: SetHeader = {
  version: 1,
  set: "database",
  epoch: 1,
  origin: "master",
  snapshotWallMs: 1,
  fingerprint: "f00d",
  detail: {},
};

Deno.test("a copy of a real database proves equal to its source, and every kind of change shows", async () => {
  await using pair = await databasePair({ rows: 20_000 });
  const stateDir = `${pair.directory}/state`;
  const file = `${pair.directory}/dump`;
  await receive(await pair.master.source().dump(dumpOptions()), file);
  await pair.slave.source().install({
    ...installOptions(file),
    onProved: (proof) => keepDatabaseRecord(stateDir, HEADER, proof),
  });
  const slave = pair.slave.source();
  const prove = async (since: ChangedSince = "nothing"): Promise<readonly ProofFinding[]> => {
    const [record, ...others] = await databaseRecords(stateDir);
    assert.deepEqual(others, []);
    const { excluded, sums = [] } = record!.manifest;
    assert.ok(sums.some(({ column }) => column !== null), "a large table is summed in ranges");
    assert.ok(sums.some(({ column }) => column === null), "small tables are summed whole");
    const live = await slave.readLive({ excluded, sums }, { deadlineMs: 60_000 });
    assert.equal(live.databaseOid, record!.databaseOid);
    return compareDatabase(record!, live, since);
  };
  const psql = (sql: string): Promise<string> => pair.slave.cluster.psql(LIVE, sql);

  const before = await pair.slave.contents();
  assert.equal(summary(await prove()), "all copies are equal to their sources");
  assert.deepEqual(await pair.slave.contents(), before, "the proof changed nothing");

  // This host's own tables are no copies.
  await psql("UPDATE netiface SET ifname = ifname || 'x'");
  assert.equal(overall(await prove()), "equal");

  // One value of a small table: the number of rows is the same.
  await psql("UPDATE userfeatures SET firstname = 'Eve' WHERE id = 1");
  assert.match(summary(await prove()), /rows of public\.userfeatures are not those of the copy/);
  // Copies of the configuration may have come since; they leave the history alone.
  const excused = await prove("configuration");
  assert.equal(overall(excused), "equal");
  assert.match(JSON.stringify(excused), /not compared.*public\.userfeatures/);
  await psql("UPDATE cel SET uniqueid = 'x' WHERE id = (SELECT max(id) FROM cel)");
  assert.match(summary(await prove("configuration")), /rows of public\.cel are not/);
  assert.equal(overall(await prove("everything")), "equal");
  await psql("DELETE FROM cel WHERE id = (SELECT min(id) FROM cel)");
  assert.match(summary(await prove()), /public\.cel has 19999 rows instead of 20000/);
  await psql("CREATE TABLE intruder(id int)");
  assert.match(summary(await prove()), /intruder/);
});
