// The soak (tests/soak) for two minutes: what must be equal after each takeover whatever the machine does.
// Memory, periods and times need an hour, and a quiet machine for preset fast: make soak.
import assert from "node:assert/strict";
import { DYING_KINDS, LASTING_KINDS, SoakPair } from "../soak/pair.ts";
import { type PairRecord, soak } from "../soak/record.ts";
import { leftBehind, type Target, twoHolders } from "../soak/targets.ts";
import { STEADY } from "./stage.ts";

const MINUTES = 2;
const EVERY_S = 10;

/** With the first rest after the first round of moves: code is loaded, and each kind has left its traces. */
function judged({ rests }: PairRecord): Target[] {
  return (["master", "slave"] as const).flatMap((name) => {
    const seen = rests[name].slice(3);
    assert.ok(seen.length >= 2, `${seen.length} states of rest of the ${name} can be compared`);
    return leftBehind(name, seen);
  });
}

function assertMet(targets: readonly Target[]): void {
  const missed = targets.filter(({ ok }) => !ok)
    .map(({ name, measured }) => `${name}: ${measured}`);
  assert.deepEqual(missed, []);
}

Deno.test({
  name: "soak: takeovers in which both daemons live leave nothing behind",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    await using pair = await SoakPair.create(STEADY.heartbeat);
    const record = await soak(pair, {
      name: "lasting",
      kinds: LASTING_KINDS,
      minutes: MINUTES,
      everyS: EVERY_S,
    });
    assertMet([twoHolders(record), ...judged(record)]);
    assert.ok(record.moves.length >= 3, `${record.moves.length} takeovers: ${record.broken}`);
    for (const name of ["master", "slave"] as const) {
      const rests = record.rests[name];
      assert.equal(new Set(rests.map(({ pid }) => pid)).size, 1, `one daemon on the ${name}`);
      // A takeover that left one descriptor open would add one each time.
      const [first, last] = [rests.at(3)!, rests.at(-1)!];
      const grown = last.descriptors - first.descriptors;
      assert.ok(grown < Math.max(3, rests.length - 4), `${grown} more descriptors on the ${name}`);
    }
  },
});

Deno.test({
  name: "soak: takeovers in which hosts and daemons die leave nothing behind",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    await using pair = await SoakPair.create(STEADY.heartbeat);
    const record = await soak(pair, {
      name: "dying",
      kinds: DYING_KINDS,
      minutes: MINUTES,
      everyS: EVERY_S,
    });
    assertMet([twoHolders(record), ...judged(record)]);
    assert.ok(record.moves.length >= 3, `${record.moves.length} takeovers: ${record.broken}`);
  },
});
