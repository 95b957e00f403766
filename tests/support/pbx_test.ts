import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { ASTDB_PATH, AsteriskDb } from "./asterisk_db.ts";
import type { TestHost } from "./host.ts";
import { Lab } from "./lab.ts";
import { PBX_BROKEN_FILE, PBX_COMMANDS } from "./pbx.ts";
import { callable, register } from "./phone.ts";

async function status(host: TestHost): Promise<number> {
  return (await host.try(PBX_COMMANDS.status)).code;
}

Deno.test("the test PBX keeps registrations in the astdb over a restart and answers from the VIP", async () => {
  await using lab = await Lab.create({ networks: ["voip"] });
  const { master, client } = lab;
  await master.exec(["ip", "addr", "add", "10.20.0.10/24", "dev", "eth0"]);
  await master.exec(["ip", "addr", "add", "fd20::10/64", "dev", "eth0", "nodad"]);
  assert.equal(await status(master), 3);
  await master.exec(PBX_COMMANDS.start);
  assert.equal(await status(master), 0);

  const phone = { user: "1001", server: "10.20.0.10" };
  assert.equal((await callable(client, phone)).status, 404);
  assert.equal((await register(client, phone)).status, 200);
  const answer = await callable(client, phone);
  assert.equal(answer.status, 200);
  assert.equal(answer.server, "test PBX on master");
  assert.equal((await callable(client, { user: "1001", server: "fd20::10" })).status, 200);

  await master.exec(PBX_COMMANDS.stop);
  assert.equal(await status(master), 3);
  await master.exec(PBX_COMMANDS.start);
  assert.equal((await callable(client, phone)).status, 200);
  assert.equal((await callable(client, { ...phone, user: "1002" })).status, 404);
  assert.ok(master.exists(ASTDB_PATH));
});

Deno.test("the test PBX can be told to fail its start", async () => {
  await using lab = await Lab.create({ networks: ["voip"] });
  await lab.master.writeFile(PBX_BROKEN_FILE, "");
  const result = await lab.master.try(PBX_COMMANDS.start);
  assert.equal(result.code, 1);
  assert.match(result.stderr, /told to fail/);
  assert.equal(await status(lab.master), 3);
});

Deno.test("AsteriskDb rolls back when a reader holds the lock, as Asterisk does", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/astdb.sqlite3`;
  const db = new AsteriskDb(path);
  db.put("/registrar/contact/1001", "kept");
  db.sync(0);
  const reader = new DatabaseSync(path, { readOnly: true });
  reader.exec("BEGIN");
  reader.prepare("SELECT count(*) FROM astdb").get(); // holds SQLite's shared lock
  db.put("/registrar/contact/1002", "lost");
  db.sync(500);
  assert.equal(db.rolledBack, 0, "not before the second is over");
  db.sync(1_000);
  assert.equal(db.rolledBack, 1);
  reader.close();
  db.put("/registrar/contact/1003", "kept");
  db.close();
  const after = new DatabaseSync(path, { readOnly: true });
  const keys = after.prepare("SELECT key FROM astdb ORDER BY key").all().map(({ key }) => key);
  after.close();
  assert.deepEqual(keys, ["/registrar/contact/1001", "/registrar/contact/1003"]);
  await Deno.remove(folder, { recursive: true });
});
