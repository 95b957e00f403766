/**
 * The master loses its power in the middle of the hourly copy of the database.
 *
 * @module
 */

import assert from "node:assert/strict";
import { poll } from "../support/poll.ts";
import type { LabHost } from "./lab_host.ts";
import type { Laboratory } from "./laboratory.ts";
import type { Seen } from "./outside.ts";
import { CONFIG_FILE, provisioned, sql, untilNormal } from "./provision.ts";
import { receivedCopy, statusOf } from "./relais_status.ts";
import { untilServedBy } from "./served_by.ts";
import { type Scene, story } from "./stage.ts";

const DEADLINE_MS = 60_000;
const COPY_DEADLINE_MS = 180_000;
const PASSWORD = "lab";
/** Rows of the table that makes a copy long: 40 MB, 2 s at the pace of a dump (20 MB/s). */
const BALLAST_ROWS = 100_000;
/** Each table of the database with the number of its rows. */
const ROW_COUNTS = `
SELECT table_schema || '.' || table_name || ' ' || (xpath('/row/n/text()', query_to_xml(
  format('SELECT count(*) AS n FROM %I.%I', table_schema, table_name), false, true, '')))[1]::text
FROM information_schema.tables
WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')
ORDER BY 1;`;
const MARKER = "SELECT var_val FROM staticsip WHERE category = 'story';";
const COPY = ["relais", "sync", "database"];

/** PostgreSQL answers the phone on all addresses, VIPs included, as other servers of a PBX ask it. */
async function listenForPhone(host: LabHost, laboratory: Laboratory): Promise<void> {
  const phone = `${laboratory.address("phone", "data")}/32`;
  await sql(
    host,
    "postgres",
    `ALTER SYSTEM SET listen_addresses = '*'; ALTER ROLE asterisk PASSWORD '${PASSWORD}';`,
  );
  const line = `host asterisk asterisk ${phone} scram-sha-256`;
  const script = 'for file in /etc/postgresql/*/main/pg_hba.conf; do echo "$1" >> "$file"; done';
  await host.exec(["sh", "-c", script, "hba", line]);
  await host.exec(["systemctl", "restart", "postgresql"], { deadlineMs: DEADLINE_MS });
  await host.exec(["sync"]); // it must outlast the power cut
}

/** What a client on network data gets from the database at the VIP. */
async function askAtVip(laboratory: Laboratory, query: string): Promise<string> {
  const psql = ["psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", query];
  const server = `host=${laboratory.vip("data")} dbname=asterisk user=asterisk connect_timeout=10`;
  return await laboratory.phone.read(["env", `PGPASSWORD=${PASSWORD}`, ...psql, server]);
}

/** What the slave had before a copy was cut. */
interface Previous {
  readonly marker: string;
  readonly rowCounts: string;
  /** Wall clock of the source, ISO 8601. */
  readonly snapshot: string;
}

/** A copy that ends well: what the slave must still have after the next one was cut. */
async function copyWhole({ master, slave }: Scene, marker: string): Promise<Previous> {
  await mark(master, marker);
  await master.exec(COPY, { deadlineMs: COPY_DEADLINE_MS });
  const rowCounts = await sql(slave, "asterisk", ROW_COUNTS);
  assert.match(rowCounts, /^public\.userfeatures 200$/m);
  const { snapshot } = await receivedCopy(slave, "database");
  assert.ok(snapshot !== null);
  return { marker, rowCounts, snapshot };
}

async function mark(master: LabHost, text: string): Promise<void> {
  const script = `DELETE FROM staticsip WHERE category = 'story';
    INSERT INTO staticsip (var_name, var_val, category) VALUES ('marker', '${text}', 'story');`;
  await sql(master, "asterisk", script);
}

/** What the master gains after a copy: a client at the VIP sees it there. */
async function addToMaster(
  { laboratory, master }: Scene,
  { after, rows }: { readonly after: string; readonly rows: number },
): Promise<void> {
  await mark(master, `after the ${after}`);
  await sql(
    master,
    "asterisk",
    `INSERT INTO ballast (filler) SELECT repeat(md5(g::text), 12) FROM generate_series(1, ${rows}) g;`,
  );
  assert.equal(await askAtVip(laboratory, MARKER), `after the ${after}`);
}

/** A client at the VIP has the previous database, whole; nothing of the other is left on the slave. */
async function provePrevious({ laboratory, slave }: Scene, previous: Previous): Promise<void> {
  assert.equal(await askAtVip(laboratory, MARKER), previous.marker);
  assert.equal(await askAtVip(laboratory, ROW_COUNTS), previous.rowCounts);
  let left = "";
  await poll(async () => {
    return (left = (await databases(slave)).join(" ").trim()) === "asterisk";
  }, {
    deadlineMs: DEADLINE_MS,
    everyMs: 200,
    what: "the slave with one database",
    instead: () => left,
  });
  assert.equal((await receivedCopy(slave, "database")).snapshot, previous.snapshot);
  const { status, said } = await statusOf(slave);
  const loss = status?.history.findLast(({ rule }) => rule === "LOSS");
  assert.match(loss?.why ?? said, /database: at most the last \d+ (s|min)/);
}

