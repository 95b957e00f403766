import assert from "node:assert/strict";
import { join } from "node:path";
import { TempDirectory } from "../../tests/support/temp_directory.ts";
import { KeptFolder } from "./kept_folder.ts";
import { leftBehind, settleLeft } from "./left_behind.ts";
import { ReturnFolder } from "./return/return_folder.ts";

const NOON = Date.UTC(2026, 10, 30, 12);
const MINUTE = 60_000;
const SUMMARY = {
  mode: "tables",
  total: 2,
  tables: [],
  sequences: [],
  history: 0,
  notes: [],
} as const;
const CONFLICT = {
  id: "0123abcd",
  table: "public.t",
  key: { id: "1" },
  kind: "changed",
  why: "both hosts changed it",
  before: { id: "1" },
  slave: null,
  master: { id: "1" },
} as const;

/** A state directory with one folder of each kind, and those that ask nothing of anybody. */
async function fill(state: string): Promise<void> {
  const conflict = new KeptFolder(state, "returned", NOON);
  const files = [{ path: "/v/a", what: "changed on both", slave: null, master: null }];
  await conflict.note("conflicts.json", JSON.stringify(files));
  // It was replaced as it should be.
  await new KeptFolder(state, "returned", NOON + MINUTE).note("a", "before");
  await new KeptFolder(state, "not-returned", NOON + 2 * MINUTE).note("deleted-here.txt", "/v/b\n");
  for (const delivered of [true, false]) {
    const folder = await ReturnFolder.begin(state, NOON + 3 * MINUTE);
    const conflicts = delivered ? [] : [CONFLICT];
    await folder.end({ delivered, why: "a test", summary: SUMMARY, conflicts, replaced: [] });
  }
}

Deno.test("leftBehind() lists what asks for an operator, oldest first, and nothing else", async () => {
  using directory = new TempDirectory();
  const state = directory.path;
  assert.deepEqual(await leftBehind(state), { folders: [], more: 0 });
  await fill(state);
  const { folders, more } = await leftBehind(state);
  assert.equal(more, 0);
  assert.deepEqual(
    folders.map(({ kind, files, rowConflicts, trouble }) => [kind, files, rowConflicts, trouble]),
    [
      ["files-conflict", [{ path: "/v/a", what: "changed on both" }], 0, null],
      ["files-kept", [], 0, null],
      ["rows-kept", [], 1, null],
    ],
  );
  for (const { path } of folders) assert.ok(Deno.statSync(path).isDirectory, path);
});

Deno.test("settleLeft() takes a folder off the list, or all, and removes nothing", async () => {
  using directory = new TempDirectory();
  const state = directory.path;
  await fill(state);
  const [first] = (await leftBehind(state)).folders;
  await assert.rejects(
    settleLeft(state, "../kept"),
    /Cannot settle \.\.\/kept as it is not on the/,
  );
  assert.deepEqual(await settleLeft(state, first!.name), [first!.name]);
  assert.deepEqual((await leftBehind(state)).folders.map(({ kind }) => kind), [
    "files-kept",
    "rows-kept",
  ]);
  assert.ok(Deno.statSync(join(first!.path, "conflicts.json")).isFile);
  assert.equal((await settleLeft(state, "all")).length, 2);
  assert.deepEqual((await leftBehind(state)).folders, []);
  assert.deepEqual(await settleLeft(state, "all"), []);
});

Deno.test("leftBehind() names a list that it cannot read, and goes on", async () => {
  using directory = new TempDirectory();
  const state = directory.path;
  const texts = ["{", '[{"path": 1}]'];
  for (const [at, text] of texts.entries()) {
    await new KeptFolder(state, "returned", NOON + at * MINUTE).note("conflicts.json", text);
  }
  const long = new KeptFolder(state, "returned", NOON + 2 * MINUTE);
  await long.note("conflicts.json", "");
  await Deno.truncate(join(long.directory, "conflicts.json"), 1024 ** 3);
  const { folders } = await leftBehind(state);
  const troubles = folders.map(({ trouble }) => trouble ?? "");
  assert.match(troubles[0]!, /^Cannot read .*conflicts\.json: /);
  assert.match(troubles[1]!, /: it is no list of conflicts$/);
  assert.match(troubles[2]!, /is too long to be shown$/);
});

Deno.test("leftBehind() looks at the newest folders, and says how many others there are", async () => {
  using directory = new TempDirectory();
  for (let at = 0; at < 55; at++) {
    await new KeptFolder(directory.path, "not-returned", NOON + at * MINUTE).note("a", "");
  }
  const { folders, more } = await leftBehind(directory.path);
  assert.deepEqual([folders.length, more], [50, 5]);
  assert.match(folders.at(-1)!.name, /T12-54-/);
});
