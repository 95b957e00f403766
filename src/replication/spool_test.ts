import assert from "node:assert/strict";
import { join } from "node:path";
import { systemClock } from "../os/clock.ts";
import { runOk } from "../os/process.ts";
import type { SetHeader } from "./set_header.ts";
import { Spool, SpoolError } from "./spool.ts";
import { type IncomingSet, readSetStream, writeSetStream } from "./stream.ts";

function header(epoch: number, snapshotWallMs: number): SetHeader {
  return {
    version: 1,
    set: "astdb",
    epoch,
    origin: "master",
    snapshotWallMs,
    fingerprint: "f",
    detail: {},
  };
}

/** A real stream with `bytes` as payload, cut after `cutAt` bytes if given. */
async function incoming(head: SetHeader, bytes: Uint8Array, cutAt?: number): Promise<IncomingSet> {
  const pipe = new TransformStream<Uint8Array, Uint8Array>();
  let passed = 0;
  const cutter = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller): void {
      passed += chunk.length;
      if (cutAt !== undefined && passed > cutAt) controller.terminate();
      else controller.enqueue(chunk);
    },
  });
  const payload = new Blob([bytes.slice()]).stream();
  writeSetStream(pipe.writable, head, payload, { clock: systemClock }).catch(() => {});
  return await readSetStream(pipe.readable.pipeThrough(cutter), { clock: systemClock });
}

const OPTIONS = { wallMs: () => Date.now(), maxBytes: 100_000_000 };

async function names(directory: string): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(directory)) found.push(entry.name);
  return found.sort();
}

Deno.test("Spool.receive() keeps five generations of the astdb, newest first", async () => {
  const stateDir = await Deno.makeTempDir();
  try {
    const spool = new Spool(stateDir, "astdb");
    let wall = 1000;
    for (let i = 1; i <= 8; i++) {
      const set = await incoming(header(3, i), new TextEncoder().encode(`copy ${i}`));
      await spool.receive(set, { ...OPTIONS, wallMs: () => wall++ });
    }
    const kept = await spool.generations();
    assert.deepEqual(kept.map((g) => g.header.snapshotWallMs), [8, 7, 6, 5, 4]);
    assert.equal(await Deno.readTextFile(kept[0]!.path), "copy 8");
    assert.equal((await names(spool.directory)).length, 10);
    assert.match(kept[0]!.path, /\/spool\/astdb\/3-8-[0-9a-f]{8}$/);
  } finally {
    await Deno.remove(stateDir, { recursive: true });
  }
});

Deno.test("Spool.receive() keeps the previous copy when the next is cut, refused or too large", async () => {
  const stateDir = await Deno.makeTempDir();
  try {
    const spool = new Spool(stateDir, "astdb");
    await spool.receive(await incoming(header(1, 1), new Uint8Array(10)), OPTIONS);
    const before = await names(spool.directory);
    const large = new Uint8Array(300_000);
    await assert.rejects(
      spool.receive(await incoming(header(1, 2), large, 100_000), OPTIONS),
      /cut/,
    );
    await assert.rejects(
      spool.receive(await incoming(header(1, 3), large), { ...OPTIONS, maxBytes: 1000 }),
      SpoolError,
    );
    const inspect = (): Promise<void> => Promise.reject(new Error("integrity_check failed"));
    await assert.rejects(
      spool.receive(await incoming(header(1, 4), large), { ...OPTIONS, inspect }),
      /integrity_check/,
    );
    assert.deepEqual(await names(spool.directory), before);
  } finally {
    await Deno.remove(stateDir, { recursive: true });
  }
});

Deno.test("Spool.receive() names a full disk and keeps the previous copy", async () => {
  const stateDir = await Deno.makeTempDir();
  // The mount lives in a namespace of this shell: it is gone with it, also when the test is killed.
  const script = new URL("./spool_full_disk_fixture.ts", import.meta.url).pathname;
  try {
    const { stdout } = await runOk(
      ["unshare", "--mount", Deno.execPath(), "run", "-A", script, stateDir],
      { deadlineMs: 60_000 },
    );
    const result = JSON.parse(stdout);
    assert.match(result.error, /disk of .* is full: the previous copy is kept/);
    assert.deepEqual(result.after, result.before);
    assert.equal(result.readable, "first");
  } finally {
    await Deno.remove(stateDir, { recursive: true });
  }
});

Deno.test("Spool.generations() leaves out damaged and interrupted ones and prune removes them", async () => {
  const stateDir = await Deno.makeTempDir();
  try {
    const spool = new Spool(stateDir, "astdb");
    assert.deepEqual(await spool.generations(), []);
    const good = await spool.receive(await incoming(header(1, 1), new Uint8Array(10)), OPTIONS);
    await Deno.writeTextFile(join(spool.directory, "1-2-aaaaaaaa.json"), "{");
    await Deno.writeTextFile(join(spool.directory, "1-3-bbbbbbbb"), "payload without sidecar");
    await Deno.writeTextFile(join(spool.directory, "in.4194999.1.part"), "of a killed process");
    const cut = await spool.receive(await incoming(header(1, 4), new Uint8Array(20)), OPTIONS);
    await Deno.truncate(cut.path, 3);
    assert.deepEqual((await spool.generations()).map((g) => g.path), [good.path]);
    await spool.receive(await incoming(header(1, 5), new Uint8Array(30)), OPTIONS);
    assert.equal((await names(spool.directory)).length, 4);
  } finally {
    await Deno.remove(stateDir, { recursive: true });
  }
});
