import assert from "node:assert/strict";
import { join } from "node:path";
import { emptySetState, SetStates } from "./set_state.ts";

Deno.test("SetStates remembers a success, then keeps its facts through a failure", async () => {
  const stateDir = await Deno.makeTempDir();
  try {
    const states = new SetStates(stateDir, (path, why) => assert.fail(`${path}: ${why}`));
    assert.deepEqual(states.read("astdb", "sent"), emptySetState("astdb", "sent"));
    const facts = {
      snapshotWallMs: 5,
      epoch: 2,
      origin: "master",
      size: 10,
      sha256: "ab",
      durationMs: 3,
    } as const;
    await states.succeeded("astdb", "sent", facts, 100);
    await states.failed("astdb", "sent", "no route to host", 200);
    const reread = new SetStates(stateDir, () => {}).read("astdb", "sent");
    assert.equal(reread.snapshotWallMs, 5);
    assert.equal(reread.lastSuccessWallMs, 100);
    assert.equal(reread.lastError, "no route to host");
    assert.equal(reread.lastErrorWallMs, 200);
    await states.succeeded("astdb", "sent", facts, 300);
    assert.equal(states.read("astdb", "sent").lastError, null);
  } finally {
    await Deno.remove(stateDir, { recursive: true });
  }
});

Deno.test("SetStates reports a damaged file and treats it as none", async () => {
  const stateDir = await Deno.makeTempDir();
  try {
    await Deno.mkdir(join(stateDir, "sets"));
    const damaged: string[] = [];
    const states = new SetStates(stateDir, (path) => damaged.push(path));
    for (const text of ["", "{", "[]", '{"set":"astdb"}', "\u0000".repeat(100)]) {
      await Deno.writeTextFile(join(stateDir, "sets", "files.received.json"), text);
      assert.deepEqual(states.read("files", "received"), emptySetState("files", "received"));
    }
    assert.equal(damaged.length, 5);
    await states.failed("files", "received", "x", 1);
    assert.equal(states.read("files", "received").lastError, "x");
  } finally {
    await Deno.remove(stateDir, { recursive: true });
  }
});

Deno.test("SetStates counts what went well and what failed, also from the files of before", async () => {
  const stateDir = await Deno.makeTempDir();
  try {
    const states = new SetStates(stateDir, (path, why) => assert.fail(`${path}: ${why}`));
    await states.failed("files", "sent", "x", 1);
    const path = join(stateDir, "sets", "files.sent.json");
    const { successes: _s, failures: _f, ...older } = JSON.parse(await Deno.readTextFile(path));
    await Deno.writeTextFile(path, JSON.stringify(older));
    await states.failed("files", "sent", "y", 2);
    await states.succeeded("files", "sent", {
      snapshotWallMs: 3,
      epoch: 1,
      origin: "master",
      size: 1,
      sha256: "00",
      durationMs: 1,
    }, 4);
    await states.failed("files", "sent", "z", 5);
    const { successes, failures, lastError } = states.read("files", "sent");
    assert.deepEqual({ successes, failures, lastError }, {
      successes: 1,
      failures: 2,
      lastError: "z",
    });
  } finally {
    await Deno.remove(stateDir, { recursive: true });
  }
});
