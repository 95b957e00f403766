import assert from "node:assert/strict";
import { lchown } from "node:fs/promises";
import { systemClock } from "../os/clock.ts";
import type { DatabaseSource } from "./database_port.ts";
import { DATABASE, Pair, waitFor } from "./peer_fixture.ts";
import type { Replicator } from "./replicator.ts";
import { SetStates } from "./set_state.ts";

const signal = new AbortController().signal;
/** A source whose dump is what the test says. */
function source(payload: () => ReadableStream<Uint8Array>, done: Promise<void>): DatabaseSource {
  done.catch(() => {});
  return {
    dump: () => Promise.resolve({ detail: { tables: 3 }, payload: payload(), done }),
    install: () => Promise.reject(new Error("this host sends")),
    cleanupLeftovers: () => Promise.resolve(),
  };
}

function text(content: string): () => ReadableStream<Uint8Array> {
  return () => new Blob([content]).stream();
}

async function withDatabase(body: (pair: Pair) => Promise<void>): Promise<void> {
  const pair = await Pair.make("master");
  try {
    await pair.writeConfig({ database: DATABASE });
    await body(pair);
  } finally {
    await pair.transport().close();
    await pair.end();
  }
}

function sender(pair: Pair, database: DatabaseSource): Replicator {
  return pair.replicator({ config: pair.config({ database: DATABASE }), database });
}

Deno.test("Replicator.sync('database') restores on the peer only after the whole dump arrived", async () => {
  await withDatabase(async (pair) => {
    const good = sender(pair, source(text("dump 1"), Promise.resolve()));
    const phases = new Set<string>();
    const state = await good.sync("database", { signal, onProgress: (p) => phases.add(p.phase) });
    assert.equal(await Deno.readTextFile(pair.at("peer/database")), "dump 1");
    assert.equal(state.size, 6);
    assert.ok(phases.has("restore"));
    await good.stop();

    // pg_dump dies in the middle: exit status 1 behind a payload that looks whole.
    const dying = sender(
      pair,
      source(text("dump 2"), Promise.reject(new Error("pg_dump exited with 1"))),
    );
    await assert.rejects(dying.sync("database", { signal }), /pg_dump exited with 1/);
    await dying.stop();
    const failing = sender(
      pair,
      source(() =>
        new ReadableStream({
          pull(controller): void {
            controller.error(new Error("pipe broke"));
          },
        }), Promise.resolve()),
    );
    await assert.rejects(failing.sync("database", { signal }), /pipe broke/);
    await failing.stop();
    assert.equal(await Deno.readTextFile(pair.at("peer/database")), "dump 1");
    const states = new SetStates(pair.at("peer/state"), assert.fail);
    await waitFor(() => {
      const { lastError, sha256 } = states.read("database", "received");
      return lastError !== null && sha256 === state.sha256;
    }, "the peer remembers the failure and the last good copy");
  });
});

Deno.test("a copy in progress ends, and replaces nothing, when the peer begins to serve", async () => {
  await withDatabase(async (pair) => {
    const replicator = sender(pair, source(text("slow dump"), Promise.resolve()));
    const copying = replicator.sync("database", { signal });
    copying.catch(() => {});
    await waitFor(() => pair.gateLog().includes("restoring"), "the peer restores");
    await pair.setGate({ daemon: pair.peerDaemon("taking-over"), refusal: "it takes over" });
    await assert.rejects(copying, /it takes over/);
    await assert.rejects(Deno.stat(pair.at("peer/database")), Deno.errors.NotFound);
    assert.match(pair.gateLog(), /end database false it takes over/);
    await replicator.stop();
  });
});

Deno.test("a copy in progress is cut when the sender may not be read any more or is told to stop", async () => {
  await withDatabase(async (pair) => {
    const endless = (): ReadableStream<Uint8Array> =>
      new ReadableStream({
        async pull(controller): Promise<void> {
          await systemClock.sleep(20);
          controller.enqueue(new Uint8Array(1000));
        },
      });
    const replicator = sender(pair, source(endless, Promise.resolve()));
    const abort = new AbortController();
    const copying = replicator.sync("database", { signal: abort.signal });
    copying.catch(() => {});
    await waitFor(() => pair.gateLog().includes("begin database"), "the copy runs");
    assert.notEqual(replicator.status().find(({ set }) => set === "database")!.running, null);
    abort.abort(new Error("the operator gave up"));
    await assert.rejects(copying, /the operator gave up/);
    await waitFor(() => pair.gateLog().includes("end database false"), "the peer gave up too");
    await assert.rejects(Deno.stat(pair.at("peer/database")), Deno.errors.NotFound);
    await replicator.stop();
  });
});

