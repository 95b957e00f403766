import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "../os/clock.ts";
import { inspectAstdb } from "./receive_put.ts";
import { AstdbInstallError, installAstdb } from "./astdb_install.ts";
import { astdbSignature, type AstdbSnapshot, readAstdb } from "./astdb_read.ts";

const WRITER = new URL("./astdb_writer_fixture.ts", import.meta.url).pathname;

interface Writer {
  readonly child: Deno.ChildProcess;
  /** Closes its input and returns what it counted. */
  end(): Promise<{ commits: number; lost: number; counter: number }>;
  crash(): Promise<void>;
}

async function startWriter(path: string, everyMs: number, mode = "run"): Promise<Writer> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", WRITER, path, String(everyMs), mode],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  assert.match((await reader.read()).value ?? "", /^ready/);
  return {
    child,
    async end(): Promise<{ commits: number; lost: number; counter: number }> {
      await child.stdin.close();
      let text = "";
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        text += part.value;
      }
      await child.status;
      return JSON.parse(text);
    },
    async crash(): Promise<void> {
      child.kill("SIGKILL");
      await child.status;
      await reader.cancel();
      await child.stdin.abort().catch(() => {});
    },
  };
}

async function withDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await body(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function makeAstdb(path: string, rows: Readonly<Record<string, string>>): void {
  const database = new DatabaseSync(path);
  database.exec("CREATE TABLE astdb(key VARCHAR(256) PRIMARY KEY, value VARCHAR(256))");
  const put = database.prepare("INSERT INTO astdb VALUES(?, ?)");
  for (const [key, value] of Object.entries(rows)) put.run(key, value);
  database.close();
}

function rowsOf(path: string): Record<string, string> {
  const database = new DatabaseSync(path);
  try {
    const rows = database.prepare("SELECT key, value FROM astdb ORDER BY key").all();
    return Object.fromEntries(rows.map((row) => [String(row["key"]), String(row["value"])]));
  } finally {
    database.close();
  }
}

async function take(directory: string, path: string, atRest = false): Promise<AstdbSnapshot> {
  const workDir = join(directory, "work");
  const result = await readAstdb({ path, workDir, clock: systemClock, atRest });
  assert.ok(result.ok, result.ok ? "" : result.reason);
  return result.snapshot;
}

Deno.test("readAstdb() loses no commit of a writer of Asterisk's pattern and is never torn", async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, "astdb.sqlite3");
    const writer = await startWriter(path, 15);
    const copy = join(directory, "copy");
    let copies = 0;
    let last = 0;
    // 150 in five seconds; a slow machine takes fewer, but at least so many that they mean something.
    const until = performance.now() + 5000;
    while (copies < 11 || last === 0 || (copies < 150 && performance.now() < until)) {
      const snapshot = await take(directory, path);
      Deno.writeFileSync(copy, snapshot.bytes);
      const rows = rowsOf(copy);
      assert.equal(rows["/AAA/counter"], rows["/zzz/counter"]);
      assert.ok(Number(rows["/AAA/counter"] ?? 0) >= last, "a later copy holds older data");
      last = Number(rows["/AAA/counter"] ?? 0);
      copies += 1;
    }
    const counted = await writer.end();
    assert.equal(counted.lost, 0);
    assert.ok(counted.commits > 10, `only ${counted.commits} commits`);
    assert.ok(copies > 10 && last > 0, `only ${copies} copies, last ${last}`);
    assert.deepEqual([...Deno.readDirSync(join(directory, "work"))], []);
  });
});

Deno.test("a reader that takes SQLite's lock loses commits of that writer (why readAstdb() does not)", async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, "astdb.sqlite3");
    let lost = 0;
    // On a busy machine the two may miss each other for a while.
    for (let attempt = 0; lost === 0 && attempt < 10; attempt++) {
      const writer = await startWriter(path, 5);
      const reader = new DatabaseSync(path, { readOnly: true });
      const until = performance.now() + 3000;
      while (performance.now() < until) {
        reader.exec("BEGIN");
        reader.prepare("SELECT count(*) FROM astdb").get();
        await systemClock.sleep(20);
        reader.exec("COMMIT");
      }
      reader.close();
      lost = (await writer.end()).lost;
    }
    assert.ok(lost > 0);
  });
});

Deno.test("readAstdb() says missing, unusable and corrupt apart", async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, "astdb.sqlite3");
    const workDir = join(directory, "work");
    const fault = async (): Promise<string> => {
      const result = await readAstdb({ path, workDir, clock: systemClock, atRest: false });
      return result.ok ? "ok" : result.fault;
    };
    assert.equal(await fault(), "missing");
    assert.equal(astdbSignature(path), null);
    await Deno.writeTextFile(path, "");
    assert.equal(await fault(), "unusable");
    await Deno.remove(path);
    await Deno.symlink("/etc/passwd", path);
    assert.equal(await fault(), "unusable");
    await Deno.remove(path);
    await Deno.mkdir(path);
    assert.equal(await fault(), "unusable");
    await Deno.remove(path);
    makeAstdb(path, { "/a/b": "c".repeat(200) });
    assert.equal(await fault(), "ok");
    const bytes = await Deno.readFile(path);
    bytes.fill(0xff, 4096, 4200);
    await Deno.writeFile(path, bytes);
    assert.equal(await fault(), "corrupt");
  });
});

