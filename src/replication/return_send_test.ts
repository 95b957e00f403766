import assert from "node:assert/strict";
import { lchown } from "node:fs/promises";
import { dirname, join } from "node:path";
import { leftBehind } from "./left_behind.ts";
import { Pair } from "./peer_fixture.ts";
import { run } from "../os/process.ts";

const signal = new AbortController().signal;

/** Every file below `root` and what is in it. */
async function contents(root: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { name, isDirectory } of Deno.readDir(root)) {
    if (isDirectory) {
      for (const [inner, text] of Object.entries(await contents(join(root, name)))) {
        found[`${name}/${inner}`] = text;
      }
    } else found[name] = await Deno.readTextFile(join(root, name));
  }
  return found;
}

async function write(root: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await Deno.mkdir(dirname(join(root, name)), { recursive: true });
    await Deno.writeTextFile(join(root, name), text);
  }
}

/** Makes `there` what `here` is, times included. */
async function sameOnBoth(here: string, there: string): Promise<void> {
  const { code } = await run(["rsync", "-a", "--delete", `${here}/`, `${there}/`], {
    deadlineMs: 20_000,
  });
  assert.equal(code, 0);
}

async function withPair(
  role: "master" | "slave",
  body: (places: {
    readonly pair: Pair;
    readonly here: string;
    readonly there: string;
  }) => Promise<void>,
): Promise<void> {
  const pair = await Pair.make(role);
  try {
    const [here, there] = [pair.at("shared/voice mail"), pair.at("peer/shared/voice mail")];
    await body({ pair, here, there });
    await pair.transport().close();
  } finally {
    await pair.end();
  }
}

/** The one dated folder in a state directory. */
function keptIn(state: string): string {
  const [only, ...more] = [...Deno.readDirSync(join(state, "kept"))];
  assert.equal(more.length, 0);
  return join(state, "kept", only!.name);
}

Deno.test("Replicator.files.sendBack() merges against what both had: gained, changed, deleted", async () => {
  await withPair("slave", async ({ pair, here, there }) => {
    await write(here, {
      "d/1/INBOX/msg0000.txt": "old",
      "d/1/INBOX/msg0000.wav": "old sound",
      "d/1/greet.wav": "hello",
      "d/2/INBOX/msg0000.txt": "heard and deleted on the master",
      "odd/-name with\nline feed é": "odd",
    });
    await sameOnBoth(here, there);
    const replicator = pair.replicator();
    await replicator.files.noteReturnBase({ signal });
    // Behind the last copy: the master got a message and lost one; the slave got one too.
    await write(there, { "d/1/INBOX/msg0001.txt": "master's", "only there": "m" });
    await Deno.remove(join(there, "d/2/INBOX/msg0000.txt"));
    await write(here, { "d/1/INBOX/msg0001.txt": "slave's", "d/3/INBOX/msg0000.txt": "first" });
    await write(here, { "d/1/greet.wav": "hello again" });
    await Deno.remove(join(here, "odd/-name with\nline feed é"));
    await lchown(join(here, "d/3/INBOX"), 54321, 54322);
    const { sentence } = await replicator.files.sendBack({ signal, epoch: 2 });
    assert.deepEqual(await contents(there), {
      "d/1/INBOX/msg0000.txt": "old",
      "d/1/INBOX/msg0000.wav": "old sound",
      "d/1/INBOX/msg0001.txt": "master's",
      "d/1/INBOX/msg0002.txt": "slave's",
      "d/1/greet.wav": "hello again",
      "d/3/INBOX/msg0000.txt": "first",
      "only there": "m",
    });
    assert.equal(Deno.statSync(join(there, "d/3/INBOX")).uid, 54321);
    assert.match(sentence, /3 files brought back, 1 deleted on the master as on the slave/);
    assert.match(sentence, /1 conflicts.*msg0001: the same number on both.*msg0002 now/);
    const kept = keptIn(pair.at("peer/state"));
    assert.ok(sentence.includes(kept));
    const aside = await contents(join(kept, pair.at("shared/voice mail")));
    assert.deepEqual(aside, { "d/1/greet.wav": "hello", "odd/-name with\nline feed é": "odd" });
    const [conflict] = JSON.parse(await Deno.readTextFile(join(kept, "conflicts.json")));
    assert.equal(conflict.path, join(here, "d/1/INBOX/msg0001"));
    const { folders: [left] } = await leftBehind(dirname(dirname(kept)));
    assert.deepEqual([left?.kind, left?.files[0]?.path], ["files-conflict", conflict.path]);
    assert.match(pair.gateLog(), /note 3 files brought back, 1 deleted/);
    // Once more: nothing is gained since, nothing is done.
    const again = await replicator.files.sendBack({ signal, epoch: 2 });
    assert.match(again.sentence, /nothing was gained here/);
    await replicator.stop();
  });
});

