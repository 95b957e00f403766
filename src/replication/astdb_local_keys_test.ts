import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "../os/clock.ts";
import { libc } from "../os/libc.ts";
import { findHolder } from "./astdb_holders.ts";
import { installAstdb } from "./astdb_install.ts";
import { isLocalKey, keepLocalKeys } from "./astdb_local_keys.ts";
import { Pair, putRows, readRow } from "./peer_fixture.ts";

const signal = new AbortController().signal;
libc(); // Once for all tests here: a library that one test opens counts as its leak.
const LOCAL = ["/pbx/UUID", "/dundi/*"];

Deno.test("isLocalKey() takes keys as they stand and * for any text", () => {
  const table: readonly [string, boolean][] = [
    ["/pbx/UUID", true],
    ["/pbx/UUID2", false],
    ["/dundi/secret", true],
    ["/dundi/a/b", true],
    ["/dundi", false],
    ["/DUNDI/x", false],
    ["/SIP/Registry/pbx/UUID", false],
  ];
  for (const [key, expected] of table) assert.equal(isLocalKey(key, LOCAL), expected, key);
  assert.ok(isLocalKey("/a.b(c)/x", ["/a.b(c)/*"]));
  assert.ok(!isLocalKey("/aXb(c)/x", ["/a.b(c)/*"]));
});

Deno.test("keepLocalKeys() is the copy without those keys, plus this host's own", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const [copy, own] = [join(dir, "copy"), join(dir, "own")];
    putRows(copy, { "/pbx/UUID": "theirs", "/dundi/gone": "theirs", "/SIP/Registry/1": "new" });
    putRows(own, { "/pbx/UUID": "mine", "/dundi/secret": "mine", "/SIP/Registry/1": "old" });
    const made = await keepLocalKeys({
      from: copy,
      own: await Deno.readFile(own),
      patterns: LOCAL,
      workDir: join(dir, "work"),
    });
    assert.equal(readRow(made, "/pbx/UUID"), "mine");
    assert.equal(readRow(made, "/dundi/secret"), "mine");
    assert.equal(readRow(made, "/dundi/gone"), null);
    assert.equal(readRow(made, "/SIP/Registry/1"), "new");
    assert.equal(readRow(copy, "/pbx/UUID"), "theirs");
    await assert.rejects(
      keepLocalKeys({ from: copy, own: new Uint8Array(9), patterns: LOCAL, workDir: dir }),
      /Cannot keep this host's own keys/,
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("the peer's astdb is put in place once, and this host's own keys stay", async () => {
  const pair = await Pair.make("master");
  try {
    const astdb = {
      path: pair.at("shared/astdb.sqlite3"),
      everyMs: 600_000,
      onChange: true,
      localKeys: LOCAL,
    };
    await pair.writeConfig({ astdb });
    putRows(pair.at("peer/shared/astdb.sqlite3"), {
      "/pbx/UUID": "slave",
      "/SIP/Registry/1": "there",
    });
    await Deno.mkdir(pair.at("peer/state/sets"), { recursive: true });
    await Deno.writeTextFile(
      pair.at("peer/state/sets/astdb.live.json"),
      JSON.stringify({ epoch: 7, installed: null }),
    );
    putRows(astdb.path, { "/pbx/UUID": "master", "/SIP/Registry/1": "here" });
    const replicator = pair.replicator({ config: pair.config({ astdb }) });
    assert.equal((await replicator.fetchAstdbIfNewer({ signal })).fetched, true);
    assert.equal(readRow(astdb.path, "/pbx/UUID"), "master");
    assert.equal(readRow(astdb.path, "/SIP/Registry/1"), "there");
    // What differs is this host's own: the same copy is not fetched or installed for ever.
    const again = await replicator.fetchAstdbIfNewer({ signal });
    assert.equal(again.fetched, false);
    assert.match(again.why, /both are the same/);
    assert.equal((await replicator.installReceivedAstdb({ signal })).installed, false);
    await replicator.stop();
  } finally {
    await pair.end();
  }
});

Deno.test("installAstdb() refuses while any process has the astdb open", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const [live, copy] = [join(dir, "astdb.sqlite3"), join(dir, "copy")];
    putRows(live, { "/a/b": "live" });
    putRows(copy, { "/a/b": "copy" });
    const bytes = await Deno.readFile(copy);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const sha256 = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    const script = new URL("./astdb_writer_fixture.ts", import.meta.url).pathname;
    const writer = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", script, live, "200"],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const reader = writer.stdout.getReader();
    await reader.read(); // "ready": it has the file open.
    assert.equal((await findHolder(live))!.pid, writer.pid);
    await assert.rejects(
      installAstdb({ path: live, from: copy, sha256 }),
      /has it open: stop it first/,
    );
    await writer.stdin.close();
    reader.releaseLock();
    await writer.stdout.cancel();
    await writer.status;
    while (await findHolder(live) !== null) await systemClock.sleep(20);
    await installAstdb({ path: live, from: copy, sha256 });
    assert.equal(readRow(live, "/a/b"), "copy");
    const database = new DatabaseSync(live);
    database.close();
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