Deno.test("readAstdb() copies the Berkeley DB of Asterisk 1.8 as it is", async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, "astdb");
    // Written by Berkeley DB 1.85 (dbopen(DB_BTREE) of Debian's libdb1-compat 2.1.3-22), as Asterisk 1.8
    // writes it: 60 registrations, keys and values with their zero byte.
    const golden = new URL("../../tests/support/golden/astdb_berkeley_1_85", import.meta.url);
    const bytes = await Deno.readFile(golden);
    await Deno.writeFile(path, bytes);
    const snapshot = await take(directory, path);
    assert.equal(snapshot.format, "berkeley");
    assert.deepEqual(snapshot.bytes, bytes);
    await Deno.writeFile(`${path}.cut`, bytes.subarray(0, 9000));
    const options = { workDir: join(directory, "work"), clock: systemClock, atRest: true };
    const cut = await readAstdb({ ...options, path: `${path}.cut` });
    assert.equal(cut.ok ? "taken" : cut.fault, "corrupt");
    await assert.rejects(inspectAstdb(`${path}.cut`), /cut in the middle of a page/);
    await inspectAstdb(path);
    const target = join(directory, "astdb.other");
    await installAstdb({ path: target, from: path, sha256: snapshot.sha256 });
    assert.deepEqual(await Deno.readFile(target), bytes);
  });
});

Deno.test("readAstdb() at rest rolls back on its copy what a crashed Asterisk left half-written", async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, "astdb.sqlite3");
    makeAstdb(path, { "/SIP/Registry/100": "10.0.0.1", "/filler/1": "committed" });
    const committed = (await take(directory, path)).sha256;
    await (await startWriter(path, 0, "crash")).crash();
    const torn = await Deno.readFile(path);
    const journal = await Deno.readFile(`${path}-journal`);

    const options = { path, workDir: join(directory, "work"), clock: systemClock };
    const live = await readAstdb({ ...options, atRest: false });
    assert.equal(live.ok ? "ok" : live.fault, "unsettled");
    const snapshot = await take(directory, path, true);
    assert.equal(snapshot.sha256, committed);
    assert.deepEqual(await Deno.readFile(path), torn, "the live file was touched");
    assert.deepEqual(await Deno.readFile(`${path}-journal`), journal, "the journal was touched");
  });
});

Deno.test("installAstdb() removes the crashed one's journal, keeps owner and mode, and is whole", async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, "astdb.sqlite3");
    const source = join(directory, "newer.sqlite3");
    makeAstdb(source, { "/SIP/Registry/100": "10.0.0.9" });
    makeAstdb(path, { "/SIP/Registry/100": "10.0.0.1" });
    await (await startWriter(path, 0, "crash")).crash();
    await Deno.chown(path, 12345, 23456);
    await Deno.chmod(path, 0o640);
    await Deno.writeTextFile(join(directory, ".astdb.sqlite3.relais-left"), "by a killed install");
    const { sha256 } = await take(directory, source);
    await installAstdb({ path, from: source, sha256 });
    assert.deepEqual(rowsOf(path), { "/SIP/Registry/100": "10.0.0.9" });
    const info = await Deno.stat(path);
    assert.deepEqual([info.uid, info.gid, info.mode! & 0o777], [12345, 23456, 0o640]);
    const names = [...Deno.readDirSync(directory)].map((entry) => entry.name).sort();
    assert.deepEqual(names, ["astdb.sqlite3", "newer.sqlite3", "work"]);
  });
});

Deno.test("installAstdb() gives a first astdb to the owner of the directory", async () => {
  await withDirectory(async (directory) => {
    const source = join(directory, "source");
    makeAstdb(source, { "/a": "b" });
    const place = join(directory, "asterisk");
    await Deno.mkdir(place);
    await Deno.chown(place, 4321, 4322);
    const { sha256 } = await take(directory, source);
    await installAstdb({ path: join(place, "astdb.sqlite3"), from: source, sha256 });
    const info = await Deno.stat(join(place, "astdb.sqlite3"));
    assert.deepEqual([info.uid, info.gid], [4321, 4322]);
  });
});

Deno.test("installAstdb() refuses a damaged copy, another digest, a link; the one in place stays", async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, "astdb.sqlite3");
    const source = join(directory, "source");
    makeAstdb(path, { "/a": "kept" });
    makeAstdb(source, { "/a": "b".repeat(300) });
    await assert.rejects(
      installAstdb({ path, from: source, sha256: "0".repeat(64) }),
      AstdbInstallError,
    );
    const bytes = await Deno.readFile(source);
    bytes.fill(0xff, 4096, 4200);
    await Deno.writeFile(source, bytes);
    const hash = await crypto.subtle.digest("SHA-256", bytes);
    const damaged = new Uint8Array(hash).toHex();
    await assert.rejects(installAstdb({ path, from: source, sha256: damaged }), AstdbInstallError);
    assert.deepEqual(rowsOf(path), { "/a": "kept" });
    makeAstdb(join(directory, "good"), { "/a": "good" });
    const good = await take(directory, join(directory, "good"));
    await Deno.symlink("/etc/passwd", join(directory, "link"));
    await assert.rejects(
      installAstdb({
        path: join(directory, "link"),
        from: join(directory, "good"),
        sha256: good.sha256,
      }),
      AstdbInstallError,
    );
  });
});
