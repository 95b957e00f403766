import assert from "node:assert/strict";
import { TempDirectory } from "../../tests/support/temp_directory.ts";
import { FileChanges } from "./file_changes.ts";

function mode(path: string): number {
  return (Deno.statSync(path).mode ?? 0) & 0o777;
}

Deno.test("FileChanges.undo() puts texts, modes and folders back, the last change first", async () => {
  using folder = new TempDirectory();
  const old = `${folder.path}/old`;
  Deno.writeTextFileSync(old, "one\n", { mode: 0o640 });
  const changes = new FileChanges();
  await changes.write(old, "two\n", 0o600);
  await changes.write(old, "three\n", 0o600);
  await changes.makeFolder(`${folder.path}/a/b`, 0o700);
  await changes.write(`${folder.path}/a/b/new`, "new\n", 0o644);
  assert.equal(mode(`${folder.path}/a/b`), 0o700);
  assert.equal(mode(`${folder.path}/a/b/new`), 0o644, "whatever the umask is");
  assert.equal(mode(old), 0o600, "never wider than asked for");
  await changes.remove(old);
  assert.ok(changes.pending);
  assert.deepEqual(await changes.undo(), []);
  assert.deepEqual([...Deno.readDirSync(folder.path)].map(({ name }) => name), ["old"]);
  assert.equal(Deno.readTextFileSync(old), "one\n");
  assert.equal(mode(old), 0o640);
  assert.equal(changes.pending, false);
});

Deno.test("FileChanges.keep() forgets what was there", async () => {
  using folder = new TempDirectory();
  const changes = new FileChanges();
  await changes.write(`${folder.path}/new`, "new\n", 0o600);
  changes.keep();
  assert.deepEqual(await changes.undo(), []);
  assert.equal(Deno.readTextFileSync(`${folder.path}/new`), "new\n");
});

Deno.test("FileChanges follows a symbolic link instead of replacing it", async () => {
  using folder = new TempDirectory();
  Deno.writeTextFileSync(`${folder.path}/real`, "one\n");
  Deno.symlinkSync(`${folder.path}/real`, `${folder.path}/link`);
  const changes = new FileChanges();
  await changes.write(`${folder.path}/link`, "two\n", 0o600);
  assert.ok(Deno.lstatSync(`${folder.path}/link`).isSymlink);
  assert.equal(Deno.readTextFileSync(`${folder.path}/real`), "two\n");
  await changes.undo();
  assert.equal(Deno.readTextFileSync(`${folder.path}/real`), "one\n");
});

Deno.test("FileChanges.undo() names what it cannot put back and goes on with the rest", async () => {
  using folder = new TempDirectory();
  const changes = new FileChanges();
  await changes.write(`${folder.path}/first`, "new\n", 0o600);
  await changes.makeFolder(`${folder.path}/filled`, 0o700);
  Deno.writeTextFileSync(`${folder.path}/filled/by somebody else`, "");
  const failed = await changes.undo();
  assert.equal(failed.length, 1);
  assert.match(failed[0]!, /^Cannot put .*\/filled back as it was/);
  assert.deepEqual([...Deno.readDirSync(folder.path)].map(({ name }) => name), ["filled"]);
});
