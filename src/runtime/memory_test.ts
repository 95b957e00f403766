import assert from "node:assert/strict";
import { systemClock } from "../os/clock.ts";
import { type Boot, Memory, readBoot } from "./memory.ts";

/** Read before the tests: the library that reads /proc stays open for the life of the process. */
const BOOT = readBoot(systemClock);

interface Place {
  readonly folder: string;
  readonly troubles: string[];
  readonly memory: (boot?: Boot) => Memory;
}

async function withFolder(test: (place: Place) => void): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "relais-" });
  const troubles: string[] = [];
  const onTrouble = (text: string): number => troubles.push(text);
  const memory = (boot: Boot = { id: "boot-1", uptimeMs: () => 50_000 }): Memory =>
    new Memory({ stateDir: folder, runDir: folder, boot, onTrouble });
  try {
    test({ folder, troubles, memory });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("Memory has what was persisted, privately, and leaves no temporary file", async () => {
  await withFolder(({ folder, troubles, memory }) => {
    assert.equal(memory().load(), null, "the first start");
    assert.equal(memory().previous(), null);
    memory().save({ epoch: 6, failbackHeld: false, role: "slave", witnesses: ["10.20.0.254"] });
    memory().save({ epoch: 7, failbackHeld: true, role: "slave", witnesses: ["10.20.0.254"] });
    assert.deepEqual(memory().load(), {
      version: 1,
      epoch: 7,
      role: "slave",
      failbackHeld: true,
      witnesses: ["10.20.0.254"],
    });
    assert.equal(Deno.statSync(`${folder}/state.json`).mode! & 0o777, 0o600);
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["state.json"]);
    assert.deepEqual(troubles, []);
  });
});

Deno.test("Memory.load() takes a damaged file for none, and reports it", async () => {
  const good = { version: 1, epoch: 7, role: "slave", failbackHeld: true };
  for (
    const text of [
      "",
      JSON.stringify(good).slice(0, 20),
      "\0\0\0\0",
      "null",
      JSON.stringify({ ...good, epoch: -1 }),
      JSON.stringify({ ...good, epoch: 1.5 }),
      JSON.stringify({ ...good, role: "witness" }),
      JSON.stringify({ ...good, version: 2 }),
    ]
  ) {
    await withFolder(({ folder, troubles, memory }) => {
      Deno.writeTextFileSync(`${folder}/state.json`, text);
      assert.equal(memory().load(), null, text);
      assert.equal(troubles.length, 1, text);
      assert.match(troubles[0]!, /^Cannot use .*state\.json/);
      memory().save({ epoch: 8, failbackHeld: false, role: "slave", witnesses: ["10.20.0.254"] });
      assert.equal(memory().load()?.epoch, 8, "and replaces it");
    });
  }
});

Deno.test("Memory.save() throws what the disk says, and the file before stays", async () => {
  await withFolder(({ folder, memory }) => {
    memory().save({ epoch: 6, failbackHeld: false, role: "slave", witnesses: ["10.20.0.254"] });
    Deno.mkdirSync(`${folder}/state.json.tmp`);
    assert.throws(() =>
      memory().save({ epoch: 7, failbackHeld: false, role: "slave", witnesses: ["10.20.0.254"] })
    );
    assert.equal(memory().load()?.epoch, 6);
  });
});

Deno.test("Memory.previous() tells what the daemon before did and how long ago, within one boot", async () => {
  await withFolder(({ troubles, memory }) => {
    memory().saveServing({ name: "active", epoch: 6, serving: true });
    const later = memory({ id: "boot-1", uptimeMs: () => 51_500 }).previous();
    assert.equal(later?.state, "active");
    assert.equal(later?.agoMs, 1500);
    const other = memory({ id: "boot-2", uptimeMs: () => 51_500 });
    assert.equal(other.previous(), null, "another boot: nothing of that is left");
    assert.deepEqual(troubles, []);
  });
});

Deno.test("Memory.previous() takes a damaged file for none, and reports it", async () => {
  await withFolder(({ folder, troubles, memory }) => {
    Deno.writeTextFileSync(`${folder}/serving.json`, '{"version":1,"state":"dancing"');
    assert.equal(memory().previous(), null);
    assert.equal(troubles.length, 1);
  });
});

Deno.test("readBoot() reads this kernel's boot, whose uptime goes on", () => {
  assert.match(BOOT.id, /^[0-9a-f-]{36}$/);
  const first = BOOT.uptimeMs();
  assert.ok(first > 0);
  assert.ok(BOOT.uptimeMs() >= first);
});
