import assert from "node:assert/strict";
import fc from "fast-check";
import "../../tests/support/seed.ts";
import { mergeReturn, type ReturnPlan } from "./return_merge.ts";
import { sameEntry, type Tree, type TreeEntry } from "./tree_list.ts";

function entry(content: number): TreeEntry {
  return { kind: "f", size: content, mtime: `${1_700_000_000 + content}.000000001` };
}

function tree(files: Readonly<Record<string, number>>): Tree {
  return new Map(Object.entries(files).map(([name, content]) => [name, entry(content)]));
}

/** What the master has after the plan. */
function applied(plan: ReturnPlan, slave: Tree, master: Tree): Map<string, TreeEntry> {
  const result = new Map(master);
  for (const { name } of plan.asides) result.delete(name);
  for (const { from, to, over } of plan.puts) {
    assert.ok(sameEntry(result.get(to), over ?? undefined), `${to} is not what the plan says`);
    result.set(to, slave.get(from)!);
  }
  return result;
}

function merge(
  base: Readonly<Record<string, number>> | null,
  slave: Readonly<Record<string, number>>,
  master: Readonly<Record<string, number>>,
): { readonly plan: ReturnPlan; readonly after: Record<string, number> } {
  const [s, m] = [tree(slave), tree(master)];
  const plan = mergeReturn({ base: base === null ? null : tree(base), slave: s, master: m });
  const after = Object.fromEntries(
    [...applied(plan, s, m)].map(([name, { size }]) => [name, size]),
  );
  return { plan, after };
}

Deno.test("mergeReturn() brings new and changed files, and what was deleted on the slave", () => {
  const { plan, after } = merge(
    { same: 1, changed: 2, gone: 3, "master-new-before": 9 },
    { same: 1, changed: 22, fresh: 4, "master-new-before": 9 },
    { same: 1, changed: 2, gone: 3, "master-only": 5 },
  );
  // "master-new-before" was deleted on the master: it is not resurrected.
  assert.deepEqual(after, { same: 1, changed: 22, fresh: 4, "master-only": 5 });
  assert.deepEqual(plan.conflicts, []);
});

Deno.test("mergeReturn() keeps both where both changed, and says so", () => {
  const { plan, after } = merge(
    { greet: 1, edited: 1, removed: 1 },
    { greet: 2, removed: 5, born: 7 },
    { greet: 3, edited: 4, born: 8 },
  );
  assert.deepEqual(after, {
    greet: 3,
    "greet.from-slave": 2,
    edited: 4,
    removed: 5,
    born: 8,
    "born.from-slave": 7,
  });
  assert.deepEqual(plan.conflicts.map(({ name }) => name), ["born", "edited", "greet", "removed"]);
});

Deno.test("mergeReturn() without a base deletes nothing and lets the newer one have the name", () => {
  const { plan, after } = merge(null, { a: 2, b: 1, c: 3 }, { a: 1, b: 2, d: 4 });
  assert.deepEqual(after, { a: 2, b: 2, "b.from-slave": 1, c: 3, d: 4 });
  assert.deepEqual(plan.asides, []);
  assert.deepEqual(plan.conflicts.map(({ name }) => name), ["a", "b"]);
});

Deno.test("mergeReturn() takes the files of a message together, whatever its number", () => {
  // The slave: 0 deleted, so 1 moved down; one more came. The master did nothing.
  const base = { "1/INBOX/msg0000.txt": 1, "1/INBOX/msg0000.wav": 2 } as const;
  const moved = { ...base, "1/INBOX/msg0001.txt": 3, "1/INBOX/msg0001.wav": 4 };
  const slave = {
    "1/INBOX/msg0000.txt": 3,
    "1/INBOX/msg0000.wav": 4,
    "1/INBOX/msg0001.txt": 5,
    "1/INBOX/msg0001.wav": 6,
  };
  const one = merge(moved, slave, moved);
  assert.deepEqual(one.after, slave);
  assert.deepEqual(one.plan.conflicts, []);
  // The same number on both: the slave's goes behind the master's, all its files together.
  const two = merge(
    base,
    { ...base, "1/INBOX/msg0001.txt": 10, "1/INBOX/msg0001.gsm": 11 },
    { ...base, "1/INBOX/msg0001.txt": 20, "1/INBOX/msg0001.wav": 21 },
  );
  assert.deepEqual(two.after, {
    ...base,
    "1/INBOX/msg0001.txt": 20,
    "1/INBOX/msg0001.wav": 21,
    "1/INBOX/msg0002.txt": 10,
    "1/INBOX/msg0002.gsm": 11,
  });
  assert.match(two.plan.conflicts[0]!.what, /same number on both.*msg0002/);
  // Deleted on the slave while the master got another: the deletion comes along, the other stays.
  const three = merge(
    moved,
    { "1/INBOX/msg0000.txt": 3, "1/INBOX/msg0000.wav": 4 },
    { ...moved, "1/INBOX/msg0002.txt": 30 },
  );
  assert.deepEqual(three.after, {
    "1/INBOX/msg0001.txt": 3,
    "1/INBOX/msg0001.wav": 4,
    "1/INBOX/msg0002.txt": 30,
  });
});

Deno.test("mergeReturn() does not believe that nearly everything was deleted", () => {
  const many = Object.fromEntries([...Array(60).keys()].map((at) => [`f${at}`, at]));
  const { plan, after } = merge(many, { new: 99 }, many);
  assert.deepEqual(after, { ...many, new: 99 });
  assert.match(plan.conflicts[0]!.what, /60 of 60 files are gone/);
});

Deno.test("mergeReturn() loses nothing that is only on one host, and a second time does nothing", () => {
  const names = fc.constantFrom(
    "a",
    "b",
    "x/msg0000.wav",
    "x/msg0001.wav",
    "x/msg0001.txt",
    "x/msg0002.wav",
  );
  const files = fc.dictionary(names, fc.integer({ min: 1, max: 4 }));
  fc.assert(fc.property(fc.option(files), files, files, (base, slave, master) => {
    const [b, s, m] = [base === null ? null : tree(base), tree(slave), tree(master)];
    const plan = mergeReturn({ base: b, slave: s, master: m });
    const after = applied(plan, s, m);
    const contents = [...after.values()].map(({ size }) => size);
    const kept = [...plan.asides.map(({ was }) => was.size)]
      .concat(plan.puts.flatMap(({ over }) => over === null ? [] : [over.size]));
    for (const { size } of m.values()) {
      assert.ok(contents.includes(size) || kept.includes(size), "a file of the master is lost");
    }
    const known = new Set([...b?.values() ?? []].map(({ size }) => size));
    for (const { size } of s.values()) {
      assert.ok(known.has(size) || contents.includes(size), "a new file of the slave is lost");
    }
  }));
});
