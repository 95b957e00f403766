import assert from "node:assert/strict";
import { join } from "node:path";
import { systemClock } from "../os/clock.ts";
import { FilesWatch } from "./files_watch.ts";
import { Pair, waitFor } from "./peer_fixture.ts";

async function inTemp(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function isThere(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

Deno.test("FilesWatch sees changes, also in directories that are made later, once a burst", async () => {
  await inTemp(async (dir) => {
    let count = 0;
    const watch = new FilesWatch({
      paths: [dir, join(dir, "not there")],
      clock: systemClock,
      onChange: () => count += 1,
      onTrouble: assert.fail,
    });
    // It says nothing of when it began to watch: a change each five seconds, until one is seen.
    for (let tries = 0; count === 0; tries++) {
      assert.ok(tries < 20, "no change is seen");
      await Deno.writeTextFile(join(dir, "a"), String(tries));
      await systemClock.sleep(5000);
    }
    const before = count;
    await Deno.mkdir(join(dir, "new/deep"), { recursive: true });
    await systemClock.sleep(100); // A directory is watched a moment after it was made.
    await Deno.writeTextFile(join(dir, "new/deep/file"), "x");
    await waitFor(() => count > before, "a new directory is seen");
    const told = count;
    await Deno.writeTextFile(join(dir, "new/deep/file"), "y");
    await waitFor(() => count > told, "a change in the new directory is seen");
    await watch.stop();
  });
});

Deno.test("FilesWatch says once that there are too many directories", async () => {
  await inTemp(async (dir) => {
    for (let at = 0; at < 5; at++) await Deno.mkdir(join(dir, `d${at}`));
    const said: string[] = [];
    const watch = new FilesWatch({
      paths: [dir],
      clock: systemClock,
      onChange: assert.fail,
      onTrouble: (message) => said.push(message),
      maxWatches: 5,
    });
    await waitFor(() => said.length > 0, "it says so");
    await watch.stop();
    assert.match(said.join(), /^Cannot watch .* 6 directories are more than the 5 /);
  });
});

Deno.test("Replicator copies changed files by itself (on_change)", async () => {
  const pair = await Pair.make("master");
  try {
    const files = {
      ...pair.config().replication.files!,
      onChange: true,
      paths: [pair.at("shared/sounds")],
    };
    await Deno.mkdir(pair.at("shared/sounds"));
    await pair.writeConfig({ files, astdb: null });
    const replicator = pair.replicator({ config: pair.config({ files, astdb: null }) });
    replicator.start();
    await waitFor(
      () => replicator.status()[0]!.sent.lastSuccessWallMs !== null,
      "the first copy is made",
    );
    await Deno.writeTextFile(pair.at("shared/sounds/new.wav"), "new");
    const there = pair.at("peer/shared/sounds/new.wav");
    // Three seconds of quiet, and at least ten between two copies.
    for (let tries = 0; !(await isThere(there)); tries++) {
      assert.ok(tries < 600, "the change is not copied");
      await systemClock.sleep(200);
    }
    await replicator.stop();
  } finally {
    await pair.end();
  }
});