Deno.test("Replicator.files.sendBack() without a list of before adds, and the newer one has the name", async () => {
  await withPair("slave", async ({ pair, here, there }) => {
    const replicator = pair.replicator();
    assert.deepEqual((await replicator.files.sendBack({ signal, epoch: 2 })).paths, []);
    await write(here, { "100/new.wav": "slave", "100/both.wav": "slave newer" });
    await write(there, { "100/only.wav": "master", "100/both.wav": "master older" });
    const longAgo = new Date(Date.now() - 60_000);
    await Deno.utime(join(there, "100/both.wav"), longAgo, longAgo);
    assert.deepEqual((await replicator.files.sendBack({ signal, epoch: 2 })).paths, [here]);
    assert.deepEqual(await contents(there), {
      "100/both.wav": "slave newer",
      "100/new.wav": "slave",
      "100/only.wav": "master",
    });
    const aside = await contents(join(keptIn(pair.at("peer/state")), here));
    assert.deepEqual(aside, { "100/both.wav": "master older" });
    await assert.rejects(replicator.sync("files", { signal }), /never replaces the master's/);
    await replicator.stop();
  });
});

Deno.test("Replicator.files.sendBack() that fails keeps what did not travel, and tries again", async () => {
  await withPair("slave", async ({ pair, here, there }) => {
    await write(here, { "1/INBOX/msg0000.txt": "both" });
    await sameOnBoth(here, there);
    const replicator = pair.replicator();
    await replicator.files.noteReturnBase({ signal });
    await write(here, { "1/INBOX/msg0001.txt": "gained" });
    await pair.setGate({ daemon: pair.peerDaemon("active"), refusal: "this node is active" });
    await assert.rejects(
      replicator.files.sendBack({ signal, epoch: 2 }),
      /1 files that did not travel are kept in .*-not-returned/,
    );
    const kept = await contents(join(keptIn(pair.at("state")), here));
    assert.deepEqual(kept, { "1/INBOX/msg0001.txt": "gained" });
    assert.deepEqual(await contents(there), { "1/INBOX/msg0000.txt": "both" });
    await pair.setGate({ daemon: pair.peerDaemon("standby"), refusal: null });
    await replicator.files.sendBack({ signal, epoch: 2 });
    assert.equal((await contents(there))["1/INBOX/msg0001.txt"], "gained");
    await replicator.stop();
  });
});

Deno.test("a copy of the master's keeps aside what the slave gained and could not return", async () => {
  await withPair("master", async ({ pair, here, there }) => {
    const files = { ...pair.config().replication.files!, paths: [here] };
    await pair.writeConfig({ files });
    const replicator = pair.replicator({ config: pair.config({ files }) });
    await write(here, { "1/INBOX/msg0000.txt": "master's" });
    await replicator.sync("files", { signal });
    await write(there, { "1/INBOX/msg0001.txt": "gained there" });
    await replicator.sync("files", { signal });
    assert.deepEqual(await contents(there), { "1/INBOX/msg0000.txt": "master's" });
    const kept = await contents(join(keptIn(pair.at("peer/state")), here));
    assert.deepEqual(kept, { "1/INBOX/msg0001.txt": "gained there" });
    assert.match(pair.gateLog(), /note before the master's copy of .* 1 files that did not travel/);
    // What a copy brought is known to both, so it is nothing gained.
    await write(here, { "1/INBOX/msg0001.txt": "master's second" });
    await replicator.sync("files", { signal });
    keptIn(pair.at("peer/state"));
    await replicator.stop();
  });
});
