import assert from "node:assert/strict";
import type { HistoryEntry } from "../health/types.ts";
import { History, HISTORY_SHOWN } from "./history.ts";

function entry(why: string): HistoryEntry {
  return {
    at: "2026-01-31T12:00:00.000Z",
    rule: "S-TAKE",
    from: "standby",
    to: "taking-over",
    why,
  };
}

async function withFolder(test: (stateDir: string, troubles: string[]) => void): Promise<void> {
  const stateDir = await Deno.makeTempDir({ prefix: "relais-" });
  try {
    test(stateDir, []);
  } finally {
    await Deno.remove(stateDir, { recursive: true });
  }
}

function open(stateDir: string, troubles: string[]): History {
  return new History({ stateDir, onTrouble: (text) => troubles.push(text) });
}

function whys(history: History): string[] {
  return history.entries.map(({ why }) => why);
}

Deno.test("History is there again after a restart, newest last, in a file for root only", async () => {
  await withFolder((stateDir, troubles) => {
    const first = open(stateDir, troubles);
    for (const why of ["one", "two"]) first.add(entry(why));
    const second = open(stateDir, troubles);
    second.add(entry("three"));
    assert.deepEqual(whys(open(stateDir, troubles)), ["one", "two", "three"]);
    assert.equal(Deno.statSync(`${stateDir}/history.jsonl`).mode! & 0o777, 0o600);
    assert.deepEqual(troubles, []);
  });
});

Deno.test("History skips damaged lines, and a line after one that a power cut left open is whole", async () => {
  await withFolder((stateDir, troubles) => {
    const good = `${JSON.stringify(entry("good"))}\n`;
    const cut = JSON.stringify(entry("cut")).slice(0, 40);
    Deno.writeTextFileSync(`${stateDir}/history.jsonl`, `${good}nonsense\n{"at":1}\n${cut}`);
    const history = open(stateDir, troubles);
    assert.deepEqual(whys(history), ["good"]);
    history.add(entry("after"));
    assert.deepEqual(whys(open(stateDir, troubles)), ["good", "after"]);
  });
});

Deno.test("History is bounded in memory and on disk", async () => {
  await withFolder((stateDir, troubles) => {
    const history = open(stateDir, troubles);
    for (let i = 0; i < 1105; i++) history.add(entry(`${i}`));
    assert.equal(history.entries.length, HISTORY_SHOWN);
    const lines = Deno.readTextFileSync(`${stateDir}/history.jsonl`).trimEnd().split("\n");
    assert.ok(lines.length <= 1000, `${lines.length} lines`);
    assert.deepEqual(whys(open(stateDir, troubles)), whys(history));
    assert.equal(whys(history).at(-1), "1104");
  });
});

Deno.test("History reports a disk that cannot be written and goes on in memory", async () => {
  await withFolder((stateDir, troubles) => {
    const history = open(`${stateDir}/absent`, troubles);
    history.add(entry("one"));
    assert.deepEqual(whys(history), ["one"]);
    assert.equal(troubles.length, 1);
    assert.match(troubles[0]!, /^Cannot write .*history\.jsonl/);
  });
});