async function tree(root: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const entry of Deno.readDir(root)) {
    const path = `${root}/${entry.name}`;
    if (entry.isDirectory) {
      for (const [name, content] of Object.entries(await tree(path))) {
        found[`${entry.name}/${name}`] = content;
      }
    } else found[entry.name] = await Deno.readTextFile(path);
  }
  return found;
}

async function write(root: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    const path = `${root}/${name}`;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    await Deno.writeTextFile(path, content);
  }
}

Deno.test("Replicator.sync('files') makes the declared paths equal, keeps excludes, never empties", async () => {
  const pair = await Pair.make("master");
  try {
    const replicator = pair.replicator();
    const [here, there] = [pair.at("shared"), pair.at("peer/shared")];
    await write(here, { "sounds/fr/hello.wav": "1", "sounds/it's $x/a b.wav": "2", "etc/x": "3" });
    await write(there, {
      "sounds/old.wav": "gone",
      "sounds/monitor/rec.wav": "kept",
      "other": "k",
    });
    const state = await replicator.sync("files", { signal });
    assert.equal(state.size, 3);
    assert.deepEqual(await tree(there), {
      "sounds/fr/hello.wav": "1",
      "sounds/it's $x/a b.wav": "2",
      "sounds/monitor/rec.wav": "kept",
      "etc/x": "3",
      "other": "k",
    });
    const received = new SetStates(pair.at("peer/state"), assert.fail).read("files", "received");
    assert.equal(received.sha256, state.sha256);

    await Deno.remove(`${here}/etc`, { recursive: true });
    await write(here, { "sounds/new.wav": "4" });
    await assert.rejects(replicator.sync("files", { signal }), /shared\/etc is missing here/);
    assert.equal((await tree(there))["etc/x"], "3", "a missing source emptied the peer");
    assert.equal((await tree(there))["sounds/new.wav"], "4", "the other path was not copied");

    await write(here, { "etc/x": "3" });
    const many = Object.fromEntries([...Array(80).keys()].map((i) => [`sounds/m${i}`, "m"]));
    await write(there, many);
    await assert.rejects(replicator.sync("files", { signal }), /would delete 80 of/);
    assert.equal((await tree(there))["sounds/m7"], "m");
    await replicator.sync("files", { signal, allowMassDeletion: true });
    assert.equal((await tree(there))["sounds/m7"], undefined);

    await pair.setGate({ daemon: pair.peerDaemon("active"), refusal: "this node is active" });
    await write(here, { "sounds/more.wav": "5" });
    await assert.rejects(replicator.sync("files", { signal }), /this node is active/);
    assert.equal((await tree(there))["sounds/more.wav"], undefined);
    await replicator.stop();
  } finally {
    await pair.end();
  }
});

Deno.test("Replicator.sync('files') leaves out a preset's path that this host does not have", async () => {
  const pair = await Pair.make("master");
  try {
    const files = { ...pair.config().replication.files!, pathsFromPreset: true };
    await pair.writeConfig({ files });
    const replicator = pair.replicator({ config: pair.config({ files }) });
    const [here, there] = [pair.at("shared"), pair.at("peer/shared")];
    await write(here, { "sounds/hello.wav": "1" });
    const state = await replicator.sync("files", { signal });
    assert.equal(state.size, 1);
    assert.deepEqual(await tree(there), { "sounds/hello.wav": "1" });

    await write(there, { "etc/x": "3" });
    await assert.rejects(
      replicator.sync("files", { signal }),
      /the peer's differ .*; not here, so not copied: .*\/shared\/etc/,
    );
    assert.deepEqual(await tree(there), { "sounds/hello.wav": "1", "etc/x": "3" });
    await replicator.stop();
  } finally {
    await pair.end();
  }
});

Deno.test("relais receive does not follow a link that another user put on the way", async () => {
  const pair = await Pair.make("slave");
  try {
    const replicator = pair.replicator();
    await write(pair.at("shared/voice mail"), { "100/new.wav": "slave" });
    await Deno.mkdir(pair.at("peer/secret"));
    await Deno.symlink(pair.at("peer/secret"), pair.at("peer/shared/voice mail"));
    await lchown(pair.at("peer/shared/voice mail"), 12345, 12345);
    await assert.rejects(
      replicator.files.sendBack({ signal, epoch: 2 }),
      /exited with 77|symbolic link/,
    );
    assert.deepEqual([...Deno.readDirSync(pair.at("peer/secret"))], []);
    await replicator.stop();
  } finally {
    await pair.end();
  }
});