async function seenWithOneHolder({ outside }: Scene, phase: string): Promise<Seen> {
  const seen = await outside.seen(phase);
  assert.equal(seen.answeredByTwo, 0);
  return seen;
}

/** Databases of the host whose names begin with that of the PBX. */
async function databases(host: LabHost): Promise<string[]> {
  const query = "SELECT datname FROM pg_database WHERE datname LIKE 'asterisk%' ORDER BY 1;";
  return (await sql(host, "postgres", query)).split("\n");
}

/** Waits until the new database on the slave has more than so many bytes. */
async function untilNewHas(slave: LabHost, bytes: number): Promise<void> {
  const size =
    "SELECT pg_database_size(oid) FROM pg_database WHERE datname = 'asterisk_relais_new';";
  await poll(async () => Number(await sql(slave, "postgres", size)) > bytes, {
    deadlineMs: COPY_DEADLINE_MS,
    everyMs: 50,
    what: "a part of a database on the slave",
    instead: async () => (await databases(slave)).join(" "),
  });
}

/** This story is about whole copies: what changed must not follow by itself meanwhile. */
async function copyWholesOnly({ slave, master }: Scene): Promise<void> {
  const keys = "delta = false\\non_change = false\\nhot_tables = []";
  for (const host of [slave, master]) {
    await host.exec(["sed", "-i", `/^\\[replication.database\\]/a ${keys}`, CONFIG_FILE]);
    await host.exec(["relais", "reload"], { deadlineMs: DEADLINE_MS });
    await host.exec(["sync"]); // it must outlast the power cut
  }
}

/**
 * Waits until a part of the ballast is in the new database, and stops pg_restore there: a disk that takes
 * its time.
 */
async function stopRestoreInTheMiddle(slave: LabHost): Promise<void> {
  await untilNewHas(slave, 15e6);
  await slave.exec(["pkill", "-STOP", "-x", "pg_restore"]);
}

story(
  "story 9: a power cut of the master in the middle of the copy of the database; the slave has its previous one, whole, and uses it (B4, M2, S1)",
  async (scene) => {
    const { laboratory, master } = scene;
    await untilNormal(laboratory);
    await untilServedBy("master", scene);
    for (const host of laboratory.hosts) await listenForPhone(host, laboratory);
    await copyWholesOnly(scene);
    await sql(
      master,
      "asterisk",
      "SET ROLE asterisk; CREATE TABLE ballast (id serial PRIMARY KEY, filler text);",
    );
    await cutInRestore(scene);

    await master.boot();
    await untilServedBy("master", scene);
    await sql(master, "asterisk", "TRUNCATE ballast;"); // the copies until the next cut are short
    await untilNormal(laboratory);
    await cutInTransit(scene);
  },
  { from: provisioned() },
);

/** A disk that takes its time: half of the data are in a database, which must never become the live one. */
async function cutInRestore(scene: Scene): Promise<void> {
  const { laboratory, master, slave, outside, note } = scene;
  const previous = await copyWhole(scene, "first");
  await addToMaster(scene, { after: "first", rows: BALLAST_ROWS });
  await outside.mark("cut in the restore");
  const copy = master.try(COPY, { deadlineMs: COPY_DEADLINE_MS });
  await stopRestoreInTheMiddle(slave);
  assert.deepEqual(await databases(slave), ["asterisk", "asterisk_relais_new"]);
  await master.crash();
  assert.notEqual((await copy).code, 0, "the copy was not finished");
  await untilServedBy("slave", scene);
  await slave.try(["pkill", "-CONT", "-x", "pg_restore"]); // if it still stands there

  await provePrevious(scene, previous);
  await askAtVip(laboratory, "UPDATE userfeatures SET enablednd = 1 WHERE id = 1;");
  assert.equal(await askAtVip(laboratory, "SELECT sum(enablednd) FROM userfeatures;"), "1");
  const error = (await receivedCopy(slave, "database")).lastError ?? "";
  assert.match(error, /node is (taking-over|active)|sender is gone/);
  note("what the slave says of the copy that was cut", error);
  note("cut in the restore", await seenWithOneHolder(scene, "cut in the restore"));
}

/** A part of the stream has arrived and is being restored: it must never become the live one. */
async function cutInTransit(scene: Scene): Promise<void> {
  const { master, slave, outside, note } = scene;
  const previous = await copyWhole(scene, "second");
  await addToMaster(scene, { after: "second", rows: 3 * BALLAST_ROWS });
  await outside.mark("cut in transit");
  const copy = master.try(COPY, { deadlineMs: COPY_DEADLINE_MS });
  // A dump of this size is on its way for some seconds longer.
  await untilNewHas(slave, 0);
  await master.crash();
  assert.notEqual((await copy).code, 0, "the copy was not finished");
  await untilServedBy("slave", scene);
  await provePrevious(scene, previous);
  note("cut in transit", await seenWithOneHolder(scene, "cut in transit"));
}
